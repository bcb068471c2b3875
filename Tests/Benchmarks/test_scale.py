"""The benchmarks of large tables: they run, and a wrong reply does not pass as a fast one. No speed is judged here.

They need the release build of the daemon, as those of test_benchmarks.py do.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import scale
from large_tables import Queue, Result, closing_request, queueing_request
from run import BenchmarkError
from sessions import Session
from test_benchmarks import Rule, wrong_server

BENCHMARKS = Path(__file__).resolve().parent


@contextlib.contextmanager
def session(folder: Path, rule: Rule) -> Iterator[Session]:
    with wrong_server(folder, rule) as path, contextlib.closing(Session(path)) as one:
        yield one


def queue_rule(token: int, following: str) -> Rule:
    """A lock with one waiter, granted under the token 7, whose hand-over speaks of this token and grants that request."""
    first = iter(["#0 GRANTED queue token=7\n"])

    def rule(client: int, line: str) -> list[tuple[int, str]]:
        if line == "PING":
            return [(client, "PONG\n")]
        if line == "RELEASE queue":
            return [(0, f"RELEASED queue token={token}\n"), (1, f"#{following} GRANTED queue token=8\n")]
        return [(client, reply) for reply in [next(first, "")] if reply]

    return rule


def hand_over(folder: Path, rule: Rule) -> int:
    with wrong_server(folder, rule) as path, contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(contextlib.closing(Session(path))) for _ in range(2)]
        return Queue(sessions, 1, b"").hand_over()


def test_right_hand_over_passes(tmp_path: Path) -> None:
    assert hand_over(tmp_path, queue_rule(7, "1")) > 0


def test_hand_over_to_another_request_fails(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="wrong reply: b'#0 GRANTED"):
        hand_over(tmp_path, queue_rule(7, "0"))


def test_release_of_another_token_fails(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="wrong reply: b'RELEASED queue token=9'"):
        hand_over(tmp_path, queue_rule(9, "1"))


def test_cycle_that_is_not_refused_fails(tmp_path: Path) -> None:
    def rule(client: int, line: str) -> list[tuple[int, str]]:
        if line == "PING":
            return [(client, "PONG\n")]
        tag, _, name, *_ = line.split()
        return [(client, f"{tag} GRANTED {name} token=7\n")] if "wait" not in line else []

    with session(tmp_path, rule) as one, pytest.raises(BenchmarkError, match="wrong reply: b'#last GRANTED"):
        closing_request(one, 1)()


def test_request_that_does_not_wait_fails(tmp_path: Path) -> None:
    def rule(client: int, line: str) -> list[tuple[int, str]]:
        return [(client, "#last GRANTED long token=7\n")] if "ACQUIRE" in line else []

    with session(tmp_path, rule) as one, pytest.raises(BenchmarkError, match="wrong reply: b'#last GRANTED"):
        queueing_request(one, b"holder")()


def test_figures_are_medians_and_the_worst_of_all_rounds() -> None:
    tables = scale.Tables(
        [
            Result("names held", case, number, "none", {"CPU us": cpu, "worst us": cpu})
            for number, cpus in enumerate([(1.0, 2.0), (10.0, 10.0), (2.0, 6.0)])
            for case, cpu in zip(["none", "many"], cpus)
        ]
    )
    assert tables.figure("names held", "many", "CPU us") == 6
    assert tables.figure("names held", "many", "worst us") == 10
    assert tables.ratio("names held", "many", "CPU us") == 2


def test_every_reply_is_right(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    completed = subprocess.run(
        [sys.executable, BENCHMARKS / "scale.py", "--quick", "--json", report],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    results = json.loads(report.read_text())["results"]
    assert {result["benchmark"] for result in results} == set(scale.BENCHMARKS)
    cases = {result["case"] for result in results}
    assert {
        "20 waiters, progress=1s",
        "lockd, 2,000 held",
        "cycle of 20 owners",
        "all at once",
        "with 2,000 leases, after kill -9",
    } <= cases
    for result in results:
        assert result["figures"]["start ms" if result["benchmark"] == "starts" else "p50 us"] > 0
    for case in cases:
        assert f"  {case}  " in completed.stdout

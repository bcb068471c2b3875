"""The benchmarks of the client libraries: they run, and what does not is named. No speed is judged here.

They need the release build of the daemon.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import clients
import pytest
from large_tables import Result
from run import BenchmarkError
from scale import Tables

BENCHMARKS = Path(__file__).resolve().parent


def program(folder: Path, text: str) -> clients.Candidate:
    path = folder / "program"
    path.write_text(text)
    return clients.Candidate("pairs", "this", (sys.executable, path))


def test_program_is_given_its_case_the_place_and_the_time_and_prints_figures(tmp_path: Path) -> None:
    candidate = program(tmp_path, "import sys, json; print(json.dumps(dict(zip(sys.argv[1:], [1, 2, 3]))))")
    figures = clients.measured(candidate, 0, tmp_path, 0.5).figures
    assert figures == {"this": 1, str(tmp_path): 2, "0.5": 3}


def test_program_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="pairs, this ended with status 1; it said last:\nwrong reply"):
        clients.measured(program(tmp_path, "raise SystemExit('wrong reply')"), 0, tmp_path, 0.5)


def test_candidate_without_its_program_module_or_server_is_left_out_with_the_reason(tmp_path: Path) -> None:
    assert clients.why_not(clients.Candidate("pairs", "x", (tmp_path / "none",)), tmp_path) == "none is not built"
    command = (sys.executable, BENCHMARKS / "client_pairs.py")
    assert clients.why_not(clients.Candidate("pairs", "lockd.Lock", command), tmp_path) == ""
    # Whether the module is there or not, the server is not.
    assert clients.why_not(clients.Candidate("pairs", "redis-py, 1 ms", command), tmp_path) in (
        "no module redis",
        "no server of redis",
    )


def test_goals_and_losses_are_medians_of_what_each_round_compares() -> None:
    times = [(100.0, 160.0, 200.0), (10.0, 14.0, 10.0), (100.0, 145.0, 200.0)]
    results = [
        Result("pairs", case, number, "raw socket", {"p50 us": value})
        for number, values in enumerate(times)
        for case, value in zip(["raw socket", "lockd.Lock", "redis-py"], values)
    ]
    results = clients.with_differences(results)
    assert [each.figures["beyond us"] for each in results if each.case == "lockd.Lock"] == [60, 4, 45]
    assert clients.goals(Tables(results), results).splitlines() == [
        "goal of pairs, lockd.Lock: p50 at most 1.5 times raw socket: 1.45, met",
        "pairs, lockd.Lock: p50 is 0.80 times that of redis-py, won",
    ]


def test_every_case_of_lockd_has_figures(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    completed = subprocess.run(
        [sys.executable, BENCHMARKS / "clients.py", "--quick", "--json", report],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    results = json.loads(report.read_text())["results"]
    assert {result["benchmark"] for result in results} == set(clients.BENCHMARKS)
    assert {"lockd.Lock", "lockd.aio.Lock", "64 threads, own locks", "lockd.aio.Client"} <= {
        result["case"] for result in results
    }
    for result in results:
        assert result["figures"]
        assert f"  {result['case']}  " in completed.stdout
    assert "goal of pairs, lockd.Lock" in completed.stdout

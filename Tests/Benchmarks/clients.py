#!/usr/bin/env python3
"""Measure the client libraries beside what else a program could use: other locks, and the bare protocol.

Each case is a program of its own that prints its figures as JSON. All cases of a benchmark take turns, round by round.
The table shows medians over the rounds, and for what is called worst the worst of all; a ratio is the median of the
ratios within each round. docs/benchmarks.md says what the figures mean.

The exit status is 0 unless a reply was wrong or something did not run: how fast it was is for the reader to judge.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib.metadata
import json
import operator
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import client_locks
import client_servers
import run
from large_tables import Result
from run import BenchmarkError
from scale import Tables

# How long a program may take beyond what it is to measure.
PATIENCE_SECONDS = 60
COLUMNS = {
    "p50 us": ",.1f",
    "p99 us": ",.1f",
    "beyond us": ",.1f",
    "pairs/s": ",.0f",
    "hand-overs/s": ",.0f",
    "least share %": ".1f",
    "worst row": ",.0f",
    "worst wait ms": ",.1f",
    "KiB a client": ",.1f",
    "worst server KiB": ",.1f",
    "import KiB": ",.0f",
}
PEERS = ["fcntl.flock", "multiprocessing.Lock", "filelock", "portalocker", "redis-py", "psycopg"]
MODULES = ["lockd", "lockd.aio", "redis", "filelock", "portalocker", "psycopg"]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One case of a benchmark, and the program that measures it.

    The program is given the case, the folder with the sockets of the servers, and how many seconds to measure. It
    prints one JSON object, from the names of figures to numbers.
    """

    benchmark: str
    case: str
    command: tuple[str | Path, ...]
    #: The case of the same benchmark that it is compared with.
    beside: str = ""
    #: Whether it has a CPU that is not the servers', the servers', or all of them.
    cpu: str = "its own"
    #: How many times as long as others it is measured.
    times: int = 1


def python(benchmark: str, program: str, cases: Sequence[str], **more: str | int) -> list[Candidate]:
    command = (sys.executable, run.BENCHMARKS / program)
    return [Candidate(benchmark, case, command, **more) for case in cases]  # type: ignore[arg-type]


def swift(benchmark: str, cases: Sequence[str], beside: str = "") -> list[Candidate]:
    program = run.BENCHMARKS / ".build" / "release" / "client-load"
    return [Candidate(benchmark, case, (program,), beside) for case in cases]


def all_candidates() -> list[Candidate]:
    """All of them, in the order in which they take turns. Programs in other languages go here too."""
    pairs = functools.partial(python, "pairs", "client_pairs.py")
    queues = ["lockd.Lock", *PEERS, "filelock, 1 ms", "portalocker, 1 ms", "redis-py, 1 ms"]
    crowds = [f"{crowd}, {locks}" for crowd in ("64 threads", "1,000 tasks") for locks in ("own locks", "one lock")]
    return [
        *pairs(["raw socket", "lockd.Lock", *PEERS], beside="raw socket"),
        *pairs(["asyncio streams", "lockd.aio.Lock"], beside="asyncio streams"),
        *swift("pairs", ["Swift, raw socket", "BlockingLockdClient", "LockdClient"], beside="Swift, raw socket"),
        *pairs(["raw socket, one CPU", "lockd.Lock, one CPU"], beside="raw socket, one CPU", cpu="the servers'"),
        *pairs(
            ["asyncio streams, one CPU", "lockd.aio.Lock, one CPU"],
            beside="asyncio streams, one CPU",
            cpu="the servers'",
        ),
        *python("hand-over", "client_hand_over.py", queues, beside="lockd.Lock", cpu="all", times=2),
        *python("crowds", "client_crowds.py", crowds),
        *swift("crowds", [f"Swift, {crowd}" for crowd in crowds]),
        *python(
            "gevent",
            "client_gevent.py",
            [
                "patched, idle",
                "patched, 32 wait",
                "patched, 32 acquire and release",
                "patched, 1 acquires and releases",
            ],
            beside="patched, idle",
        ),
        *python(
            "gevent",
            "client_gevent.py",
            ["not patched, idle", "not patched, 1 acquires and releases"],
            beside="not patched, idle",
        ),
        *python(
            "memory", "client_memory.py", [*(f"import {module}" for module in MODULES), "lockd.aio.Client", "redis-py"]
        ),
        *swift("memory", ["BlockingLockdClient, idle", "LockdClient, idle"]),
    ]


BENCHMARKS = list(dict.fromkeys(candidate.benchmark for candidate in all_candidates()))


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a client library is meant to reach: a figure beside another one, at most so much."""

    benchmark: str
    case: str
    figure: str
    compare: Callable[[float, float], float]
    most: float
    unit: str


# A pair beside the bare protocol, and the lateness of a greenlet beyond that in a hub with nothing else to do.
GOALS = [
    Goal("pairs", "lockd.Lock", "p50 us", operator.truediv, 1.5, "times"),
    Goal("pairs", "lockd.aio.Lock", "p50 us", operator.truediv, 1.5, "times"),
    Goal("pairs", "BlockingLockdClient", "p50 us", operator.truediv, 1.15, "times"),
    Goal("pairs", "LockdClient", "p50 us", operator.truediv, 1.6, "times"),
    Goal("gevent", "patched, 32 wait", "p99 us", operator.sub, 2000, "us beyond"),
    Goal("gevent", "patched, 32 acquire and release", "p99 us", operator.sub, 2000, "us beyond"),
    Goal("gevent", "patched, 1 acquires and releases", "p99 us", operator.sub, 2000, "us beyond"),
    Goal("gevent", "not patched, 1 acquires and releases", "p99 us", operator.sub, 2000, "us beyond"),
]


def why_not(candidate: Candidate, place: Path) -> str:
    """Why a candidate cannot be measured; nothing if it can."""
    program = Path(candidate.command[-1])
    if not program.exists():
        return f"{program.name} is not built"
    if candidate.case.startswith("import lockd"):
        return ""
    name = candidate.case.removeprefix("import ")
    missing = client_locks.missing({"redis": "redis-py"}.get(name, name), place)
    return "" if candidate.case.startswith("import ") and missing.startswith("no server") else missing


def measured(candidate: Candidate, number: int, place: Path, seconds: float) -> Result:
    servers, clients = run.cpus()
    cpu = {"its own": clients, "the servers'": servers, "all": None}[candidate.cpu]
    seconds *= candidate.times
    command = [*candidate.command, candidate.case, place, str(seconds)]
    name = f"{candidate.benchmark}, {candidate.case}"
    try:
        completed = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=run.pinning(cpu),
            timeout=seconds + PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{name}: no figures within {seconds + PATIENCE_SECONDS:.0f} seconds") from None
    if completed.returncode != 0:
        raise run.failure(name, completed.returncode, completed.stderr)
    return Result(candidate.benchmark, candidate.case, number, candidate.beside, json.loads(completed.stdout))


def measure_all(candidates: Sequence[Candidate], rounds: int, place: Path, seconds: float) -> Iterator[Result]:
    for benchmark in dict.fromkeys(candidate.benchmark for candidate in candidates):
        for number in range(rounds):
            for candidate in candidates:
                if candidate.benchmark == benchmark:
                    yield measured(candidate, number, place, seconds)


def with_differences(results: Sequence[Result]) -> list[Result]:
    """The results, each with how much more it is than what it is beside, in the same round."""
    p50 = {(each.benchmark, each.case, each.round): each.figures.get("p50 us") for each in results}
    complete = []
    for each in results:
        other = p50.get((each.benchmark, each.beside, each.round))
        own = each.figures.get("p50 us")
        more = {} if own is None or other is None else {"beyond us": own - other}
        complete.append(dataclasses.replace(each, figures={**each.figures, **more}))
    return complete


def goals(tables: Tables, results: Sequence[Result]) -> str:
    """What the client libraries are meant to reach and whether they did, and who is faster."""
    beside = {(each.benchmark, each.case): each.beside for each in results}
    lines = []
    for goal in GOALS:
        other = beside.get((goal.benchmark, goal.case), "")
        value = tables.compare(goal.benchmark, goal.case, other, goal.compare, goal.figure)
        if value is not None:
            verdict = "met" if value <= goal.most else "missed"
            bound = f"{goal.figure.removesuffix(' us')} at most {goal.most:g} {goal.unit} {other}"
            lines.append(f"goal of {goal.benchmark}, {goal.case}: {bound}: {value:,.2f}, {verdict}")
    for benchmark in ("pairs", "hand-over"):
        for case in (case for name, case in beside if name == benchmark and case.partition(",")[0] in PEERS):
            ratio = tables.compare(benchmark, "lockd.Lock", case, operator.truediv, "p50 us")
            if ratio is not None:
                verdict = "lost" if ratio > 1 else "won"
                lines.append(f"{benchmark}, lockd.Lock: p50 is {ratio:,.2f} times that of {case}, {verdict}")
    return "\n".join(lines)


def version(module: str) -> str:
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def conditions(options: argparse.Namespace, versions: dict[str, str], left_out: dict[str, str]) -> dict[str, object]:
    servers, clients = run.cpus()
    return {
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "servers on CPU": servers,
        "clients on CPU": clients,
        "servers": versions,
        "clients": {name: version(name) for name in ("redis", "filelock", "portalocker", "psycopg", "gevent")},
        "rounds": options.rounds,
        "seconds per measurement": options.seconds,
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "not measured": left_out or "nothing",
    }


def parsed_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the client libraries beside other locks.")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each case (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long one turn takes (default: 0.5)")
    parser.add_argument(
        "--benchmarks", type=run.names_among(BENCHMARKS), default=BENCHMARKS, help=f"which of {','.join(BENCHMARKS)}"
    )
    parser.add_argument("--quick", action="store_true", help="check in seconds that everything works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single result there")
    parsed = parser.parse_args(arguments)
    if parsed.quick:
        parsed.rounds, parsed.seconds = 1, 0.01
    return parsed


def chosen_candidates(options: argparse.Namespace) -> list[Candidate]:
    chosen = [each for each in all_candidates() if each.benchmark in options.benchmarks]
    return [each for each in chosen if is_own(each)] if options.quick else chosen


def is_own(candidate: Candidate) -> bool:
    """Whether it is a case of lockd, or what such a case is compared with."""
    case = candidate.case.removeprefix("import ").partition(",")[0]
    return case not in (*PEERS, *MODULES) or case == "lockd"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed_arguments(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="lockd-bench-", dir=run.memory()) as folder:
            place = Path(folder)
            chosen = chosen_candidates(options)
            with_postgres = any(each.case == "psycopg" for each in chosen)
            with client_servers.running(place, run.cpus()[0], with_postgres) as versions:
                reasons = {f"{each.benchmark}, {each.case}": why_not(each, place) for each in chosen}
                left_out = {name: reason for name, reason in reasons.items() if reason}
                chosen = [each for each in chosen if f"{each.benchmark}, {each.case}" not in left_out]
                values = conditions(options, versions, left_out)
                print(run.text_of_conditions(values), flush=True)
                results = with_differences(list(measure_all(chosen, options.rounds, place, options.seconds)))
    except BenchmarkError as error:
        print(f"clients.py: {error}", file=sys.stderr)
        return 1
    tables = Tables(results, COLUMNS, ["p50 us"])
    values["load average behind"] = f"{os.getloadavg()[0]:.1f}"
    print(f"load average behind: {values['load average behind']}\n\n{tables.text()}\n\n{goals(tables, results)}")
    if options.json is not None:
        document = {"conditions": values, "results": [dataclasses.asdict(result) for result in results]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

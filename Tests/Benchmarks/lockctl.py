#!/usr/bin/env python3
"""Measure the command line, lockctl, beside what else a script could use: flock, etcdctl, Redis.

All cases of a benchmark take turns, round by round. The table shows medians over the rounds, and for what is called
worst the worst of all; a ratio is the median of the ratios within each round. docs/benchmarks.md says what the figures mean.

The exit status is 0 unless something did not run: how fast it was is for the reader to judge.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import json
import operator
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import client_servers
import lockctl_etcd
import lockctl_hand_over
import lockctl_listing
import lockctl_processes
import lockctl_sizes
import run
from large_tables import Bench, Result, Scale
from lockctl_programs import Starter
from run import BenchmarkError
from scale import Tables
from sessions import Session

LOCKCTL, LOCKD = (run.ROOT / ".build" / "release" / name for name in ("lockctl", "lockd"))
STAMP = run.PROGRAMS / "stamp"
COLUMNS = {
    "p50 us": ",.0f",
    "p99 us": ",.0f",
    "CPU us": ",.0f",
    "in order %": ".0f",
    "wall ms": ",.0f",
    "CPU ms": ",.0f",
    "server CPU ms": ",.0f",
    "PING p50 us": ",.0f",
    "longest ms": ",.2f",
    "longest own ms": ",.2f",
    "worst busy ms": ",.2f",
    "times": ",.0f",
    "bytes": ",.0f",
    "stripped bytes": ",.0f",
    "libraries": ",.0f",
    "of Swift": ",.0f",
}
BENCHMARKS = [
    lockctl_processes.BENCHMARK,
    lockctl_hand_over.BENCHMARK,
    lockctl_listing.BENCHMARK,
    lockctl_sizes.BENCHMARK,
]
# A round of hand-overs has several for each command, and takes as much longer.
RUNS_A_QUEUE = 20
# How long the round trips are measured while nothing is listed.
IDLE_SECONDS = 2


@dataclasses.dataclass(frozen=True)
class Goal:
    """What the command line is meant to reach: a figure, or how many times that of another case, at most so much."""

    benchmark: str
    case: str
    figure: str
    most: float
    unit: str
    beside: str = ""

    def value(self, tables: Tables) -> float | None:
        if self.beside:
            return tables.compare(self.benchmark, self.case, self.beside, operator.truediv, self.figure)
        return tables.figure(self.benchmark, self.case, self.figure)


GOALS = [
    Goal(lockctl_processes.BENCHMARK, lockctl_processes.RUN, "p50 us", 3, "times", beside=lockctl_processes.FLOCK),
    *(
        Goal(lockctl_listing.BENCHMARK, case, "wall ms", 300, "ms")
        for case in (lockctl_listing.LS, lockctl_listing.JSON, lockctl_listing.WC)
    ),
    *(
        Goal(lockctl_listing.BENCHMARK, case, "worst busy ms", 5, "ms")
        for case in (lockctl_listing.LS, lockctl_listing.JSON, lockctl_listing.WC)
    ),
    *(Goal(lockctl_sizes.BENCHMARK, program.name, "of Swift", 0, "libraries") for program in (LOCKD, LOCKCTL)),
]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Who is faster, by a figure that had better be small."""

    benchmark: str
    figure: str
    cases: Sequence[str]
    peers: Sequence[str]

    def ratio(self, tables: Tables, case: str, peer: str) -> float | None:
        """How many times the peer's it is; of what is worst, the worst of all rounds, as in the table."""
        if not self.figure.startswith("worst"):
            return tables.compare(self.benchmark, case, peer, operator.truediv, self.figure)
        one, another = (tables.figure(self.benchmark, each, self.figure) for each in (case, peer))
        return one / another if one and another else None


COMPARISONS = [
    Comparison(
        lockctl_processes.BENCHMARK,
        "p50 us",
        [lockctl_processes.RUN, lockctl_processes.LOCKCTL_FLOCK],
        lockctl_processes.PEERS,
    ),
    Comparison(
        lockctl_hand_over.BENCHMARK,
        "p50 us",
        [lockctl_hand_over.RUN, lockctl_hand_over.LOCKCTL_FLOCK],
        [lockctl_hand_over.FLOCK, lockctl_hand_over.ETCD],
    ),
    Comparison(lockctl_listing.BENCHMARK, "wall ms", [lockctl_listing.LS], lockctl_listing.PEERS),
    Comparison(lockctl_listing.BENCHMARK, "worst busy ms", [lockctl_listing.LS], lockctl_listing.PEERS),
]


def goals(tables: Tables) -> str:
    """What the command line is meant to reach and whether it did, and who is faster."""
    lines = []
    for goal in GOALS:
        value = goal.value(tables)
        if value is not None:
            verdict = "met" if value <= goal.most else "missed"
            bound = f"{goal.most:g} {goal.unit} {goal.beside}".rstrip()
            lines.append(
                f"goal of {goal.benchmark}, {goal.case}: {goal.figure} at most {bound}: {value:,.2f}, {verdict}"
            )
    for comparison in COMPARISONS:
        for case in comparison.cases:
            for peer in comparison.peers:
                ratio = comparison.ratio(tables, case, peer)
                if ratio is not None:
                    verdict = "lost" if ratio > 1 else "won"
                    what = f"{comparison.figure} is {ratio:,.2f} times that of {peer}"
                    lines.append(f"{comparison.benchmark}, {case}: {what}, {verdict}")
    return "\n".join(lines)


class Measurements:
    """The benchmarks, at one place with servers that are there all the time."""

    def __init__(self, options: argparse.Namespace, place: Path, environment: Mapping[str, str]) -> None:
        self._options = options
        self._place = place
        self._starter = Starter(environment, place / "said")
        self._cpus = run.cpus()
        #: What is not measured, and why.
        self.left_out: dict[str, str] = {}
        script, folder = str(run.BENCHMARKS / "redis_lock.sh"), str(place)
        self._programs = []
        for program in lockctl_processes.programs(str(LOCKCTL), script, folder):
            reason = program.why_not()
            if reason:
                self.left_out[program.case] = reason
            else:
                self._programs.append(program)
        if not STAMP.exists():
            self.left_out[lockctl_hand_over.BENCHMARK] = f"{STAMP.name} is not built"

    def all(self) -> Iterator[Result]:
        steps: dict[str, Callable[[], Iterator[Result]]] = dict(
            zip(BENCHMARKS, [self._processes, self._hand_over, self._listing, self._sizes])
        )
        for name in self._options.benchmarks:
            yield from steps[name]()

    def _processes(self) -> Iterator[Result]:
        with bound_to(self._cpus[1]):
            yield from lockctl_processes.measure(
                self._programs, self._starter, self._options.rounds, self._options.runs
            )

    def _hand_over(self) -> Iterator[Result]:
        if lockctl_hand_over.BENCHMARK in self.left_out:
            return
        with contextlib.closing(Session(self._place / "lockd.sock")) as session:
            queues = lockctl_hand_over.queues(str(LOCKCTL), self._place, session, self._starter.environment)
            times = max(1, self._options.runs // RUNS_A_QUEUE)
            commands = lockctl_hand_over.Commands(STAMP, self._place / "stamps", self._starter)
            yield from lockctl_hand_over.measure(queues, commands, self._options.rounds, times)

    def _listing(self) -> Iterator[Result]:
        servers = run.known_servers()
        scale = Scale(leases=self._options.leases, rounds=self._options.rounds)
        with bound_to(self._cpus[1]), Bench(scale, self._place / "listing", self._cpus[0]) as bench:
            listings = lockctl_listing.listings(
                bench, str(LOCKCTL), servers["lockd"], servers.get("redis"), self._starter
            )
            yield from lockctl_listing.measure(listings, self._starter, scale.rounds, self._options.idle_seconds)

    def _sizes(self) -> Iterator[Result]:
        return lockctl_sizes.measure([LOCKD, LOCKCTL])


@contextlib.contextmanager
def bound_to(cpu: int | None) -> Iterator[None]:
    """Keeps this program, and what it starts, on one CPU meanwhile, if that is one."""
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def conditions(
    options: argparse.Namespace, versions: Mapping[str, str], left_out: Mapping[str, str]
) -> dict[str, object]:
    servers, programs = run.cpus()
    return {
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "servers on CPU": servers,
        "programs on CPU": programs,
        "versions": {**versions, "flock": run.first_line("flock", "--version")},
        "rounds": options.rounds,
        "runs of a round": options.runs,
        "leases": options.leases,
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "not measured": dict(left_out) or "nothing",
    }


def parsed_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the command line beside flock, etcdctl and Redis.")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each case (default: 5)")
    parser.add_argument("--runs", type=int, default=100, help="runs of each command in a turn (default: 100)")
    parser.add_argument("--leases", type=int, default=100_000, help="leases that are listed (default: 100000)")
    parser.add_argument(
        "--benchmarks", type=run.names_among(BENCHMARKS), default=BENCHMARKS, help=f"which of {','.join(BENCHMARKS)}"
    )
    parser.add_argument("--quick", action="store_true", help="check in seconds that everything works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single result there")
    parsed = parser.parse_args(arguments)
    parsed.idle_seconds = IDLE_SECONDS
    if parsed.quick:
        parsed.rounds, parsed.runs, parsed.leases, parsed.idle_seconds = 1, 2, 2000, 0.02
    return parsed


def measure(options: argparse.Namespace) -> tuple[dict[str, object], list[Result]]:
    for program in (LOCKD, LOCKCTL):
        if not program.exists():
            raise BenchmarkError(f"{program.name} is not built: make release")
    with (
        tempfile.TemporaryDirectory(prefix="lockd-bench-", dir=run.memory()) as folder,
        contextlib.ExitStack() as stack,
    ):
        place, cpu = Path(folder), run.cpus()[0]
        versions = dict(stack.enter_context(client_servers.running(place, cpu, with_postgres=False)))
        etcd = stack.enter_context(lockctl_etcd.running(place, cpu))
        if etcd:
            versions["etcd"] = run.first_line("etcd", "--version")
        # What whoever runs this has set is for other servers.
        own = {key: value for key, value in os.environ.items() if not key.startswith(("ETCDCTL_", "LOCKD_"))}
        environment = {**own, **etcd, "LOCKD_SOCKET": str(place / "lockd.sock")}
        measurements = Measurements(options, place, environment)
        values = conditions(options, versions, measurements.left_out)
        print(run.text_of_conditions(values), flush=True)
        return values, list(measurements.all())


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed_arguments(arguments)
    # The pauses of a collection would be measured, and there are no cycles to collect.
    gc.disable()
    try:
        values, results = measure(options)
        needs = lockctl_sizes.text([LOCKD, LOCKCTL]) if lockctl_sizes.BENCHMARK in options.benchmarks else ""
    except BenchmarkError as error:
        print(f"lockctl.py: {error}", file=sys.stderr)
        return 1
    values["load average behind"] = f"{os.getloadavg()[0]:.1f}"
    tables = Tables(results, COLUMNS, ["p50 us"])
    parts = [f"load average behind: {values['load average behind']}", tables.text(), needs, goals(tables)]
    print("\n\n".join(part for part in parts if part))
    if options.json is not None:
        document = {"conditions": values, "results": [dataclasses.asdict(result) for result in results]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

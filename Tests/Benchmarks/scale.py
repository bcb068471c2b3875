#!/usr/bin/env python3
"""Measure what lockd does with large tables: long queues, many names, chains of owners, leases that end together.

What should not cost more in a large table is measured beside the same in a small one, in turns, round by round. The
table shows medians over the rounds, and for `worst us` the worst of all; a ratio is the median of the ratios within
each round. docs/benchmarks.md says what the figures mean.

The exit status is 0 unless a reply was wrong or something did not run: how fast it was is for the reader to judge.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import large_tables
import run
import starts
from large_tables import Bench, Result, Scale
from run import BenchmarkError, Server

# What a table may have beside the latencies, with how it is written.
COLUMNS = {
    "p50 us": ",.1f",
    "p99 us": ",.1f",
    "worst us": ",.0f",
    "worst own us": ",.0f",
    "CPU us": ",.2f",
    "reports": ".2f",
    "bytes a name": ",.0f",
    "ended ms": ",.0f",
    "CPU ms in all": ",.0f",
    "times": ",.0f",
    "start ms": ",.1f",
    "worst ms": ",.1f",
    "resident MiB": ",.1f",
    "log MiB": ",.0f",
}
BENCHMARKS = ["hand-over", "names held", "deadlocks", "expiries", "starts"]


class Tables:
    """Medians over the rounds."""

    def __init__(
        self,
        results: Sequence[Result],
        columns: Mapping[str, str] = COLUMNS,
        ratios: Sequence[str] = ("p50 us", "CPU us"),
    ) -> None:
        """With these columns, as far as there are such figures, and with ratios of these figures."""
        self._results = results
        self._columns = columns
        self._ratios = ratios

    def text(self) -> str:
        return "\n\n".join(self._table(name) for name in dict.fromkeys(result.benchmark for result in self._results))

    def figure(self, benchmark: str, case: str, figure: str) -> float | None:
        """The median over the rounds; of what is the worst, the worst of all."""
        values = [result.figures[figure] for result in self._rounds(benchmark, case) if figure in result.figures]
        if not values:
            return None
        return max(values) if figure.startswith("worst") else statistics.median(values)

    def ratio(self, benchmark: str, case: str, figure: str) -> float | None:
        """How many times the figure of the case beside it, as the median of the rounds."""
        rounds = self._rounds(benchmark, case)
        return self.compare(benchmark, case, rounds[0].beside, lambda one, another: one / another, figure)

    def compare(
        self, benchmark: str, case: str, other: str, compare: Callable[[float, float], float], figure: str
    ) -> float | None:
        """How a figure of one case compares with that of another one, as the median of the rounds."""
        pairs = [
            (one.figures[figure], another.figures[figure])
            for one, another in zip(self._rounds(benchmark, case), self._rounds(benchmark, other))
            if figure in one.figures and figure in another.figures
        ]
        return statistics.median(compare(*pair) for pair in pairs) if pairs else None

    def _rounds(self, benchmark: str, case: str) -> list[Result]:
        return [result for result in self._results if (result.benchmark, result.case) == (benchmark, case)]

    def _table(self, benchmark: str) -> str:
        results = [result for result in self._results if result.benchmark == benchmark]
        columns = [column for column in self._columns if any(column in result.figures for result in results)]
        ratios = self._ratios if any(result.beside for result in results) else []
        heads = [*columns, *(f"{column.split()[0]} ratio" for column in ratios)]
        lines = [f"{benchmark:<34}" + "".join(f"{head:>{width(head)}}" for head in heads)]
        for case in dict.fromkeys(result.case for result in results):
            cells = [written(self.figure(benchmark, case, column), self._columns[column]) for column in columns]
            cells += [written(self.ratio(benchmark, case, column), ".2f") for column in ratios]
            lines.append(f"  {case:<32}" + "".join(f"{cell:>{width(head)}}" for cell, head in zip(cells, heads)))
        return "\n".join(lines)


def width(head: str) -> int:
    return max(12, len(head) + 2)


def written(value: float | None, how: str) -> str:
    return "-" if value is None else format(value, how)


def measurements(lockd: Server, redis: Server | None) -> dict[str, Callable[[Bench], Iterator[Result]]]:
    steps: list[Callable[[Bench], Iterator[Result]]] = [
        lambda bench: large_tables.hand_over(bench, lockd),
        lambda bench: large_tables.held_names(bench, lockd, redis),
        lambda bench: large_tables.deadlocks(bench, lockd),
        lambda bench: large_tables.storms(bench, lockd),
        lambda bench: starts.starts(bench, lockd),
    ]
    return dict(zip(BENCHMARKS, steps))


def measure_all(options: argparse.Namespace, servers: dict[str, Server], cpu: int | None) -> Iterator[Result]:
    steps = measurements(servers["lockd"], servers.get("redis"))
    with tempfile.TemporaryDirectory(prefix="lockd-bench-", dir=run.memory()) as folder:
        for number, name in enumerate(options.benchmarks):
            with Bench(options.scale, Path(folder) / str(number), cpu) as bench:
                yield from steps[name](bench)


def conditions(scale: Scale, servers: dict[str, Server], cpus: tuple[int | None, int | None]) -> dict[str, object]:
    general = run.conditions(list(servers.values()), scale.rounds, scale.seconds)
    del general["load generator on CPU"]
    return {
        **general,
        "server on CPU": cpus[0],
        "client (this program, in Python) on CPU": cpus[1],
        "scheduling": "usual" if os.sched_getscheduler(0) == os.SCHED_OTHER else "real-time",
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "Redis": "measured" if "redis" in servers else "not installed, not measured",
    }


def parsed_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what lockd does with large tables.")
    usual = Scale()
    parser.add_argument(
        "--rounds", type=int, default=usual.rounds, help=f"turns of each case (default: {usual.rounds})"
    )
    parser.add_argument(
        "--seconds", type=float, default=usual.seconds, help=f"how long one turn takes (default: {usual.seconds})"
    )
    parser.add_argument(
        "--benchmarks", type=run.names_among(BENCHMARKS), default=BENCHMARKS, help=f"which of {','.join(BENCHMARKS)}"
    )
    parser.add_argument("--quick", action="store_true", help="check in seconds that every reply is right")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single result there")
    parsed = parser.parse_args(arguments)
    parsed.scale = dataclasses.replace(usual, rounds=parsed.rounds, seconds=parsed.seconds)
    if parsed.quick:
        parsed.scale = large_tables.QUICK
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed_arguments(arguments)
    # The pauses of a collection would be measured, and there are no cycles to collect.
    gc.disable()
    try:
        servers = {name: server for name, server in run.known_servers().items() if name in ("lockd", "redis")}
        if "lockd" not in servers:
            raise BenchmarkError("lockd is not built: swift build -c release --product lockd")
        cpus = run.cpus()
        values = conditions(options.scale, servers, cpus)
        print(run.text_of_conditions(values), flush=True)
        if cpus[1] is not None:
            os.sched_setaffinity(0, {cpus[1]})
        results = list(measure_all(options, servers, cpus[0]))
    except BenchmarkError as error:
        print(f"scale.py: {error}", file=sys.stderr)
        return 1
    values["load average behind"] = f"{os.getloadavg()[0]:.1f}"
    print(f"load average behind: {values['load average behind']}\n\n{Tables(results).text()}")
    if options.json is not None:
        document = {"conditions": values, "results": [dataclasses.asdict(result) for result in results]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

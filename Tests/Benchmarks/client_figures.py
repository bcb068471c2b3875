"""What the programs that clients.py runs have in common: their arguments, and the figures that they print as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

Figures = dict[str, float]
#: Measures a case at a place for so many seconds.
Measure = Callable[[str, Path, float], Figures]


def latencies(nanoseconds: Sequence[int]) -> Figures:
    """The latencies of a table, in microseconds."""
    if not nanoseconds:
        raise SystemExit("nothing was measured")
    ordered = sorted(nanoseconds)
    return {"p50 us": ordered[len(ordered) // 2] / 1000, "p99 us": ordered[len(ordered) * 99 // 100] / 1000}


def main(measure: Measure) -> None:
    parser = argparse.ArgumentParser(description="Measure one case of clients.py, and print the figures as JSON.")
    parser.add_argument("case")
    parser.add_argument("place", type=Path, help="the folder with the sockets of the servers")
    parser.add_argument("seconds", type=float, help="how long to measure")
    options = parser.parse_args()
    print(json.dumps(measure(options.case, options.place, options.seconds)))

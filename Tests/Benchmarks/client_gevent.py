"""How late a greenlet of 1 ms is while others use lockd, for clients.py."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import gevent.monkey

# Before anything else is imported, as gunicorn's worker does it.
if __name__ == "__main__" and not sys.argv[1].startswith("not patched"):
    gevent.monkey.patch_all()

import client_figures
from client_figures import Figures
from client_locks import LOCKD

import lockd

TICK_SECONDS = 0.001
GREENLETS = 32
# So long a greenlet that works does something else, between two pairs.
PAUSE_SECONDS = 0.001


def ticks(seconds: float) -> Figures:
    """How late the ticks of so many seconds are."""
    late: list[int] = []
    end = time.perf_counter() + seconds
    while (due := time.perf_counter() + TICK_SECONDS) < end or not late:
        gevent.sleep(TICK_SECONDS)
        late.append(int((time.perf_counter() - due) * 1e9))
    return client_figures.latencies(late)


def wait(place: Path, number: int) -> None:
    if lockd.Lock("held", socket=place / LOCKD).acquire():
        raise SystemExit("a lock was acquired that is held")


def work(place: Path, number: int) -> None:
    lock = lockd.Lock(f"greenlet/{number}", socket=place / LOCKD)
    while True:
        with lock:
            gevent.sleep(PAUSE_SECONDS)


USES: dict[str, tuple[int, Callable[[Path, int], None]]] = {
    "idle": (0, work),
    "32 wait": (GREENLETS, wait),
    "32 acquire and release": (GREENLETS, work),
    "1 acquires and releases": (1, work),
}


def measure(case: str, place: Path, seconds: float) -> Figures:
    count, use = USES[case.partition(", ")[2]]
    lockd.Lock("held", socket=place / LOCKD).acquire()
    crowd = [gevent.spawn(use, place, number) for number in range(count)]
    gevent.sleep(TICK_SECONDS)
    figures = ticks(seconds)
    gevent.killall(crowd)
    return figures


if __name__ == "__main__":
    client_figures.main(measure)

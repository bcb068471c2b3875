"""How long it takes from a release in one process until the next one has acquired the lock, for clients.py.

Each process acquires and releases again and again, without anything in between. What is measured is only from one process
to another; that a lock comes back to the process that has just released it shows in the fairness.
"""

from __future__ import annotations

import json
import mmap
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import client_figures
from client_figures import Figures
from client_locks import MAKERS, Mutex

WORKERS = 4
# What all of them share, written by the holder only: when the lock was released last, by whom, and how often in a row.
RELEASED, HOLDER, IN_A_ROW, LONGEST, START = range(5)
NOBODY = -1


def shared_numbers() -> memoryview:
    numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    numbers[HOLDER] = NOBODY
    return numbers


def work(number: int, make: Callable[[], Mutex], shared: memoryview, seconds: float, results: Connection) -> None:
    """Use the lock from the common start on, and send how long each hand-over took to here, and each wait."""
    lock, clock = make(), time.monotonic_ns
    results.send_bytes(b"ready")
    results.recv_bytes()
    end = shared[START] + int(seconds * 1e9)
    taken: list[int] = []
    waited: list[int] = []
    while (began := clock()) < end:
        lock.acquire()
        now = clock()
        if shared[HOLDER] == number:
            shared[IN_A_ROW] += 1
        else:
            if shared[HOLDER] != NOBODY:
                taken.append(now - shared[RELEASED])
            shared[HOLDER], shared[IN_A_ROW] = number, 1
        shared[LONGEST] = max(shared[LONGEST], shared[IN_A_ROW])
        waited.append(now - began)
        shared[RELEASED] = clock()
        lock.release()
    results.send_bytes(json.dumps([taken, waited]).encode())


def measure(case: str, place: Path, seconds: float) -> Figures:
    context = multiprocessing.get_context("fork")
    shared = shared_numbers()
    one_for_all = context.Lock()

    def make() -> Mutex:
        return one_for_all if case == "multiprocessing.Lock" else MAKERS[case](place)

    workers = []
    for number in range(WORKERS):
        here, there = context.Pipe()
        process = context.Process(target=work, args=(number, make, shared, seconds, there), daemon=True)
        process.start()
        workers.append((process, here))
    for _, results in workers:
        results.recv_bytes()
    shared[START] = time.monotonic_ns()
    for _, results in workers:
        results.send_bytes(b"go")
    taken: list[int] = []
    waits: list[list[int]] = []
    for process, results in workers:
        its_hand_overs, its_waits = json.loads(results.recv_bytes())
        taken += its_hand_overs
        waits.append(its_waits)
        process.join()
    counts = [len(its_waits) for its_waits in waits]
    return {
        # A lock that never came to another process has no hand-over to tell of.
        **(client_figures.latencies(taken) if taken else {}),
        "hand-overs/s": len(taken) / seconds,
        "least share %": 100 * min(counts) / sum(counts),
        "worst row": shared[LONGEST],
        "worst wait ms": max(map(max, filter(None, waits))) / 1e6,
    }


if __name__ == "__main__":
    client_figures.main(measure)

"""What a crowd in one process gets out of its one connection, for clients.py: threads, and the tasks of a loop."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import client_figures
from client_figures import Figures
from client_locks import LOCKD

import lockd
import lockd.aio

THREADS, TASKS = 64, 1000


def threads(shared: bool, place: Path, seconds: float) -> Figures:
    taken: list[int] = []
    begin = threading.Barrier(THREADS)

    def work(number: int) -> None:
        lock = lockd.Lock("threads" if shared else f"thread/{number}", socket=place / LOCKD)
        its_own: list[int] = []
        begin.wait()
        end = time.perf_counter_ns() + int(seconds * 1e9)
        while (start := time.perf_counter_ns()) < end:
            lock.acquire()
            lock.release()
            its_own.append(time.perf_counter_ns() - start)
        taken.extend(its_own)

    crowd = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    return {"pairs/s": len(taken) / seconds, **client_figures.latencies(taken)}


async def tasks(shared: bool, place: Path, seconds: float) -> Figures:
    taken: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)

    async def work(number: int) -> None:
        lock = lockd.aio.Lock("tasks" if shared else f"task/{number}", socket=place / LOCKD)
        while (start := time.perf_counter_ns()) < end:
            await lock.acquire()
            await lock.release()
            taken.append(time.perf_counter_ns() - start)

    began = time.perf_counter_ns()
    await asyncio.gather(*(work(number) for number in range(TASKS)))
    took = (time.perf_counter_ns() - began) / 1e9
    return {"pairs/s": len(taken) / took, **client_figures.latencies(taken)}


def measure(case: str, place: Path, seconds: float) -> Figures:
    shared = case.endswith("one lock")
    if "threads" in case:
        return threads(shared, place, seconds)
    return asyncio.run(tasks(shared, place, seconds))


if __name__ == "__main__":
    client_figures.main(measure)

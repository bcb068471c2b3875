"""How long an uncontended acquire and release takes, for clients.py."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import client_figures
from client_figures import Figures
from client_locks import LOCKD, MAKERS, Mutex

import lockd.aio

WARM_UP = 30


def pairs(lock: Mutex, seconds: float) -> Figures:
    acquire, release, clock = lock.acquire, lock.release, time.perf_counter_ns
    taken: list[int] = []
    for _ in range(WARM_UP):
        acquire()
        release()
    end = clock() + int(seconds * 1e9)
    start = clock()
    while start < end or not taken:
        acquire()
        release()
        now = clock()
        taken.append(now - start)
        start = now
    return client_figures.latencies(taken)


class Streams:
    """The lines of the protocol on a pair of asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def acquire(self) -> None:
        await self.ask(b"ACQUIRE streams wait=forever\n", b"GRANTED ")

    async def release(self) -> None:
        await self.ask(b"RELEASE streams\n", b"RELEASED ")

    async def ask(self, line: bytes, beginning: bytes) -> None:
        self._writer.write(line)
        reply = await self._reader.readline()
        if not reply.startswith(beginning):
            raise SystemExit(f"wrong reply: {reply!r}")


async def pairs_of_a_task(case: str, place: Path, seconds: float) -> Figures:
    if case == "asyncio streams":
        streams = Streams(*await asyncio.open_unix_connection(str(place / LOCKD)))
        await streams.ask(b"HELLO v=1\n", b"WELCOME ")
        acquire, release = streams.acquire, streams.release
    else:
        lock = lockd.aio.Lock("task", socket=place / LOCKD)
        acquire, release = lock.acquire, lock.release  # type: ignore[assignment]
    clock = time.perf_counter_ns
    taken: list[int] = []
    for _ in range(WARM_UP):
        await acquire()
        await release()
    end = clock() + int(seconds * 1e9)
    start = clock()
    while start < end or not taken:
        await acquire()
        await release()
        now = clock()
        taken.append(now - start)
        start = now
    return client_figures.latencies(taken)


def measure(case: str, place: Path, seconds: float) -> Figures:
    name = case.removesuffix(", one CPU")
    if name in MAKERS:
        return pairs(MAKERS[name](place), seconds)
    return asyncio.run(pairs_of_a_task(name, place, seconds))


if __name__ == "__main__":
    client_figures.main(measure)

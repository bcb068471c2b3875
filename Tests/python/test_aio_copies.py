"""Copies of asyncio locks through pickle: the same lock, with the same options, that holds nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
from pathlib import Path
from typing import Callable, Literal

import pytest
from conftest import PATIENCE, Daemon
from looping import run_loop, until

import lockd
from lockd import aio


def report(error: lockd.LeaseLost) -> None:
    """At the top of a module, so that it can be pickled."""


def with_options(name: str) -> aio.Lock:
    bind_to = lockd.BindTo.process(os.getpid())
    return aio.Lock(name, "more", shared=True, note="n", ttl=60, owner=aio.task_owner, bind_to=bind_to, on_lost=report)


def with_client(name: str) -> aio.Lock:
    return aio.Lock(name, client=aio.Client(connect_timeout=7))


MAKES = [pytest.param(aio.Lock, id="Lock"), with_options, with_client]


def options(lock: object) -> object:
    """All that a lock stores, and so do the objects in it, but leases and connections."""
    if isinstance(lock, lockd.BindTo):
        return repr(lock)
    if not hasattr(lock, "__dict__") or callable(lock):
        return lock
    state = ("_leases", "_endpoint", "_watches")
    return {key: options(value) for key, value in vars(lock).items() if key not in state}


@pytest.mark.parametrize("make", MAKES)
def test_a_copy_has_the_options_and_not_the_lease(
    daemon: Daemon, name: str, monkeypatch: pytest.MonkeyPatch, make: Callable[[str], aio.Lock]
) -> None:
    async def main() -> None:
        lock = make(name)
        before = options(lock)
        async with lock:
            # The copy finds the daemon by what it was given.
            monkeypatch.delenv("LOCKD_SOCKET")
            copy = pickle.loads(pickle.dumps(lock))
            assert copy.lease is None
            assert options(copy) == before
            assert await copy.locked()
        async with copy:
            assert copy.lease is not None
            assert lock.lease is None
        for each in (lock, copy):
            if each._client is not None:
                await each._client.close()

    run_loop(main())


def test_locks_that_had_one_client_have_one_client(daemon: Daemon, name: str) -> None:
    client = aio.Client()
    copies = pickle.loads(pickle.dumps([aio.Lock(f"{name}/{number}", client=client) for number in range(2)]))
    assert copies[0]._client is copies[1]._client
    assert copies[0]._client is not client


def test_the_copy_of_a_client_has_no_part_in_its_connection(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        async with aio.Client() as client, aio.Lock(name, client=client) as lease:
            watch = client.watch(name)
            async with watch, pickle.loads(pickle.dumps(client)) as copy:
                await copy.ping()
            assert not lease.lost
            await client.ping()
        # One that is closed was a connection; its copy is another.
        async with pickle.loads(pickle.dumps(client)) as copy:
            await copy.ping()

    run_loop(main())


def add_many(lock: aio.Lock, path: str, times: int) -> None:
    """Count in a file, in several tasks. At the top of a module, so that another process can import it."""
    assert lock.lease is None
    file = Path(path)

    async def work() -> None:
        for _ in range(times):
            async with lock:
                count = int(file.read_text()) + 1
                await asyncio.sleep(0)
                file.write_text(str(count))

    async def main() -> None:
        await asyncio.gather(work(), work())

    asyncio.run(main())


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_that_are_given_copies_count_without_losing_any(
    daemon: Daemon, name: str, tmp_path: Path, method: Literal["spawn", "forkserver"]
) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    async def main() -> None:
        context = multiprocessing.get_context(method)
        lock = aio.Lock(name)
        async with lock:
            processes = [context.Process(target=add_many, args=(lock, str(counter), 25)) for _ in range(2)]  # type: ignore[attr-defined]
            for process in processes:
                process.start()
            await until(lambda: len(daemon.show(name)) == 5, "two tasks of each child waiting")
        for process in processes:
            await asyncio.to_thread(process.join, PATIENCE)
            assert process.exitcode == 0

    run_loop(main())
    assert counter.read_text() == "100"

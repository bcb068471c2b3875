"""Leases of asyncio tasks that are bound to a process or a pipe."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
from collections.abc import Iterator

import pytest
from conftest import Daemon
from looping import common_session, held_by_us, run_loop, until, waiters

import lockd
from lockd import aio


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lasts as long as the test wants."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    """Both ends of a pipe; what the test takes out of the list it closes itself."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


async def acquired(lock: aio.Lock) -> aio.Lease:
    assert await lock.acquire(timeout=30)
    assert lock.lease is not None
    return lock.lease


async def ended(daemon: Daemon, name: str) -> None:
    await asyncio.to_thread(daemon.await_holder, name, None)


def test_a_lease_ends_with_its_process(daemon: Daemon, name: str, child: subprocess.Popen[bytes]) -> None:
    async def main() -> None:
        lock = aio.Lock(name, bind_to=lockd.BindTo.process(child.pid))
        lease = await acquired(lock)
        assert lease.bound
        assert daemon.holder(name) == child.pid
        child.kill()
        await ended(daemon, name)
        with pytest.raises(lockd.LeaseLost) as caught:
            await lock.release()
        assert caught.value.reason == "unknown"

    run_loop(main())


def test_a_lease_ends_with_its_pipe(daemon: Daemon, name: str, pipe: list[int]) -> None:
    async def main() -> None:
        lock = aio.Lock(name, f"{name}/more", bind_to=lockd.BindTo.pipe(pipe[0]))
        await acquired(lock)
        os.close(pipe.pop(0))
        assert held_by_us(daemon, name)
        os.close(pipe.pop())
        await ended(daemon, name)
        await ended(daemon, f"{name}/more")

    run_loop(main())


def test_what_has_ended_is_told_at_once_and_to_who_waits(
    daemon: Daemon, name: str, child: subprocess.Popen[bytes]
) -> None:
    async def main() -> None:
        lock = aio.Lock(name, bind_to=lockd.BindTo.process(child.pid))
        async with aio.Lock(name):
            waiting = asyncio.create_task(lock.acquire())
            await waiters(daemon, name, 1)
            child.kill()
            with pytest.raises(lockd.BindingEnded):
                await waiting
        child.wait()
        with pytest.raises(lockd.BindingEnded):
            await lock.acquire()

    run_loop(main())


def test_a_pidfd_that_has_ended_is_told(daemon: Daemon, name: str, child: subprocess.Popen[bytes]) -> None:
    descriptor = os.pidfd_open(child.pid)
    child.kill()
    child.wait()

    async def main() -> None:
        with pytest.raises(lockd.BindingEnded):
            await aio.Lock(name, bind_to=lockd.BindTo.pidfd(descriptor)).acquire()

    run_loop(main())
    os.close(descriptor)


def test_a_write_end_is_refused(daemon: Daemon, name: str, pipe: list[int]) -> None:
    async def main() -> None:
        with pytest.raises(lockd.RequestRefused) as caught:
            await aio.Lock(name, bind_to=lockd.BindTo.pipe(pipe[1])).acquire()
        assert caught.value.code == "bad-descriptor"

    run_loop(main())


def test_a_block_releases_it(daemon: Daemon, name: str, pipe: list[int]) -> None:
    async def main() -> None:
        async with aio.Lock(name, bind_to=lockd.BindTo.pipe(pipe[0])) as lease:
            assert held_by_us(daemon, name)
            assert not lease.lost
        assert daemon.holder(name) is None

    run_loop(main())


def test_it_outlives_its_client_and_its_loop(daemon: Daemon, name: str, pipe: list[int]) -> None:
    tokens: list[int] = []

    async def main() -> None:
        async with aio.Client() as client:
            lock = aio.Lock(name, client=client, bind_to=lockd.BindTo.pipe(pipe[0]))
            plain = aio.Lock(f"{name}/plain", client=client)
            lease, lost = await acquired(lock), await acquired(plain)
        assert lost.lost
        assert not lease.lost
        await ended(daemon, f"{name}/plain")
        assert held_by_us(daemon, name)
        # By another connection, since its own is closed.
        await lock.release()
        assert daemon.holder(name) is None
        tokens.append((await acquired(aio.Lock(name, bind_to=lockd.BindTo.pipe(pipe[0])))).token)

    run_loop(main())
    assert held_by_us(daemon, name)

    async def after() -> None:
        async with aio.Client() as client:
            await client.release(name, *tokens)

    run_loop(after())
    assert daemon.holder(name) is None


def test_its_end_is_learned_from_another_connection_too(daemon: Daemon, name: str, pipe: list[int]) -> None:
    async def main() -> None:
        async with aio.Client() as client:
            lock = aio.Lock(name, client=client, bind_to=lockd.BindTo.pipe(pipe[0]))
            await acquired(lock)
        os.close(pipe.pop())
        await ended(daemon, name)
        with pytest.raises(lockd.LeaseLost, match="unknown"):
            await lock.release()

    run_loop(main())


def test_its_revocation_is_told(daemon: Daemon, name: str, pipe: list[int]) -> None:
    told: list[lockd.LeaseLost] = []

    async def main() -> None:
        lock = aio.Lock(name, bind_to=lockd.BindTo.pipe(pipe[0]), on_lost=told.append)
        lease = await acquired(lock)
        daemon.ask(f"REVOKE {name}")
        assert (await lease.lost).reason == "revoked"
        await until(lambda: len(told) == 1, "on_lost")
        with pytest.raises(lockd.LeaseLost, match="revoked"):
            await lock.release()

    run_loop(main())


def test_nobody_renews_it_unless_asked(daemon: Daemon, name: str, pipe: list[int]) -> None:
    async def main() -> None:
        async with aio.Client() as client:
            lease = await acquired(aio.Lock(name, ttl=10, bind_to=lockd.BindTo.pipe(pipe[0])))
            await client.renew(name, lease.token, 60)
            await client.release(name, lease.token)
            lease = await acquired(aio.Lock(name, ttl=0.3, bind_to=lockd.BindTo.pipe(pipe[0])))
            assert (await lease.lost).reason == "expired"

    run_loop(main())


def test_a_task_that_is_cancelled_while_it_waits_leaves_nothing_open(
    daemon: Daemon, name: str, pipe: list[int], child: subprocess.Popen[bytes]
) -> None:
    async def main() -> None:
        async with aio.Lock(name):
            before = len(os.listdir("/proc/self/fd"))
            for bind_to in (lockd.BindTo.pipe(pipe[0]), lockd.BindTo.process(child.pid)):
                waiting = asyncio.create_task(aio.Lock(name, bind_to=bind_to).acquire())
                await waiters(daemon, name, 1)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                await waiters(daemon, name, 0)
                assert not await aio.Lock(name, bind_to=bind_to).acquire(timeout=0.01)
            assert len(os.listdir("/proc/self/fd")) == before

    run_loop(main())


def test_what_nobody_knows_of_any_more_is_not_kept(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        await aio.Lock(name).locked()
        session = common_session(daemon)
        for _ in range(3):
            read_end, write_end = os.pipe()
            await acquired(aio.Lock(name, bind_to=lockd.BindTo.pipe(read_end)))
            # It ends, and there is no word of that.
            os.close(read_end)
            os.close(write_end)
            await ended(daemon, name)
        gc.collect()
        assert session._losers == {}
        assert not session._core.bound_leases

    run_loop(main())


def test_the_next_one_takes_its_place(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        for _ in range(2):
            read_end, write_end = os.pipe()
            lock = aio.Lock(name, bind_to=lockd.BindTo.pipe(read_end))
            for _ in range(2):
                lease = await acquired(lock)
                assert lock._leases == [lease]
                daemon.ask(f"REVOKE {name}")
                await ended(daemon, name)
            os.close(read_end)
            os.close(write_end)

    run_loop(main())

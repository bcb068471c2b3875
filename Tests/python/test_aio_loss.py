"""Leases of asyncio tasks that end before they are released, and waits that are cancelled."""

from __future__ import annotations

import asyncio
import time

import pytest
from conftest import Daemon
from looping import common_session, free, held_by_us, run_loop, until, waiters

import lockd
from lockd import aio


class TestLoss:
    def test_a_revoked_lease_is_lost_at_once(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            told: list[lockd.LeaseLost] = []
            lock = aio.Lock(name, on_lost=told.append)
            await lock.acquire()
            lease = lock.lease
            assert lease is not None
            assert not lease.lost
            assert not lease.lost.is_set()
            watching = asyncio.create_task(lease.lost.wait())
            await asyncio.sleep(0)
            daemon.ask(f"REVOKE {name} reason=too%20slow")
            loss = await lease.lost
            assert (loss.name, loss.token, loss.reason) == (lock.name, lease.token, "revoked")
            assert loss.detail.endswith("because: too slow")
            assert str(await watching) == str(loss)
            assert lease.lost
            assert [str(each) for each in told] == [str(loss)]
            with pytest.raises(lockd.LeaseLost, match="too slow"):
                await lock.release()
            with pytest.raises(lockd.NotHeld):
                await lock.release()

        run_loop(main())

    def test_the_end_of_an_async_with_block_tells_it(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            with pytest.raises(lockd.LeaseLost, match="revoked"):
                async with aio.Lock(name):
                    daemon.ask(f"REVOKE {name}")
            with pytest.raises(ZeroDivisionError):  # noqa: PT012
                async with aio.Lock(name):
                    daemon.ask(f"REVOKE {name}")
                    raise ZeroDivisionError
            async with aio.Lock(name) as lease:
                assert not lease.lost

        run_loop(main())

    def test_only_its_holder_is_told(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            told: list[lockd.LeaseLost] = []
            lost, kept = aio.Lock(f"{name}/a", on_lost=told.append), aio.Lock(f"{name}/b", on_lost=told.append)
            async with kept as lease:
                await lost.acquire()
                daemon.ask(f"REVOKE {name}/a")
                await until(lambda: bool(told), "word of the loss")
                assert told[0].name == lost.name
                assert not lease.lost
            assert len(told) == 1

        run_loop(main())

    def test_a_released_lease_is_not_lost(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            told: list[lockd.LeaseLost] = []
            async with aio.Client() as client, aio.Lock(name, client=client, on_lost=told.append) as lease:
                pass
            assert not lease.lost
            assert told == []

        run_loop(main())

    def test_a_lease_is_renewed_as_long_as_the_loop_runs(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Lock(name, ttl=0.3) as lease:
                assert lease.ttl == 0.3
                assert not await aio.Lock(name).acquire(timeout=1.5)
                assert not lease.lost

        run_loop(main())

    def test_it_expires_if_the_loop_is_blocked(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock = aio.Lock(name, ttl=0.2)
            await lock.acquire()
            lease = lock.lease
            assert lease is not None
            # This blocks the loop until the other one has it.
            with lockd.Lock(name):
                assert (await lease.lost).reason == "expired"
            with pytest.raises(lockd.LeaseLost, match="expired"):
                await lock.release()

        run_loop(main())

    def test_a_released_lease_is_not_renewed_any_more(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock = aio.Lock(name, ttl=0.3)
            for _ in range(3):
                async with lock:
                    pass
            session = common_session(daemon)
            assert session._renewals == {}
            assert session._losers == {}

        run_loop(main())


class TestCancellation:
    def test_a_cancelled_wait_leaves_the_queue(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Lock(name):
                tasks = [asyncio.create_task(aio.Lock(name).acquire()) for _ in range(2)]
                await waiters(daemon, name, 2)
                tasks[0].cancel()
                await waiters(daemon, name, 1)
                with pytest.raises(asyncio.CancelledError):
                    await tasks[0]
            assert await tasks[1]

        run_loop(main())

    def test_a_grant_that_crosses_the_cancellation_is_given_back(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock, other = aio.Lock(name), lockd.Lock(name)
            other.acquire()
            task = asyncio.create_task(lock.acquire())
            await waiters(daemon, name, 1)
            session = common_session(daemon)
            session.read(False)
            other.release()
            # The grant is on its way, and nobody here has read it.
            token = int(daemon.show(name)[0].split(" token=")[1].split()[0])
            assert session._core.leases == {}
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            session.read(True)
            await free(daemon, name)
            assert lock.lease is None
            async with lock as lease:
                assert lease.token > token

        run_loop(main())

    def test_a_grant_that_was_received_just_before_is_given_back(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock, other = aio.Lock(name), lockd.Lock(name)
            other.acquire()
            task = asyncio.create_task(lock.acquire())
            await waiters(daemon, name, 1)
            session = common_session(daemon)
            other.release()
            deadline = time.monotonic() + 30
            while not session._core.leases and time.monotonic() < deadline:
                session._step(session._exchange)
            # The lease is held, and its task was not run since.
            assert session._core.leases
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await free(daemon, name)
            assert lock.lease is None
            assert session._losers == {}

        run_loop(main())

    @pytest.mark.parametrize("connected", [True, False])
    def test_an_acquire_that_is_cancelled_anywhere_leaks_nothing(
        self, own_daemon: Daemon, name: str, connected: bool
    ) -> None:
        async def attempt(turns: int) -> bool:
            lock = aio.Lock(name)
            if connected:
                await lock.locked()
            task = asyncio.create_task(lock.acquire())
            for _ in range(turns):
                await asyncio.sleep(0)
            was_done = task.done()
            task.cancel()
            try:
                await task
                await lock.release()
            except asyncio.CancelledError:
                assert lock.lease is None
            await free(own_daemon, name)
            return was_done

        turns = 0
        while not run_loop(attempt(turns)):
            turns += 1
        assert turns > 2

    def test_a_release_that_is_cancelled_releases(self, own_daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock = aio.Lock(name)
            await lock.acquire()
            own_daemon.stop()
            task = asyncio.create_task(lock.release())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert lock.lease is None
            own_daemon.go_on()
            await free(own_daemon, name)

        run_loop(main())

    def test_tasks_cancelled_by_the_hundred_leave_the_others(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock, inside = aio.Lock(name), 0

            async def work() -> None:
                nonlocal inside
                async with lock:
                    inside += 1
                    assert inside == 1
                    await asyncio.sleep(0)
                    inside -= 1

            tasks = [asyncio.create_task(work()) for _ in range(300)]
            while not tasks[10].done():
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
            assert all(result is None for result in results[1::2])
            assert not held_by_us(daemon, name)
            await free(daemon, name)

        run_loop(main())

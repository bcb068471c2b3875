"""The reentrant lock of asyncio: the task that holds it may acquire it again, and no other may release it."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import PATIENCE, Daemon, RunProgram
from looping import free, held_by_us, run_loop, until, waiters

import lockd
from lockd import aio


class TestReentrance:
    def test_it_is_held_until_it_was_released_as_often_as_acquired(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name)
            async with rlock as lease:
                assert await rlock.acquire()
                assert await rlock.acquire(False)
                async with rlock as again:
                    assert again is lease
                await rlock.release()
                await rlock.release()
                assert held_by_us(daemon, name)
            assert not daemon.show(name)
            with pytest.raises(lockd.NotHeld):
                await rlock.release()

        run_loop(main())

    def test_acquiring_it_again_asks_nothing_of_the_daemon(self, own_daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name)
            async with rlock:
                own_daemon.stop()
                assert await rlock.acquire()
                assert await rlock.acquire(timeout=0)
                await rlock.release()
                await rlock.release()
                own_daemon.go_on()
            assert own_daemon.holder(name) is None

        run_loop(main())

    def test_another_object_of_that_name_waits_in_the_same_task_too(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.RLock(name):
                assert not await aio.RLock(name).acquire(timeout=0.01)
                assert not await aio.Lock(name).acquire(False)

        run_loop(main())

    def test_with_owners_such_a_wait_is_refused(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.RLock(name, owner=aio.task_owner) as lease:
                with pytest.raises(lockd.AlreadyHeld) as caught:
                    await aio.RLock(name, owner=aio.task_owner).acquire()
                assert caught.value.token == lease.token

        run_loop(main())

    def test_arguments_that_make_no_sense_are_refused_and_not_counted(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name)
            async with rlock:
                for arguments in [(False, 1), (True, -2), (True, float("nan"))]:
                    with pytest.raises(ValueError, match=r"timeout|NaN"):
                        await rlock.acquire(*arguments)
            assert rlock.lease is None
            assert not daemon.show(name)

        run_loop(main())

    def test_it_takes_the_options_of_a_lock(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Client() as client:
                rlock = aio.RLock(f"{name}/a", f"{name}/b", client=client, ttl=60, note="both")
                async with rlock, rlock as lease:
                    assert (lease.names, lease.ttl) == ((f"{name}/a".encode(), f"{name}/b".encode()), 60)
                    assert "note=both" in daemon.show(f"{name}/b")[0]
                    assert await rlock.locked()
                assert not await rlock.locked()

        run_loop(main())


class TestTasks:
    def test_another_task_waits_until_the_last_release(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name)

            async def work() -> int:
                async with rlock as lease, rlock:
                    return lease.token

            async with rlock as lease:
                async with rlock:
                    waiting = asyncio.create_task(work())
                    await waiters(daemon, name, 1)
                await waiters(daemon, name, 1)
                assert not waiting.done()
            assert await waiting > lease.token

        run_loop(main())

    def test_another_task_can_neither_release_nor_see_the_lease(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name)

            async def work() -> None:
                assert rlock.lease is None
                assert "<locked lockd.aio.RLock object" in repr(rlock)
                assert not await rlock.acquire(False)
                with pytest.raises(RuntimeError, match="of which this task holds no lease") as caught:
                    await rlock.release()
                assert isinstance(caught.value, lockd.NotHeld)
                assert caught.value.who == "task"

            async with rlock as lease:
                await asyncio.create_task(work())
                assert rlock.lease is lease
                assert not lease.lost

        run_loop(main())

    def test_many_tasks_count_without_losing_any(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock, count = aio.RLock(name), 0

            async def add(depth: int) -> None:
                nonlocal count
                async with rlock:
                    if depth:
                        await add(depth - 1)
                    before = count
                    await asyncio.sleep(0)
                    count = before + 1

            await asyncio.gather(*(add(4) for _ in range(100)))
            assert count == 500
            assert not await rlock.locked()

        run_loop(main())

    def test_each_reader_has_a_count_of_its_own(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            readers = aio.RLock(name, shared=True)

            async def read() -> None:
                async with readers, readers:
                    assert len(daemon.show(name)) == 2
                with pytest.raises(lockd.NotHeld):
                    await readers.release()

            async with readers:
                await asyncio.create_task(read())
                assert len(daemon.show(name)) == 1
            assert not daemon.show(name)

        run_loop(main())

    def test_threads_and_tasks_exclude_each_other(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name)
            with ThreadPoolExecutor(1) as pool:
                async with rlock, rlock:
                    waiting = pool.submit(lockd.RLock(name).acquire)
                    await waiters(daemon, name, 1)
                assert await asyncio.wrap_future(waiting)
                assert not await rlock.acquire(False)

        run_loop(main())

    def test_loops_in_threads_have_leases_of_their_own(self, daemon: Daemon, name: str) -> None:
        rlock, held, done = aio.RLock(name), threading.Event(), threading.Event()

        async def other() -> None:
            async with rlock, rlock:
                held.set()
                await asyncio.to_thread(done.wait)

        async def main() -> None:
            await asyncio.to_thread(held.wait)
            with pytest.raises(lockd.NotHeld):
                await rlock.release()
            assert not await rlock.acquire(False)
            done.set()
            async with rlock:
                pass

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(lambda: asyncio.run(other()))
            run_loop(main())
            working.result()


class TestCancellation:
    def test_a_task_that_is_cancelled_while_it_waits_leaves_the_queue(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name)
            async with rlock, rlock:
                waiting = asyncio.create_task(rlock.acquire())
                await waiters(daemon, name, 1)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                await waiters(daemon, name, 0)
                assert held_by_us(daemon, name)
            await free(daemon, name)

        run_loop(main())

    def test_a_task_that_is_cancelled_in_its_blocks_releases_all(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock, inside = aio.RLock(name), asyncio.Event()

            async def work() -> None:
                async with rlock, rlock:
                    inside.set()
                    await asyncio.Event().wait()

            working = asyncio.create_task(work())
            await inside.wait()
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
            await free(daemon, name)
            assert await rlock.acquire(timeout=PATIENCE)

        run_loop(main())

    def test_a_last_release_that_is_cancelled_ends_the_lease(self, own_daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock, released = aio.RLock(name), asyncio.Event()

            async def work() -> None:
                await rlock.acquire()
                own_daemon.stop()
                released.set()
                await rlock.release()

            working = asyncio.create_task(work())
            await released.wait()
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
            own_daemon.go_on()
            await free(own_daemon, name)

        run_loop(main())


class TestLoss:
    def test_what_is_lost_is_not_acquired_again(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            told: list[lockd.LeaseLost] = []
            rlock = aio.RLock(name, on_lost=told.append)
            await rlock.acquire()
            await rlock.acquire()
            lease = rlock.lease
            assert lease is not None
            daemon.ask(f"REVOKE {name}")
            await lease.lost
            for _ in range(2):
                with pytest.raises(lockd.LeaseLost, match="revoked"):
                    await rlock.acquire()
            with pytest.raises(lockd.LeaseLost):
                await rlock.__aenter__()
            await rlock.release()
            with pytest.raises(lockd.LeaseLost):
                await rlock.release()
            with pytest.raises(lockd.NotHeld):
                await rlock.release()
            assert len(told) == 1
            async with rlock as later:
                assert later.token > lease.token

        run_loop(main())

    def test_only_the_outermost_block_raises_the_loss(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock, left = aio.RLock(name), []
            with pytest.raises(lockd.LeaseLost):  # noqa: PT012
                async with rlock:
                    async with rlock as lease:
                        daemon.ask(f"REVOKE {name}")
                        await lease.lost
                    left.append(True)
            assert left == [True]

        run_loop(main())

    def test_a_task_that_lost_it_does_not_release_what_another_was_granted(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock, gate = aio.RLock(name), asyncio.Event()

            async def work() -> None:
                async with rlock, rlock:
                    await gate.wait()

            await rlock.acquire()
            working = asyncio.create_task(work())
            await waiters(daemon, name, 1)
            daemon.ask(f"REVOKE {name}")
            await waiters(daemon, name, 0)
            with pytest.raises(lockd.LeaseLost):
                await rlock.release()
            assert held_by_us(daemon, name)
            gate.set()
            await working

        run_loop(main())

    def test_a_restart_of_the_daemon_changes_neither_lease_nor_count(self, own_daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name)
            async with rlock as lease:
                async with rlock:
                    own_daemon.restart()
                await until(lambda: held_by_us(own_daemon, name), "the lease in the next daemon")
                assert not lease.lost
            await free(own_daemon, name)

        run_loop(main())


def nobody_holds(rlock: aio.RLock) -> None:
    """At the top of a module, so that another process can import it."""

    async def main() -> None:
        assert rlock.lease is None
        assert not await rlock.acquire(False)
        with pytest.raises(lockd.NotHeld):
            await rlock.release()

    asyncio.run(main())


class TestCopies:
    def test_a_copy_has_the_options_and_counts_anew(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name, note="n")
            async with rlock, rlock:
                copy = pickle.loads(pickle.dumps(rlock))
                assert type(copy) is aio.RLock
                assert copy.lease is None
                assert not await copy.acquire(False)
            async with copy:
                assert "note=n" in daemon.show(name)[0]
                with pytest.raises(lockd.NotHeld):
                    await rlock.release()

        run_loop(main())

    def test_a_child_that_is_given_a_copy_holds_nothing(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            rlock = aio.RLock(name)
            async with rlock, rlock:
                child = multiprocessing.get_context("spawn").Process(target=nobody_holds, args=(rlock,))
                child.start()
                await asyncio.to_thread(child.join, PATIENCE)
                assert child.exitcode == 0
                assert held_by_us(daemon, name)

        run_loop(main())

    def test_a_forked_child_counts_anew(self, daemon: Daemon, run: RunProgram, name: str) -> None:
        program = run(
            """
            import asyncio, os, sys
            import lockd
            from lockd import aio

            rlock = aio.RLock(sys.argv[1])

            async def child():
                assert rlock.lease is None
                assert not await rlock.acquire(False)
                try:
                    await rlock.release()
                except lockd.NotHeld:
                    return 7
                return 1

            async def main():
                await rlock.acquire()
                await rlock.acquire()
                pid = os.fork()
                if pid == 0:
                    status = 1
                    try:
                        status = asyncio.run(child())
                    finally:
                        os._exit(status)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
                await rlock.release()
                assert await rlock.locked()
                await rlock.release()
                assert not await rlock.locked()

            asyncio.run(main())
            """,
            daemon,
            name,
        )
        program.finish()


def test_repr_says_whether_it_is_held_in_this_loop(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        rlock = aio.RLock(name)
        assert re.fullmatch(rf"<unlocked lockd\.aio\.RLock object '{name}' at 0x[0-9a-f]+>", repr(rlock))
        async with rlock as lease:
            locked = rf"<locked lockd\.aio\.RLock object '{name}' token={lease.token} at 0x[0-9a-f]+>"
            assert re.fullmatch(locked, repr(rlock))

    run_loop(main())

"""Locks of asyncio tasks."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Daemon, RunProgram
from looping import free, held_by_us, run_loop, until, waiters

import lockd
from lockd import aio


class TestOrder:
    def test_a_thousand_tasks_exclude_each_other_in_the_order_in_which_they_came(
        self, own_daemon: Daemon, name: str
    ) -> None:
        async def main() -> None:
            inside, most, came = 0, 0, []
            async with aio.Client() as client:
                lock = aio.Lock(name, client=client)

                async def work(number: int) -> None:
                    nonlocal inside, most
                    async with lock as lease:
                        inside += 1
                        most = max(most, inside)
                        came.append((lease.token, number))
                        await asyncio.sleep(0)
                        inside -= 1

                await asyncio.gather(*(work(number) for number in range(1000)))
                assert own_daemon.session_count() == 1
            assert most == 1
            assert [number for _, number in came] == list(range(1000))
            assert came == sorted(came)

        run_loop(main())

    def test_release_grants_the_oldest_of_many_locks(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            came: list[int] = []

            async def work(number: int) -> None:
                async with aio.Lock(name):
                    came.append(number)

            async with aio.Lock(name):
                tasks = []
                for number in range(5):
                    tasks.append(asyncio.create_task(work(number)))
                    await waiters(daemon, name, number + 1)
            await asyncio.gather(*tasks)
            assert came == list(range(5))

        run_loop(main())

    def test_threads_and_tasks_exclude_each_other(self, daemon: Daemon, name: str) -> None:
        inside, most, rounds = 0, 0, 40

        def enter() -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)

        def leave() -> None:
            nonlocal inside
            inside -= 1

        def thread() -> None:
            lock = lockd.Lock(name)
            for _ in range(rounds):
                with lock:
                    enter()
                    time.sleep(0)
                    leave()

        async def task() -> None:
            lock = aio.Lock(name)
            for _ in range(rounds):
                async with lock:
                    enter()
                    await asyncio.sleep(0)
                    leave()

        async def tasks() -> None:
            await asyncio.gather(*(task() for _ in range(4)))

        with ThreadPoolExecutor(6) as pool:
            working = [pool.submit(thread) for _ in range(4)]
            working.append(pool.submit(lambda: asyncio.run(tasks())))
            run_loop(tasks())
            for each in working:
                each.result()
        assert (most, inside) == (1, 0)

    def test_other_processes_are_excluded(self, daemon: Daemon, name: str, run: RunProgram) -> None:
        program = run(
            """
            import asyncio, sys
            from lockd import aio
            async def main():
                async with aio.Lock(sys.argv[1]):
                    print("held")
                    await asyncio.to_thread(input)
            asyncio.run(main())
            """,
            daemon,
            name,
        )
        assert program.hear() == "held"

        async def main() -> None:
            lock = aio.Lock(name)
            assert not await lock.acquire(blocking=False)
            waiting = asyncio.create_task(lock.acquire())
            await waiters(daemon, name, 1)
            program.say()
            assert await waiting
            await lock.release()

        run_loop(main())
        program.finish()


class TestLock:
    def test_it_has_the_methods_of_asyncio_lock(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock = aio.Lock(name)
            assert (lock.name, lock.names, lock.lease) == (name.encode(), (name.encode(),), None)
            assert not await lock.locked()
            assert await lock.acquire()
            assert await lock.locked()
            assert lock.lease is not None
            assert "<locked " in repr(lock)
            assert held_by_us(daemon, name)
            await lock.release()
            assert not await lock.locked()
            assert "<unlocked " in repr(lock)
            with pytest.raises(lockd.NotHeld):
                await lock.release()

        run_loop(main())

    def test_a_wait_times_out(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Lock(name):
                began = time.monotonic()
                assert not await aio.Lock(name).acquire(timeout=0.2)
                assert 0.2 <= time.monotonic() - began < 5
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(aio.Lock(name).acquire(), 0.05)
                await waiters(daemon, name, 0)

        run_loop(main())

    @pytest.mark.parametrize(("blocking", "timeout"), [(False, 1.0), (True, -2.0), (True, float("nan"))])
    def test_what_makes_no_sense_is_refused(self, daemon: Daemon, name: str, blocking: bool, timeout: float) -> None:
        with pytest.raises(ValueError, match=r"timeout|NaN"):
            run_loop(aio.Lock(name).acquire(blocking, timeout))

    def test_any_task_may_release(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock = aio.Lock(name)
            await asyncio.create_task(lock.acquire())
            await asyncio.create_task(lock.release())
            assert not await lock.locked()

        run_loop(main())

    def test_each_task_releases_its_own_of_several(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock, gate = aio.Lock(name, shared=True), asyncio.Event()
            tokens: dict[int, int] = {}

            async def work(number: int) -> None:
                async with lock as lease:
                    tokens[number] = lease.token
                    await gate.wait()
                    assert lock.lease is lease

            tasks = [asyncio.create_task(work(number)) for number in range(3)]
            await until(lambda: len(tokens) == 3, "all to hold it")
            assert len(daemon.show(name)) == 3
            gate.set()
            await asyncio.gather(*tasks)
            assert not await lock.locked()

        run_loop(main())

    def test_it_can_be_used_in_one_loop_after_the_other(self, daemon: Daemon, name: str) -> None:
        lock = aio.Lock(name)

        async def main() -> None:
            async with lock:
                assert held_by_us(daemon, name)

        for _ in range(3):
            run_loop(main())

    def test_what_a_loop_that_is_gone_held_is_free_when_the_next_one_asks(self, daemon: Daemon, name: str) -> None:
        lock = aio.Lock(name)

        async def leave() -> None:
            await lock.acquire()

        async def main() -> None:
            assert lock.lease is None
            assert await lock.acquire(timeout=10)
            await lock.release()
            assert lock.lease is None

        run_loop(leave())
        run_loop(main())

    def test_loops_in_threads_have_leases_of_their_own(self, daemon: Daemon, name: str) -> None:
        lock, held, done = aio.Lock(name), threading.Event(), threading.Event()

        async def other() -> None:
            async with lock:
                held.set()
                await asyncio.to_thread(done.wait)

        async def main() -> None:
            await asyncio.to_thread(held.wait)
            assert lock.lease is None
            with pytest.raises(lockd.NotHeld):
                await lock.release()
            assert not await lock.acquire(blocking=False)
            done.set()
            async with lock:
                pass

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(lambda: asyncio.run(other()))
            run_loop(main())
            working.result()

    def test_wrong_names_and_options_are_refused_at_once(self) -> None:
        with pytest.raises(lockd.LocalProtocolError):
            aio.Lock("x", "x")
        with pytest.raises(lockd.LocalProtocolError):
            aio.Lock("x", ttl=-1)
        with pytest.raises(ValueError, match="not both"):
            aio.Lock("x", client=aio.Client("/x"), socket="/y")


class TestOptions:
    def test_several_names_are_held_together(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Lock(f"{name}/a", f"{name}/b", note="both") as lease:
                assert lease.names == (f"{name}/a".encode(), f"{name}/b".encode())
                for each in "ab":
                    assert not await aio.Lock(f"{name}/{each}").acquire(False)
                    assert "note=both" in daemon.show(f"{name}/{each}")[0]

        run_loop(main())

    def test_a_limit_is_a_semaphore(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            inside, most = 0, 0

            async def work() -> None:
                nonlocal inside, most
                async with aio.Lock(name, limit=3):
                    inside += 1
                    most = max(most, inside)
                    await asyncio.sleep(0.001)
                    inside -= 1

            await asyncio.gather(*(work() for _ in range(30)))
            assert most == 3

        run_loop(main())

    def test_a_queue_that_is_full_is_not_waited_for(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock = aio.Lock(name, max_queue=1)
            async with aio.Lock(name):
                waiting = asyncio.create_task(aio.Lock(name).acquire())
                await waiters(daemon, name, 1)
                assert not await lock.acquire()
                with pytest.raises(lockd.QueueFull):
                    await lock.__aenter__()
                waiting.cancel()

        run_loop(main())

    def test_a_task_that_would_wait_for_itself_is_told(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            lock = aio.Lock(name, owner=aio.task_owner)
            async with lock:
                with pytest.raises(lockd.AlreadyHeld):
                    await lock.acquire()
                # Another task is another owner.
                assert not await asyncio.create_task(lock.acquire(False))

        run_loop(main())

    def test_tasks_that_would_wait_for_each_other_are_told(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            first, second = (aio.Lock(f"{name}/{each}", owner=aio.task_owner) for each in "ab")

            async def other() -> None:
                async with second, first:
                    pass

            async with first:
                task = asyncio.create_task(other())
                await waiters(daemon, f"{name}/a", 1)
                with pytest.raises(lockd.DeadlockError) as caught:
                    await second.acquire()
                assert caught.value.edges
            await task

        run_loop(main())

    def test_there_is_no_task_outside_of_one(self) -> None:
        with pytest.raises(RuntimeError):
            aio.task_owner()

    def test_progress_is_told_while_one_waits(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            told: list[lockd.Progress] = []
            async with aio.Lock(name, note="nightly"):
                lock = aio.Lock(name, progress=told.append, progress_interval=0.1)
                waiting = asyncio.create_task(lock.acquire())
                await until(lambda: bool(told), "word of the wait")
                assert told[0].position == 1
                assert told[0].holder is not None
                assert told[0].holder.note == b"nightly"
            assert await waiting
            await lock.release()

        run_loop(main())

    def test_an_exception_of_progress_ends_the_wait(self, daemon: Daemon, name: str) -> None:
        def fail(_: lockd.Progress) -> None:
            raise ZeroDivisionError

        async def main() -> None:
            async with aio.Lock(name):
                with pytest.raises(ZeroDivisionError):
                    await aio.Lock(name, progress=fail).acquire()
                await waiters(daemon, name, 0)
            await free(daemon, name)

        run_loop(main())

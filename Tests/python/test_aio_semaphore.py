"""The semaphore of asyncio, in the manner of ``asyncio.BoundedSemaphore``."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from conftest import Daemon, RunProgram
from looping import free, run_loop, until, waiters

import lockd
from lockd import aio


async def two_held(name: str, value: int = 2) -> tuple[aio.Semaphore, aio.Lease, aio.Lease]:
    """A semaphore that this task has acquired twice, and the leases."""
    semaphore = aio.Semaphore(name, value)
    leases = []
    for _ in range(2):
        assert await semaphore.acquire()
        assert semaphore.lease is not None
        leases.append(semaphore.lease)
    return semaphore, leases[0], leases[1]


class TestAcquire:
    def test_so_many_hold_it_at_once_and_others_wait(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore = aio.Semaphore(name, 2)
            assert semaphore.value == 2
            async with semaphore as first:
                async with semaphore as second:
                    assert second.token > first.token
                    assert not await semaphore.acquire(False)
                    assert not await aio.Semaphore(name, 2).acquire(timeout=0.01)
                    waiting = asyncio.create_task(semaphore.acquire())
                    await waiters(daemon, name, 1)
                assert await waiting
                assert not first.lost
            await semaphore.release()
            assert not daemon.show(name)

        run_loop(main())

    def test_many_tasks_share_one_object(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore, inside, most = aio.Semaphore(name, 3), 0, 0

            async def work() -> None:
                nonlocal inside, most
                async with semaphore:
                    inside += 1
                    most = max(most, inside)
                    await semaphore.locked()
                    inside -= 1

            await asyncio.gather(*(work() for _ in range(60)))
            assert (most, inside) == (3, 0)

        run_loop(main())

    def test_without_a_value_one_holds_it(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Semaphore(name) as lease:
                assert not lease.lost
                assert not await aio.Semaphore(name).acquire(False)

        run_loop(main())

    def test_threads_and_processes_share_it(self, daemon: Daemon, name: str, run: RunProgram) -> None:
        source = "import sys, lockd\nwith lockd.Semaphore(sys.argv[1], 2):\n    print('holds')\n    input()"
        program = run(source, daemon, name)
        assert program.hear() == "holds"

        async def main() -> None:
            semaphore = aio.Semaphore(name, 2)
            assert await semaphore.acquire(False)
            assert not await semaphore.acquire(False)
            program.say()
            program.finish()
            assert await semaphore.acquire(False)
            assert not lockd.Semaphore(name, 2).acquire(False)
            await semaphore.release(2)

        run_loop(main())

    @pytest.mark.parametrize("blocking", [True, False])
    @pytest.mark.parametrize("timeout", [None, -1, 0, 0.01])
    def test_arguments_mean_what_they_do_to_lockd_semaphore(
        self, daemon: Daemon, name: str, blocking: bool, timeout: float | None
    ) -> None:
        # For ever is what None means: not a second time.
        times = 1 if blocking and timeout is None else 2

        async def outcome() -> list[bool | type[BaseException]]:
            semaphore, outcomes = aio.Semaphore(f"{name}/tasks"), list[bool | type[BaseException]]()
            for _ in range(times):
                try:
                    outcomes.append(await semaphore.acquire(blocking, timeout))
                except ValueError as error:
                    outcomes.append(type(error))
            return outcomes

        def outcome_of_threads() -> list[bool | type[BaseException]]:
            semaphore, outcomes = lockd.Semaphore(f"{name}/threads"), list[bool | type[BaseException]]()
            for _ in range(times):
                try:
                    outcomes.append(semaphore.acquire(blocking, timeout))
                except ValueError as error:
                    outcomes.append(type(error))
            return outcomes

        assert run_loop(outcome()) == outcome_of_threads()

    @pytest.mark.parametrize("value", [0, -1, 100001])
    def test_a_value_that_cannot_be_is_refused_when_it_is_made(self, value: int) -> None:
        with pytest.raises(ValueError, match="limit"):
            aio.Semaphore("x", value)

    def test_a_task_that_is_cancelled_while_it_waits_leaves_the_queue(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore = aio.Semaphore(name)
            async with semaphore:
                waiting = asyncio.create_task(semaphore.acquire())
                await waiters(daemon, name, 1)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                await waiters(daemon, name, 0)
            await free(daemon, name)

        run_loop(main())

    def test_it_takes_the_options_of_a_lock(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            client = aio.Client()
            async with client, aio.Semaphore(name, 2, client=client, ttl=60, note="tape") as lease:
                assert lease.ttl == 60
                assert "note=tape" in daemon.show(name)[0]
            with pytest.raises(ValueError, match="not both"):
                aio.Semaphore(name, client=client, socket="/y")

        run_loop(main())


class TestRelease:
    def test_it_releases_so_many(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore, *_ = await two_held(name)
            await semaphore.release(2)
            assert not daemon.show(name)

        run_loop(main())

    def test_more_than_were_acquired_is_a_value_error_and_releases_none(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore = aio.Semaphore(name, 2)
            with pytest.raises(ValueError, match="of which this process holds no lease") as caught:
                await semaphore.release()
            assert isinstance(caught.value, lockd.ReleasedTooOften)
            async with semaphore:
                with pytest.raises(lockd.ReleasedTooOften):
                    await semaphore.release(2)
                assert len(daemon.show(name)) == 1
                with pytest.raises(ValueError, match="one or more"):
                    await semaphore.release(0)

        run_loop(main())

    def test_any_task_may_release_but_its_own_come_first(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore, first, second = await two_held(name, 3)

            async def other() -> None:
                async with semaphore:
                    pass
                assert len(daemon.show(name)) == 2
                assert not first.lost
                assert not second.lost
                await semaphore.release(2)

            await asyncio.create_task(other())
            assert not daemon.show(name)
            with pytest.raises(lockd.ReleasedTooOften):
                await semaphore.release()

        run_loop(main())

    def test_tasks_that_release_several_at_once_do_not_take_the_same(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore, *_ = await two_held(name, 3)
            assert await semaphore.acquire()
            came = await asyncio.gather(semaphore.release(2), semaphore.release(2), return_exceptions=True)
            assert came[0] is None
            assert isinstance(came[1], lockd.ReleasedTooOften)
            assert len(daemon.show(name)) == 1

        run_loop(main())

    def test_a_release_that_is_cancelled_ends_all_of_them(self, own_daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore, *_ = await two_held(name)
            own_daemon.stop()
            releasing = asyncio.create_task(semaphore.release(2))
            await until(lambda: semaphore.lease is None, "the release")
            releasing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await releasing
            own_daemon.go_on()
            await free(own_daemon, name)

        run_loop(main())

    def test_a_loss_is_told_by_the_release_of_what_was_lost(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore, kept, lost = await two_held(name, 3)
            daemon.ask(f"REVOKE {name} token={lost.token}")
            await lost.lost
            async with semaphore as later:
                assert later.token > lost.token
            with pytest.raises(lockd.LeaseLost) as caught:
                await semaphore.release()
            assert caught.value.token == lost.token
            assert not kept.lost
            await semaphore.release()
            assert semaphore.lease is None

        run_loop(main())

    def test_all_are_released_though_one_was_lost(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            semaphore, _, lost = await two_held(name)
            daemon.ask(f"REVOKE {name} token={lost.token}")
            await lost.lost
            with pytest.raises(lockd.LeaseLost):
                await semaphore.release(2)
            assert not daemon.show(name)

        run_loop(main())


def test_locked_says_whether_a_try_would_fail(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        semaphore = aio.Semaphore(name, 2)
        assert not await semaphore.locked()
        async with semaphore:
            assert not await semaphore.locked()
            async with semaphore:
                assert await semaphore.locked()
            assert not await semaphore.locked()
            # The least of the values counts, and whoever waits is not overtaken.
            assert await aio.Semaphore(name, 1).locked()
            waiting = asyncio.create_task(aio.Lock(name).acquire())
            await waiters(daemon, name, 1)
            assert await semaphore.locked()
            assert not await semaphore.acquire(False)
        assert await waiting
        assert await semaphore.locked()

    run_loop(main())


def test_locked_counts_more_leases_than_the_daemon_tells_at_once(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        count = 600
        semaphore = aio.Semaphore(name, count)
        await asyncio.gather(*(semaphore.acquire() for _ in range(count - 1)))
        assert not await semaphore.locked()
        async with semaphore:
            assert await semaphore.locked()
        await semaphore.release(count - 1)
        assert not daemon.show(name)

    run_loop(main())


def test_a_copy_is_the_same_semaphore_and_holds_nothing(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        semaphore = aio.Semaphore(name, 2)
        async with semaphore:
            copy = pickle.loads(pickle.dumps(semaphore))
            assert (copy.value, copy.lease) == (2, None)
            with pytest.raises(lockd.ReleasedTooOften):
                await copy.release()
            async with copy:
                assert await semaphore.locked()

    run_loop(main())


def test_a_forked_child_holds_none_of_them(daemon: Daemon, run: RunProgram, name: str) -> None:
    program = run(
        """
        import asyncio, os, sys
        from lockd import aio

        semaphore = aio.Semaphore(sys.argv[1], 2)

        async def child():
            try:
                await semaphore.release()
            except ValueError:
                assert await semaphore.acquire(False)
                assert not await semaphore.acquire(False)
                return 7
            return 1

        async def main():
            await semaphore.acquire()
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    status = asyncio.run(child())
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
            await semaphore.release()

        asyncio.run(main())
        """,
        daemon,
        name,
    )
    program.finish()

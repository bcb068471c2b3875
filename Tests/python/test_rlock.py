"""The API of ``threading.RLock``: who holds the lock may acquire it again, and nobody else may release it."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Daemon, RunProgram, wait_until

import lockd


@pytest.fixture
def rlock(daemon: Daemon, name: str) -> lockd.RLock:
    """A reentrant lock that no other test uses."""
    return lockd.RLock(name)


class TestReentrance:
    def test_it_is_held_until_it_was_released_as_often_as_acquired(
        self, daemon: Daemon, rlock: lockd.RLock, name: str
    ) -> None:
        with rlock as lease:
            assert rlock.acquire()
            assert rlock.acquire(False)
            with rlock as again:
                assert again is lease
            rlock.release()
            rlock.release()
            assert daemon.show(name)
        assert not daemon.show(name)
        with pytest.raises(lockd.NotHeld):
            rlock.release()

    def test_acquiring_it_again_asks_nothing_of_the_daemon(self, own_daemon: Daemon, name: str) -> None:
        rlock = lockd.RLock(name)
        with rlock:
            own_daemon.stop()
            assert rlock.acquire()
            assert rlock.acquire(timeout=0)
            rlock.release()
            rlock.release()
            own_daemon.go_on()
        assert own_daemon.holder(name) is None

    def test_another_object_of_that_name_waits_in_the_same_thread_too(self, rlock: lockd.RLock) -> None:
        with rlock:
            assert not lockd.RLock(rlock.name).acquire(timeout=0.01)
            assert not lockd.Lock(rlock.name).acquire(False)

    def test_with_owners_such_a_wait_is_refused(self, daemon: Daemon, name: str) -> None:
        with lockd.RLock(name, owner=lockd.thread_owner) as lease:
            with pytest.raises(lockd.AlreadyHeld) as caught:
                lockd.RLock(name, owner=lockd.thread_owner).acquire()
            assert caught.value.token == lease.token

    def test_arguments_are_refused_as_by_threading_rlock(self, rlock: lockd.RLock) -> None:
        with rlock:
            for arguments in [(False, 1), (True, -2)]:
                with pytest.raises(ValueError, match="timeout"):
                    rlock.acquire(*arguments)
        assert rlock.lease is None


class TestThreads:
    def test_another_thread_waits_until_the_last_release(self, daemon: Daemon, rlock: lockd.RLock, name: str) -> None:
        def work() -> int:
            with rlock as lease, rlock:
                return lease.token

        with ThreadPoolExecutor(1) as pool:
            with rlock as lease:
                with rlock:
                    waiting = pool.submit(work)
                    daemon.await_waiters(name, 1)
                assert not waiting.done()
            assert waiting.result() > lease.token

    def test_another_thread_can_neither_release_nor_see_the_lease(self, rlock: lockd.RLock) -> None:
        def work() -> None:
            assert rlock.lease is None
            assert "<locked lockd.RLock object" in repr(rlock)
            with pytest.raises(RuntimeError, match="of which this thread holds no lease"):
                rlock.release()

        with rlock as lease, ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
            assert rlock.lease is lease
            assert not lease.lost

    def test_many_threads_count_without_losing_any(self, rlock: lockd.RLock) -> None:
        count = 0

        def add(depth: int) -> None:
            nonlocal count
            with rlock:
                if depth:
                    add(depth - 1)
                count += 1

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(add, 4) for _ in range(200)]:
                done.result()
        assert count == 1000
        assert not rlock.locked()

    def test_each_reader_has_a_count_of_its_own(self, daemon: Daemon, name: str) -> None:
        readers = lockd.RLock(name, shared=True)

        def read() -> None:
            with readers, readers:
                assert len(daemon.show(name)) == 2
            with pytest.raises(lockd.NotHeld):
                readers.release()

        with readers, ThreadPoolExecutor(1) as pool:
            pool.submit(read).result()
            assert len(daemon.show(name)) == 1
        assert not daemon.show(name)

    def test_a_condition_releases_it_entirely_while_it_waits(self, rlock: lockd.RLock) -> None:
        condition = threading.Condition(rlock)  # type: ignore[arg-type]
        told = []

        def tell() -> None:
            with condition:
                told.append(True)
                condition.notify()

        with ThreadPoolExecutor(1) as pool:
            with condition:
                with condition:
                    pool.submit(tell)
                    assert condition.wait_for(lambda: bool(told), timeout=30)
                assert rlock.lease is not None
            assert rlock.lease is None


class TestLoss:
    def test_what_is_lost_is_not_acquired_again(self, daemon: Daemon, rlock: lockd.RLock, name: str) -> None:
        rlock.acquire()
        rlock.acquire()
        lease = rlock.lease
        assert lease is not None
        daemon.ask(f"REVOKE {name}")
        wait_until(lambda: lease.lost, "the loss")
        for _ in range(2):
            with pytest.raises(lockd.LeaseLost):
                rlock.acquire()
        rlock.release()
        with pytest.raises(lockd.LeaseLost):
            rlock.release()
        with pytest.raises(lockd.NotHeld):
            rlock.release()
        with rlock as later:
            assert later.token > lease.token

    def test_only_the_outermost_block_raises_the_loss(self, daemon: Daemon, rlock: lockd.RLock, name: str) -> None:
        def work() -> None:
            with rlock:
                with rlock:
                    daemon.ask(f"REVOKE {name}")
                left.append(True)

        left: list[bool] = []
        with pytest.raises(lockd.LeaseLost):
            work()
        assert left == [True]


class TestState:
    def test_repr_says_whether_it_is_held_here(self, rlock: lockd.RLock) -> None:
        name = re.escape(repr(rlock.name.decode()))
        assert re.fullmatch(rf"<unlocked lockd\.RLock object {name} at 0x[0-9a-f]+>", repr(rlock))
        with rlock as lease:
            assert re.fullmatch(rf"<locked lockd\.RLock object {name} token={lease.token} at 0x[0-9a-f]+>", repr(rlock))

    def test_what_the_standard_library_resets_after_a_fork_is_free(self, rlock: lockd.RLock) -> None:
        rlock._at_fork_reinit()
        rlock.acquire()
        rlock.acquire()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(rlock._at_fork_reinit).result()
        assert rlock.lease is None
        assert not rlock.locked()

    def test_a_forked_child_counts_anew(self, daemon: Daemon, run: RunProgram) -> None:
        program = run(
            """
            import os, lockd
            lock = lockd.RLock("rlock/fork")
            lock.acquire()
            lock.acquire()
            pid = os.fork()
            if pid == 0:
                assert lock.lease is None
                assert not lock.acquire(False)
                try:
                    lock.release()
                except lockd.NotHeld:
                    os._exit(7)
                os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
            lock.release()
            assert lock.locked()
            lock.release()
            assert not lock.locked()
            """,
            daemon,
        )
        program.finish()

    def test_greenlets_of_one_thread_exclude_each_other(self, daemon: Daemon, run: RunProgram) -> None:
        pytest.importorskip("gevent")
        program = run(
            """
            import lockd
            lock = lockd.RLock("rlock/gevent")

            from gevent import monkey
            monkey.patch_all()
            import gevent

            def work():
                assert lock.lease is None
                assert not lock.acquire(False)
                try:
                    lock.release()
                except lockd.NotHeld:
                    return "refused"

            with lock, lock:
                print(gevent.spawn(work).get())
            """,
            daemon,
        )
        assert program.finish() == "refused"

"""The API of ``threading.BoundedSemaphore``."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Daemon, RunProgram, wait_until

import lockd


@pytest.fixture
def semaphore(daemon: Daemon, name: str) -> lockd.Semaphore:
    """A semaphore of two that no other test uses."""
    return lockd.Semaphore(name, 2)


class TestAcquire:
    def test_so_many_hold_it_at_once_and_others_wait(
        self, daemon: Daemon, semaphore: lockd.Semaphore, name: str
    ) -> None:
        assert semaphore.value == 2
        with ThreadPoolExecutor(1) as pool:
            with semaphore:
                with semaphore as second:
                    assert not semaphore.acquire(False)
                    assert not lockd.Semaphore(name, 2).acquire(timeout=0.01)
                    waiting = pool.submit(semaphore.acquire)
                    daemon.await_waiters(name, 1)
                    assert second.token == max(lease.token for lease in leases(name))
                assert waiting.result()
            semaphore.release()
        assert not daemon.show(name)

    def test_without_a_value_one_holds_it(self, daemon: Daemon, name: str) -> None:
        with lockd.Semaphore(name) as lease:
            assert not lease.lost
            assert not lockd.Semaphore(name).acquire(False)

    def test_processes_share_it(self, daemon: Daemon, semaphore: lockd.Semaphore, name: str, run: RunProgram) -> None:
        source = "import sys, lockd\nwith lockd.Semaphore(sys.argv[1], 2):\n    print('holds')\n    input()"
        program = run(source, daemon, name)
        assert program.hear() == "holds"
        assert semaphore.acquire(False)
        assert not semaphore.acquire(False)
        program.say()
        program.finish()
        assert semaphore.acquire(False)
        semaphore.release(2)

    @pytest.mark.parametrize("blocking", [True, False])
    @pytest.mark.parametrize("timeout", [None, -1, 0, 0.01])
    def test_arguments_mean_what_they_do_to_threading_semaphore(
        self, daemon: Daemon, name: str, blocking: bool, timeout: float | None
    ) -> None:
        def outcome(tried: lockd.Semaphore | threading.Semaphore) -> list[bool | type[BaseException]]:
            # For ever is what None means: not a second time.
            times = 1 if blocking and timeout is None else 2
            outcomes: list[bool | type[BaseException]] = []
            for _ in range(times):
                try:
                    outcomes.append(tried.acquire(blocking, timeout))
                except ValueError as error:
                    outcomes.append(type(error))
            return outcomes

        assert outcome(lockd.Semaphore(name, 1)) == outcome(threading.Semaphore(1))

    @pytest.mark.parametrize("value", [0, -1, 100001])
    def test_a_value_that_cannot_be_is_refused_when_it_is_made(self, value: int) -> None:
        with pytest.raises(ValueError, match="limit"):
            lockd.Semaphore("x", value)


class TestRelease:
    def test_it_releases_so_many(self, daemon: Daemon, semaphore: lockd.Semaphore, name: str) -> None:
        semaphore.acquire()
        semaphore.acquire()
        semaphore.release(2)
        assert not daemon.show(name)

    def test_more_than_were_acquired_is_a_value_error_and_releases_none(
        self, daemon: Daemon, semaphore: lockd.Semaphore, name: str
    ) -> None:
        with pytest.raises(ValueError, match="of which this process holds no lease") as caught:
            semaphore.release()
        assert isinstance(caught.value, lockd.ReleasedTooOften)
        with semaphore:
            with pytest.raises(lockd.ReleasedTooOften):
                semaphore.release(2)
            assert len(daemon.show(name)) == 1
            with pytest.raises(ValueError, match="one or more"):
                semaphore.release(0)

    def test_any_thread_may_release(self, daemon: Daemon, semaphore: lockd.Semaphore, name: str) -> None:
        semaphore.acquire()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(semaphore.release).result()
        assert not daemon.show(name)

    def test_a_loss_is_told_by_the_release_of_what_was_lost(self, daemon: Daemon, name: str) -> None:
        semaphore = lockd.Semaphore(name, 3)
        with semaphore as kept:
            semaphore.acquire()
            lost = semaphore.lease
            assert lost is not None
            daemon.ask(f"REVOKE {name} token={lost.token}")
            wait_until(lambda: lost.lost, "the loss")
            with semaphore as later:
                assert later.token > lost.token
            with pytest.raises(lockd.LeaseLost) as caught:
                semaphore.release()
            assert caught.value.token == lost.token
            assert not kept.lost
        assert semaphore.lease is None

    def test_all_are_released_though_one_was_lost(self, daemon: Daemon, semaphore: lockd.Semaphore, name: str) -> None:
        semaphore.acquire()
        semaphore.acquire()
        lost = semaphore.lease
        assert lost is not None
        daemon.ask(f"REVOKE {name} token={lost.token}")
        wait_until(lambda: lost.lost, "the loss")
        with pytest.raises(lockd.LeaseLost):
            semaphore.release(2)
        assert not daemon.show(name)


def test_locked_says_whether_a_try_would_fail(daemon: Daemon, semaphore: lockd.Semaphore, name: str) -> None:
    assert not semaphore.locked()
    with semaphore:
        assert not semaphore.locked()
        with semaphore:
            assert semaphore.locked()
        assert not semaphore.locked()
        assert lockd.Semaphore(name, 1).locked()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lockd.Lock(name).acquire, timeout=60)
            daemon.await_waiters(name, 1)
            assert semaphore.locked()
            assert not semaphore.acquire(False)
            semaphore.release()
            assert waiting.result()
            assert semaphore.locked()
            lockd.Client().release(name, leases(name)[0].token)
            semaphore.acquire()


def test_a_forked_child_holds_none_of_them(daemon: Daemon, run: RunProgram) -> None:
    program = run(
        """
        import os, lockd
        semaphore = lockd.Semaphore("semaphore/fork", 2)
        semaphore.acquire()
        pid = os.fork()
        if pid == 0:
            try:
                semaphore.release()
            except ValueError:
                assert semaphore.acquire(False)
                assert not semaphore.acquire(False)
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        semaphore.release()
        """,
        daemon,
    )
    program.finish()


def leases(name: str) -> list[lockd.LeaseLine]:
    """The leases on a name, all of which are this process's."""
    lines = [line for line in lockd.Client().show(name) if isinstance(line, lockd.LeaseLine)]
    assert {line.pid for line in lines} == {os.getpid()}
    return lines

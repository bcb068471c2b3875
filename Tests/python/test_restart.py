"""The daemon is killed and started again, and nobody loses anything by it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import PATIENCE, Daemon, RunProgram, await_stopped, wait_until

import lockd
from lockd._process import endpoint

HOW = pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])

HOLDER = """
import sys
import lockd
lock = lockd.Lock(sys.argv[1])
lock.acquire()
print(lock.lease.token)
input()
lock.release()
"""


def waiters(daemon: Daemon, name: str) -> list[int]:
    """The processes that wait for a lock, in their order."""
    return [int(line.split(" pid=")[1].split()[0]) for line in daemon.show(name) if line.startswith("WAITER")]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that wait."""
    with ThreadPoolExecutor(8) as threads:
        yield threads


class TestLeases:
    @HOW
    def test_held_lease_survives(self, own_daemon: Daemon, how: signal.Signals) -> None:
        lock = lockd.Lock("name")
        with lock as lease:
            token = lease.token
            own_daemon.restart(how)
            assert not lease.lost
            assert own_daemon.holder("name") == os.getpid()
            assert not lockd.Lock("name").acquire(False)
        assert own_daemon.holder("name") is None
        with lock as lease:
            assert lease.token > token
        assert own_daemon.session_count() == 1

    def test_one_that_nobody_uses_is_asked_for_when_somebody_looks(self, own_daemon: Daemon) -> None:
        with lockd.Lock("name") as lease:
            own_daemon.restart()
            assert "detached=" in own_daemon.show("name")[0]
            assert not lease.lost
            wait_until(lambda: "detached=" not in own_daemon.show("name")[0], "the session to be resumed")
            assert not lease.lost

    def test_many_restarts_do_not_matter(self, own_daemon: Daemon) -> None:
        with lockd.Lock("name") as lease:
            for _ in range(5):
                own_daemon.restart()
            assert lockd.Lock("name").locked()
            assert not lease.lost

    @HOW
    def test_lease_is_renewed_by_itself(self, own_daemon: Daemon, how: signal.Signals) -> None:
        lock, other = lockd.Lock("name", ttl=1), lockd.Lock("name")
        with lock as lease:
            own_daemon.restart(how)
            # It would be over long before that.
            assert not other.acquire(timeout=4)
            assert not lease.lost

    def test_lease_of_a_process_that_ended_meanwhile_is_free(self, own_daemon: Daemon, run: RunProgram) -> None:
        program = run(HOLDER, own_daemon, "name")
        token = int(program.hear())
        own_daemon.kill()
        program.signal(signal.SIGKILL)
        program.remove()
        own_daemon.start()
        with lockd.Lock("name") as lease:
            assert lease.token > token

    def test_forked_child_has_no_part_in_it(self, own_daemon: Daemon, run: RunProgram) -> None:
        program = run(
            """
            import os, signal, warnings
            import lockd
            warnings.simplefilter("ignore", DeprecationWarning)
            lock = lockd.Lock("name")
            lock.acquire()
            lease = lock.lease
            print("held")
            input()
            pid = os.fork()
            if pid == 0:
                assert lease.lost
                assert not lock.acquire(False)
                with lockd.Lock("other"):
                    print(os.getpid())
                    input()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            print(lease.lost)
            lock.release()
            """,
            own_daemon,
        )
        assert program.hear() == "held"
        own_daemon.restart()
        program.say()
        own_daemon.await_holder("other", int(program.hear()))
        assert own_daemon.holder("name") == program.pid
        program.say()
        assert program.hear() == "False"
        program.finish()
        assert own_daemon.holder("name") is None


class TestWaits:
    @HOW
    def test_waiter_keeps_its_place(
        self, own_daemon: Daemon, run: RunProgram, pool: ThreadPoolExecutor, how: signal.Signals
    ) -> None:
        holder, ours = lockd.Lock("name"), lockd.Lock("name")
        holder.acquire()
        waiting = pool.submit(ours.acquire)
        own_daemon.await_waiters("name", 1)
        program = run(HOLDER, own_daemon, "name")
        own_daemon.await_waiters("name", 2)
        own_daemon.restart(how)
        wait_until(lambda: waiters(own_daemon, "name") == [os.getpid(), program.pid], "both in their order")
        holder.release()
        assert waiting.result(PATIENCE)
        assert ours.lease is not None
        token = ours.lease.token
        ours.release()
        assert int(program.hear()) > token
        program.say()
        program.finish()

    def test_wait_with_a_timeout_is_granted_too(self, own_daemon: Daemon, pool: ThreadPoolExecutor) -> None:
        holder = lockd.Lock("name")
        holder.acquire()
        waiting = pool.submit(lockd.Lock("name").acquire, timeout=60)
        own_daemon.await_waiters("name", 1)
        own_daemon.restart()
        holder.release()
        assert waiting.result(PATIENCE)

    def test_timeout_counts_from_the_beginning(self, own_daemon: Daemon, pool: ThreadPoolExecutor) -> None:
        with lockd.Lock("name"):
            began = time.monotonic()
            waiting = pool.submit(lockd.Lock("name").acquire, timeout=3)
            own_daemon.await_waiters("name", 1)
            own_daemon.restart()
            assert not waiting.result(PATIENCE)
            assert 3 <= time.monotonic() - began < 6

    def test_wait_that_is_given_up_meanwhile_leaves_nothing(self, own_daemon: Daemon, run: RunProgram) -> None:
        program = run(
            """
            import lockd
            try:
                lockd.Lock("name").acquire()
            except KeyboardInterrupt:
                print("interrupted")
            input()
            """,
            own_daemon,
        )
        with lockd.Lock("name"):
            own_daemon.await_waiters("name", 1)
            own_daemon.kill()
            program.signal(signal.SIGINT)
            assert program.hear() == "interrupted"
            own_daemon.start()
            own_daemon.await_waiters("name", 0)
        with lockd.Lock("name"):
            pass
        program.say()
        program.finish()

    def test_waiter_that_is_away_for_too_long_asks_anew(
        self, own_daemon: Daemon, run: RunProgram, pool: ThreadPoolExecutor
    ) -> None:
        holder, ours = lockd.Lock("name"), lockd.Lock("name")
        holder.acquire()
        program = run(HOLDER, own_daemon, "name")
        own_daemon.await_waiters("name", 1)
        program.signal(signal.SIGSTOP)
        await_stopped(program.pid)
        waiting = pool.submit(ours.acquire)
        own_daemon.await_waiters("name", 2)
        own_daemon.restart()
        holder.release()
        # It is the program's turn, and it is waited for.
        assert waiting.result(PATIENCE)
        program.signal(signal.SIGCONT)
        own_daemon.await_waiters("name", 1)
        ours.release()
        program.hear()
        program.say()
        program.finish()

    def test_bound_wait_is_granted_and_bound(self, own_daemon: Daemon, pool: ThreadPoolExecutor) -> None:
        read_end, write_end = os.pipe()
        holder, bound = lockd.Lock("name"), lockd.Lock("name", bind_to=lockd.BindTo.pipe(read_end))
        holder.acquire()
        waiting = pool.submit(bound.acquire)
        own_daemon.await_waiters("name", 1)
        own_daemon.restart()
        holder.release()
        assert waiting.result(PATIENCE)
        own_daemon.restart()
        lease = bound.lease
        assert lease is not None
        assert not lease.lost
        assert own_daemon.holder("name") == os.getpid()
        bound.release()
        assert own_daemon.holder("name") is None
        os.close(read_end)
        os.close(write_end)


class TestWithoutDaemon:
    def test_release_is_delivered_when_there_is_one(self, own_daemon: Daemon, pool: ThreadPoolExecutor) -> None:
        lock = lockd.Lock("name")
        lock.acquire()
        own_daemon.kill()
        releasing = pool.submit(lock.release)
        wait_until(lambda: lock.lease is None, "release to be asked for")
        own_daemon.start()
        assert releasing.result(PATIENCE) is None
        assert own_daemon.holder("name") is None

    def test_release_that_is_interrupted_is_delivered_too(self, own_daemon: Daemon, run: RunProgram) -> None:
        program = run(
            """
            import threading, time
            import lockd

            def watch():
                while lock.lease is not None:
                    time.sleep(0.001)
                print("releasing")

            lock = lockd.Lock("name")
            lock.acquire()
            print("held")
            input()
            threading.Thread(target=watch).start()
            try:
                lock.release()
            except KeyboardInterrupt:
                print("interrupted", lock.lease)
            input()
            """,
            own_daemon,
        )
        assert program.hear() == "held"
        own_daemon.kill()
        program.say()
        assert program.hear() == "releasing"
        program.signal(signal.SIGINT)
        assert program.hear() == "interrupted None"
        own_daemon.start()
        own_daemon.await_holder("name", None)
        program.say()
        program.finish()

    def test_acquire_waits_for_one(self, own_daemon: Daemon, pool: ThreadPoolExecutor) -> None:
        lock = lockd.Lock("name")
        with lock:
            pass
        own_daemon.kill()
        waiting = pool.submit(lock.acquire)
        session = endpoint(own_daemon.socket)._session
        assert session is not None
        wait_until(lambda: session._link.transport is None, "word of the end")
        own_daemon.start()
        assert waiting.result(PATIENCE)

    def test_restart_that_nobody_saw_is_no_error(self, own_daemon: Daemon) -> None:
        lock = lockd.Lock("name")
        with lock:
            pass
        own_daemon.restart()
        with lock as lease:
            assert not lease.lost
        assert own_daemon.session_count() == 1

    def test_try_waits_for_one_for_two_seconds(self, own_daemon: Daemon) -> None:
        lock = lockd.Lock("name")
        with lock:
            pass
        own_daemon.kill()
        for blocking, timeout in ((False, -1), (True, 0.5)):
            began = time.monotonic()
            with pytest.raises(lockd.DaemonUnavailable, match=r"Connection refused\. Start it with"):
                lock.acquire(blocking, timeout)
            assert 2 <= time.monotonic() - began < 4
        own_daemon.start()
        assert lock.acquire(False)

    def test_try_that_finds_one_in_that_time_is_answered(self, own_daemon: Daemon, pool: ThreadPoolExecutor) -> None:
        lock = lockd.Lock("name")
        with lock:
            pass
        own_daemon.kill()
        trying = pool.submit(lock.acquire, False)
        own_daemon.start()
        assert trying.result(PATIENCE)

    def test_timeout_is_kept(self, own_daemon: Daemon) -> None:
        lock = lockd.Lock("name")
        with lock:
            pass
        own_daemon.kill()
        began = time.monotonic()
        with pytest.raises(lockd.DaemonUnavailable):
            lock.acquire(timeout=3)
        assert 3 <= time.monotonic() - began < 5

    def test_what_was_given_up_is_not_asked_for(self, own_daemon: Daemon) -> None:
        lock = lockd.Lock("name")
        with lock:
            pass
        own_daemon.kill()
        with pytest.raises(lockd.DaemonUnavailable):
            lock.acquire(False)
        own_daemon.start()
        lockd.Client().ping()
        assert own_daemon.show("name") == []

    def test_questions_wait_for_one(self, own_daemon: Daemon, pool: ThreadPoolExecutor) -> None:
        with lockd.Lock("name"):
            own_daemon.kill()
            asking = pool.submit(lockd.Client().show, "name")
            own_daemon.start()
            assert len(asking.result(PATIENCE)) == 1

    def test_first_one_that_is_not_there_is_told_at_once(self, own_daemon: Daemon, run: RunProgram) -> None:
        own_daemon.kill()
        program = run(
            """
            import lockd, time
            began = time.monotonic()
            try:
                lockd.Lock("name").acquire()
            except lockd.DaemonUnavailable:
                print(time.monotonic() - began < 1)
            """,
            own_daemon,
        )
        assert program.finish() == "True"


class TestForgotten:
    """What was written down is gone: the daemon that comes knows nothing."""

    def forget(self, daemon: Daemon) -> None:
        daemon.kill()
        (log,) = daemon.directory.glob("*.log")
        log.unlink()
        daemon.start()

    def test_leases_are_lost(self, own_daemon: Daemon) -> None:
        lock = lockd.Lock("name")
        lock.acquire()
        lease = lock.lease
        assert lease is not None
        self.forget(own_daemon)
        wait_until(lambda: lease.lost, "word of the loss")
        with pytest.raises(lockd.LeaseLost) as caught:
            lock.release()
        assert caught.value.reason == "forgotten"
        assert "acquire it again" in str(caught.value)
        with lock:
            pass

    def test_release_learns_it_though_nobody_looked(self, own_daemon: Daemon) -> None:
        lock = lockd.Lock("name")
        lock.acquire()
        self.forget(own_daemon)
        with pytest.raises(lockd.LeaseLost, match="forgotten"):
            lock.release()

    def test_waits_are_asked_for_anew(self, own_daemon: Daemon, pool: ThreadPoolExecutor) -> None:
        holder = lockd.Lock("name")
        holder.acquire()
        waiting = pool.submit(lockd.Lock("name").acquire, timeout=60)
        own_daemon.await_waiters("name", 1)
        self.forget(own_daemon)
        assert waiting.result(PATIENCE)
        with pytest.raises(lockd.LeaseLost, match="forgotten"):
            holder.release()

    def test_watch_says_that_something_may_be_missed(self, own_daemon: Daemon) -> None:
        with lockd.Client().watch("name") as watch:
            self.forget(own_daemon)
            assert watch.wait(PATIENCE) == lockd.Missed(None)
            with lockd.Lock("name") as lease:
                event = watch.wait(PATIENCE)
                assert isinstance(event, lockd.Event)
                assert (event.kind, event.token) == ("granted", lease.token)


class TestWatching:
    @HOW
    def test_watch_goes_on(self, own_daemon: Daemon, how: signal.Signals) -> None:
        kinds: list[str] = []
        with lockd.Client().watch("name") as watch:
            with lockd.Lock("name"):
                own_daemon.restart(how)
            while len(kinds) < 2:
                event = watch.wait(PATIENCE)
                assert isinstance(event, lockd.Event)
                kinds.append(event.kind)
        # What is said again around a restart may come twice.
        assert kinds[0] == "granted"
        assert kinds[-1] in ("granted", "released")

    def test_wait_for_an_event_ends_in_time_without_a_daemon(self, own_daemon: Daemon) -> None:
        with lockd.Client().watch("name") as watch:
            own_daemon.kill()
            assert watch.wait(0.2) is None
            own_daemon.start()
            with lockd.Lock("name"):
                assert watch.wait(PATIENCE) is not None

    def test_closing_ends_the_wait_for_a_daemon(self, own_daemon: Daemon, pool: ThreadPoolExecutor) -> None:
        watch = lockd.Client().watch("name")
        own_daemon.kill()
        waiting = pool.submit(watch.wait)
        wait_until(lambda: watch._link.transport is None, "word of the end")
        watch.close()
        assert waiting.result(PATIENCE) is None

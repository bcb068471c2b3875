"""Leases that end before they are released, and those that must not."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Daemon, RunProgram, await_stopped, wait_until

import lockd

HOLDER = """
import sys, time
import lockd
lock = lockd.Lock(sys.argv[1], ttl=float(sys.argv[2]) if len(sys.argv) > 2 else None)
lock.acquire()
lease = lock.lease
print(lease.token)
input()
print(lease.lost)
try:
    lock.release()
    print("released")
except lockd.LeaseLost as loss:
    print(loss.reason)
"""


class TestRevoked:
    def test_the_holder_learns_it(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        lock.acquire()
        lease = lock.lease
        assert lease is not None
        assert not lease.lost
        daemon.ask(f"REVOKE {name} reason=too%20slow")
        assert lease.lost
        assert lock.lease is lease
        with pytest.raises(lockd.LeaseLost) as caught:
            lock.release()
        assert (caught.value.name, caught.value.token, caught.value.reason) == (lock.name, lease.token, "revoked")
        assert caught.value.detail.startswith("by uid ")
        assert caught.value.detail.endswith("because: too slow")
        assert lock.lease is None
        with pytest.raises(lockd.NotHeld):
            lock.release()

    def test_release_learns_it_though_nobody_looked(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        lock.acquire()
        daemon.ask(f"REVOKE {name}")
        with pytest.raises(lockd.LeaseLost, match="revoked"):
            lock.release()

    def test_the_end_of_a_with_block_tells_it(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        with pytest.raises(lockd.LeaseLost, match="revoked"), lock:
            daemon.ask(f"REVOKE {name}")

    def test_but_hides_no_other_exception(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        with pytest.raises(ZeroDivisionError), lock:  # noqa: PT012
            daemon.ask(f"REVOKE {name}")
            raise ZeroDivisionError

    def test_the_lock_can_be_acquired_again(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        with pytest.raises(lockd.LeaseLost), lock:
            daemon.ask(f"REVOKE {name}")
        with lock as lease:
            assert not lease.lost

    def test_a_loss_that_nobody_released_does_not_count_any_more(
        self, daemon: Daemon, lock: lockd.Lock, name: str
    ) -> None:
        lock.acquire()
        daemon.ask(f"REVOKE {name}")
        assert lock.lease is not None
        assert lock.lease.lost
        lock.acquire()
        lock.release()
        assert lock.lease is None

    def test_somebody_who_reads_for_all_tells_the_others(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        other = f"{name}/other"
        with ThreadPoolExecutor(1) as pool:
            lock.acquire()
            lease = lock.lease
            assert lease is not None
            with lockd.Lock(other):
                waiting = pool.submit(lockd.Lock(other).acquire)
                daemon.await_waiters(other, 1)
                daemon.ask(f"REVOKE {name}")
                wait_until(lambda: lease.lost, "word of the loss")
            assert waiting.result()


class TestTimeToLive:
    def test_a_lease_is_renewed_as_long_as_its_process_runs(self, daemon: Daemon, name: str) -> None:
        lock = lockd.Lock(name, ttl=0.3)
        other = lockd.Lock(name)
        with lock as lease:
            assert lease.ttl == 0.3
            assert not other.acquire(timeout=1.5)
            assert not lease.lost

    def test_several_leases_are_renewed_each_in_its_time(self, daemon: Daemon, name: str) -> None:
        locks = [lockd.Lock(f"{name}/{number}", ttl=ttl) for number, ttl in enumerate((60, 0.3, 0.6))]
        for lock in locks:
            lock.acquire()
        time.sleep(1.5)
        for lock in locks:
            lock.release()

    def test_a_released_lease_is_not_renewed_any_more(self, daemon: Daemon, name: str) -> None:
        lock = lockd.Lock(name, ttl=0.3)
        for _ in range(3):
            with lock:
                pass
        with lockd.Lock(name) as lease:
            time.sleep(0.5)
            assert not lease.lost

    def test_a_stopped_process_loses_it_and_learns_that(self, own_daemon: Daemon, run: RunProgram) -> None:
        program = run(HOLDER, own_daemon, "ttl", "0.5")
        token = int(program.hear())
        program.signal(signal.SIGSTOP)
        await_stopped(program.pid)
        with lockd.Lock("ttl") as lease:
            assert lease.token > token
            program.signal(signal.SIGCONT)
            program.say()
            # Whether it sees that when it first looks depends on which of its threads receives it. Release is sure to.
            program.hear()
            assert program.hear() == "expired"
        program.finish()

    def test_a_daemon_that_was_stopped_finds_it_renewed(self, own_daemon: Daemon, name: str) -> None:
        with lockd.Lock(name, ttl=5) as lease:
            own_daemon.stop()
            time.sleep(2)
            own_daemon.go_on()
            assert lockd.Lock(name).locked()
            assert not lease.lost


class TestDaemonStopped:
    def test_an_acquire_with_a_timeout_ends_some_seconds_later(self, own_daemon: Daemon) -> None:
        lock = lockd.Lock("stopped")
        with lock:
            pass
        own_daemon.stop()
        began = time.monotonic()
        with pytest.raises(lockd.DaemonUnavailable, match="it does not answer"):
            lock.acquire(timeout=0.1)
        assert 5 < time.monotonic() - began < 15
        own_daemon.go_on()
        # What was given up is granted by now, or was, and has been given back.
        wait_until(lambda: not lock.locked(), "the lease to be given back")
        with lock:
            pass

    def test_a_release_ends_too_and_comes_true_later(self, own_daemon: Daemon) -> None:
        lock = lockd.Lock("stopped")
        lock.acquire()
        own_daemon.stop()
        with pytest.raises(lockd.DaemonUnavailable, match="it does not answer"):
            lock.release()
        assert lock.lease is None
        own_daemon.go_on()
        own_daemon.await_holder("stopped", None)
        with lock:
            pass


class TestOtherProcesses:
    def test_the_lease_of_a_process_that_is_killed_goes_to_the_next(
        self, daemon: Daemon, run: RunProgram, name: str
    ) -> None:
        program = run(HOLDER, daemon, name)
        token = int(program.hear())
        with ThreadPoolExecutor(1) as pool:
            lock = lockd.Lock(name)
            waiting = pool.submit(lock.acquire, timeout=20)
            daemon.await_waiters(name, 1)
            program.signal(signal.SIGKILL)
            assert waiting.result()
        assert lock.lease is not None
        assert lock.lease.token > token
        assert daemon.holder(name) == os.getpid()
        lock.release()

    def test_a_process_that_is_stopped_loses_nothing(self, daemon: Daemon, run: RunProgram, name: str) -> None:
        program = run(HOLDER, daemon, name)
        program.hear()
        program.signal(signal.SIGSTOP)
        await_stopped(program.pid)
        assert not lockd.Lock(name).acquire(timeout=1)
        program.signal(signal.SIGCONT)
        program.say()
        assert program.hear() == "False"
        assert program.hear() == "released"
        program.finish()

    def test_the_lease_of_a_process_that_ends_is_free(self, daemon: Daemon, run: RunProgram, name: str) -> None:
        program = run("import lockd, sys; lockd.Lock(sys.argv[1]).acquire()", daemon, name)
        program.finish()
        assert lockd.Lock(name).acquire(timeout=20)
        lockd.Lock(name)

    def test_handlers_at_exit_still_hold_what_the_program_held(
        self, daemon: Daemon, run: RunProgram, name: str
    ) -> None:
        program = run(
            """
            import atexit, sys
            import lockd
            lock = lockd.Lock(sys.argv[1])
            atexit.register(lambda: print(lock.lease.lost, lock.release()))
            lock.acquire()
            """,
            daemon,
            name,
        )
        assert program.finish() == "False None"

"""Leases that are bound to a process or a pipe."""

from __future__ import annotations

import itertools
import os
import select
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Daemon, RunProgram, wait_until
from test_interruption import interrupt

import lockd
from lockd._process import endpoint


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


def acquired(lock: lockd.Lock) -> lockd.Lease:
    assert lock.acquire(timeout=10)
    assert lock.lease is not None
    return lock.lease


class TestProcess:
    def test_lease_ends_with_it(self, daemon: Daemon, name: str, child: subprocess.Popen[bytes]) -> None:
        lock = lockd.Lock(name, bind_to=lockd.BindTo.process(child.pid))
        lease = acquired(lock)
        assert lease.bound
        assert daemon.holder(name) == child.pid
        (line,) = lockd.Client().show(name)
        assert isinstance(line, lockd.LeaseLine)
        assert line.bound == "pidfd"
        child.kill()
        daemon.await_holder(name, None)
        with pytest.raises(lockd.LeaseLost) as caught:
            lock.release()
        assert caught.value.reason == "unknown"

    def test_pidfd_may_be_given(self, daemon: Daemon, name: str, child: subprocess.Popen[bytes]) -> None:
        descriptor = os.pidfd_open(child.pid)
        lease = acquired(lockd.Lock(name, bind_to=lockd.BindTo.pidfd(descriptor)))
        os.close(descriptor)
        assert daemon.holder(name) == child.pid
        child.kill()
        daemon.await_holder(name, None)
        assert not lease.lost

    def test_lease_outlives_who_acquired_it(
        self, daemon: Daemon, name: str, run: RunProgram, child: subprocess.Popen[bytes]
    ) -> None:
        program = run(
            """
            import sys
            import lockd
            lock = lockd.Lock(sys.argv[1], bind_to=lockd.BindTo.process(int(sys.argv[2])))
            lock.acquire()
            print(lock.lease.token)
            """,
            daemon,
            name,
            str(child.pid),
        )
        token = int(program.finish())
        assert daemon.holder(name) == child.pid
        lockd.Client().release(name, token)
        assert daemon.holder(name) is None
        with pytest.raises(lockd.NotHeld) as caught:
            lockd.Client().release(name, token)
        assert (caught.value.name, caught.value.token) == (name.encode(), token)

    def test_process_that_has_ended_is_told(self, daemon: Daemon, name: str, child: subprocess.Popen[bytes]) -> None:
        descriptor = os.pidfd_open(child.pid)
        child.kill()
        # It has ended and was not waited for yet.
        select.select([descriptor], [], [])
        with pytest.raises(lockd.BindingEnded):
            lockd.Lock(name, bind_to=lockd.BindTo.pidfd(descriptor)).acquire()
        child.wait()
        for bind_to in (lockd.BindTo.pidfd(descriptor), lockd.BindTo.process(child.pid)):
            with pytest.raises(lockd.BindingEnded):
                lockd.Lock(name, bind_to=bind_to).acquire()
        os.close(descriptor)
        assert daemon.holder(name) is None

    def test_wait_ends_with_it(self, daemon: Daemon, name: str, child: subprocess.Popen[bytes]) -> None:
        with ThreadPoolExecutor(1) as pool, lockd.Lock(name):
            waiting = pool.submit(lockd.Lock(name, bind_to=lockd.BindTo.process(child.pid)).acquire)
            daemon.await_waiters(name, 1)
            child.kill()
            with pytest.raises(lockd.BindingEnded):
                waiting.result()


class TestPipe:
    def test_lease_ends_when_nobody_can_write(self, daemon: Daemon, name: str, pipe: list[int]) -> None:
        acquired(lockd.Lock(name, f"{name}/more", bind_to=lockd.BindTo.pipe(pipe[0])))
        os.close(pipe.pop(0))
        with subprocess.Popen(["sleep", "1000"], pass_fds=pipe) as heir:
            os.close(pipe.pop())
            assert daemon.holder(name) == os.getpid()
            heir.kill()
        daemon.await_holder(name, None)
        daemon.await_holder(f"{name}/more", None)

    def test_write_end_is_refused(self, daemon: Daemon, name: str, pipe: list[int]) -> None:
        with pytest.raises(lockd.RequestRefused) as caught:
            lockd.Lock(name, bind_to=lockd.BindTo.pipe(pipe[1])).acquire()
        assert caught.value.code == "bad-descriptor"
        assert caught.value.fields["got"] == "write-end"

    def test_descriptors_are_those_of_their_lines(self, daemon: Daemon, name: str, pipe: list[int]) -> None:
        """Many at once, from many threads, between lines without descriptors."""
        pipes = [os.pipe() for _ in range(32)]
        locks = [
            lockd.Lock(f"{name}/{number}", bind_to=lockd.BindTo.pipe(ends[0]) if number % 3 else None)
            for number, ends in enumerate(pipes)
        ]
        with ThreadPoolExecutor(32) as pool:
            assert all(pool.map(lambda lock: lock.acquire(timeout=10), locks))
        for number, (read_end, write_end) in enumerate(pipes):
            os.close(write_end)
            if number % 3:
                daemon.await_holder(f"{name}/{number}", None)
            os.close(read_end)
            assert all(daemon.holder(f"{name}/{other}") for other in range(number + 1, 32))
        for lock in locks[::3]:
            lock.release()


class TestLease:
    def test_with_releases_it(self, daemon: Daemon, name: str, pipe: list[int]) -> None:
        with lockd.Lock(name, bind_to=lockd.BindTo.pipe(pipe[0])) as lease:
            assert daemon.holder(name) == os.getpid()
            assert not lease.lost
        assert daemon.holder(name) is None

    def test_it_outlives_the_connection_and_is_released_by_another(
        self, own_daemon: Daemon, name: str, pipe: list[int]
    ) -> None:
        lock, plain = lockd.Lock(name, bind_to=lockd.BindTo.pipe(pipe[0])), lockd.Lock(f"{name}/plain")
        lease, lost = acquired(lock), acquired(plain)
        connection = endpoint(own_daemon.socket)._session
        assert connection is not None
        connection._step(lambda: connection._link.end(lockd.DaemonUnavailable(own_daemon.socket, "the test ended it")))
        assert lost.lost
        assert not lease.lost
        own_daemon.await_holder(f"{name}/plain", None)
        assert own_daemon.holder(name) == os.getpid()
        lock.release()
        assert own_daemon.holder(name) is None
        assert lock.lease is None

    def test_its_loss_is_learned_from_another_connection_too(
        self, own_daemon: Daemon, name: str, pipe: list[int]
    ) -> None:
        lock = lockd.Lock(name, bind_to=lockd.BindTo.pipe(pipe[0]))
        acquired(lock)
        connection = endpoint(own_daemon.socket)._session
        assert connection is not None
        connection._step(lambda: connection._link.end(lockd.DaemonUnavailable(own_daemon.socket, "the test ended it")))
        os.close(pipe.pop())
        own_daemon.await_holder(name, None)
        with pytest.raises(lockd.LeaseLost, match="unknown"):
            lock.release()

    def test_revocation_is_told(self, daemon: Daemon, name: str, pipe: list[int]) -> None:
        lock = lockd.Lock(name, bind_to=lockd.BindTo.pipe(pipe[0]))
        lease = acquired(lock)
        daemon.ask(f"REVOKE {name}")
        wait_until(lambda: lease.lost, "the loss")
        with pytest.raises(lockd.LeaseLost, match="revoked"):
            lock.release()

    def test_nobody_renews_it_unless_asked(self, daemon: Daemon, name: str, pipe: list[int]) -> None:
        lease = acquired(lockd.Lock(name, ttl=10, bind_to=lockd.BindTo.pipe(pipe[0])))
        assert lease.ttl == 10
        lockd.Client().renew(name, lease.token, 60)
        assert lease.ttl == 60
        lockd.Client().release(name, lease.token)
        lease = acquired(lockd.Lock(name, ttl=0.3, bind_to=lockd.BindTo.pipe(pipe[0])))
        wait_until(lambda: lease.lost, "the end of its ttl")
        with pytest.raises(lockd.NotHeld):
            lockd.Client().renew(name, lease.token)

    def test_next_one_takes_its_place(self, daemon: Daemon, name: str, pipe: list[int]) -> None:
        lock = lockd.Lock(name, bind_to=lockd.BindTo.pipe(pipe[0]))
        for _ in range(3):
            lease = acquired(lock)
            assert lock._leases == [lease]
            # The lease ends without a word, and the next one has a pipe of its own under the same number.
            os.close(pipe.pop())
            daemon.await_holder(name, None)
            read_end, write_end = os.pipe()
            os.dup2(read_end, pipe[0])
            os.close(read_end)
            pipe.append(write_end)

    def test_acquire_that_is_interrupted_anywhere_leaks_nothing_but_what_is_bound(
        self, own_daemon: Daemon, name: str
    ) -> None:
        before = None
        for after in itertools.count(1):
            read_end, write_end = os.pipe()
            lock = lockd.Lock(name, bind_to=lockd.BindTo.pipe(read_end))
            lock.locked()
            interrupted = interrupt(lock.acquire, after)
            os.close(read_end)
            os.close(write_end)
            own_daemon.await_holder(name, None)
            own_daemon.await_waiters(name, 0)
            assert own_daemon.session_count() <= 1
            del lock
            after_all = len(os.listdir("/proc/self/fd"))
            before = before or after_all
            assert after_all <= before + 1
            if not interrupted:
                break
        assert after > 50

    def test_nothing_stays_open(self, daemon: Daemon, name: str, pipe: list[int]) -> None:
        lock = lockd.Lock(name, bind_to=lockd.BindTo.pipe(pipe[0]))
        lock.locked()
        before = len(os.listdir("/proc/self/fd"))
        for bind_to in (lockd.BindTo.pipe(pipe[0]), lockd.BindTo.process(os.getpid())):
            with lockd.Lock(name, bind_to=bind_to):
                assert not lockd.Lock(name, bind_to=bind_to).acquire(timeout=0.01)
        assert len(os.listdir("/proc/self/fd")) == before

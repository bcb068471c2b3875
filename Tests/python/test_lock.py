"""The API of ``threading.Lock``, in one thread and in several."""

from __future__ import annotations

import os
import pickle
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest
from conftest import Daemon, wait_until

import lockd


class TestAcquire:
    def test_it_excludes_other_locks_of_the_same_name(self, lock: lockd.Lock) -> None:
        other = lockd.Lock(lock.name)
        assert lock.acquire()
        assert not other.acquire(blocking=False)
        assert not other.acquire(timeout=0)
        assert not other.acquire(timeout=0.01)
        lock.release()
        assert other.acquire(blocking=False)
        other.release()

    def test_it_is_not_reentrant(self, lock: lockd.Lock) -> None:
        with lock:
            assert not lock.acquire(False)
            assert not lock.acquire(timeout=0.01)

    def test_it_goes_by_the_older_names_of_threading_lock_too(self, lock: lockd.Lock) -> None:
        assert lock.acquire_lock(timeout=1)
        assert lock.locked_lock()
        assert not lock.acquire_lock(False)
        lock.release_lock()
        assert not lock.locked_lock()
        missing = [each for each in dir(threading.Lock()) if not hasattr(lock, each)]
        assert missing == []

    def test_names_are_bytes(self, daemon: Daemon, name: str) -> None:
        lock = lockd.Lock(f"{name}/é #=%")
        with lock:
            assert not lockd.Lock(f"{name}/é #=%".encode()).acquire(False)
            assert lockd.Lock(f"{name}/e\N{COMBINING ACUTE ACCENT} #=%").acquire(False)
            assert daemon.holder(f"{name}/%C3%A9%20%23%3D%25") is not None

    def test_it_waits_in_line(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        order = []

        def work(number: int) -> None:
            with lockd.Lock(name):
                order.append(number)

        with ThreadPoolExecutor(8) as pool, lock:
            for number in range(8):
                pool.submit(work, number)
                daemon.await_waiters(name, number + 1)
        assert order == list(range(8))

    def test_a_timeout_is_kept_and_leaves_no_waiter(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        with lock:
            began = time.monotonic()
            assert not lockd.Lock(name).acquire(timeout=0.2)
            assert 0.2 <= time.monotonic() - began < 5
            daemon.await_waiters(name, 0)

    def test_a_timeout_is_rounded_up_to_milliseconds(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        with lock, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lockd.Lock(name).acquire, timeout=0.0001)
            assert not waiting.result()

    def test_more_than_366_days_is_for_ever(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        with ThreadPoolExecutor(1) as pool:
            with lock:
                waiting = pool.submit(lockd.Lock(name).acquire, timeout=367 * 86400)
                daemon.await_waiters(name, 1)
                (waiter,) = [line for line in daemon.show(name) if line.startswith("WAITER")]
                assert " left=" not in waiter
            assert waiting.result()

    @pytest.mark.parametrize("blocking", [True, False])
    @pytest.mark.parametrize("timeout", [-1, 0, 0.01, -0.5, -2, 1e100, float("inf"), float("nan"), "1", None])
    def test_arguments_are_refused_as_by_threading_lock(self, lock: lockd.Lock, blocking: bool, timeout: float) -> None:
        def outcome(tried: lockd.Lock | threading.Lock) -> bool | type[BaseException]:
            try:
                return tried.acquire(blocking, timeout)
            except (ValueError, TypeError, OverflowError) as error:
                return type(error)

        assert outcome(lock) == outcome(threading.Lock())


class TestRelease:
    def test_releasing_what_is_not_held_is_an_error_as_for_threading_lock(self, lock: lockd.Lock) -> None:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="holds no lease") as caught:
                lock.release()
            assert isinstance(caught.value, lockd.NotHeld)
            assert caught.value.name == lock.name
            lock.acquire()
            lock.release()

    def test_any_thread_may_release(self, lock: lockd.Lock) -> None:
        lock.acquire()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lock.release).result()
        assert lock.lease is None
        assert not lock.locked()

    def test_of_many_threads_that_release_at_once_one_does(self, lock: lockd.Lock) -> None:
        barrier = threading.Barrier(8)

        def release() -> bool:
            barrier.wait()
            try:
                lock.release()
            except lockd.NotHeld:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            for _ in range(20):
                lock.acquire()
                outcomes = [pool.submit(release) for _ in range(8)]
                assert sum(outcome.result() for outcome in outcomes) == 1

    def test_a_lock_that_is_collected_stays_held(self, daemon: Daemon, name: str) -> None:
        lockd.Lock(name).acquire()
        assert not lockd.Lock(name).acquire(False)


class TestHolders:
    """Locks that several may hold, and queues of a bounded length."""

    def test_shared_locks_are_held_together(self, lock: lockd.Lock) -> None:
        readers = [lockd.Lock(lock.name, shared=True) for _ in range(3)]
        for reader in readers:
            assert reader.acquire(False)
        assert not lock.acquire(False)
        for reader in readers:
            reader.release()
        assert lock.acquire(False)
        assert not readers[0].acquire(False)
        lock.release()

    def test_limit_is_a_semaphore(self, daemon: Daemon, name: str) -> None:
        locks = [lockd.Lock(name, limit=2) for _ in range(3)]
        assert [each.acquire(False) for each in locks] == [True, True, False]
        locks[0].release()
        assert locks[2].acquire(False)
        for each in locks[1:]:
            each.release()

    def test_client_shows_how_many_each_tolerates(self, daemon: Daemon, name: str) -> None:
        with lockd.Lock(f"{name}/shared", shared=True), lockd.Lock(f"{name}/limit", limit=3), lockd.Lock(f"{name}/own"):
            limits = {line.name.decode().rpartition("/")[2]: line.holder_limit for line in lockd.Client().list(name)}
        assert limits == {"shared": None, "limit": 3, "own": 1}

    def test_queue_of_bounded_length(self, daemon: Daemon, lock: lockd.Lock, name: str) -> None:
        first, late = lockd.Lock(name, max_queue=1), lockd.Lock(name, max_queue=1)
        with ThreadPoolExecutor(1) as pool:
            with lock:
                waiting = pool.submit(first.acquire)
                daemon.await_waiters(name, 1)
                assert not late.acquire()
                with pytest.raises(lockd.QueueFull), late:
                    pytest.fail("the queue was full")
                assert not lockd.Lock(name, max_queue=0).acquire()
            assert waiting.result()
            first.release()

    @pytest.mark.parametrize("options", [{"limit": 0}, {"limit": 2, "shared": True}, {"max_queue": -1}])
    def test_what_makes_no_sense_is_said_when_the_lock_is_made(self, options: dict[str, Any]) -> None:
        with pytest.raises(lockd.LocalProtocolError):
            lockd.Lock("x", **options)


class TestState:
    def test_locked_asks_the_daemon(self, lock: lockd.Lock) -> None:
        other = lockd.Lock(lock.name)
        assert not other.locked()
        with lock:
            assert other.locked()
        assert not other.locked()

    def test_with_gives_the_lease(self, lock: lockd.Lock) -> None:
        before = time.monotonic()
        with lock as lease:
            assert lease is lock.lease
            assert lease.name == lock.name
            assert before <= lease.since <= time.monotonic()
            assert not lease.lost
            assert lease.ttl is None
            assert repr(lease) == f"<lockd.Lease of '{lock.name.decode()}' token={lease.token}>"
        assert lock.lease is None
        assert not lease.lost

    def test_lease_tells_of_one_before_it_that_was_not_released(self, daemon: Daemon, lock: lockd.Lock) -> None:
        with lock as lease:
            assert lease.previous is None
        other = lockd.Lock(lock.name, note="half done")
        assert other.acquire()
        lost = other.lease
        assert lost is not None
        daemon.ask(f"REVOKE {lock.name.decode()}")
        wait_until(lambda: lost.lost, "the loss")
        with lock as lease:
            assert lease.previous is not None
            assert lease.previous.ending == "revoked"
            assert lease.previous.token == lost.token
            assert lease.previous.pid == os.getpid()
            assert lease.previous.note == b"half done"
        with lock as lease:
            assert lease.previous is None

    def test_tokens_grow(self, lock: lockd.Lock) -> None:
        tokens = []
        for _ in range(3):
            with lock as lease:
                tokens.append(lease.token)
        assert tokens == sorted(set(tokens))

    def test_with_releases_when_the_body_raises(self, lock: lockd.Lock) -> None:
        with pytest.raises(ZeroDivisionError), lock:
            raise ZeroDivisionError
        assert not lock.locked()

    def test_repr_says_whether_it_is_held_here(self, lock: lockd.Lock) -> None:
        name = re.escape(repr(lock.name.decode()))
        with lockd.Lock(lock.name):
            assert re.fullmatch(rf"<unlocked lockd\.Lock object {name} at 0x[0-9a-f]+>", repr(lock))
        with lock as lease:
            assert re.fullmatch(rf"<locked lockd\.Lock object {name} token={lease.token} at 0x[0-9a-f]+>", repr(lock))

    def test_a_copy_through_pickle_is_the_same_lock_and_holds_nothing(self, lock: lockd.Lock) -> None:
        with lock:
            copy = pickle.loads(pickle.dumps(lock))
            assert copy.lease is None
            assert copy.name == lock.name
            assert not copy.acquire(False)
        assert copy.acquire(False)
        copy.release()

    def test_notes_are_shown(self, daemon: Daemon, name: str) -> None:
        with lockd.Lock(name, note="nightly run"):
            (lease,) = daemon.show(name)
            assert " note=nightly%20run " in lease
            assert f" client=lockd-python/{lockd.__version__} " in lease

    def test_it_serves_a_condition_variable(self, lock: lockd.Lock) -> None:
        condition = threading.Condition(lock)  # type: ignore[arg-type]
        told = []

        def tell() -> None:
            with condition:
                told.append(True)
                condition.notify()

        with ThreadPoolExecutor(1) as pool, condition:
            pool.submit(tell)
            assert condition.wait_for(lambda: bool(told), timeout=30)


@pytest.mark.parametrize(
    ("make", "error", "complaint"),
    [
        (lambda: lockd.Lock(""), ValueError, "a lock name has 1 to 255 bytes, not 0"),
        (lambda: lockd.Lock(7), TypeError, "a lock name is a str or bytes, not int"),  # type: ignore[arg-type]
        (lambda: lockd.Lock("x", "y", b"x"), ValueError, "all different, but 'x' is there twice"),
        (lambda: lockd.Lock(*map(str, range(17))), ValueError, "a lock has 1 to 16 names, not 17"),
        (lambda: lockd.Lock("x", owner=""), ValueError, "an owner has 1 to 64 bytes, not 0"),
        (lambda: lockd.Lock("x", progress=print, progress_interval=0.05), ValueError, "progress is 100 ms to 366 days"),
        (lambda: lockd.Lock("x", note=""), ValueError, "a note has 1 to 256 bytes, not 0"),
        (lambda: lockd.Lock("x", ttl=0), ValueError, "a ttl is 1 ms to 366 days, not 0 ms"),
        (lambda: lockd.Lock("x", ttl=-1), ValueError, "a ttl is 1 ms to 366 days"),
        (lambda: lockd.Lock("x", ttl=float("inf")), ValueError, "a duration is a number of seconds, not inf"),
        (lambda: lockd.Lock("x", socket="/s", user=True), ValueError, "a socket or user=True, not both"),
        (lambda: lockd.Lock("x", socket=""), ValueError, "the path of the socket is empty"),
    ],
)
def test_a_lock_that_cannot_be_is_refused_when_it_is_made(
    make: Callable[[], lockd.Lock], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        make()

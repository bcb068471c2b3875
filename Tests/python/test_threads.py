"""Threads of one process, on one connection."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Daemon, RunProgram, wait_until

import lockd
from lockd._process import endpoint


def test_many_threads_count_without_losing_any(lock: lockd.Lock, name: str) -> None:
    count = 0

    def work(own: lockd.Lock) -> None:
        nonlocal count
        for _ in range(100):
            with own:
                before = count
                time.sleep(0)
                count = before + 1

    with ThreadPoolExecutor(16) as pool:
        # Half of them share an object, half have one each: the name is what counts.
        for work_done in [pool.submit(work, lock if number % 2 else lockd.Lock(name)) for number in range(16)]:
            work_done.result()
    assert count == 1600


def test_many_locks_at_once(daemon: Daemon, name: str) -> None:
    counts = [0] * 5

    def work(number: int) -> None:
        for step in range(100):
            which = (number + step) % 5
            with lockd.Lock(f"{name}/{which}"):
                before = counts[which]
                time.sleep(0)
                counts[which] = before + 1

    with ThreadPoolExecutor(10) as pool:
        for work_done in [pool.submit(work, number) for number in range(10)]:
            work_done.result()
    assert counts == [200] * 5


def test_all_threads_share_one_connection(own_daemon: Daemon, name: str) -> None:
    barrier = threading.Barrier(16)

    def work() -> None:
        barrier.wait()
        for _ in range(5):
            with lockd.Lock(name):
                pass

    with ThreadPoolExecutor(16) as pool:
        for work_done in [pool.submit(work) for _ in range(16)]:
            work_done.result()
    assert own_daemon.session_count() == 1


def test_a_lone_thread_starts_no_other(daemon: Daemon, run: RunProgram) -> None:
    program = run(
        """
        import threading
        import lockd
        lock = lockd.Lock("lone")
        with lock:
            lock.acquire(timeout=0.01)
        lock.locked()
        print(threading.active_count())
        """,
        daemon,
    )
    assert program.finish() == "1"


def test_the_one_who_reads_hands_over_when_it_has_its_own(daemon: Daemon, name: str) -> None:
    """Whoever waits first reads for all. When it is granted, another has to go on reading."""
    names = [f"{name}/{number}" for number in range(4)]
    held = [lockd.Lock(each) for each in names]
    for lock in held:
        lock.acquire()
    with ThreadPoolExecutor(4) as pool:
        waiting = []
        for each in names:
            waiting.append(pool.submit(lockd.Lock(each).acquire, timeout=60))
            daemon.await_waiters(each, 1)
        for index in (0, 2, 1, 3):
            held[index].release()
            assert waiting[index].result()


def test_waits_that_run_out_leave_the_others_waiting(daemon: Daemon, lock: lockd.Lock, name: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        with lock:
            forever = pool.submit(lockd.Lock(name).acquire)
            daemon.await_waiters(name, 1)
            short = [pool.submit(lockd.Lock(name).acquire, timeout=0.05) for _ in range(7)]
            assert [each.result() for each in short] == [False] * 7
            daemon.await_waiters(name, 1)
        assert forever.result()


def test_a_thread_that_lost_its_lease_does_not_release_anothers(daemon: Daemon, lock: lockd.Lock, name: str) -> None:
    assert lock.acquire()
    lost = lock.lease
    assert lost is not None
    daemon.ask(f"REVOKE {name}")

    def work() -> None:
        with lock as lease:
            entered.set()
            released.wait()
            assert lock.lease is lease

    entered, released = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        entered.wait()
        assert lock.lease is lost
        with pytest.raises(lockd.LeaseLost):
            lock.release()
        assert lock.locked()
        released.set()
        working.result()


def test_more_requests_than_the_socket_takes_are_all_answered(own_daemon: Daemon, name: str) -> None:
    """While the daemon is stopped the socket fills up; whoever cannot send waits for room."""
    with lockd.Lock(name), ThreadPoolExecutor(600) as pool:
        connection = endpoint(own_daemon.socket)._session
        assert connection is not None
        own_daemon.stop()
        tried = [pool.submit(lockd.Lock(name).acquire, timeout=1) for _ in range(600)]
        wait_until(lambda: len(connection._core.data_to_send()) > 0, "a socket that is full")
        own_daemon.go_on()
        assert [each.result() for each in tried] == [False] * 600

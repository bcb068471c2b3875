"""Word of how a wait goes."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Daemon, wait_until
from test_interruption import interrupt, settle

import lockd


class Listener:
    """Takes down what it is told, and in which thread."""

    def __init__(self) -> None:
        self.told: list[lockd.Progress] = []
        self.threads: set[int] = set()

    def __call__(self, progress: lockd.Progress) -> None:
        self.told.append(progress)
        self.threads.add(threading.get_ident())

    def await_position(self, position: int) -> lockd.Progress:
        wait_until(lambda: bool(self.told) and self.told[-1].position == position, f"word of position {position}")
        return self.told[-1]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def waits(pool: ThreadPoolExecutor, lock: lockd.Lock) -> Future[Any]:
    """Acquire and release in a thread, which is what comes of it."""

    def work() -> int:
        with lock:
            return threading.get_ident()

    return pool.submit(work)


def test_place_and_holder_are_told_in_the_thread_that_waits(
    daemon: Daemon, name: str, pool: ThreadPoolExecutor
) -> None:
    first, second = Listener(), Listener()
    with lockd.Lock(name, note="nightly run"):
        granted = waits(pool, lockd.Lock(name, progress=first, progress_interval=0.1))
        told = first.await_position(1)
        assert (told.names, told.on, told.waiters) == ((name.encode(),), name.encode(), 1)
        assert told.holder is not None
        assert (told.holder.pid, told.holder.uid, told.holder.note) == (os.getpid(), os.getuid(), b"nightly run")
        last = waits(pool, lockd.Lock(name, progress=second, progress_interval=0.1))
        assert second.await_position(2).waiters == 2
    assert first.threads == {granted.result()}
    assert second.threads == {last.result()}


def test_change_is_told(daemon: Daemon, name: str, pool: ThreadPoolExecutor) -> None:
    listener, holder, between = Listener(), lockd.Lock(name), lockd.Lock(name)
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with between:
            entered.set()
            leave.wait()

    holder.acquire()
    ahead = pool.submit(work)
    daemon.await_waiters(name, 1)
    granted = waits(pool, lockd.Lock(name, progress=listener, progress_interval=0.1))
    listener.await_position(2)
    holder.release()
    entered.wait()
    listener.await_position(1)
    leave.set()
    ahead.result()
    granted.result()


def test_of_several_names_the_one_that_is_waited_for_is_told(
    daemon: Daemon, name: str, pool: ThreadPoolExecutor
) -> None:
    free, held, listener = f"{name}/free", f"{name}/held", Listener()
    with lockd.Lock(held):
        granted = waits(pool, lockd.Lock(free, held, progress=listener))
        told = listener.await_position(1)
        assert (told.names, told.on) == ((free.encode(), held.encode()), held.encode())
    granted.result()


def test_who_does_not_wait_is_told_nothing(daemon: Daemon, name: str) -> None:
    listener = Listener()
    with lockd.Lock(name, progress=listener):
        assert not lockd.Lock(name, progress=listener).acquire(False)
    assert listener.told == []


def test_exception_ends_the_wait_and_nothing_else(daemon: Daemon, name: str, pool: ThreadPoolExecutor) -> None:
    def complain(_: lockd.Progress) -> None:
        raise ZeroDivisionError

    impatient = lockd.Lock(name, progress=complain)
    with lockd.Lock(name) as lease:
        patient = waits(pool, lockd.Lock(name))
        daemon.await_waiters(name, 1)
        with pytest.raises(ZeroDivisionError):
            impatient.acquire()
        daemon.await_waiters(name, 1)
        assert impatient.lease is None
        assert not lease.lost
    patient.result()
    assert impatient.acquire()
    impatient.release()


def test_lockd_may_be_used_by_what_is_told(daemon: Daemon, name: str, pool: ThreadPoolExecutor) -> None:
    shown: list[int] = []

    def look(progress: lockd.Progress) -> None:
        with lockd.Lock(f"{name}/other"):
            shown.append(len(lockd.Client().show(progress.on)))

    with lockd.Lock(name):
        granted = waits(pool, lockd.Lock(name, progress=look))
        wait_until(lambda: bool(shown), "a look at the lock")
    granted.result()
    assert shown[0] == 2


def test_slow_listener_holds_up_nobody_else(daemon: Daemon, name: str, pool: ThreadPoolExecutor) -> None:
    entered, leave = threading.Event(), threading.Event()

    def dawdle(_: lockd.Progress) -> None:
        entered.set()
        leave.wait()

    other = lockd.Lock(f"{name}/other")
    holder = lockd.Lock(name)
    holder.acquire()
    slow = waits(pool, lockd.Lock(name, progress=dawdle))
    entered.wait()
    with other:
        waiting = waits(pool, lockd.Lock(f"{name}/other"))
        daemon.await_waiters(f"{name}/other", 1)
    waiting.result()
    holder.release()
    # It is granted meanwhile, and learns it when it comes back.
    daemon.await_holder(name, os.getpid())
    leave.set()
    slow.result()
    daemon.await_holder(name, None)


def test_daemon_is_not_blamed_for_the_time_that_the_listener_takes(
    own_daemon: Daemon, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockd._lock.ANSWER_TIMEOUT", 1.0)
    timers = []

    def dawdle(_: lockd.Progress) -> None:
        own_daemon.stop()
        threading.Event().wait(2)
        timers.append(threading.Timer(0.1, own_daemon.go_on))
        timers[0].start()

    with lockd.Lock(name):
        assert not lockd.Lock(name, progress=dawdle).acquire(timeout=0.1)
    timers[0].join()


def test_wait_that_is_interrupted_anywhere_leaks_nothing(own_daemon: Daemon, name: str) -> None:
    for after in itertools.count(1):
        holder, over = lockd.Lock(name), threading.Event()
        lock = lockd.Lock(name, progress=lambda _: None, progress_interval=0.1)

        def release(holder: lockd.Lock = holder, over: threading.Event = over) -> None:
            wait_until(lambda: over.is_set() or len(own_daemon.show(name)) == 2, "the wait or its end")
            with contextlib.suppress(lockd.LeaseLost):
                holder.release()

        holder.acquire()
        with ThreadPoolExecutor(1) as pool:
            released = pool.submit(release)
            interrupted = interrupt(lock.acquire, after)
            over.set()
            released.result()
        settle(own_daemon, lock)
        if not interrupted:
            break
    assert after > 50


def test_many_listeners_and_waiters_on_one_connection(daemon: Daemon, name: str) -> None:
    listeners = [Listener() for _ in range(12)]

    def work(listener: Listener) -> None:
        for _ in range(5):
            with lockd.Lock(name, progress=listener, progress_interval=0.1), lockd.Lock(f"{name}/inner"):
                pass

    with ThreadPoolExecutor(12) as pool:
        for done in [pool.submit(work, listener) for listener in listeners]:
            done.result()
    assert all(len(listener.threads) <= 12 for listener in listeners)

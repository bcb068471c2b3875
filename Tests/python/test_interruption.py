"""Exceptions from outside, anywhere: no lease is leaked, and nothing hangs."""

from __future__ import annotations

import contextlib
import itertools
import linecache
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, Callable

import pytest
from conftest import Daemon, RunProgram, wait_until

import lockd
from lockd._process import _endpoints, endpoint
from lockd._transport import Transport

SOURCES = os.path.dirname(lockd.__file__)


class Interruption(BaseException):
    """What a signal handler raises."""


def test_a_keyboard_interrupt_ends_the_wait_and_leaves_no_waiter(own_daemon: Daemon, run: RunProgram) -> None:
    program = run(
        """
        import lockd
        lock = lockd.Lock("interrupted")
        try:
            lock.acquire()
        except KeyboardInterrupt:
            print("interrupted")
        input()
        assert lock.lease is None
        """,
        own_daemon,
    )
    with lockd.Lock("interrupted"):
        own_daemon.await_waiters("interrupted", 1)
        program.signal(signal.SIGINT)
        assert program.hear() == "interrupted"
        own_daemon.await_waiters("interrupted", 0)
    program.say()
    program.finish()


def test_a_keyboard_interrupt_of_one_who_reads_for_all_leaves_the_others_waiting(
    own_daemon: Daemon, run: RunProgram
) -> None:
    program = run(
        """
        import threading, time
        import lockd

        def work():
            with lockd.Lock("other"):
                print("granted")

        thread = threading.Thread(target=work)
        try:
            # The thread starts while the main thread reads already.
            threading.Timer(0.1, thread.start).start()
            lockd.Lock("interrupted").acquire()
        except KeyboardInterrupt:
            print("interrupted")
        thread.join()
        """,
        own_daemon,
    )
    with lockd.Lock("interrupted"):
        with lockd.Lock("other"):
            own_daemon.await_waiters("interrupted", 1)
            own_daemon.await_waiters("other", 1)
            program.signal(signal.SIGINT)
            assert program.hear() == "interrupted"
            own_daemon.await_waiters("interrupted", 0)
        assert program.hear() == "granted"
    program.finish()


def test_a_grant_that_crosses_the_interruption_is_given_back(own_daemon: Daemon, name: str) -> None:
    """The daemon grants what was abandoned before it read of that. Nobody waits any more, and yet it is released."""
    lock = lockd.Lock(name)
    with lock:
        pass
    own_daemon.stop()
    with pytest.raises(lockd.DaemonUnavailable):
        lock.acquire(timeout=0)
    own_daemon.go_on()
    own_daemon.await_holder(name, None)
    assert own_daemon.session_count() == 1


def test_a_signal_handler_that_uses_lockd_in_the_midst_of_lockd_gets_an_error(
    own_daemon: Daemon, run: RunProgram
) -> None:
    program = run(
        """
        import signal
        import lockd

        held = lockd.Lock("held")
        held.acquire()

        def release(*_):
            try:
                held.release()
            except RuntimeError as error:
                print(type(error).__name__, error)

        signal.signal(signal.SIGUSR1, release)
        with lockd.Lock("awaited"):
            print("granted")
        """,
        own_daemon,
    )
    with lockd.Lock("awaited"):
        own_daemon.await_waiters("awaited", 1)
        program.signal(signal.SIGUSR1)
        assert program.hear().startswith("RuntimeError lockd was called by a signal handler that interrupted")
    assert program.hear() == "granted"
    program.finish()


def interrupt(work: Callable[[], object], after: int) -> bool:
    """Raise in the midst of ``work``, before line ``after`` of all that this library runs; say whether it got there.

    Where the interpreter itself runs no signal handler, nothing is raised: at the end of a ``with`` block, which the
    tracer takes for its first line; at ``try:``, which is no instruction; in finalizers, whose exceptions go nowhere.
    """
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        nonlocal count
        if not frame.f_code.co_filename.startswith(SOURCES) or frame.f_code.co_name in ("__del__", "forget"):
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and not line.lstrip().startswith(("with ", "try:")):
            count += 1
            if count == after:
                sys.settrace(None)
                raise Interruption
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except Interruption:
        return True
    finally:
        sys.settrace(before)
    return False


def settle(daemon: Daemon, lock: lockd.Lock) -> None:
    """What an interruption may leave: a lease that ``lock`` knows of, or one that ends by itself."""
    if lock.lease is not None:
        with contextlib.suppress(lockd.LeaseLost):
            lock.release()
    daemon.await_holder(lock.name.decode(), None)
    daemon.await_waiters(lock.name.decode(), 0)


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("ttl", [None, 60])
def test_an_acquire_that_is_interrupted_anywhere_leaks_nothing(
    own_daemon: Daemon, name: str, connected: bool, ttl: float | None
) -> None:
    for after in itertools.count(1):
        lock = lockd.Lock(name, ttl=ttl)
        if connected:
            lock.locked()
        else:
            # As if this process were new.
            for known in _endpoints.pop(os.getpid(), {}).values():
                known.forget()
        interrupted = interrupt(lock.acquire, after)
        if interrupted:
            assert lock.lease is None
        settle(own_daemon, lock)
        with lock as lease:
            assert not lease.lost
        if not interrupted:
            break
    assert after > 50


@pytest.mark.parametrize("ttl", [None, 60])
def test_a_release_that_is_interrupted_anywhere_leaks_nothing(own_daemon: Daemon, name: str, ttl: float | None) -> None:
    lock = lockd.Lock(name, ttl=ttl)
    for after in itertools.count(1):
        lock.acquire()
        interrupted = interrupt(lock.release, after)
        settle(own_daemon, lock)
        if not interrupted:
            break
    assert after > 30


def test_a_wait_that_is_interrupted_anywhere_leaks_nothing(own_daemon: Daemon, name: str) -> None:
    for after in itertools.count(1):
        holder, lock, over = lockd.Lock(name), lockd.Lock(name), threading.Event()

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


def test_a_wait_for_another_who_reads_that_is_interrupted_anywhere_leaks_nothing(own_daemon: Daemon, name: str) -> None:
    other = f"{name}/other"
    with ThreadPoolExecutor(1) as pool:
        for after in itertools.count(1):
            holder, reader, lock = lockd.Lock(other), lockd.Lock(other), lockd.Lock(name)
            holder.acquire()
            reading = pool.submit(reader.acquire, timeout=60)
            own_daemon.await_waiters(other, 1)
            interrupted = interrupt(lock.acquire, after)
            settle(own_daemon, lock)
            # An interruption in the midst of the bookkeeping ends the connection, and what others hold and await.
            with contextlib.suppress(lockd.LeaseLost):
                holder.release()
            with contextlib.suppress(lockd.DaemonUnavailable):
                assert reading.result()
            settle(own_daemon, reader)
            if not interrupted:
                break
    assert after > 50


@pytest.mark.parametrize("error", [TimeoutError, Interruption])
@pytest.mark.parametrize("arrives", [True, False])
def test_a_signal_handler_that_raises_while_a_line_is_sent_leaks_nothing(
    own_daemon: Daemon, name: str, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], arrives: bool
) -> None:
    """Nobody knows then whether it was sent. What a handler raises may look like a connection that broke."""
    send, lock = Transport.send, lockd.Lock(name)

    def interrupted_once(self: Transport, data: bytes, descriptor: object) -> int:
        monkeypatch.setattr(Transport, "send", send)
        if arrives:
            send(self, data, descriptor)
        raise error

    for _ in range(3):
        lock.locked()
        monkeypatch.setattr(Transport, "send", interrupted_once)
        with contextlib.suppress(Interruption):
            lock.acquire()
        # It is not asked for twice.
        own_daemon.await_waiters(name, 0)
        settle(own_daemon, lock)
        lock.acquire()
        monkeypatch.setattr(Transport, "send", interrupted_once)
        # The connection is closed, because nobody knows how much of the line is on it. That ends the session.
        with contextlib.suppress(Interruption, lockd.LeaseLost):
            lock.release()
        settle(own_daemon, lock)


def test_a_line_of_which_only_a_part_was_sent_is_sent_to_its_end(
    own_daemon: Daemon, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Transport.send
    monkeypatch.setattr(Transport, "send", lambda self, data, descriptor: send(self, data[:3], descriptor))
    with lockd.Lock(name) as lease:
        own_daemon.await_holder(name, os.getpid())
        assert not lease.lost
    own_daemon.await_holder(name, None)


def overlook(daemon: Daemon) -> Transport:
    """Take the connection for ended, though the daemon still has it. Returns it, to be kept."""
    session = endpoint(daemon.socket)._session
    assert session is not None
    link = session._link
    transport, link.transport = link.transport, None
    assert transport is not None
    assert link.core.detach()
    link.since = time.monotonic()
    link.reconnecting.succeed()
    link.reconnecting.begin(lockd.DaemonUnavailable(daemon.socket, "the test overlooks it"))
    return transport


def test_session_of_another_process_is_refused_and_that_is_the_end_of_it(own_daemon: Daemon, run: RunProgram) -> None:
    program = run(
        """
        import lockd, os
        from lockd._process import endpoint
        lockd.Client().ping()
        print(endpoint(os.environ["LOCKD_SOCKET"])._session.number)
        input()
        """,
        own_daemon,
    )
    theirs = int(program.hear())
    lock = lockd.Lock("name")
    lock.acquire()
    lease = lock.lease
    assert lease is not None
    former = overlook(own_daemon)
    session = endpoint(own_daemon.socket)._session
    assert session is not None
    session._link.core.number = theirs
    with pytest.raises(lockd.RequestRefused) as caught:
        lockd.Client().ping()
    assert caught.value.code == "foreign-process"
    assert lease.lost
    former.retire()
    own_daemon.await_holder("name", None)
    with lock:
        pass
    program.say()
    program.finish()


@pytest.mark.parametrize("holds", [True, False])
def test_session_that_is_resumed_and_interrupted_anywhere_leaks_nothing(
    own_daemon: Daemon, name: str, holds: bool
) -> None:
    """Also if that ends the session, while the daemon keeps it for whoever resumes it."""
    for after in itertools.count(1):
        lock, other = lockd.Lock(name), lockd.Lock(f"{name}/other")
        other.acquire()
        if not holds:
            other.release()
        former = overlook(own_daemon)
        interrupted = interrupt(lock.acquire, after)
        if interrupted:
            assert lock.lease is None
        former.retire()
        lockd.Client().ping()
        settle(own_daemon, lock)
        settle(own_daemon, other)
        assert own_daemon.session_count() == 1
        if not interrupted:
            break
    assert after > 100

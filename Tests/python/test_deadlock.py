"""Owners, and waits that would never end."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Daemon, RunProgram

import lockd


def test_whoever_closes_the_cycle_is_refused_and_the_other_is_granted(daemon: Daemon, name: str) -> None:
    first, second = f"{name}/a", f"{name}/b"
    with ThreadPoolExecutor(1) as pool:
        with lockd.Lock(first, owner="one") as lease:
            held = lockd.Lock(second, owner="two")
            held.acquire()
            waiting = pool.submit(lockd.Lock(first, owner="two").acquire)
            daemon.await_waiters(first, 1)
            with pytest.raises(lockd.DeadlockError) as caught:
                lockd.Lock(second, owner="one").acquire()
            assert not lease.lost
            assert daemon.show(second)[1:] == []
        assert waiting.result()
        held.release()
    error = caught.value
    assert error.names == (second.encode(),)
    assert [(edge.name, edge.waiter_owner, edge.holder_owner) for edge in error.edges] == [
        (second.encode(), b"one", b"two"),
        (first.encode(), b"two", b"one"),
    ]
    assert {edge.waiter_pid for edge in error.edges} == {edge.holder_pid for edge in error.edges} == {os.getpid()}
    assert error.edges[1].token == lease.token
    assert str(error).startswith(f"waiting for '{second}' would be a deadlock: process {os.getpid()} (owner 'one'")
    assert pickle.loads(pickle.dumps(error)).edges == error.edges


def test_cycle_of_two_processes_is_seen(daemon: Daemon, name: str, run: RunProgram) -> None:
    first, second = f"{name}/a", f"{name}/b"
    program = run(
        """
        import sys
        import lockd
        with lockd.Lock(sys.argv[1], owner=lockd.thread_owner):
            print("held")
            with lockd.Lock(sys.argv[2], owner=lockd.thread_owner):
                print("both")
        """,
        daemon,
        first,
        second,
    )
    with lockd.Lock(second, owner=lockd.thread_owner):
        assert program.hear() == "held"
        daemon.await_waiters(second, 1)
        with pytest.raises(lockd.DeadlockError) as caught:
            lockd.Lock(first, owner=lockd.thread_owner).acquire()
        assert {edge.holder_pid for edge in caught.value.edges} == {os.getpid(), program.pid}
    assert program.hear() == "both"
    program.finish()


def test_without_owners_nothing_is_seen_and_the_wait_runs_out(daemon: Daemon, name: str) -> None:
    first, second = f"{name}/a", f"{name}/b"
    with ThreadPoolExecutor(1) as pool:
        with lockd.Lock(first), lockd.Lock(second):
            waiting = pool.submit(lockd.Lock(first).acquire)
            daemon.await_waiters(first, 1)
            assert not lockd.Lock(second).acquire(timeout=0.05)
        assert waiting.result()


def test_owner_that_holds_the_lock_gets_an_error_and_keeps_it(daemon: Daemon, name: str) -> None:
    lock = lockd.Lock(name, f"{name}/more", owner=b"me")
    with lock as lease:
        for again in (lock, lockd.Lock(name, owner="me")):
            with pytest.raises(lockd.AlreadyHeld) as caught:
                again.acquire()
            assert (caught.value.names, caught.value.token) == (lock.names, lease.token)
        assert lock.lease is lease
        assert not lease.lost
        assert daemon.holder(name) == os.getpid()
        assert not lockd.Lock(name, owner="you").acquire(False)
    assert daemon.holder(name) is None


def test_owner_may_be_asked_for_by_each_acquire(daemon: Daemon, name: str) -> None:
    lock = pickle.loads(pickle.dumps(lockd.Lock(name, owner=lockd.thread_owner)))
    with lock, ThreadPoolExecutor(1) as pool:
        with pytest.raises(lockd.AlreadyHeld):
            lock.acquire()
        assert not pool.submit(lock.acquire, timeout=0.05).result()
        (line,) = lockd.Client().show(name)
        assert line.owner == lockd.thread_owner().encode()
        assert pool.submit(lockd.thread_owner).result() != lockd.thread_owner()


def test_owner_that_cannot_be_said_is_refused(daemon: Daemon, name: str) -> None:
    with pytest.raises(lockd.LocalProtocolError, match="an owner has 1 to 64 bytes, not 65"):
        lockd.Lock(name, owner=lambda: "o" * 65).acquire()

"""Questions to the daemon."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Daemon

import lockd


def test_ping_is_answered(daemon: Daemon) -> None:
    lockd.Client().ping()
    lockd.Client(socket=daemon.socket).ping()


def test_show_has_the_lease_and_then_the_waiters(daemon: Daemon, lock: lockd.Lock, name: str) -> None:
    client = lockd.Client()
    assert client.show(name) == []
    with ThreadPoolExecutor(1) as pool, lock as lease:
        waiting = pool.submit(lockd.Lock(name, note="second").acquire)
        daemon.await_waiters(name, 1)
        held, waiter = client.show(name)
        assert isinstance(held, lockd.LeaseLine)
        assert (held.name, held.token, held.waiters) == (name.encode(), lease.token, 1)
        assert isinstance(waiter, lockd.WaiterLine)
        assert (waiter.position, waiter.note) == (1, b"second")
    assert waiting.result()


def test_list_goes_through_all_pages(daemon: Daemon, name: str) -> None:
    locks = [lockd.Lock(f"{name}/{number}") for number in range(501)]
    for lock in locks:
        lock.acquire()
    try:
        listed = list(lockd.Client().list(f"{name}/"))
        assert sorted(line.name for line in listed) == sorted(lock.name for lock in locks)
        assert {line.name for line in lockd.Client().list()} >= {lock.name for lock in locks}
    finally:
        for lock in locks:
            lock.release()


def test_a_name_that_is_none_is_refused(daemon: Daemon) -> None:
    for ask in (lockd.Client().show, lockd.Client().list):
        with pytest.raises(lockd.LocalProtocolError, match="a lock name has 1 to 255 bytes"):
            ask("")

"""Locks with several names."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Daemon, wait_until

import lockd


@pytest.fixture
def names(name: str) -> tuple[str, str]:
    """Two names that no other test uses."""
    return f"{name}/a", f"{name}/b"


@pytest.fixture
def both(daemon: Daemon, names: tuple[str, str]) -> lockd.Lock:
    """A lock with both of them."""
    return lockd.Lock(*names)


def test_names_are_held_and_released_together(both: lockd.Lock, names: tuple[str, str]) -> None:
    each = [lockd.Lock(name) for name in names]
    with both as lease:
        assert lease.names == both.names == tuple(name.encode() for name in names)
        assert lease.name == both.name == names[0].encode()
        assert re.fullmatch(rf"<locked lockd\.Lock object '{names[0]}', '{names[1]}' token=\d+ at \w+>", repr(both))
        assert repr(lease) == f"<lockd.Lease of '{names[0]}', '{names[1]}' token={lease.token}>"
        assert [lock.acquire(False) for lock in each] == [False, False]
        assert not lockd.Lock(*reversed(names)).acquire(timeout=0.01)
    assert [lock.acquire(False) for lock in each] == [True, True]
    for lock in each:
        lock.release()


def test_wait_holds_nothing_and_nothing_overtakes_it(daemon: Daemon, both: lockd.Lock, names: tuple[str, str]) -> None:
    first, second = map(lockd.Lock, names)
    with ThreadPoolExecutor(1) as pool:
        with first:
            waiting = pool.submit(both.acquire)
            daemon.await_waiters(names[0], 1)
            assert daemon.holder(names[1]) is None
            assert not second.locked()
            assert not second.acquire(False)
        assert waiting.result()
    both.release()


def test_no_order_of_names_has_to_be_agreed_upon(daemon: Daemon, names: tuple[str, str]) -> None:
    count = 0

    def work(own: lockd.Lock) -> None:
        nonlocal count
        for _ in range(50):
            with own:
                before = count
                time.sleep(0)
                count = before + 1

    with ThreadPoolExecutor(8) as pool:
        orders = [names, names[::-1]] * 4
        for done in [pool.submit(work, lockd.Lock(*order)) for order in orders]:
            done.result()
    assert count == 400


def test_any_of_them_is_locked(both: lockd.Lock, names: tuple[str, str]) -> None:
    assert not both.locked()
    for name in names:
        with lockd.Lock(name):
            assert both.locked()


def test_loss_is_that_of_all(daemon: Daemon, both: lockd.Lock, names: tuple[str, str]) -> None:
    with pytest.raises(lockd.LeaseLost, match="revoked") as caught, both as lease:  # noqa: PT012
        daemon.ask(f"REVOKE {names[1]}")
        wait_until(lambda: lease.lost, "the loss")
        assert daemon.holder(names[0]) is None
    assert caught.value.names == both.names


def test_lease_with_a_ttl_is_renewed(daemon: Daemon, names: tuple[str, str]) -> None:
    with lockd.Lock(*names, ttl=0.3) as lease:

        def held() -> int:
            (line,) = lockd.Client().show(names[1])
            assert isinstance(line, lockd.LeaseLine)
            assert (line.token, line.name_count) == (lease.token, 2)
            return line.held or 0

        wait_until(lambda: held() > 1000, "a lease that outlives its ttl")
        assert not lease.lost


def test_shared_names_are_held_together(daemon: Daemon, names: tuple[str, str]) -> None:
    with lockd.Lock(*names, shared=True), lockd.Lock(names[1], shared=True):
        assert not lockd.Lock(names[1]).acquire(False)


def test_queue_that_is_full_is_told_with_all_names(daemon: Daemon, names: tuple[str, str]) -> None:
    with lockd.Lock(names[1]), pytest.raises(lockd.QueueFull) as caught, lockd.Lock(*names, max_queue=0):
        pytest.fail("it is held")
    assert caught.value.names == tuple(name.encode() for name in names)


def test_owner_of_a_part_has_to_release_first(daemon: Daemon, names: tuple[str, str]) -> None:
    with lockd.Lock(names[0], owner="me"):
        with pytest.raises(lockd.RequestRefused) as caught:
            lockd.Lock(*names, owner="me").acquire()
        assert caught.value.code == "partly-held"
        assert not isinstance(caught.value, lockd.LimitReached)
    with lockd.Lock(*names, owner="me"):
        pass

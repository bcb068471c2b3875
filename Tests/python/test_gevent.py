"""Greenlets: nothing blocks the hub, and patching may come after the import."""

from __future__ import annotations

import textwrap
from typing import Callable

import pytest
from conftest import Daemon, Program, RunProgram

import lockd

pytest.importorskip("gevent")

# lockd is imported, and a lock made, before gevent patches: as in gunicorn's workers under --preload.
HEADER = """
import os, threading, time
import lockd
lock = lockd.Lock("gevent")

from gevent import monkey
monkey.patch_all()
import gevent
"""

RunGreenlets = Callable[[str], Program]


@pytest.fixture
def greenlets(own_daemon: Daemon, run: RunProgram) -> RunGreenlets:
    """Run a program under gevent."""
    return lambda body: run(HEADER + textwrap.dedent(body), own_daemon)


@pytest.mark.parametrize("arguments", ["", "timeout=60"])
def test_a_greenlet_that_waits_lets_the_others_run(own_daemon: Daemon, greenlets: RunGreenlets, arguments: str) -> None:
    """gevent/gevent#1657: a lock of files that waits stops the hub, and gunicorn takes its worker for one that hangs."""
    program = greenlets(
        f"""
        def tick():
            for number in range(5):
                print("tick", number)
                gevent.sleep(0.01)
            print("waiting")

        def work():
            assert lock.acquire({arguments})
            print("granted")
            lock.release()

        waiting = gevent.spawn(work)
        gevent.spawn(tick).join()
        waiting.join()
        """
    )
    with lockd.Lock("gevent"):
        # The ticks come while the other greenlet waits.
        assert [program.hear() for _ in range(6)] == [f"tick {number}" for number in range(5)] + ["waiting"]
        own_daemon.await_waiters("gevent", 1)
    assert program.hear() == "granted"
    program.finish()


def test_many_greenlets_count_without_losing_any_on_one_connection(own_daemon: Daemon, greenlets: RunGreenlets) -> None:
    program = greenlets(
        """
        count = 0

        def work(own):
            global count
            for _ in range(20):
                with own:
                    before = count
                    gevent.sleep(0)
                    count = before + 1

        working = [gevent.spawn(work, lock if number % 2 else lockd.Lock("gevent")) for number in range(50)]
        gevent.joinall(working, raise_error=True)
        print(count)
        input()
        """
    )
    assert program.hear() == "1000"
    assert own_daemon.session_count() == 1
    program.say()
    program.finish()


def test_a_timeout_of_gevent_leaves_no_waiter(own_daemon: Daemon, greenlets: RunGreenlets) -> None:
    program = greenlets(
        """
        for _ in range(3):
            try:
                with gevent.Timeout(0.05):
                    lock.acquire()
            except gevent.Timeout:
                print("timeout")
        assert lock.lease is None
        gevent.spawn(input).join()
        lock.acquire()
        print("granted")
        """
    )
    with lockd.Lock("gevent"):
        assert [program.hear() for _ in range(3)] == ["timeout"] * 3
        own_daemon.await_waiters("gevent", 0)
    program.say()
    assert program.hear() == "granted"
    program.finish()
    own_daemon.await_holder("gevent", None)


def test_a_greenlet_that_is_killed_leaves_no_waiter(own_daemon: Daemon, greenlets: RunGreenlets) -> None:
    program = greenlets(
        """
        waiting = [gevent.spawn(lock.acquire) for _ in range(3)]
        while len(lockd.Client().show("gevent")) < 4:
            gevent.sleep(0)
        # The first of them reads for all.
        waiting[0].kill()
        waiting[2].kill()
        print("killed")
        waiting[1].join()
        print("granted")
        lock.release()
        """
    )
    with lockd.Lock("gevent"):
        assert program.hear() == "killed"
        own_daemon.await_waiters("gevent", 1)
    assert program.hear() == "granted"
    program.finish()


def test_a_lease_with_a_ttl_is_renewed_by_a_greenlet(greenlets: RunGreenlets) -> None:
    program = greenlets(
        """
        with lockd.Lock("gevent", ttl=0.3) as lease:
            assert not lock.acquire(timeout=1)
            gevent.sleep(1)
            assert not lease.lost
        # All of it on one thread.
        print(len(os.listdir("/proc/self/task")))
        """
    )
    assert program.finish() == "1"


def test_a_forked_copy_of_a_waiting_greenlet_takes_nothing_from_its_parent(
    own_daemon: Daemon, greenlets: RunGreenlets
) -> None:
    program = greenlets(
        """
        parent = os.getpid()

        def work():
            try:
                with lock:
                    print("granted", os.getpid() == parent)
            except lockd.DaemonUnavailable as error:
                assert os.getpid() != parent
                print("refused")

        waiting = gevent.spawn(work)
        while len(lockd.Client().show("gevent")) < 2:
            gevent.sleep(0)
        pid = os.fork()
        if pid == 0:
            # Its hub goes on with all greenlets of its parent.
            gevent.sleep(0.01)
            assert not lockd.Lock("gevent").acquire(False)
            print("forked")
            waiting.join()
            os._exit(0)
        waiting.join()
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    with lockd.Lock("gevent"):
        assert sorted([program.hear(), program.hear()]) == ["forked", "refused"]
    assert program.hear() == "granted True"
    program.finish()

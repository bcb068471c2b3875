"""Watching what happens."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import PATIENCE, Daemon, wait_until

import lockd


def next_event(watch: lockd.Watch) -> lockd.Event:
    event = watch.wait(PATIENCE)
    assert isinstance(event, lockd.Event)
    return event


def test_what_happens_is_told_in_order(daemon: Daemon, name: str) -> None:
    with lockd.Client().watch(name) as watch, ThreadPoolExecutor(1) as pool:
        lock = lockd.Lock(name, f"{name}/more", note="nightly run")
        with lock as lease:
            waiting = pool.submit(lockd.Lock(name).acquire, timeout=0.01)
            assert not waiting.result()
        events = [next_event(watch) for _ in range(4)]
        assert [event.kind for event in events] == ["granted", "queued", "unqueued", "released"]
        granted, queued, unqueued, released = events
        for event in (granted, released):
            assert (event.names, event.token, event.note) == (lock.names, lease.token, b"nightly run")
            assert (event.pid, event.uid) == (os.getpid(), os.getuid())
        assert (queued.names, queued.position, queued.token) == ((name.encode(),), 1, None)
        assert unqueued.reason == "timeout"
        assert None not in (granted.waited, unqueued.waited, released.held)


def test_other_names_are_not_told(daemon: Daemon, name: str) -> None:
    with lockd.Client().watch(f"{name}/a") as watch:
        for each in (f"{name}/b", f"{name}/a/1", f"{name}/b"):
            with lockd.Lock(each):
                pass
        assert [next_event(watch).names for _ in range(2)] == [(f"{name}/a/1".encode(),)] * 2
        assert watch.wait(0.05) is None


def test_everything_is_told_without_a_prefix(daemon: Daemon, name: str) -> None:
    with lockd.Client().watch() as watch, lockd.Lock(name):
        while next_event(watch).names != (name.encode(),):
            pass


def test_leases_that_are_lost_are_told(daemon: Daemon, name: str) -> None:
    with lockd.Client().watch(name) as watch:
        with pytest.raises(lockd.LeaseLost), lockd.Lock(name) as lease:  # noqa: PT012
            lockd.Client().renew(name, lease.token, 0.01)
            wait_until(lambda: lease.lost, "the end of its ttl")
        with pytest.raises(lockd.LeaseLost), lockd.Lock(name):
            daemon.ask(f"REVOKE {name}")
        daemon.ask(f"ACQUIRE {name}")
        kinds = [next_event(watch).kind for _ in range(6)]
        assert kinds == ["granted", "expired", "granted", "revoked", "granted", "abandoned"]


def test_closing_ends_the_iteration_of_another_thread(daemon: Daemon, name: str) -> None:
    watch = lockd.Client().watch(name)
    seen = threading.Event()

    def work() -> list[str]:
        kinds = []
        for event in watch:
            assert isinstance(event, lockd.Event)
            kinds.append(event.kind)
            seen.set()
        return kinds

    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(work)
        with lockd.Lock(name):
            seen.wait()
            watch.close()
            assert told.result() == ["granted"]
    watch.close()
    assert watch.wait() is None
    assert list(watch) == []


def test_watch_that_was_closed_leaves_no_session(own_daemon: Daemon) -> None:
    with lockd.Client().watch():
        assert own_daemon.session_count() == 1
    wait_until(lambda: own_daemon.session_count() == 0, "the end of the session")


def test_daemon_that_is_not_there_is_an_error() -> None:
    with pytest.raises(lockd.DaemonUnavailable):
        lockd.Client(socket="/nonexistent/lockd.sock").watch()


def test_daemon_that_does_not_answer_is_an_error(own_daemon: Daemon) -> None:
    own_daemon.stop()
    began = time.monotonic()
    with pytest.raises(lockd.DaemonUnavailable, match="does not answer"):
        lockd.Client(connect_timeout=0.1).watch()
    assert time.monotonic() - began < PATIENCE
    own_daemon.go_on()


def test_forked_child_cannot_use_it_nor_disturb_it(daemon: Daemon, name: str) -> None:
    with lockd.Client().watch(name) as watch:
        child = os.fork()
        if child == 0:
            try:
                watch.wait(1)
            except lockd.DaemonUnavailable:
                watch.close()
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        with lockd.Lock(name):
            assert next_event(watch).kind == "granted"


def test_who_does_not_keep_up_is_told_how_much_was_missed(daemon: Daemon, name: str) -> None:
    note = "n" * 256
    rounds = 3000
    with lockd.Client().watch(name) as watch:
        for _ in range(rounds):
            with lockd.Lock(name, note=note):
                pass
        told, missed = 0, 0
        while told + missed < 2 * rounds:
            event = watch.wait(PATIENCE)
            assert event is not None
            if isinstance(event, lockd.Missed):
                assert event.count is not None
                missed += event.count
            else:
                told += 1
        assert told + missed == 2 * rounds
        assert missed > 0

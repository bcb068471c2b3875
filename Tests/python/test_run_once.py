"""What one process runs, and no other."""

from __future__ import annotations

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest
from conftest import PATIENCE, Daemon, Program, RunProgram, wait_until

import lockd

# A candidate: says when it starts and stops, and does as it is told.
CANDIDATE = """
import sys
import lockd

def start():
    print("start", flush=True)

def stop():
    print("stop", flush=True)

task = lockd.run_once_per_host(sys.argv[1], start, stop)
task.start()
for line in sys.stdin:
    print(eval(line), flush=True)
"""

# Makes a migration: says whether it is for it to do, and does as it is told.
MIGRATION = """
import sys
import lockd

with lockd.run_once_per_host(sys.argv[1]) as is_mine:
    print(is_mine, flush=True)
    if sys.stdin.readline() == "fail\\n":
        sys.exit(1)
"""


class Task:
    """Counts what a ``HostTask`` calls."""

    def __init__(self, name: str, stop: Callable[[], object] = lambda: None) -> None:
        self.started = threading.Semaphore(0)
        self.stopped = threading.Semaphore(0)
        self._stop = stop
        self.task = lockd.run_once_per_host(name, self.started.release, self.stop)

    def stop(self) -> None:
        self._stop()
        self.stopped.release()


@pytest.fixture
def candidate(daemon: Daemon, run: RunProgram, name: str) -> Callable[[], Program]:
    return lambda: run(CANDIDATE, daemon, name)


def test_one_runs_and_the_next_takes_over_when_it_dies(
    daemon: Daemon, candidate: Callable[[], Program], name: str
) -> None:
    first = candidate()
    assert first.hear() == "start"
    second = candidate()
    daemon.await_waiters(name, 1)
    assert daemon.holder(name) == first.pid
    first.signal(signal.SIGKILL)
    assert second.hear() == "start"
    assert daemon.holder(name) == second.pid


def test_handing_over_stops_before_the_next_starts(daemon: Daemon, name: str) -> None:
    told = threading.Event()
    first, second = Task(name, stop=lambda: told.wait(PATIENCE)), Task(name)
    first.task.start()
    assert first.started.acquire(timeout=PATIENCE)
    second.task.start()
    daemon.await_waiters(name, 1)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(first.task.stop)
        wait_until(lambda: not first.task.is_running, "the first being stopped")
        # Its function has not returned, so the lease is not given back, and the other does not run.
        daemon.await_waiters(name, 1)
        assert not second.task.is_running
        told.set()
        assert stopping.result()
    assert first.stopped.acquire(timeout=0)
    assert second.started.acquire(timeout=PATIENCE)
    second.task.close()
    assert second.stopped.acquire(timeout=0)
    assert daemon.show(name) == []


def test_stop_has_a_timeout_and_may_be_called_by_start(daemon: Daemon, name: str) -> None:
    told = threading.Event()
    first = Task(name, stop=lambda: told.wait(PATIENCE))
    first.task.start()
    assert first.started.acquire(timeout=PATIENCE)
    assert first.task.stop(timeout=0.01) is False
    assert first.task.stop(timeout=0.01) is False
    told.set()
    assert first.task.stop() is True
    daemon.await_holder(name, None)

    answers: list[bool] = []

    def start() -> None:
        answers.append(second.stop())

    second = lockd.run_once_per_host(name, start)
    second.start()
    wait_until(lambda: answers == [False], "the function start")
    daemon.await_holder(name, None)


def test_it_can_be_started_again_and_twice(daemon: Daemon, name: str) -> None:
    counted = Task(name)
    for _ in range(2):
        with counted.task as task:
            task.start()
            assert counted.started.acquire(timeout=PATIENCE)
            wait_until(lambda: task.is_running, "the task running")
            assert repr(task) == f"<lockd.HostTask '{name}' running>"
            assert daemon.show(name)[0].startswith("LEASE")
            assert len(daemon.show(name)) == 1
        assert counted.stopped.acquire(timeout=0)
        assert not task.is_running
    assert task.stop()


def test_one_that_is_stopped_while_it_waits_never_runs(daemon: Daemon, name: str) -> None:
    counted, after = Task(name), Task(name)
    with lockd.Lock(name):
        counted.task.start()
        daemon.await_waiters(name, 1)
        assert counted.task.stop()
        after.task.start()
        daemon.await_waiters(name, 1)
    assert after.started.acquire(timeout=PATIENCE)
    after.task.stop()
    assert not counted.started.acquire(timeout=0)
    assert not counted.stopped.acquire(timeout=0)


def test_one_that_is_stopped_while_it_waits_leaves_the_queue_at_once(daemon: Daemon, name: str) -> None:
    counted = Task(name)
    with lockd.Lock(name) as lease:
        for _ in range(2):
            counted.task.start()
            daemon.await_waiters(name, 1)
            assert counted.task.stop()
            daemon.await_waiters(name, 0)
            assert counted.task.stop()
            await_no_thread()
        assert not lease.lost
    assert not counted.started.acquire(timeout=0)
    with counted.task:
        assert counted.started.acquire(timeout=PATIENCE)


def test_others_of_the_process_wait_on_when_one_is_stopped(daemon: Daemon, name: str) -> None:
    """Whichever of them receives for all."""
    for first in (True, False):
        counted = Task(f"{name}/task")
        with lockd.Lock(f"{name}/task"), ThreadPoolExecutor(1) as pool:
            with lockd.Lock(name):
                if first:
                    counted.task.start()
                    daemon.await_waiters(f"{name}/task", 1)
                other = pool.submit(lockd.Lock(name).acquire)
                daemon.await_waiters(name, 1)
                if not first:
                    counted.task.start()
                    daemon.await_waiters(f"{name}/task", 1)
                counted.task.stop()
                daemon.await_waiters(f"{name}/task", 0)
                await_no_thread()
                daemon.await_waiters(name, 1)
            assert other.result()
        daemon.ask(f"REVOKE {name}")


def test_one_that_is_stopped_while_there_is_no_daemon_is_not_there_when_it_is_back(
    own_daemon: Daemon, name: str
) -> None:
    counted = Task(name)
    lock = lockd.Lock(name)
    lock.acquire()
    counted.task.start()
    own_daemon.await_waiters(name, 1)
    own_daemon.kill()
    assert counted.task.stop()
    await_no_thread()
    own_daemon.start()
    own_daemon.await_holder(name, os.getpid())
    own_daemon.await_waiters(name, 0)
    lock.release()
    assert not counted.started.acquire(timeout=0)


def test_one_that_is_stopped_as_it_is_granted_keeps_nothing(daemon: Daemon, name: str) -> None:
    for _ in range(100):
        counted, lock = Task(name), lockd.Lock(name)
        lock.acquire()
        counted.task.start()
        daemon.await_waiters(name, 1)
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(counted.task.stop)
            lock.release()
            assert stopping.result()
        daemon.await_holder(name, None)
        daemon.await_waiters(name, 0)
        assert counted.started.acquire(timeout=0) == counted.stopped.acquire(timeout=0)


def await_no_thread() -> None:
    """Return when nothing waits, starts or stops."""
    wait_until(lambda: all(each.name != "lockd-once" for each in threading.enumerate()), "the end of the thread")


def test_a_loss_stops_it_and_it_waits_again(daemon: Daemon, name: str, caplog: pytest.LogCaptureFixture) -> None:
    counted = Task(name)
    counted.task.start()
    assert counted.started.acquire(timeout=PATIENCE)
    daemon.ask(f"REVOKE {name}")
    assert counted.stopped.acquire(timeout=PATIENCE)
    assert counted.started.acquire(timeout=PATIENCE)
    counted.task.stop()
    assert "was lost: revoked" in caplog.text


@pytest.mark.parametrize("error", [OSError, SystemExit])
def test_what_cannot_be_started_is_left_to_another(
    daemon: Daemon, name: str, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    def fail() -> None:
        raise error

    failing = lockd.run_once_per_host(name, fail)
    counted = Task(name, stop=fail)
    with lockd.Lock(name):
        failing.start()
        daemon.await_waiters(name, 1)
        counted.task.start()
        daemon.await_waiters(name, 2)
    assert counted.started.acquire(timeout=PATIENCE)
    assert "could not be started" in caplog.text
    failing.stop()
    # What stop() raises keeps nobody from the lease.
    assert counted.task.stop()
    assert "could not be stopped" in caplog.text
    daemon.await_holder(name, None)


def test_it_waits_for_a_daemon(own_daemon: Daemon, name: str, caplog: pytest.LogCaptureFixture) -> None:
    own_daemon.end(signal.SIGTERM)
    counted = Task(name)
    with counted.task:
        wait_until(lambda: "waiting to run" in caplog.text, "a complaint")
        own_daemon.start()
        assert counted.started.acquire(timeout=PATIENCE)
        # A restart stops nothing.
        own_daemon.restart()
        assert own_daemon.holder(name) == os.getpid()
    assert counted.stopped.acquire(timeout=0)
    assert not counted.stopped.acquire(timeout=0)
    assert caplog.text.count("waiting to run") == 1


def test_stop_does_not_wait_long_for_a_daemon_that_has_gone(
    own_daemon: Daemon, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockd._once, "ANSWER_TIMEOUT", 0.01)
    counted = Task(name)
    counted.task.start()
    assert counted.started.acquire(timeout=PATIENCE)
    own_daemon.kill()
    assert counted.task.stop() is False
    assert counted.stopped.acquire(timeout=0)
    own_daemon.start()
    own_daemon.await_holder(name, None)


def test_a_forked_child_begins_anew(daemon: Daemon, run: RunProgram, name: str) -> None:
    program = run(
        """
        import os, sys, threading, warnings
        import lockd

        # From Python 3.12 on, fork() warns in a process with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        started = threading.Event()
        task = lockd.run_once_per_host(sys.argv[1], started.set, lambda: print("stop", os.getpid()))
        task.start()
        started.wait()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            print(task.is_running, task.stop())
            started.clear()
            task.start()
            os.read(reading, 1)
            started.wait()
            print("started")
            task.close()
            os._exit(0)
        print(sys.stdin.readline().strip(), task.is_running)
        task.close()
        os.write(writing, b"x")
        os.waitpid(child, 0)
        print(os.getpid(), child)
        """,
        daemon,
        name,
        python=(),
    )
    assert program.hear() == "False True"
    daemon.await_waiters(name, 1)
    program.say("parent")
    lines = [program.hear() for _ in range(5)]
    parent, child = lines.pop().split()
    assert lines == ["parent True", f"stop {parent}", "started", f"stop {child}"]
    program.finish()


def test_a_stop_needs_a_start(name: str) -> None:
    with pytest.raises(TypeError):
        lockd.run_once_per_host(name, stop=print)  # type: ignore[call-overload]
    with pytest.raises(lockd.LocalProtocolError):
        lockd.run_once_per_host("", print)


def test_those_who_waited_for_a_migration_do_not_make_it_again(daemon: Daemon, run: RunProgram, name: str) -> None:
    programs = [run(MIGRATION, daemon, name)]
    assert programs[0].hear() == "True"
    for count in (1, 2):
        programs.append(run(MIGRATION, daemon, name))
        daemon.await_waiters(name, count)
    for program, expected in zip(programs, ["True", "False", "False"]):
        if expected == "False":
            assert program.hear() == expected
        program.say("done")
        program.finish()
    assert daemon.show(name) == []


@pytest.mark.parametrize("how", ["fail", "die"])
def test_a_migration_that_failed_is_made_by_the_next(daemon: Daemon, run: RunProgram, name: str, how: str) -> None:
    first = run(MIGRATION, daemon, name)
    assert first.hear() == "True"
    others = []
    for count in (1, 2):
        others.append(run(MIGRATION, daemon, name))
        daemon.await_waiters(name, count)
    if how == "fail":
        first.say("fail")
        first.finish(status=1)
    else:
        first.signal(signal.SIGKILL)
    assert others[0].hear() == "True"
    others[0].say("done")
    # One that failed without having had anything to do leaves nothing undone.
    assert others[1].hear() == "False"
    last = run(MIGRATION, daemon, name)
    daemon.await_waiters(name, 1)
    others[1].say("fail")
    assert last.hear() == "False"
    last.say("done")
    last.finish()


def test_work_whose_lease_is_lost_says_so(daemon: Daemon, name: str) -> None:
    work = lockd.run_once_per_host(name)
    with pytest.raises(lockd.LeaseLost), work:
        daemon.ask(f"REVOKE {name}")
    with pytest.raises(ZeroDivisionError), work:  # noqa: PT012
        daemon.ask(f"REVOKE {name}")
        raise ZeroDivisionError
    with work as is_mine:
        assert is_mine


def test_stopping_is_heard_while_a_daemon_is_only_a_listening_socket(own_daemon: Daemon, name: str) -> None:
    with lockd.Lock(name):
        waiting = Task(name)
        waiting.task.start()
        own_daemon.await_waiters(name, 1)
        own_daemon.kill()
        os.unlink(own_daemon.socket)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(own_daemon.socket)
            listener.listen(8)
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(100).startswith(b"#")
                assert waiting.task.stop()
                wait_until(lambda: "lockd-once" not in {thread.name for thread in threading.enumerate()}, "its end")
        os.unlink(own_daemon.socket)
        own_daemon.start()
    assert waiting.started.acquire(timeout=0) is False

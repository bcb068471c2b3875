"""Forked children: what they inherit is their parent's, and stays so."""

from __future__ import annotations

import multiprocessing
import os
import signal
import textwrap
from pathlib import Path
from typing import Callable, Literal

import pytest
from conftest import PATIENCE, Daemon, Program, RunProgram

import lockd

HEADER = """
import gc, os, socket, sys, threading, time, traceback, warnings
import lockd
from lockd._process import _endpoints, endpoint

# From Python 3.12 on, fork() warns in a process with threads. Some of these tests are about just that.
warnings.simplefilter("ignore", DeprecationWarning)

def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0

lock = lockd.Lock("fork")
"""

RunForking = Callable[[str], Program]


@pytest.fixture
def forking(own_daemon: Daemon, run: RunProgram) -> RunForking:
    """Run a program that forks."""
    return lambda body: run(HEADER + textwrap.dedent(body), own_daemon)


@pytest.mark.parametrize(
    "leave",
    [
        "os._exit(0)",
        "sys.exit(0)",
        "gc.collect(); os._exit(0)",
        "_endpoints.clear(); del lock, lease; gc.collect(); sys.exit(0)",
        "lockd.Client().ping(); sys.exit(0)",
    ],
)
def test_a_child_that_ends_leaves_its_parents_lease(own_daemon: Daemon, forking: RunForking, leave: str) -> None:
    program = forking(
        f"""
        lock.acquire()
        lease = lock.lease
        pid = os.fork()
        if pid == 0:
            {leave}
        assert os.waitpid(pid, 0)[1] == 0
        print(lease.lost)
        input()
        lock.release()
        """
    )
    assert program.hear() == "False"
    assert own_daemon.holder("fork") == program.pid
    program.say()
    program.finish()
    assert own_daemon.holder("fork") is None


def test_a_child_can_not_release_what_its_parent_holds(own_daemon: Daemon, forking: RunForking) -> None:
    program = forking(
        """
        lock.acquire()
        lease = lock.lease

        def child():
            assert lock.lease is None
            assert lease.lost
            assert "<unlocked" in repr(lock)
            for release in (lock.release, lambda: lock.__exit__(None, None, None)):
                try:
                    release()
                except lockd.NotHeld:
                    pass
                else:
                    raise AssertionError
            lock._at_fork_reinit()
            assert lock.locked()
            assert not lock.acquire(False)
            print("refused")

        in_child(child)
        print(lock.lease is lease, lease.lost)
        input()
        lock.release()
        """
    )
    assert program.hear() == "refused"
    assert program.hear() == "True False"
    assert own_daemon.holder("fork") == program.pid
    program.say()
    program.finish()


def test_a_child_acquires_on_a_connection_of_its_own(own_daemon: Daemon, forking: RunForking) -> None:
    program = forking(
        """
        lock.acquire()
        pid = os.fork()
        if pid == 0:
            with lock as lease:
                assert lock.lease is lease
                print(os.getpid())
                input()
            os._exit(0)
        input()
        lock.release()
        assert lock.lease is None
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    own_daemon.await_waiters("fork", 1)
    assert own_daemon.session_count() == 2
    program.say()
    own_daemon.await_holder("fork", int(program.hear()))
    program.say()
    program.finish()


def test_a_child_forked_while_other_threads_wait_is_not_stuck(own_daemon: Daemon, forking: RunForking) -> None:
    program = forking(
        """
        lock.acquire()
        waiting = [threading.Thread(target=lambda: lockd.Lock("fork").acquire()) for _ in range(3)]
        for thread in waiting:
            thread.start()
        while len(lockd.Client().show("fork")) < 4:
            pass

        def child():
            assert not lock.acquire(False)
            with lockd.Lock("other"):
                print("works")

        in_child(child)
        lock.release()
        waiting[0].join()
        print(lock.locked())
        os._exit(0)
        """
    )
    assert program.hear() == "works"
    assert program.hear() == "True"
    program.finish()


def test_a_child_never_waits_for_what_its_parents_threads_hold(forking: RunForking) -> None:
    program = forking(
        """
        lock.acquire()
        shared = endpoint(os.environ["LOCKD_SOCKET"])
        held, done = threading.Event(), threading.Event()

        def hold_everything():
            with shared._connecting, shared._session._mutex, shared._session._renewer._condition:
                held.set()
                done.wait()

        holder = threading.Thread(target=hold_everything)
        holder.start()
        held.wait()

        def child():
            assert lock.lease is None
            assert not lock.acquire(False)
            with lockd.Lock("other", ttl=10):
                print("works")

        in_child(child)
        done.set()
        holder.join()
        lock.release()
        """
    )
    assert program.hear() == "works"
    program.finish()


def test_a_child_closes_its_copy_of_the_connection_and_nothing_else(forking: RunForking) -> None:
    program = forking(
        """
        def file(number):
            return os.readlink(f"/proc/self/fd/{number}")

        def sockets():
            with os.scandir("/proc/self/fd") as entries:
                return [entry.name for entry in entries if "socket:" in os.readlink(entry)]

        lock.acquire()
        (number,) = sockets()

        def child():
            lockd.Client().ping()
            assert len(sockets()) == 1, sockets()

        def daemon():
            # What a program does that turns itself into a daemon.
            os.closerange(3, 100)
            os.dup2(os.open("/dev/null", os.O_RDONLY), int(number))
            lockd.Client().ping()
            assert file(number) == "/dev/null"

        def bare():
            os.closerange(3, 100)
            lockd.Client().ping()

        in_child(child)
        in_child(daemon)
        in_child(bare)
        assert sockets() == [number]
        lock.release()
        """
    )
    program.finish()


def test_a_grandchild_is_on_its_own_too(forking: RunForking) -> None:
    program = forking(
        """
        def child():
            lock.acquire()
            in_child(grandchild)
            lock.release()

        def grandchild():
            assert lock.lease is None
            assert lock.locked()
            with lockd.Lock("other"):
                pass

        with lockd.Lock("other"):
            pass
        in_child(child)
        assert not lock.locked()
        """
    )
    program.finish()


def test_a_fork_inside_a_with_block_ends_only_the_parents(own_daemon: Daemon, forking: RunForking) -> None:
    program = forking(
        """
        try:
            with lock:
                pid = os.fork()
                if pid:
                    os.waitpid(pid, 0)
        except lockd.NotHeld:
            assert pid == 0
            os._exit(0)
        assert pid != 0
        """
    )
    program.finish()


def test_the_lease_of_a_parent_that_dies_is_free_though_its_child_lives(
    own_daemon: Daemon, forking: RunForking
) -> None:
    program = forking(
        """
        lock.acquire()
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        print(pid)
        input()
        """
    )
    child = int(program.hear())
    try:
        program.signal(signal.SIGKILL)
        own_daemon.await_holder("fork", None)
    finally:
        os.kill(child, signal.SIGKILL)


def add_many(lock: lockd.Lock, path: str, times: int) -> None:
    """Count in a file. At the top of a module, so that another process can import it."""
    file = Path(path)
    for _ in range(times):
        with lock:
            file.write_text(str(int(file.read_text()) + 1))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_counts_without_losing_any(
    lock: lockd.Lock, tmp_path: Path, method: Literal["fork", "spawn", "forkserver"]
) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context: multiprocessing.context.SpawnContext = multiprocessing.get_context(method)  # type: ignore[assignment]
    with lock:
        # The parent's connection and lease are there to be inherited, and must not be.
        processes = [context.Process(target=add_many, args=(lock, str(counter), 50)) for _ in range(4)]
        for process in processes:
            process.start()
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    assert counter.read_text() == "200"

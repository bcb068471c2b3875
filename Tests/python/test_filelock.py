"""``lockd.compat.FileLock`` beside ``filelock.FileLock``: the same operations, with the same results."""

from __future__ import annotations

import inspect
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import Daemon, RunProgram

import lockd.compat

filelock = pytest.importorskip("filelock")

#: Holds the lock of a file in a process of its own, with either of them.
HOLDER = """
import sys
if sys.argv[1] == "filelock":
    from filelock import FileLock
else:
    from lockd.compat import FileLock
lock = FileLock(sys.argv[2])
with lock:
    print(lock.is_locked)
    input()
print(lock.is_locked)
input()
"""

#: What ``filelock`` has and ``lockd.compat`` has not, as the README says.
NOT_HERE = {
    *("is_singleton", "lifetime", "context_error_policy", "close_error_policy", "fallback_to_soft"),
    *("preserve_lock_file", "on_acquired"),
}

MakeLock = Callable[..., Any]
Series = Callable[[MakeLock, str], list[object]]


def outcome(call: Callable[[], object]) -> object:
    """What it returned, or how the exception looks that it raised."""
    try:
        result = call()
    except Exception as error:
        is_timeout = isinstance(error, filelock.Timeout)
        return ("Timeout", str(error), repr(error), getattr(error, "lock_file", "")) if is_timeout else type(error)
    return type(result).__name__


def state(lock: lockd.compat.FileLock) -> tuple[bool, int]:
    return lock.is_locked, lock.lock_counter


def with_blocks(make: MakeLock, path: str) -> list[object]:
    lock = make(path)
    seen: list[object] = [state(lock)]
    with lock as entered:
        seen += [entered is lock, state(lock)]
        with lock, lock.acquire() as acquired:
            seen += [acquired is lock, state(lock)]
        seen.append(state(lock))
    return [*seen, state(lock)]


def proxies(make: MakeLock, path: str) -> list[object]:
    lock = make(path)
    proxy = lock.acquire()
    seen = [type(proxy).__name__, proxy.lock is lock, state(lock)]
    with proxy as entered:
        seen += [entered is lock, state(lock)]
    seen.append(state(lock))
    try:
        with lock.acquire(timeout=1):
            raise ZeroDivisionError
    except ZeroDivisionError:
        seen.append(state(lock))
    return seen


def releases(make: MakeLock, path: str) -> list[object]:
    lock = make(path)
    seen = [outcome(lock.release), outcome(lambda: lock.release(force=True)), state(lock)]
    for _ in range(3):
        lock.acquire()
    lock.release()
    seen.append(state(lock))
    lock.release(force=True)
    return [*seen, state(lock), outcome(lock.release), state(lock)]


def arguments(make: MakeLock, path: str) -> list[object]:
    """Of ``acquire``, and of the object, against another one that holds it in another thread."""
    seen: list[object] = []
    with ThreadPoolExecutor(1) as pool:
        holder = make(path, thread_local=False)
        pool.submit(holder.acquire).result()
        for timeout, blocking in itertools.product((-1, 0, 0.01), (True, False)):
            if timeout == -1 and blocking:
                continue
            lock = make(path, timeout=timeout, blocking=blocking)
            seen += [lock.timeout, lock.blocking, outcome(lock.acquire), state(lock)]
            lock = make(path)
            seen += [outcome(lambda: lock.acquire(timeout, blocking=blocking)), state(lock)]  # noqa: B023
        lock = make(path, 0)
        seen += [outcome(lock.__enter__), outcome(lambda: lock.acquire(poll_interval=0.01)), state(lock)]
        lock.timeout, lock.blocking, lock.poll_interval = 1, False, 0.01
        seen += [lock.timeout, lock.blocking, lock.poll_interval, outcome(lock.acquire)]
        pool.submit(holder.release).result()
        return [*seen, outcome(lock.acquire), state(lock), outcome(lock.release)]


def properties(make: MakeLock, path: str) -> list[object]:
    lock = make(Path(path), 3, 0o600, False, poll_interval=0.2)
    seen = [lock.lock_file, lock.timeout, lock.blocking, lock.poll_interval, lock.mode, lock.is_thread_local()]
    lock = make(path)
    return [*seen, lock.lock_file, lock.timeout, lock.blocking, lock.poll_interval, lock.is_thread_local()]


def threads(make: MakeLock, path: str) -> list[object]:
    """What another thread sees of a lock, and can do with it."""
    seen: list[object] = []
    for thread_local in (True, False):
        lock = make(path, timeout=0.01, thread_local=thread_local)
        lock.acquire()
        with ThreadPoolExecutor(1) as pool:
            for call in (lambda: state(lock), lock.acquire, lock.release, lock.release):  # noqa: B023
                result = pool.submit(outcome, call).result()
                seen += [result, pool.submit(state, lock).result(), state(lock)]
        lock.release(force=True)
        seen.append(state(lock))
    return seen


def timeouts(make: MakeLock, path: str) -> list[object]:
    with ThreadPoolExecutor(1) as pool:
        holder = make(path, thread_local=False)
        pool.submit(holder.acquire).result()
        try:
            make(path, timeout=0).acquire()
        except filelock.Timeout as error:
            copy = pickle.loads(pickle.dumps(error))
            pool.submit(holder.release).result()
            both = (error, copy)
            return [[isinstance(each, TimeoutError), str(each), repr(each), each.lock_file] for each in both]
    raise AssertionError("it was acquired twice")


@pytest.mark.parametrize("series", [with_blocks, proxies, releases, arguments, properties, threads, timeouts])
def test_both_do_the_same(daemon: Daemon, tmp_path: Path, series: Series) -> None:
    path = str(tmp_path / "x.lock")
    assert series(lockd.compat.FileLock, path) == series(filelock.FileLock, path)


def test_both_do_the_same_in_two_processes(daemon: Daemon, run: RunProgram, tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    seen: list[list[object]] = []
    for module, make in (("lockd.compat", lockd.compat.FileLock), ("filelock", filelock.FileLock)):
        holder = run(HOLDER, daemon, module, path)
        saw: list[object] = [holder.hear()]
        lock = make(path)
        for options in ({"timeout": 0}, {"timeout": 0.01}, {"blocking": False}, {"timeout": 0.01, "poll_interval": 1}):
            saw += [outcome(lambda: lock.acquire(**options)), state(lock)]  # noqa: B023
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(make(path, thread_local=False).acquire, timeout=30)
            holder.say()
            saw += [holder.hear(), type(waiting.result()).__name__]
            # The other process is still there, and holds nothing.
            waiting.result().lock.release()
        saw += [outcome(lock.acquire), state(lock), outcome(lock.release)]
        holder.say()
        holder.finish()
        seen.append(saw)
    assert seen[0] == seen[1]


class TestDifferences:
    """These are all that there are, and the README tells of them."""

    def test_parameters_that_are_not_here(self) -> None:
        def parameters(of: Callable[..., object]) -> set[str]:
            return set(inspect.signature(of).parameters)

        ours, theirs = lockd.compat.FileLock, filelock.FileLock
        assert parameters(theirs.__init__) - parameters(ours.__init__) == NOT_HERE
        assert parameters(theirs.acquire) - parameters(ours.acquire) == {"cancel_check"}
        assert parameters(theirs.release) == parameters(ours.release)
        public = {name for name in dir(theirs) if not name.startswith("_")}
        missing = {name for name in public if not hasattr(ours, name)}
        assert missing == NOT_HERE | {"has_explicit_mode"}

    def test_the_file_is_not_touched(self, daemon: Daemon, tmp_path: Path) -> None:
        path = tmp_path / "x.lock"
        with lockd.compat.FileLock(path):
            assert not path.exists()
            # So neither excludes the other.
            with filelock.FileLock(path, timeout=0):
                assert path.exists()

    def test_an_object_that_is_forgotten_stays_held(self, daemon: Daemon, tmp_path: Path) -> None:
        for make, is_held in ((filelock.FileLock, False), (lockd.compat.FileLock, True)):
            path = str(tmp_path / "x.lock")
            make(path).acquire()
            lock = make(path, timeout=0, thread_local=False)
            assert isinstance(outcome(lock.acquire), tuple) == is_held
            lock.release()

    def test_who_would_wait_for_itself_waits(self, daemon: Daemon, tmp_path: Path) -> None:
        path = str(tmp_path / "x.lock")
        with filelock.FileLock(path), pytest.raises(RuntimeError):
            filelock.FileLock(path).acquire()
        with ThreadPoolExecutor(1) as pool, lockd.compat.FileLock(path) as lock:
            waiting = pool.submit(lockd.compat.FileLock(path, thread_local=False).acquire)
            daemon.await_waiters(path, 1)
            lock.release()
            waiting.result().lock.release()

"""Locks that stand where those of ``filelock`` and ``multiprocessing`` are used."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.synchronize import SemLock
from pathlib import Path
from typing import Any, Callable, Union

import pytest
from conftest import PATIENCE, Daemon, RunProgram, wait_until

import lockd
from lockd import compat
from lockd.compat import AcquireReturnProxy, FileLock, ProcessLock, ProcessRLock, Timeout


@pytest.fixture
def path(daemon: Daemon, tmp_path: Path) -> Path:
    """The path of a lock file that no other test uses. There is no such file."""
    return tmp_path / "x.lock"


class _Observed:
    """A mutex that says which threads have come to it."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self.threads.add(threading.get_ident())
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class TestFileLock:
    def test_it_excludes_every_other_one_of_that_file(self, daemon: Daemon, path: Path) -> None:
        with FileLock(path) as lock:
            assert lock.is_locked
            assert daemon.holder(str(path)) == os.getpid()
            with pytest.raises(Timeout) as caught:
                FileLock(str(path), timeout=0.01).acquire()
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.lock_file == str(path)
            assert str(caught.value) == f"The file lock {str(path)!r} could not be acquired."
            assert not lockd.Lock(str(path)).acquire(False)
        assert not lock.is_locked
        assert not daemon.show(str(path))
        assert not path.exists()

    def test_the_name_is_where_the_file_is(
        self, daemon: Daemon, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "link").symlink_to(tmp_path)
        monkeypatch.chdir(tmp_path)
        with FileLock(path):
            for same in map(Path, ["x.lock", "link/x.lock", "./x.lock"]):
                with pytest.raises(Timeout):
                    FileLock(same, blocking=False).acquire()
            FileLock("y.lock", blocking=False).acquire().lock.release()

    def test_long_paths_are_told_apart(self, path: Path) -> None:
        long = [path / f"{'directory/' * 40}{number}" for number in range(2)]
        with FileLock(long[0]), FileLock(long[1], timeout=0), pytest.raises(Timeout):
            FileLock(long[0], timeout=0).acquire()

    def test_it_is_reentrant(self, daemon: Daemon, path: Path) -> None:
        lock = FileLock(path)
        assert lock.lock_counter == 0
        with lock as entered, lock.acquire(timeout=0) as acquired:
            assert entered is acquired is lock
            assert lock.lock_counter == 2
            lock.acquire()
            assert lock.lock_counter == 3
            lock.release()
        assert lock.lock_counter == 0
        assert not daemon.show(str(path))

    def test_what_acquire_returns_releases_and_acquires_nothing(self, path: Path) -> None:
        lock = FileLock(path)
        proxy = lock.acquire()
        assert isinstance(proxy, AcquireReturnProxy)
        assert proxy.lock is lock
        with proxy as entered:
            assert entered is lock
            assert lock.lock_counter == 1
        assert not lock.is_locked

    def test_release_leaves_alone_what_is_not_held(self, path: Path) -> None:
        lock = FileLock(path)
        lock.release()
        lock.release(force=True)
        assert not lock.is_locked

    @pytest.mark.parametrize("thread_local", [True, False])
    def test_force_releases_all_of_it(self, daemon: Daemon, path: Path, thread_local: bool) -> None:
        lock = FileLock(path, thread_local=thread_local)
        for _ in range(3):
            lock.acquire()
        lock.release(force=True)
        assert lock.lock_counter == 0
        assert not daemon.show(str(path))

    def test_how_long_it_waits_can_be_said_to_the_object_and_to_acquire(self, path: Path) -> None:
        lock = FileLock(path, 0, 0o600)
        assert (lock.timeout, lock.mode, lock.blocking, lock.lock_file) == (0.0, 0o600, True, str(path))
        with FileLock(path):
            tries: list[dict[str, Any]] = [
                {},
                {"timeout": 0.01, "poll_interval": 1},
                {"timeout": -1, "blocking": False},
            ]
            for arguments in tries:
                with pytest.raises(Timeout):
                    lock.acquire(**arguments)
            lock.timeout = -1
            lock.blocking = False
            with pytest.raises(Timeout):
                lock.acquire()
        assert lock.timeout == -1.0
        with lock:
            assert lock.is_locked

    def test_less_than_no_time_is_for_ever(self, daemon: Daemon, path: Path) -> None:
        with ThreadPoolExecutor(1) as pool:
            with FileLock(path):
                waiting = pool.submit(FileLock(path, timeout=0).acquire, timeout=-7)
                daemon.await_waiters(str(path), 1)
            assert waiting.result().lock.lock_file == str(path)

    def test_each_thread_has_a_lock_of_its_own_in_it(self, path: Path) -> None:
        lock = FileLock(path, timeout=0)
        assert lock.is_thread_local()

        def work() -> None:
            assert not lock.is_locked
            assert lock.lock_counter == 0
            lock.release()
            with pytest.raises(Timeout):
                lock.acquire()

        with lock, ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
            assert lock.is_locked

    def test_or_all_threads_hold_it_together(self, daemon: Daemon, path: Path) -> None:
        lock = FileLock(path, timeout=0, thread_local=False)
        assert not lock.is_thread_local()
        with ThreadPoolExecutor(1) as pool:
            lock.acquire()
            pool.submit(lock.acquire).result()
            assert lock.lock_counter == 2
            lock.release()
            assert daemon.show(str(path))
            pool.submit(lock.release).result()
        assert not lock.is_locked
        assert not daemon.show(str(path))

    def test_what_its_last_thread_is_about_to_release_is_not_acquired_again(
        self, daemon: Daemon, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock = FileLock(path, thread_local=False)
        end, entered, going_on = lock._lock._end, threading.Event(), threading.Event()

        def end_late(lease: lockd.Lease) -> None:
            entered.set()
            going_on.wait(PATIENCE)
            end(lease)

        lock.acquire()
        before = lock.lease
        with ThreadPoolExecutor(2) as pool:
            monkeypatch.setattr(lock._lock, "_end", end_late)
            releasing = pool.submit(lock.release)
            assert entered.wait(PATIENCE)
            acquiring = pool.submit(lock.acquire, timeout=PATIENCE)
            try:
                daemon.await_waiters(str(path), 1)
            finally:
                going_on.set()
            releasing.result()
            acquiring.result()
        after = lock.lease
        assert before is not None
        assert after is not None
        assert after.token > before.token
        lock.release()

    def test_threads_that_hold_it_together_count_one_after_the_other(
        self, daemon: Daemon, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock = FileLock(path, thread_local=False)
        mutex = _Observed()
        monkeypatch.setitem(compat._mutexes, os.getpid(), mutex)
        lock.acquire()
        with ThreadPoolExecutor(1) as pool:
            releasing: list[Future[None]] = []

            def look(lease: lockd.Lease) -> None:
                # The other thread releases while this one counts.
                if not releasing:
                    releasing.append(pool.submit(lock.release))
                    wait_until(lambda: len(mutex.threads) == 2, "another thread at the mutex")

            mutex.threads.clear()
            monkeypatch.setattr(lockd.Lease, "_look", look)
            lock.acquire()
            releasing[0].result()
            monkeypatch.undo()
        assert lock.lock_counter == 1
        assert lock.is_locked
        assert len(daemon.show(str(path))) == 1
        lock.release()

    def test_many_threads_hold_it_together(self, daemon: Daemon, path: Path) -> None:
        lock = FileLock(path, thread_local=False)

        def work() -> None:
            for _ in range(100):
                with lock:
                    assert lock.lock_counter >= 1

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(work) for _ in range(8)]:
                done.result()
        assert lock.lock_counter == 0
        assert not daemon.show(str(path))

    def test_a_loss_is_told(self, daemon: Daemon, path: Path) -> None:
        lock = FileLock(path)
        lock.acquire()
        lease = lock.lease
        assert lease is not None
        daemon.ask(f"REVOKE {path}")
        wait_until(lambda: lease.lost, "the loss")
        assert not lock.is_locked
        with pytest.raises(lockd.LeaseLost):
            lock.acquire()
        with pytest.raises(lockd.LeaseLost):
            lock.release()
        with lock:
            assert lock.is_locked

    def test_a_loss_hides_no_other_exception(self, daemon: Daemon, path: Path) -> None:
        def work(failing: bool) -> None:
            with FileLock(path):
                daemon.ask(f"REVOKE {path}")
                if failing:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work(True)
        with pytest.raises(lockd.LeaseLost):
            work(False)

    def test_its_timeout_survives_pickle(self) -> None:
        again = pickle.loads(pickle.dumps(Timeout("x.lock")))
        assert isinstance(again, Timeout)
        assert again.lock_file == "x.lock"
        assert repr(again) == "Timeout('x.lock')"

    def test_its_timeout_is_that_of_filelock_too(self, daemon: Daemon, run: RunProgram, tmp_path: Path) -> None:
        (tmp_path / "filelock.py").write_text(
            "class Timeout(TimeoutError):\n"
            "    def __init__(self, lock_file):\n"
            "        super().__init__()\n"
            "        self._lock_file = lock_file\n"
        )
        program = run(
            """
            import pickle, sys
            import lockd.compat
            sys.path.insert(0, sys.argv[1])
            assert "filelock" not in sys.modules
            with lockd.compat.FileLock("x.lock"):
                try:
                    lockd.compat.FileLock("x.lock", timeout=0).acquire()
                except lockd.compat.Timeout as error:
                    import filelock
                    for each in (error, pickle.loads(pickle.dumps(error))):
                        assert isinstance(each, filelock.Timeout)
                        print(type(each), each.lock_file)
            """,
            daemon,
            str(tmp_path),
        )
        assert program.finish().splitlines() == ["<class 'lockd.compat.Timeout'> x.lock"] * 2


def test_importing_it_imports_nothing_that_is_not_needed() -> None:
    source = "import sys, lockd.compat; print({'filelock', 'multiprocessing'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", source], text=True) == "set()\n"


AnyLock = Union[ProcessLock, SemLock]
Makes = tuple[Callable[[str], ProcessLock], Callable[[], SemLock]]


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize(
    "makes", [(ProcessLock, multiprocessing.Lock), (ProcessRLock, multiprocessing.RLock)], ids=["Lock", "RLock"]
)
class TestProcessLocks:
    """They do what those of multiprocessing do, in each of these cases."""

    @pytest.mark.parametrize("in_thread", [True, False])
    @pytest.mark.parametrize(
        "arguments", [(), (False,), (False, 5), (False, -1), (True, 0), (True, 0.01), (True, -1), (True, None)]
    )
    def test_arguments(self, name: str, makes: Makes, arguments: tuple[()], in_thread: bool) -> None:
        def outcome(lock: AnyLock) -> bool:
            if not lock.acquire(*arguments):
                return False
            # For ever is what no time means: only where it would be granted once more.
            if arguments in [(), (True, None)]:
                lock.release()
                return True
            if in_thread:
                with ThreadPoolExecutor(1) as pool:
                    return bool(pool.submit(lock.acquire, *arguments).result())
            return bool(lock.acquire(*arguments))

        assert outcome(makes[0](name)) == outcome(makes[1]())

    def test_releasing_what_is_not_held(self, name: str, makes: Makes) -> None:
        def outcome(lock: AnyLock) -> list[object]:
            outcomes: list[object] = []
            for _ in range(2):
                try:
                    lock.release()
                except (ValueError, AssertionError) as error:
                    outcomes.append(type(error))
                with lock as entered:
                    outcomes.append(entered)
            return outcomes

        assert outcome(makes[0](name)) == outcome(makes[1]())

    def test_releasing_in_another_thread(self, name: str, makes: Makes) -> None:
        def outcome(lock: AnyLock) -> object:
            lock.acquire()
            with ThreadPoolExecutor(1) as pool:
                error = pool.submit(lock.release).exception()
            return type(error)

        assert outcome(makes[0](name)) == outcome(makes[1]())


class TestProcessLock:
    def test_it_has_a_name_and_a_lease(self, daemon: Daemon, name: str) -> None:
        lock = ProcessLock(name, note="children")
        assert not lock.locked()
        with lock:
            assert lock.name == name.encode()
            assert lock.lease is not None
            assert lock.locked()
            assert " note=children" in daemon.show(name)[0]
            assert not lockd.Lock(name).acquire(False)
        assert lock.lease is None

    def test_it_tells_a_loss_and_hides_no_other_exception(self, daemon: Daemon, name: str) -> None:
        def work(failing: bool) -> None:
            with ProcessLock(name):
                daemon.ask(f"REVOKE {name}")
                if failing:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work(True)
        with pytest.raises(lockd.LeaseLost):
            work(False)

    def test_the_thread_that_holds_the_reentrant_one_acquires_it_again(self, daemon: Daemon, name: str) -> None:
        lock = ProcessRLock(name)
        with lock, lock:
            assert threading.get_ident() == getattr(lock.lease, "_thread", None)
            assert len(daemon.show(name)) == 1
        assert not daemon.show(name)

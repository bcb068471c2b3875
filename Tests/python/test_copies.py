"""Copies through pickle: the same lock, with the same options, that holds nothing."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Literal, Union

import pytest
from conftest import PATIENCE, Daemon

import lockd
from lockd.compat import FileLock, ProcessLock, ProcessRLock

AnyLock = Union[lockd.Lock, FileLock, ProcessLock]
Make = Callable[[str], AnyLock]
MAKES = [
    pytest.param(lockd.Lock, id="Lock"),
    pytest.param(lambda name: lockd.Lock(name, shared=True, note="n", ttl=60), id="Lock-with-options"),
    pytest.param(lockd.RLock, id="RLock"),
    pytest.param(lambda name: lockd.Semaphore(name, 1), id="Semaphore"),
    pytest.param(lambda name: FileLock(f"/{name}", timeout=60), id="FileLock"),
    pytest.param(lambda name: FileLock(f"/{name}", timeout=60, thread_local=False), id="FileLock-of-all-threads"),
    pytest.param(ProcessLock, id="ProcessLock"),
    pytest.param(ProcessRLock, id="ProcessRLock"),
]


def add_many(lock: AnyLock, path: str, times: int) -> None:
    """Count in a file. At the top of a module, so that another process can import it."""
    assert lock.lease is None
    file = Path(path)
    for _ in range(times):
        with lock:
            file.write_text(str(int(file.read_text()) + 1))


@contextmanager
def _without_socket() -> Iterator[None]:
    socket = os.environ.pop("LOCKD_SOCKET")
    try:
        yield
    finally:
        os.environ["LOCKD_SOCKET"] = socket


@pytest.mark.parametrize("make", MAKES)
def test_a_copy_has_the_options_and_not_the_lease(daemon: Daemon, name: str, make: Make) -> None:
    lock = make(name)
    before = _options(lock)
    with lock, _without_socket():
        copy = pickle.loads(pickle.dumps(lock))
        assert copy.lease is None
        assert _options(copy) == before
    with copy:
        assert copy.lease is not None
        assert lock.lease is None


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("make", [make for make in MAKES if make.id != "Lock-with-options"])
def test_children_that_are_given_copies_count_without_losing_any(
    daemon: Daemon, name: str, tmp_path: Path, make: Make, method: Literal["spawn", "forkserver"]
) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context(method)
    lock = make(name)
    # They find the daemon by what they were given.
    with lock, _without_socket():
        processes = [context.Process(target=add_many, args=(lock, str(counter), 50)) for _ in range(2)]  # type: ignore[attr-defined]
        for process in processes:
            process.start()
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    assert counter.read_text() == "100"


def _options(lock: object) -> object:
    """All that a lock stores, and so do the locks in it, but leases."""
    if not hasattr(lock, "__dict__"):
        return lock
    return {key: _options(value) for key, value in vars(lock).items() if key != "_leases"}

"""Locks that stand where programs use those of ``filelock`` and of ``multiprocessing``.

::

    from lockd.compat import FileLock, Timeout  # in place of: from filelock import FileLock, Timeout

    lock_in_children = lockd.compat.ProcessLock("reports")  # in place of: multiprocessing.Lock()

Nothing but lockd needs to be installed. All that is said of ``lockd.Lock`` holds for these too: they are safe to make
before a fork and for threads, a lease ends with its process, a forked child holds nothing of what its parent held, and
a copy through pickle is the same lock and holds nothing. Their ``lease`` has the fencing token.

What is different from ``filelock.FileLock``:

* The daemon keeps the lock, not the file: it is neither opened, nor made, nor has it a ``mode``. So it excludes no
  program that still uses ``filelock``, and nobody on another machine that shares the file. Change all of them at once.
* Requests are granted in their order, without polling: ``poll_interval`` is taken and not used.
* ``release()`` and the end of a ``with`` block raise ``lockd.LeaseLost`` if the lease was revoked or lost otherwise,
  ``acquire()`` raises it where it would be reentrant, and whatever ``lockd.Lock.acquire`` raises.
* An object that is forgotten while it is held stays held until its process ends.
* There is none of the other parameters (``is_singleton``, ``cancel_check``, ``lifetime``, for which ``ttl`` is no
  substitute, and what later versions have), no soft lock, and no asynchronous one.

What is different from ``multiprocessing.Lock`` and ``RLock``:

* They have a name, and exclude whoever uses that name, not only the children that they were handed to.
* Who holds one is a process, or a thread of it: only that process can release it, and a forked child does not hold what
  was held before the fork. The lock of a process that dies is free.
* They can be handed to other processes in any way that pickles, at any time, through a queue for instance.
* ``release()`` and the end of a ``with`` block can raise ``lockd.LeaseLost``, as above.
* They serve no ``multiprocessing.Condition``; a ``threading.Condition`` of a thread's own takes ``lockd.RLock``.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from . import _grammar as grammar
from ._errors import LockdError, NotHeld
from ._lease import Lease
from ._lock import Lock
from ._rlock import RLock
from ._terms import wait_time

__all__ = ["AcquireReturnProxy", "FileLock", "ProcessLock", "ProcessRLock", "Timeout"]


class Timeout(TimeoutError):
    """A ``FileLock`` was not acquired in time. Where ``filelock`` is installed, it is a ``filelock.Timeout`` too."""

    def __init__(self, lock_file: str) -> None:
        super().__init__(lock_file)
        self._lock_file = lock_file

    @property
    def lock_file(self) -> str:
        """The file that the lock was named after, as it was given."""
        return self._lock_file

    def __str__(self) -> str:
        return f"The file lock {self._lock_file!r} could not be acquired."

    def __repr__(self) -> str:
        return f"Timeout({self._lock_file!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _timeout, (self._lock_file,)


class FileLock:
    """A lock that stands where ``filelock.FileLock`` is used; the module says what is different.

    It excludes every other one of the same file, and every ``lockd.Lock`` whose name is the absolute path of the file,
    with symbolic links resolved when it is made (of a path of more than 255 bytes, ``sha256:`` and the hexadecimal
    digest of it).

    It is reentrant. With ``thread_local`` every thread has a lock of its own in it, which the others wait for; without,
    the threads of a process hold it together once one of them has acquired it, and any of them may release it.
    """

    def __init__(
        self,
        lock_file: str | os.PathLike[str],
        timeout: float = -1,
        mode: int = 0o644,
        thread_local: bool = True,
        *,
        blocking: bool = True,
        poll_interval: float = 0.05,
        socket: str | os.PathLike[str] | None = None,
        user: bool = False,
        ttl: float | None = None,
        note: str | bytes | None = None,
        connect_timeout: float = 5.0,
    ) -> None:
        """Name the lock of a file, which need not exist. Nothing is asked of the daemon yet.

        :param timeout: the seconds that ``acquire()`` waits if it is not told otherwise; less than 0 for ever.
        :param mode: not used; there is no file.
        :param blocking: whether ``acquire()`` waits if it is not told otherwise.
        :param poll_interval: not used; nobody polls.

        The other parameters are those of ``lockd.Lock``, which says what is raised.
        """
        self._lock_file = os.fspath(lock_file)
        self._timeout = float(timeout)
        self._mode = mode
        self._thread_local = thread_local
        self._blocking = blocking
        self._poll_interval = poll_interval
        kind = RLock if thread_local else _ThreadsTogether
        name = _file_name(self._lock_file)
        self._lock = kind(name, socket=socket, user=user, ttl=ttl, note=note, connect_timeout=connect_timeout)

    @property
    def lock_file(self) -> str:
        """The file that the lock was named after, as it was given."""
        return self._lock_file

    @property
    def lease(self) -> Lease | None:
        """The lease, lost or not; ``None`` if it is not held here."""
        return self._lock.lease

    @property
    def is_locked(self) -> bool:
        """Whether it is held through this object (and by the calling thread, with ``thread_local``). Nobody is asked.

        It is false if word of a loss has arrived, though it is still to be released then.
        """
        lease = self._lock.lease
        return lease is not None and not lease.lost

    @property
    def lock_counter(self) -> int:
        """How often it is to be released until it is free."""
        return self._lock._recursion_count()

    @property
    def timeout(self) -> float:
        """The seconds that ``acquire()`` waits if it is not told otherwise; less than 0 for ever."""
        return self._timeout

    @timeout.setter
    def timeout(self, value: float | str) -> None:
        self._timeout = float(value)

    @property
    def blocking(self) -> bool:
        """Whether ``acquire()`` waits if it is not told otherwise."""
        return self._blocking

    @blocking.setter
    def blocking(self, value: bool) -> None:
        self._blocking = value

    @property
    def mode(self) -> int:
        """What was given. It is not used."""
        return self._mode

    @property
    def poll_interval(self) -> float:
        """What was given. It is not used."""
        return self._poll_interval

    @poll_interval.setter
    def poll_interval(self, value: float) -> None:
        self._poll_interval = value

    def is_thread_local(self) -> bool:
        """Whether every thread has a lock of its own in it."""
        return self._thread_local

    def acquire(
        self,
        timeout: float | None = None,
        poll_interval: float | None = None,
        *,
        poll_intervall: float | None = None,
        blocking: bool | None = None,
    ) -> AcquireReturnProxy:
        """Wait until it is free and acquire it; once more, at once, if it is held here already.

        :param timeout: the seconds to wait; less than 0 for ever, ``None`` for what the object says.
        :param poll_interval: not used, and neither is its older spelling.
        :param blocking: if false, do not wait at all; ``None`` for what the object says.
        :return: what releases it at the end of a ``with`` block.
        :raises Timeout: if it was not free in time.
        :raises lockd.LeaseLost: if it was held here and has been lost. Nothing has changed.

        It raises what ``lockd.Lock.acquire`` raises besides. Whatever it raises, no lease comes of it.
        """
        del poll_interval, poll_intervall
        seconds = self._timeout if timeout is None else timeout
        blocks = self._blocking if blocking is None else blocking
        wait = 0.0 if not blocks else wait_time(True, -1 if seconds < 0 else seconds)
        if self._lock._acquire(wait) is None:
            raise _timeout(self._lock_file)
        return AcquireReturnProxy(self)

    def release(self, force: bool = False) -> None:
        """Release it once, or with ``force`` as often as it was acquired. What is not held is left alone.

        :raises lockd.LeaseLost: by the last release, if the lease was lost before.
        :raises lockd.DaemonUnavailable: by the last release, as ``lockd.Lock.release`` does.
        """
        try:
            self._lock._release(entirely=force)
        except NotHeld:
            return

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it. A loss raises ``lockd.LeaseLost``, unless an exception is on its way already."""
        try:
            self.release()
        except LockdError:
            if error is None:
                raise

    def __repr__(self) -> str:
        return f"<lockd.compat.FileLock of {self._lock_file!r}: {self._lock!r}>"


class AcquireReturnProxy:
    """What ``FileLock.acquire`` returns: a ``with`` block with it releases the lock, and acquires nothing."""

    def __init__(self, lock: FileLock) -> None:
        #: The lock that was acquired.
        self.lock = lock

    def __enter__(self) -> FileLock:
        return self.lock

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it, as the end of a ``with`` block with the lock does."""
        self.lock.__exit__(error_type, error, traceback)


class ProcessLock:
    """A lock that stands where ``multiprocessing.Lock`` is used; the module says what is different.

    It is not reentrant, and any thread of the process that acquired it may release it.
    """

    _kind: type[Lock] = Lock

    def __init__(
        self,
        name: str | bytes,
        *,
        socket: str | os.PathLike[str] | None = None,
        user: bool = False,
        ttl: float | None = None,
        note: str | bytes | None = None,
        connect_timeout: float = 5.0,
    ) -> None:
        """Name a lock. Nothing is asked of the daemon yet. The parameters, and what is raised, are ``lockd.Lock``'s."""
        self._lock = self._kind(name, socket=socket, user=user, ttl=ttl, note=note, connect_timeout=connect_timeout)

    @property
    def name(self) -> bytes:
        """The name of the lock."""
        return self._lock.name

    @property
    def lease(self) -> Lease | None:
        """The lease that ``release()`` would end, lost or not; ``None`` if there is none."""
        return self._lock.lease

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Wait until it is free and acquire it, and return whether that was so in time.

        :param block: if false, do not wait at all, whatever the timeout.
        :param timeout: the seconds to wait; ``None`` for ever, less than 0 as 0.

        It raises what ``lockd.Lock.acquire`` raises. Whatever it raises, no lease comes of it.
        """
        wait = 0.0 if not block else wait_time(True, -1 if timeout is None else max(timeout, 0.0))
        return self._lock._acquire(wait) is not None

    def release(self) -> None:
        """Release it.

        :raises ValueError: if this process does not hold it.
        :raises lockd.LeaseLost: if the lease was lost before.
        :raises lockd.DaemonUnavailable: as ``lockd.Lock.release`` does.
        """
        try:
            self._lock.release()
        except NotHeld as error:
            raise self._complaint(error) from error

    def locked(self) -> bool:
        """Whether anybody holds it, in this process or another. The daemon is asked.

        :raises lockd.DaemonUnavailable: if the daemon cannot be reached or does not answer.
        """
        return self._lock.locked()

    def __enter__(self) -> bool:
        self._lock.__enter__()
        return True

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it. A loss raises ``lockd.LeaseLost``, unless an exception is on its way already."""
        try:
            self.release()
        except (LockdError, ValueError, AssertionError):
            if error is None:
                raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._lock!r}>"

    @staticmethod
    def _complaint(error: NotHeld) -> Exception:
        return ValueError(str(error))


class ProcessRLock(ProcessLock):
    """A lock that stands where ``multiprocessing.RLock`` is used; the module says what is different.

    The thread that holds it may acquire it again, and nobody else may release it: then ``release()`` raises
    ``AssertionError``.
    """

    _kind = RLock

    @staticmethod
    def _complaint(error: NotHeld) -> Exception:
        return AssertionError(str(error))


class _ThreadsTogether(RLock):
    """A lock that all threads of a process hold together, with one count."""

    def _own(self) -> Lease | None:
        # What the last one is about to release has a depth of 0.
        held = [lease for lease in self._acquired() if lease._depth > 0]
        return held[-1] if held else None

    def _reenter(self) -> Lease | None:
        with _mutex():
            return super()._reenter()

    def _leave(self, entirely: bool = False) -> Lease | None:
        with _mutex():
            lease = super()._leave(entirely)
            if lease is not None:
                lease._depth = 0
            return lease


# By pid, so that a forked child never waits for what a thread of its parent holds.
_mutexes: dict[int, AbstractContextManager[object]] = {}


def _mutex() -> AbstractContextManager[object]:
    """What guards the counts that threads have together. It is reentrant, for signal handlers."""
    return _mutexes.setdefault(os.getpid(), threading.RLock())


def _file_name(lock_file: str) -> bytes:
    path = os.fsencode(os.path.realpath(lock_file))
    return path if len(path) <= grammar.NAME_LIMIT else b"sha256:" + hashlib.sha256(path).hexdigest().encode()


def _timeout(lock_file: str) -> Timeout:
    return _timeout_type()(lock_file)


@functools.lru_cache(maxsize=1)
def _timeout_type() -> type[Timeout]:
    """``Timeout``, or a class that is a ``filelock.Timeout`` as well. Not before it is needed."""
    try:
        theirs = importlib.import_module("filelock").Timeout
    except (ImportError, AttributeError):
        return Timeout
    return type("Timeout", (Timeout, theirs), {"__module__": __name__, "__doc__": Timeout.__doc__})

"""What one process of a machine does, and no other at the same time.

As everywhere, ``threading`` is looked up when it is used, and nothing of it is made before a process starts something:
gevent may patch it after a task was made, and a process may be forked.
"""

from __future__ import annotations

import logging
import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Callable, overload

from ._client import Client
from ._errors import LockdError, NotHeld, show_name
from ._lease import Lease
from ._lock import Lock
from ._pending import Pending
from ._process import endpoint
from ._session import SharedSession
from ._timing import ANSWER_TIMEOUT

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import DaemonOptions

# How often one that runs looks whether its lease is lost, and how long it pauses after a failure, in seconds.
_LOOK_INTERVAL = 1.0

# The ttl that ends a lease at once, in seconds: the least there is.
_AT_ONCE = 0.001


@overload
def run_once_per_host(name: str | bytes, **options: Unpack[DaemonOptions]) -> HostWork: ...


@overload
def run_once_per_host(
    name: str | bytes,
    start: Callable[[], object],
    stop: Callable[[], object] | None = None,
    **options: Unpack[DaemonOptions],
) -> HostTask: ...


def run_once_per_host(
    name: str | bytes,
    start: Callable[[], object] | None = None,
    stop: Callable[[], object] | None = None,
    **options: Unpack[DaemonOptions],
) -> HostTask | HostWork:
    """Have one process of the machine do something, of all that ask with this name, and another if that one dies.

    With ``start`` and ``stop`` it is for what runs on, as a scheduler does. Nothing happens before ``start()`` of the
    ``HostTask`` that it returns; call that in each process that may run it, after the fork. In the one that holds the
    lease ``start`` is called, and ``stop`` before the lease is given back::

        scheduler = None

        def start():  # returns while the scheduler runs
            global scheduler
            scheduler = BackgroundScheduler()  # of APScheduler; a new one, because one that was shut down stays so
            scheduler.add_job(send_reports, "cron", hour=3)
            scheduler.start()

        def stop():
            scheduler.shutdown()  # returns when its jobs have ended

        task = lockd.run_once_per_host("scheduler", start, stop)
        task.start()
        ...
        task.close()

    Celery beat, in a thread of whichever worker it is::

        def start():
            global beat
            beat = celery.beat.EmbeddedService(app, thread=True)
            beat.start()

        def stop():
            beat.service.stop()
            beat.join()  # beat.stop() would wait for ever for one that has failed

        task = lockd.run_once_per_host("beat", start, stop)
        celery.signals.worker_ready.connect(lambda **_: task.start(), weak=False)
        celery.signals.worker_shutdown.connect(lambda **_: task.close(), weak=False)

    Without ``start`` it is for what is done and over, as a migration is; the others wait until it is::

        with lockd.run_once_per_host("migrate") as is_mine:
            if is_mine:
                migrate()

    See ``HostTask`` and ``HostWork`` for what is guaranteed.

    :param name: the name of the lock that decides: 1 to 255 bytes, or a ``str`` for its UTF-8 bytes.
    :param start: is called in a thread of lockd's, and must return while what it started runs on.
    :param stop: is called in the same thread, and must return when that has ended. It may be called after a loss.
    :param options: ``socket``, ``user``, ``ttl``, ``note`` and ``connect_timeout``, as for ``Lock``.
    :raises LocalProtocolError: if the name or an option is not one (it is a ``ValueError`` too).
    :raises TypeError: if there is a ``stop`` without a ``start``.
    """
    if start is not None:
        return HostTask(name, start, stop, **options)
    if stop is not None:
        raise TypeError("run_once_per_host() got a stop without a start")
    return HostWork(name, **options)


class HostWork:
    """A ``with`` block that one process is in at a time. It is told whether it is for it to do the work.

    It is (``True``) if nobody held the lease when it came, or if the one that it waited for did not finish: it died,
    lost its lease, or left its block with an exception. Otherwise (``False``) another has finished while this one
    waited.

    Who comes after that finds the lease free, and does the work again. So it has to be something that is harmless when
    it is done already; that two do it at the same time is excluded as by ``Lock``, with the same limits.

    Safe to make before a fork, and in several threads, which exclude each other.
    """

    def __init__(self, name: str | bytes, **options: Unpack[DaemonOptions]) -> None:
        self._lock = Lock(name, **options)
        self._client = Client(socket=self._lock._path, connect_timeout=self._lock._connect_timeout)
        # The tokens of the leases under which the work is to be done.
        self._mine: set[int] = set()

    def __enter__(self) -> bool:
        """Wait for the turn of this process, for as long as it takes.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        :raises RequestRefused: if the daemon refuses, for example because a limit is reached.
        """
        is_mine = self._lock.acquire(blocking=False)
        lease = self._lock.lease if is_mine else self._lock.__enter__()
        if lease is None:
            raise NotHeld(self._lock.name)
        if is_mine or lease.previous is not None:
            self._mine.add(lease.token)
            return True
        return False

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the next one in. A loss raises ``LeaseLost``, unless an exception is on its way already."""
        lease = self._lock.lease
        is_mine = lease is not None and lease.token in self._mine
        if lease is not None:
            self._mine.discard(lease.token)
        if error is None or lease is None or not is_mine or not self._abandon(lease):
            self._lock.__exit__(error_type, error, traceback)

    def _abandon(self, lease: Lease) -> bool:
        """Let the lease end without a release, so that the next holder knows that the work is not done."""
        try:
            self._client.renew(lease.name, lease.token, _AT_ONCE)
        except LockdError:
            return False
        # Whoever released it now could be faster than its end.
        self._lock._remove(lease)
        return True


class HostTask:
    """What one process of a machine runs, and another if that one dies or hands over.

    In each process where ``start()`` was called, a daemon thread waits for the lease, in the order of arrival; in the
    one that is granted it, the thread calls the function ``start``. When ``stop()`` is called, or the lease is lost, it
    calls the function ``stop``, and only after that gives the lease back: so two never run at once, as long as no
    lease is lost. After a loss, which is noticed within a second, it waits for the lease again.

    If ``start`` raises, that is logged (to the logger ``lockd``), the lease is given back, and it is this process's
    turn again after the others, a second later at the earliest. What ``stop`` raises is logged, and counts as having
    stopped. While there is no daemon, one that runs runs on, and one that waits tries again every second. Other errors
    of a wait (a limit is reached) are logged, and it tries again too.

    When the process ends, so does the lease, whether ``stop()`` was called or not; the function ``stop`` is then not
    called.

    All methods are thread-safe. It can be made before a fork; a child begins anew, as one where ``start()`` was not
    called. Not for signal handlers.
    """

    def __init__(
        self,
        name: str | bytes,
        start: Callable[[], object],
        stop: Callable[[], object] | None = None,
        **options: Unpack[DaemonOptions],
    ) -> None:
        self._make_lock: Callable[[], Lock] = lambda: Lock(name, **options)
        self._name = self._make_lock().name  # It would raise later what it raises now.
        self._start = start
        self._stop = stop
        # By pid, so that a forked child finds nothing of its parent's.
        self._runs: dict[int, _Run] = {}
        # Likewise, those that were told to stop.
        self._ending: dict[int, _Run] = {}

    @property
    def is_running(self) -> bool:
        """Whether this process runs it now: ``start`` has returned, and ``stop`` was not called yet."""
        run = self._runs.get(os.getpid())
        return run is not None and run.is_running

    def start(self) -> None:
        """Run it as soon as it is this process's turn. Returns at once; does nothing if it was called before."""
        pid = os.getpid()
        for other in [other for other in list(self._runs) if other != pid]:
            self._runs.pop(other, None)
            self._ending.pop(other, None)
        run = _Run(self._make_lock(), self._start, self._stop)
        # setdefault is atomic: of two threads, one begins.
        if self._runs.setdefault(pid, run) is run:
            run.begin()

    def stop(self, timeout: float | None = None) -> bool:
        """Stop it, hand over, and run it no more, until ``start()`` is called again. Return whether that is done.

        If this process runs it, this waits until the function ``stop`` has returned and the lease is given back; for
        the daemon, five seconds at most: the lease then ends when that is back, or with this process. If it waits for
        the lease, its place in the queue is given up, and this returns at once; a daemon that does not answer hears of
        that when it does. ``start`` is not called any more either way.

        :param timeout: the longest to wait, in seconds; ``None`` for ever. When called by ``start`` or ``stop``
            themselves, it does not wait.
        """
        pid = os.getpid()
        run = self._runs.pop(pid, None)
        if run is not None:
            self._ending[pid] = run
        # One that was told before may not be done.
        ending = self._ending.get(pid)
        return ending is None or ending.end(timeout)

    def close(self) -> None:
        """The same as ``stop()``, for ``contextlib.closing`` and the like."""
        self.stop()

    def __enter__(self) -> HostTask:
        """The same as ``start()``."""
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The same as ``stop()``."""
        self.stop()

    def __repr__(self) -> str:
        return f"<lockd.HostTask {show_name(self._name)}{' running' if self.is_running else ''}>"


class _Run:
    """From one ``start()`` to the ``stop()`` that follows, in the process that made it."""

    def __init__(self, lock: Lock, start: Callable[[], object], stop: Callable[[], object] | None) -> None:
        self.is_running = False
        self._lock = lock
        self._start = start
        self._stop = stop
        self._mutex = threading.Lock()
        self._holds = False
        # What this process waits with, before it holds.
        self._wait: tuple[SharedSession, Pending] | None = None
        self._stopping = threading.Event()
        # Nothing is started that was not stopped.
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._thread = threading.Thread(target=self._work, name="lockd-once", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, timeout: float | None) -> bool:
        with self._mutex:
            self._stopping.set()
            holds, wait = self._holds, self._wait
        if not holds:
            if wait is not None:
                session, pending = wait
                session.withdraw(pending, _Stopped())
            return True
        if threading.current_thread() is self._thread:
            return False
        if self._is_idle.wait(timeout):
            self._thread.join(ANSWER_TIMEOUT if timeout is None else min(timeout, ANSWER_TIMEOUT))
        return not self._thread.is_alive()

    def _work(self) -> None:
        complaint = ""
        while not self._stopping.is_set():
            try:
                lease = self._acquire()
            except _Stopped:
                return
            except LockdError as error:
                if complaint != str(error):  # once, not every second
                    complaint = str(error)
                    _log().warning("waiting to run %s: %s", show_name(self._lock.name), complaint)
                self._stopping.wait(_LOOK_INTERVAL)
                continue
            complaint = ""
            with self._mutex:
                self._wait = None
                self._holds = not self._stopping.is_set()
                if self._holds:
                    self._is_idle.clear()
            failed = self._holds and not self._run(lease)
            self._is_idle.set()
            self._release()
            with self._mutex:
                self._holds = False
            if failed:
                self._stopping.wait(_LOOK_INTERVAL)

    def _acquire(self) -> Lease:
        lock = self._lock
        lease = endpoint(lock._path).ask(
            lock._terms.requests(None),
            lock._accept,
            answer_by=None,
            patience=None,
            connect_timeout=lock._connect_timeout,
            begin=self._begin,
        )
        if lease is None:
            raise self._lock._terms.not_waited_for()
        return lease

    def _begin(self, session: SharedSession, pending: Pending) -> None:
        with self._mutex:
            if self._stopping.is_set():
                raise _Stopped
            self._wait = session, pending

    def _run(self, lease: Lease) -> bool:
        """Start it, wait until it is to stop, and stop it. Says whether it could be started."""
        shown = show_name(lease.name)
        try:
            self._start()
        except BaseException:  # A thread that just ended would keep the lease.
            _log().exception("%s could not be started", shown)
            return False
        self.is_running = True
        _log().info("process %d runs %s, under token %d", os.getpid(), shown, lease.token)
        while not self._stopping.wait(_LOOK_INTERVAL) and not lease.lost:
            pass
        self.is_running = False
        try:
            if self._stop is not None:
                self._stop()
        except BaseException:
            _log().exception("%s could not be stopped", shown)
        return True

    def _release(self) -> None:
        try:
            self._lock.release()
        except NotHeld:
            pass
        except LockdError as error:
            _log().warning("%s", error)


class _Stopped(LockdError):
    """The wait was ended by ``stop()``."""


def _log() -> logging.Logger:
    return logging.getLogger("lockd")

"""The lock and its leases, as users see them."""

from __future__ import annotations

import math
import os
import threading
import time
from types import TracebackType
from typing import Any

from . import _grammar as grammar
from . import _replies as replies
from ._connection import ANSWER_TIMEOUT, Pending, SharedConnection
from ._discovery import socket_path
from ._errors import (
    DaemonUnavailable,
    LeaseLost,
    LocalProtocolError,
    LockdError,
    NotHeld,
    QueueFull,
    RemoteProtocolError,
    show_name,
)
from ._holders import AbandonedLease
from ._process import endpoint
from ._protocol import HeldLease
from ._requests import FOREVER, SHARED, Acquire, Show


class Lease:
    """The right to a lock's name, from its grant until it is released or lost.

    A lease does not fence what it protects. Its holder can be late (stopped, swapped out, waiting for a disk) and go on
    writing after the lease was lost and another process was granted the next one. Where that matters, hand ``token`` to
    whatever is written to, and have it refuse a token smaller than the largest it has seen.
    """

    def __init__(self, connection: SharedConnection, held: HeldLease) -> None:
        self._connection = connection
        self._held = held
        self._thread = threading.get_ident()
        self._since = time.monotonic()

    @property
    def name(self) -> bytes:
        """The name of the lock."""
        return self._held.name

    @property
    def token(self) -> int:
        """The fencing token, larger than that of every lease granted before by a daemon with this state directory."""
        return self._held.token

    @property
    def ttl(self) -> float | None:
        """The seconds that it lasts without a renewal; ``None`` if there is no such bound."""
        return None if self._held.ttl is None else self._held.ttl / 1000

    @property
    def previous(self) -> AbandonedLease | None:
        """The lease before this one, if its holder did not release it: what that was doing may be half done.

        ``None`` if it was released, if there was none, and if somebody else was told of it already.
        """
        return self._held.previous

    @property
    def since(self) -> float:
        """When this process learned of the grant, by ``time.monotonic()``. The daemon granted it a little earlier."""
        return self._since

    @property
    def lost(self) -> bool:
        """Whether the lease ended before it was released: it expired, was revoked, or the connection ended.

        Once true it stays so. ``False`` says that no word of a loss has arrived yet, not that none is on its way. In a
        forked child it is true, because the lease is its parent's. It does not block, and sends nothing.
        """
        if self._connection.pid != os.getpid():
            return True
        if self._held.loss is None:
            self._connection.look()
        return self._held.loss is not None

    def __repr__(self) -> str:
        return f"<lockd.Lease of {show_name(self.name)} token={self.token}>"

    def _release(self) -> None:
        self._connection.release(self._held)
        if self._held.loss is not None:
            raise LeaseLost(self.name, self.token, self._held.loss.reason, self._held.loss.detail)


class Lock:
    """A lock that works between all processes of a machine, with the API of ``threading.Lock``.

    Two locks with the same name and the same daemon exclude each other, in one process or in several; requests are
    granted in the order in which the daemon reads them. It is not reentrant: a thread that acquires it twice waits for
    itself.

    Safe to make before a fork, at import, in a module that gunicorn preloads: it connects when it is first used, in the
    process that uses it. A lease belongs to the process that acquired it: a forked child holds none of its parent's,
    and can neither release nor lose them. All threads of a process share one connection. A lock can be pickled; the
    copy holds nothing.

    What is **not** guaranteed:

    * that a lease lasts until it is released. It is lost if it expires, is revoked, or the daemon ends. ``lease.lost``
      says so, and ``release()`` and the end of a ``with`` block raise ``LeaseLost``. See ``Lease`` on what to do.
    * that a lock that is forgotten is free. A ``Lock`` that is garbage collected while it is held stays held until its
      process ends.
    * that it works in a signal handler. One that interrupted lockd in the same thread gets a ``RuntimeError``.
    * anything, if gevent is made to patch a process in which this library was used before. Patch first.
    """

    def __init__(
        self,
        name: str | bytes,
        *,
        socket: str | os.PathLike[str] | None = None,
        user: bool = False,
        shared: bool = False,
        limit: int | None = None,
        max_queue: int | None = None,
        ttl: float | None = None,
        note: str | bytes | None = None,
        connect_timeout: float = 5.0,
    ) -> None:
        """Name a lock. Nothing is asked of the daemon yet.

        :param name: its name, 1 to 255 bytes; a ``str`` stands for its UTF-8 bytes, without any normalisation.
        :param socket: the path of the daemon's socket. Without it ``$LOCKD_SOCKET``, else ``/run/lockd/lockd.sock``.
        :param user: use the user's own daemon, at ``$XDG_RUNTIME_DIR/lockd/lockd.sock``.
        :param shared: hold it together with others that are shared too, any number of them. An exclusive lease waits
            until all of those have ended, and nobody overtakes a request for one.
        :param limit: hold it together with others, ``limit`` in all: a semaphore, if all say the same number.
        :param max_queue: wait only if fewer than so many others do; else ``acquire()`` is false at once, and ``with``
            raises ``QueueFull``. 1 is for a job that need not run if one is already waiting to.
        :param ttl: the seconds after which the daemon ends a lease that is not renewed, by a clock that stands still
            while the machine sleeps. A thread renews it every third of that time, so that two renewals may be missed;
            it runs as long as the process does. So a ttl bounds for how long a process that is stopped keeps the lock,
            at the price that the next holder may start while it is only stopped. Without a ttl there is no such bound;
            the lease of a process that ends is free at once either way.
        :param note: 1 to 256 bytes that ``lockctl`` shows to whoever looks at the lock.
        :param connect_timeout: how many seconds connecting may take.
        :raises LocalProtocolError: if the name, the note, the ttl, the limit or ``max_queue`` is not one (it is a
            ``ValueError`` too).
        """
        self._name = grammar.check_name(name)
        self._mode = SHARED if shared else None
        self._limit = limit
        self._max_queue = max_queue
        self._note = None if note is None else grammar.check_text("a note", note, grammar.NOTE_LIMIT)
        self._ttl = None if ttl is None else grammar.check_duration("a ttl", _milliseconds(ttl), least=1)
        self._path = socket_path(socket, user)
        self._connect_timeout = connect_timeout
        self._leases: list[Lease] = []
        self._request(FOREVER)  # It would raise now what it would raise later.

    @property
    def name(self) -> bytes:
        """The name of the lock."""
        return self._name

    @property
    def lease(self) -> Lease | None:
        """The lease that ``release()`` would end, lost or not; ``None`` if this process has acquired none.

        If several threads use this object, that is the one that the calling thread acquired, if it did.
        """
        return self._current()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Wait until the lock is free and acquire it, and return whether that was so in time.

        :param blocking: if false, do not wait at all.
        :param timeout: the seconds to wait; -1 for ever. Rounded up to milliseconds; more than 366 days is for ever.
            The daemon keeps this time. If it does not answer within five more seconds it counts as unavailable.
        :raises DaemonUnavailable: if the daemon cannot be reached, ends, or does not answer.
        :raises LimitReached: if the daemon has as many sessions, leases or waiters as it may have.

        Whatever it raises (``KeyboardInterrupt``, ``gevent.Timeout``, …), no lease comes of it: the wait is cancelled,
        and a grant that was on its way is given back.
        """
        return self._acquire(_wait_time(blocking, timeout)) is not None

    def release(self) -> None:
        """Release the lock; any thread of the process that acquired it may.

        When it returns, the lease was held until now. Whatever it raises, the lease has ended or is about to.

        :raises NotHeld: if this process holds no lease of it. It is a ``RuntimeError``, as that of ``threading.Lock``.
        :raises LeaseLost: if the lease was lost before.
        :raises DaemonUnavailable: if the daemon does not answer for five seconds. When it does, the lease ends.
        """
        lease = self._current()
        if lease is None:
            raise NotHeld(self._name)
        try:
            # Of two threads that release at the same time, one gets to remove it.
            if not self._remove(lease):
                raise NotHeld(self._name)
            lease._release()
        except BaseException:
            self._remove(lease)
            lease._connection.give_back(lease._held)
            raise

    def locked(self) -> bool:
        """Whether anybody holds the lock, in this process or another. The daemon is asked.

        It may not be so any more when this returns.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        """
        return endpoint(self._path).ask(
            lambda: Show(self._name, limit=1),
            lambda _, pending: isinstance(pending.replies[0], replies.LeaseLine),
            deadline=time.monotonic() + self._connect_timeout + ANSWER_TIMEOUT,
            connect_timeout=self._connect_timeout,
        )

    def __enter__(self) -> Lease:
        lease = self._acquire(None)
        if lease is None and self._max_queue is not None:
            raise QueueFull(self._name, self._max_queue)
        if lease is None:
            raise RemoteProtocolError("lockd ended a wait for ever with a timeout")
        return lease

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the lock. A loss raises ``LeaseLost``, unless an exception is on its way already."""
        try:
            self.release()
        except LockdError:
            if error is None:
                raise

    def __repr__(self) -> str:
        lease = self._current()
        held = "unlocked" if lease is None else "locked"
        token = "" if lease is None else f" token={lease.token}"
        return f"<{held} lockd.Lock object {show_name(self._name)}{token} at {id(self):#x}>"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_leases": []}

    def _at_fork_reinit(self) -> None:
        # The standard library calls this on locks that it was given (logging does), in a forked child. There it has
        # nothing to do; where this process holds the lock, it means the same as for threading.Lock.
        if self._current() is not None:
            self.release()

    def _acquire(self, wait: float | None) -> Lease | None:
        end = None if wait is None else time.monotonic() + wait

        def make_request() -> Acquire:
            left = FOREVER if end is None else _milliseconds(max(end - time.monotonic(), 0.0))
            return self._request(left)

        deadline = None if end is None else end + ANSWER_TIMEOUT
        return endpoint(self._path).ask(
            make_request, self._accept, deadline=deadline, connect_timeout=self._connect_timeout
        )

    def _request(self, wait: int | str) -> Acquire:
        return Acquire(
            self._names,
            wait=wait,
            max_queue=self._max_queue,
            mode=self._mode,
            limit=self._limit,
            ttl=self._ttl,
            note=self._note,
        )

    def _accept(self, connection: SharedConnection, pending: Pending) -> Lease | None:
        if isinstance(pending.reply, (replies.Busy, replies.TimedOut)):
            return None
        if pending.lease is None:
            raise DaemonUnavailable(self._path, "it ended the wait")
        lease = Lease(connection, pending.lease)
        for other in list(self._leases):
            # What a parent held, what was given back, and what this thread lost and did not come back to.
            forgotten = other._thread == lease._thread and other._held.loss is not None
            if other._connection.pid != connection.pid or other._held.released or forgotten:
                self._remove(other)
        connection.keep_alive(pending.lease)
        self._leases.append(lease)
        return lease

    def _current(self) -> Lease | None:
        """The lease to speak of: the calling thread's own, else one that is held, else one that is lost.

        A thread that lost its lease would otherwise release the one that another thread was granted since.
        """
        process, thread = os.getpid(), threading.get_ident()
        leases = [lease for lease in self._leases if lease._connection.pid == process and not lease._held.released]
        own = [lease for lease in leases if lease._thread == thread]
        held = [lease for lease in leases if lease._held.loss is None]
        best = own or held or leases
        return best[-1] if best else None

    def _remove(self, lease: Lease) -> bool:
        try:
            self._leases.remove(lease)
        except ValueError:
            return False
        return True


def _wait_time(blocking: bool, timeout: float) -> float | None:
    """How long to wait, ``None`` for ever, with the errors of ``threading.Lock.acquire`` for what makes no sense."""
    if math.isnan(timeout):
        raise ValueError("Invalid value NaN (not a number)")
    if timeout > threading.TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    if not blocking and timeout != -1:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0 and timeout != -1:
        raise ValueError("timeout value must be a non-negative number")
    if not blocking:
        return 0.0
    return None if timeout == -1 or timeout * 1000 > grammar.DURATION_LIMIT else timeout


def _milliseconds(seconds: float) -> int:
    """Seconds in milliseconds, rounded up; what is below a nanosecond is no reason to."""
    if not math.isfinite(seconds):
        raise LocalProtocolError(f"a duration is a number of seconds, not {seconds}")
    return math.ceil(round(seconds * 1000, 6))

"""The lock, as users see it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from types import TracebackType
from typing import Any, Callable

from . import _replies as replies
from ._binding import BindTo
from ._client import Client
from ._discovery import socket_path
from ._errors import (
    BindingEnded,
    LockdError,
    NotHeld,
    RequestRefused,
    show_names,
)
from ._lease import Lease
from ._pending import Pending
from ._process import endpoint
from ._requests import Acquire
from ._session import SharedSession
from ._terms import LockTerms, Owner, wait_time
from ._timing import ANSWER_TIMEOUT


def thread_owner() -> str:
    """The calling thread, as an owner: ``Lock(name, owner=thread_owner)``. With gevent, the greenlet."""
    return f"thread-{threading.get_ident()}"


class Lock:
    """A lock that works between all processes of a machine, with the API of ``threading.Lock``.

    Two locks with the same name and the same daemon exclude each other, in one process or in several; requests are
    granted in the order in which the daemon reads them. It is not reentrant, as ``RLock`` is: a thread that acquires it
    twice waits for itself, or gets an error if it has an ``owner``.

    A lock can have several names. It excludes every lock that has one of them, is acquired and released as a whole, and
    holds none of them while it waits. So no order of names has to be agreed upon.

    Safe to make before a fork, at import, in a module that gunicorn preloads: it connects when it is first used, in the
    process that uses it. A lease belongs to the process that acquired it: a forked child holds none of its parent's,
    and can neither release nor lose them. All threads of a process share one session. A lock can be pickled; the copy
    holds nothing.

    A restart of the daemon takes no lease, and no place in the queue. Calls that are in progress then take longer: they
    connect again by themselves, and ask again what was not answered.

    What is **not** guaranteed:

    * that a lease lasts until it is released. It is lost if it expires, is revoked, or the daemon restarts without what
      it had written down. ``lease.lost`` says so, and ``release()`` and the end of a ``with`` block raise
      ``LeaseLost``. See ``Lease`` on what to do.
    * that a lock that is forgotten is free. A ``Lock`` that is garbage collected while it is held stays held until its
      process ends.
    * that it works in a signal handler. One that interrupted lockd in the same thread gets a ``RuntimeError``.
    * anything, if gevent is made to patch a process in which this library was used before. Patch first.
    """

    # Whether what a thread lost is still to be released after it has acquired the lock once more.
    _remembers_losses = False

    def __init__(
        self,
        name: str | bytes,
        *more_names: str | bytes,
        socket: str | os.PathLike[str] | None = None,
        user: bool = False,
        shared: bool = False,
        limit: int | None = None,
        max_queue: int | None = None,
        ttl: float | None = None,
        owner: Owner | None = None,
        note: str | bytes | None = None,
        progress: Callable[[replies.Progress], object] | None = None,
        progress_interval: float = 1.0,
        bind_to: BindTo | None = None,
        connect_timeout: float = 5.0,
    ) -> None:
        """Name a lock. Nothing is asked of the daemon yet.

        :param name: its name, 1 to 255 bytes; a ``str`` stands for its UTF-8 bytes, without any normalisation.
        :param more_names: further names of the same lock, 16 in all.
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
        :param owner: the thread of work within this process that acquires it, 1 to 64 bytes; or a function that returns
            them, as ``thread_owner`` does, called by each ``acquire()`` in its thread. So the daemon knows which locks
            are held together, and ``acquire()`` raises ``DeadlockError`` where it would wait for ever; without an owner
            no deadlock is detected. An owner that holds the lock gets ``AlreadyHeld`` if it acquires it once more. So
            threads that exclude each other need different owners.
        :param note: 1 to 256 bytes that ``lockctl`` shows to whoever looks at the lock.
        :param progress: is called with how a wait goes, when it begins and when its place in the queue or the holder
            has changed, in the thread that waits. It may use other locks. A grant that comes meanwhile is noticed when
            it returns. An exception that it raises ends the wait, and comes out of ``acquire()``.
        :param progress_interval: the least seconds between two such calls, 0.1 or more. What changes in between is told
            once, as it is then.
        :param bind_to: let the lease live as long as another process or a pipe, in place of this process: it outlives
            the session, and is lost with what it is bound to. Any process of the user can release it, with
            ``Client.release`` and its token. With a ttl, nobody renews it unless ``Client.renew`` is called. If the
            session ends while it is acquired, there may be a lease that nobody knows of, for as long as what it is
            bound to lasts.
        :param connect_timeout: how many seconds connecting may take.
        :raises LocalProtocolError: if a name, the owner, the note, the ttl, the limit, ``max_queue`` or
            ``progress_interval`` is not one, or if two names are the same (it is a ``ValueError`` too).
        """
        self._terms = LockTerms(
            (name, *more_names),
            shared=shared,
            limit=limit,
            max_queue=max_queue,
            ttl=ttl,
            owner=owner,
            note=note,
            progress=progress is not None,
            progress_interval=progress_interval,
            bind_to=bind_to,
        )
        self._progress = progress
        self._bind_to = bind_to
        self._path = socket_path(socket, user)
        self._connect_timeout = connect_timeout
        self._leases: list[Lease] = []

    @property
    def name(self) -> bytes:
        """The name of the lock; the first, if it has several."""
        return self._terms.names[0]

    @property
    def names(self) -> tuple[bytes, ...]:
        """All names of the lock, in the order in which they were given."""
        return self._terms.names

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
        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer. If it was there when this process
            used it before, and has gone, it is waited for: until the timeout, for two seconds at least, without
            ``blocking`` too; without a timeout, for ever.
        :raises LimitReached: if the daemon, this user or this process has as much as it may have.
        :raises RequestRefused: if the daemon refuses it for another reason: it is too old for what is asked, or the
            owner holds a part of the names, or holds them together with more others.
        :raises DeadlockError: if it would wait for what its own owner holds.
        :raises AlreadyHeld: if its owner holds it already.
        :raises BindingEnded: if what it is to be bound to has ended.

        Whatever it raises (``KeyboardInterrupt``, ``gevent.Timeout``, …), no lease comes of it: the wait is cancelled,
        and a grant that was on its way is given back.
        """
        return self._acquire(wait_time(blocking, timeout)) is not None

    def release(self) -> None:
        """Release the lock; any thread of the process that acquired it may.

        When it returns, the lease was held until now. Whatever it raises, the lease has ended or is about to.

        :raises NotHeld: if this process holds no lease of it. It is a ``RuntimeError``, as that of ``threading.Lock``.
        :raises LeaseLost: if the lease was lost before.
        :raises DaemonUnavailable: if the daemon does not answer for five seconds, or has gone and does not come back
            within a minute. When it does, the lease ends.
        """
        lease = self._current()
        if lease is None:
            raise self._not_held()
        self._end(lease)

    def locked(self) -> bool:
        """Whether anybody holds the lock, or one of its names, in this process or another. The daemon is asked.

        It may not be so any more when this returns.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        """
        client = Client(socket=self._path, connect_timeout=self._connect_timeout)
        return any(client._is_held(name) for name in self._terms.names)

    def acquire_lock(self, blocking: bool = True, timeout: float = -1) -> bool:
        """``acquire()``, by the older name that ``threading.Lock`` has for it too."""
        return self._acquire(wait_time(blocking, timeout)) is not None

    def release_lock(self) -> None:
        """``release()``, by the older name that ``threading.Lock`` has for it too."""
        self.release()

    def locked_lock(self) -> bool:
        """``locked()``, by the older name that ``threading.Lock`` has for it too."""
        return self.locked()

    def __enter__(self) -> Lease:
        lease = self._acquire(None)
        if lease is None:
            raise self._terms.not_waited_for()
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
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"<{held} {kind} object {show_names(self._terms.names)}{token} at {id(self):#x}>"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_leases": []}

    def _at_fork_reinit(self) -> None:
        # The standard library calls this on locks that it was given (logging does), in a forked child. There it has
        # nothing to do; where this process holds the lock, it means the same as for threading.Lock.
        if self._current() is not None:
            self.release()

    def _acquire(self, wait: float | None) -> Lease | None:
        end = None if wait is None else time.monotonic() + wait
        make_request = self._terms.requests(end)
        if self._bind_to is None:
            return self._send(make_request, end, None)
        with contextlib.ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self._bind_to._opened())
            except ProcessLookupError as error:
                raise BindingEnded(self._terms.names) from error
            return self._send(make_request, end, descriptor)

    def _send(self, make_request: Callable[[], Acquire], end: float | None, descriptor: int | None) -> Lease | None:
        try:
            return endpoint(self._path).ask(
                make_request,
                self._accept,
                answer_by=None if end is None else end + ANSWER_TIMEOUT,
                patience=end,
                connect_timeout=self._connect_timeout,
                report=self._progress,
                descriptor=descriptor,
            )
        except RequestRefused as error:
            if error.code == "bad-descriptor" and error.fields.get("got") == "ended":
                raise BindingEnded(self._terms.names) from error
            raise

    def _accept(self, session: SharedSession, pending: Pending) -> Lease | None:
        held = self._terms.outcome(pending, self._path)
        if held is None:
            return None
        lease = Lease(session, held)
        for other in list(self._leases):
            # What a parent held, what was given back, and what this thread lost and did not come back to. And what was
            # bound and has ended without a word, as it must have if nobody else can hold the lock.
            lost = other._thread == lease._thread and other._held.loss is not None
            forgotten = lost and not self._remembers_losses
            ended = other.bound and self._terms.exclusive
            if other._session.pid != session.pid or other._held.released or forgotten or ended:
                self._remove(other)
        session.keep_alive(held)
        self._leases.append(lease)
        return lease

    def _current(self) -> Lease | None:
        """The lease to speak of: the calling thread's own, else one that is held, else one that is lost.

        A thread that lost its lease would otherwise release the one that another thread was granted since.
        """
        leases = self._acquired()
        if len(leases) == 1:
            return leases[0]
        thread = threading.get_ident()
        own = [lease for lease in leases if lease._thread == thread]
        held = [lease for lease in leases if lease._held.loss is None]
        best = own or held or leases
        return best[-1] if best else None

    def _acquired(self) -> list[Lease]:
        """What this process has acquired and not released, lost or not, the oldest first."""
        process = os.getpid()
        # Of a copy, because no element may be passed over while another thread removes one.
        return [lease for lease in list(self._leases) if lease._session.pid == process and not lease._held.released]

    def _end(self, lease: Lease) -> None:
        try:
            # Of two threads that release at the same time, one gets to remove it.
            if not self._remove(lease):
                raise self._not_held()
            lease._release()
        except BaseException:
            self._remove(lease)
            lease._session.give_back(lease._held)
            raise

    def _not_held(self) -> NotHeld:
        return NotHeld(self.name)

    def _remove(self, lease: Lease) -> bool:
        try:
            self._leases.remove(lease)
        except ValueError:
            return False
        return True

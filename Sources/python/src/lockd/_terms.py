"""What a lock asks for, and what the answers mean. Nothing here does I/O."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from typing import Callable, Union

from . import _grammar as grammar
from . import _replies as replies
from ._binding import BindTo
from ._errors import (
    AlreadyHeld,
    BindingEnded,
    DaemonUnavailable,
    DeadlockError,
    LockdError,
    QueueFull,
    RemoteProtocolError,
)
from ._held import HeldLease
from ._pending import Pending
from ._requests import FOREVER, SHARED, Acquire
from ._timing import milliseconds

#: The thread of work that acquires a lock, or a function that says which that is.
Owner = Union[str, bytes, Callable[[], Union[str, bytes]]]


class LockTerms:
    """The names of a lock and on which terms they are held. It does not change. ``Lock`` documents the parameters."""

    def __init__(
        self,
        names: tuple[str | bytes, ...],
        *,
        shared: bool,
        limit: int | None,
        max_queue: int | None,
        ttl: float | None,
        owner: Owner | None,
        note: str | bytes | None,
        progress: bool,
        progress_interval: float,
        bind_to: BindTo | None,
    ) -> None:
        """Check them.

        :raises LocalProtocolError: if one of them cannot be said in the protocol.
        """
        #: All names of the lock.
        self.names = grammar.check_names(names)
        self._mode = SHARED if shared else None
        self._limit = limit
        self._max_queue = max_queue
        self._owner = owner if owner is None or callable(owner) else _check_owner(owner)
        self._note = None if note is None else grammar.check_text("a note", note, grammar.NOTE_LIMIT)
        self._ttl = None if ttl is None else grammar.check_duration("a ttl", milliseconds(ttl), least=1)
        interval = milliseconds(progress_interval)
        self._progress_interval = interval if progress else None
        self._bind_to = bind_to
        # The latest request. Another one is made only if it is to be different, and nearly always it is not.
        self._latest: Acquire | None = None
        self._make_request(FOREVER, None)  # It would raise now what it would raise later.

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_latest": None}

    @property
    def exclusive(self) -> bool:
        """Whether nobody else holds the lock at the same time."""
        return self._mode is None and self._limit is None

    def requests(self, end: float | None) -> Callable[[], Acquire]:
        """What makes requests to acquire the lock before ``end``, by ``time.monotonic()``; ``None`` is for ever.

        All are by one owner, the one that is there now.
        """
        owner = _check_owner(self._owner()) if callable(self._owner) else self._owner

        def make_request() -> Acquire:
            left = FOREVER if end is None else milliseconds(max(end - time.monotonic(), 0.0))
            return self._request(left, owner)

        return make_request

    def outcome(self, pending: Pending, path: str) -> HeldLease | None:
        """The lease that came of such a request; ``None`` if it was not granted in time.

        :raises LockdError: what ``acquire()`` is to raise.
        """
        if pending.lease is not None:
            return pending.lease
        reply = pending.reply
        if isinstance(reply, (replies.Busy, replies.TimedOut)):
            return None
        if isinstance(reply, replies.Deadlock):
            edges = tuple(each for each in pending.replies if isinstance(each, replies.DeadlockEdge))
            raise DeadlockError(self.names, edges)
        if isinstance(reply, replies.Held):
            raise AlreadyHeld(reply.names, reply.token)
        if self._bind_to is not None:
            raise BindingEnded(self.names)
        raise DaemonUnavailable(path, "it ended the wait")

    def not_waited_for(self) -> LockdError:
        """The error for a wait for ever that has ended without a lease."""
        if self._max_queue is not None:
            return QueueFull(self.names[0], self._max_queue, self.names)
        return RemoteProtocolError("lockd ended a wait for ever with a timeout")

    def _request(self, wait: int | str, owner: bytes | None) -> Acquire:
        request = self._latest
        if request is None or request.wait != wait or request.owner != owner:
            request = self._latest = self._make_request(wait, owner)
        return request

    def _make_request(self, wait: int | str, owner: bytes | None) -> Acquire:
        return Acquire(
            self.names,
            wait=wait,
            max_queue=self._max_queue,
            mode=self._mode,
            limit=self._limit,
            ttl=self._ttl,
            owner=owner,
            note=self._note,
            progress=self._progress_interval,
            bind=None if self._bind_to is None else self._bind_to.kind,
        )


def wait_time(blocking: bool, timeout: float) -> float | None:
    """How long to wait, ``None`` for ever, with the errors of ``threading.Lock.acquire`` for what makes no sense."""
    if blocking and timeout == -1:
        return None
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
    return None if timeout * 1000 > grammar.DURATION_LIMIT else timeout


def semaphore_wait_time(blocking: bool, timeout: float | None) -> float | None:
    """How long to wait, ``None`` for ever, with the errors of ``threading.Semaphore`` for what makes no sense."""
    if not blocking and timeout is not None:
        raise ValueError("can't specify timeout for non-blocking acquire")
    return wait_time(blocking, -1 if timeout is None else max(timeout, 0.0))


def is_full(lines: Sequence[replies.LeaseLine | replies.WaiterLine], value: int) -> bool:
    """Whether one more who holds it with a limit of ``value`` would have to wait; ``lines`` are those of its name."""
    leases = [line for line in lines if isinstance(line, replies.LeaseLine)]
    limits = [line.holder_limit for line in leases if line.holder_limit is not None]
    return len(leases) < len(lines) or len(leases) >= min([value, *limits])


def _check_owner(owner: str | bytes) -> bytes:
    return grammar.check_text("an owner", owner, grammar.OWNER_LIMIT)

"""The lock, as the tasks of an event loop see it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
import weakref
from functools import partial
from types import TracebackType
from typing import Any, Callable

from .. import _replies as replies
from .._binding import BindTo
from .._discovery import socket_path
from .._errors import BindingEnded, LockdError, NotHeld, RequestRefused, show_names
from .._requests import Acquire, Request, Show
from .._terms import LockTerms, Owner, wait_time
from .._timing import ANSWER_TIMEOUT
from ._client import CONNECT_TIMEOUT, Client, ask
from ._endpoint import Endpoint, common_endpoint
from ._lease import Lease, OnLost
from ._pending import TaskPending
from ._session import LoopSession

_task_numbers = itertools.count(1)
_task_owners: weakref.WeakKeyDictionary[asyncio.Task[Any], str] = weakref.WeakKeyDictionary()


def task_owner() -> str:
    """The running task, as an owner: ``Lock(name, owner=task_owner)``. No other task of the process has the same.

    ``asyncio.wait_for(lock.acquire(), …)`` acquires in a task of its own: use ``lock.acquire(timeout=…)``.

    :raises RuntimeError: outside of a task.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no running task to be the owner of a lock")
    owner = _task_owners.get(task)
    if owner is None:
        owner = _task_owners[task] = f"task-{next(_task_numbers)}"
    return owner


class Lock:
    """A lock that works between all processes of a machine, in the manner of ``asyncio.Lock``.

    It excludes every other lock with the same name and the same daemon: of this loop, of other loops and threads, of
    other processes, and ``lockd.Lock``. All that is said there of names, order, several names, restarts of the daemon
    and what is **not** guaranteed goes for this one too. It differs from ``asyncio.Lock`` in that ``release()`` and
    ``locked()`` are coroutines, because they have the daemon answer, and in that ``async with`` gives the lease.

    It can be made outside of a loop and before a fork, and used in several loops and by any number of tasks. Each loop
    has leases of its own; a forked child has none of its parent's. It can be pickled; the copy has the same options, a
    client of its own if it was given one, and holds nothing. Not thread-safe otherwise: its methods are called in the
    thread of a loop.

    Without a client, all locks of a loop share one session, which lasts as long as the loop runs. What is not released
    by then stays held until its process ends, or a further loop has begun to use lockd; leases of a client end when
    that is closed. What is bound to something else (``bind_to``) outlives both.

    A loop that something blocks hears of no loss and renews nothing meanwhile.
    """

    # Whether what a task lost is still to be released after it has acquired the lock once more.
    _remembers_losses = False

    def __init__(
        self,
        name: str | bytes,
        *more_names: str | bytes,
        client: Client | None = None,
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
        on_lost: OnLost | None = None,
        connect_timeout: float | None = None,
    ) -> None:
        """Name a lock. Nothing is asked of the daemon yet. What is not listed here is as for ``lockd.Lock``.

        :param client: whose connection to use, in place of the one that all locks of the loop share.
        :param ttl: the seconds after which the daemon ends a lease that is not renewed. The loop renews it every third
            of that time. So a loop that is blocked for longer than the ttl loses it.
        :param owner: the thread of work that acquires it, 1 to 64 bytes; or a function that returns them, as
            ``lockd.aio.task_owner`` does, called by each ``acquire()`` in its task. So deadlocks are found, and an
            owner that holds the lock gets ``AlreadyHeld``. Without one, a task that acquires it twice waits for itself.
            Two clients have no owners in common.
        :param progress: is called with how a wait goes, in the task that waits. It must not block. An exception that it
            raises ends the wait, and comes out of ``acquire()``.
        :param bind_to: let the lease live as long as another process or a pipe, as for ``lockd.Lock``. It outlives its
            client and the loop, and any process of the user can release it, with ``Client.release`` and its token. With
            a ttl, nobody renews it unless ``Client.renew`` is called.
        :param on_lost: is called in the loop with a ``LeaseLost`` as soon as word of the loss of a lease arrives, once
            for each; not if the lease is released first. It must not block.
        :param connect_timeout: how many seconds connecting may take: 5, or what the client says.
        :raises LocalProtocolError: if a name, the owner, the note, the ttl, the limit, ``max_queue`` or
            ``progress_interval`` is not one, or if two names are the same (it is a ``ValueError`` too).
        :raises ValueError: if a client is given and a socket too.
        """
        if client is not None and (socket is not None or user):
            raise ValueError("give a client or a socket, not both")
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
        self._on_lost = on_lost
        self._client = client
        self._path = socket_path(socket, user) if client is None else client._path
        default = CONNECT_TIMEOUT if client is None else client._connect_timeout
        self._connect_timeout = default if connect_timeout is None else connect_timeout
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
        """The lease that ``release()`` would end, lost or not; ``None`` if the running loop has acquired none.

        If several tasks use this object, that is the one that the running task acquired, if it did.
        """
        return self._current()

    async def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Wait until the lock is free and acquire it, and return whether that was so in time.

        :param blocking: if false, do not wait at all.
        :param timeout: the seconds to wait; -1 for ever. Rounded up to milliseconds; more than 366 days is for ever.
            The daemon keeps this time. If it does not answer within five more seconds it counts as unavailable.
        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer. If it was there when this client
            used it before, and has gone, it is waited for: until the timeout, for two seconds at least, without
            ``blocking`` too; without a timeout, for ever.
        :raises LimitReached: if the daemon, this user or this session has as much as it may have.
        :raises RequestRefused: if the daemon refuses it for another reason: it is too old for what is asked, or the
            owner holds a part of the names, or holds them together with more others.
        :raises DeadlockError: if it would wait for what its own owner holds.
        :raises AlreadyHeld: if its owner holds it already.
        :raises BindingEnded: if what it is to be bound to has ended.
        :raises RuntimeError: if the client belongs to a different event loop.

        Whatever it raises (``CancelledError`` above all), no lease comes of it: the wait is cancelled, and a grant that
        was on its way is given back.
        """
        return await self._acquire(wait_time(blocking, timeout)) is not None

    async def release(self) -> None:
        """Release the lock; any task of the loop that acquired it may.

        When it returns, the lease was held until now, and is free. Whatever it raises (``CancelledError`` too), the
        lease has ended or is about to. It is a coroutine, unlike that of ``asyncio.Lock``: what is not awaited does
        nothing.

        :raises NotHeld: if this loop holds no lease of it. It is a ``RuntimeError``, as that of ``asyncio.Lock``.
        :raises LeaseLost: if the lease was lost before.
        :raises DaemonUnavailable: if the daemon does not answer for five seconds, or has gone and does not come back
            within a minute. When it does, the lease ends.
        """
        await self._take()._release()

    async def locked(self) -> bool:
        """Whether anybody holds the lock, or one of its names, in this process or another. The daemon is asked.

        It may not be so any more when this returns.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        """
        for name in self.names:
            lines = await self._ask(partial(Show, name, limit=1))
            if isinstance(lines[0], replies.LeaseLine):
                return True
        return False

    async def __aenter__(self) -> Lease:
        """Acquire the lock, however long that takes, and return the lease.

        :raises QueueFull: if ``max_queue`` others wait.
        """
        lease = await self._acquire(None)
        if lease is None:
            raise self._terms.not_waited_for()
        return lease

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the lock. A loss raises ``LeaseLost``, unless an exception is on its way already."""
        try:
            await self.release()
        except LockdError:
            if error is None:
                raise

    def __repr__(self) -> str:
        lease = self._current()
        held = "unlocked" if lease is None else "locked"
        token = "" if lease is None else f" token={lease.token}"
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"<{held} {kind} object {show_names(self.names)}{token} at {id(self):#x}>"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_leases": []}

    def _endpoint(self) -> Endpoint:
        return common_endpoint(self._path) if self._client is None else self._client._here()

    async def _ask(self, make_request: Callable[[], Request]) -> list[replies.Reply]:
        return await ask(self._endpoint(), make_request, self._connect_timeout)

    async def _acquire(self, wait: float | None) -> Lease | None:
        end = None if wait is None else time.monotonic() + wait
        make_request = self._terms.requests(end)
        if self._bind_to is None:
            return await self._send(make_request, end, None)
        with contextlib.ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self._bind_to._opened())
            except ProcessLookupError as error:
                raise BindingEnded(self.names) from error
            return await self._send(make_request, end, descriptor)

    async def _send(
        self, make_request: Callable[[], Acquire], end: float | None, descriptor: int | None
    ) -> Lease | None:
        try:
            return await self._endpoint().ask(
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
                raise BindingEnded(self.names) from error
            raise

    def _accept(self, session: LoopSession, pending: TaskPending) -> Lease | None:
        held = self._terms.outcome(pending, self._path)
        if held is None:
            return None
        lease = Lease(session, held, self._on_lost)
        for other in list(self._leases):
            # What a parent or a loop that is gone held, what was given back, and what this task lost and did not come
            # back to. And what was bound and has ended without a word, as it must have if nobody else can hold it.
            lost = other._task == lease._task and other._held.loss is not None
            forgotten = lost and not self._remembers_losses
            gone = other._session.pid != session.pid or other._session.loop.is_closed()
            ended = other.bound and self._terms.exclusive
            if gone or other._held.released or forgotten or ended:
                self._leases.remove(other)
        self._leases.append(lease)
        return lease

    def _take(self) -> Lease:
        """The lease to release, which is nobody else's to release from now on."""
        lease = self._current()
        if lease is None:
            raise self._not_held()
        self._leases.remove(lease)
        return lease

    def _not_held(self) -> NotHeld:
        return NotHeld(self.name)

    def _current(self) -> Lease | None:
        """The lease to speak of: the running task's own, else one that is held, else one that is lost.

        A task that lost its lease would otherwise release the one that another task was granted since.
        """
        own = self._own()
        if own is not None:
            return own
        leases = self._acquired()
        held = [lease for lease in leases if lease._held.loss is None]
        best = held or leases
        return best[-1] if best else None

    def _own(self) -> Lease | None:
        """The latest lease that the running task has acquired and not released, lost or not."""
        leases = self._acquired()
        task = asyncio.current_task() if leases else None
        own = [lease for lease in leases if task is not None and lease._task is not None and lease._task() is task]
        return own[-1] if own else None

    def _acquired(self) -> list[Lease]:
        """What the running loop has acquired and not released, lost or not, the oldest first."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return []
        return [
            lease
            for lease in self._leases
            if lease._session.pid == os.getpid() and lease._session.loop is loop and not lease._held.released
        ]

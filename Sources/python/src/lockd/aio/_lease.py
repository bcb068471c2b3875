"""A lease of the tasks of an event loop, and its loss."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Generator
from functools import partial
from typing import Any, Callable

from .. import _replies as replies
from .._errors import DaemonUnavailable, LeaseLost, show_names
from .._granted import GrantedLease
from .._held import BOUND_LOSS, HeldLease, Loss
from .._requests import Release
from ._client import CONNECT_TIMEOUT, ask
from ._endpoint import common_endpoint
from ._session import LoopSession

#: Is told of a loss, with the error that ``release()`` would raise.
OnLost = Callable[[LeaseLost], object]


class Lease(GrantedLease):
    """The right to a lock's name, from its grant until it is released or lost.

    A lease does not fence what it protects. Its holder can be late (stopped, waiting for a disk, in a loop that
    something blocks) and go on writing after the lease was lost and another process was granted the next one. Where
    that matters, hand ``token`` to whatever is written to, and have it refuse a token smaller than the largest it has
    seen.
    """

    def __init__(self, session: LoopSession, held: HeldLease, on_lost: OnLost | None) -> None:
        super().__init__(held)
        self._session = session
        task = asyncio.current_task()
        self._task = None if task is None else weakref.ref(task)
        self._on_lost = on_lost
        self._lost = LossEvent(session, held)
        if held.bound:
            # Most of these end without a word: the session must not be what keeps one that nobody knows of any more.
            tell = weakref.WeakMethod(self._tell)
            session.keep(held, lambda: _call(tell()))
            weakref.finalize(self, session.forget_loss, held.token).atexit = False
        else:
            session.keep(held, self._tell)

    @property
    def bound(self) -> bool:
        """Whether it is bound to something else than this process: see ``lockd.BindTo``."""
        return self._held.bound

    @property
    def lost(self) -> LossEvent:
        """The loss of the lease, true as soon as it is: ``if lease.lost``, ``await lease.lost``."""
        return self._lost

    def __repr__(self) -> str:
        return f"<lockd.aio.Lease of {show_names(self.names)} token={self.token}>"

    async def _release(self) -> None:
        try:
            await self._session.release(self._held)
        except DaemonUnavailable:
            if not (self._held.bound and self._session.ended):
                raise
            await self._release_anew()
        self._raise_loss()

    async def _release_anew(self) -> None:
        """Release a bound lease that has outlived its session, in the one that the loop's locks share."""
        request = partial(Release, self.name, self.token)
        replied = await ask(common_endpoint(self._session.path), request, CONNECT_TIMEOUT)
        if isinstance(replied[-1], replies.NotHeld):
            self._held.loss = BOUND_LOSS
        else:
            self._held.released = True

    def _tell(self) -> None:
        self._lost._event.set()
        if self._on_lost is not None:
            self._on_lost(self._lost._error())


class LossEvent:
    """Whether a lease ended before it was released, in the manner of ``asyncio.Event``; the daemon sets it.

    The lease expired, was revoked, or a restarted daemon knows it not; or its client was closed. Once set it stays so.
    While the loop runs, it is set as soon as word of the loss arrives. That it is not set says that none has arrived
    yet, not that none is on its way. That the daemon has gone is no loss: the lease lasts. Of a bound lease, no word
    comes when what it is bound to has ended, and none once its client is closed.

    In a forked child it is set, because the lease is its parent's.
    """

    def __init__(self, session: LoopSession, held: HeldLease) -> None:
        self._session = session
        self._held = held
        self._event = asyncio.Event()

    def is_set(self) -> bool:
        """Whether the lease is lost. So is the truth value of this object."""
        return self._session.pid != os.getpid() or self._held.loss is not None

    async def wait(self) -> LeaseLost:
        """Wait until the lease is lost, and return what ``release()`` would raise. ``await lease.lost`` is the same.

        Of a lease that is released no loss comes: cancel the task that waits for it.
        """
        if not self.is_set():
            await self._event.wait()
        return self._error()

    def __await__(self) -> Generator[Any, None, LeaseLost]:
        return self.wait().__await__()

    def __bool__(self) -> bool:
        return self.is_set()

    def __repr__(self) -> str:
        return f"<lockd.aio.LossEvent {'set' if self.is_set() else 'unset'}>"

    def _error(self) -> LeaseLost:
        pid, loss = self._session.pid, self._held.loss
        if loss is None:
            loss = Loss("disconnected", f"it is the lease of process {pid}, of which this one is a fork")
        return LeaseLost(self._held.name, self._held.token, loss.reason, loss.detail, self._held.names)


def _call(tell: Callable[[], object] | None) -> None:
    if tell is not None:
        tell()

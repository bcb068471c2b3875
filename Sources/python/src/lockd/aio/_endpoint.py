"""What belongs to an event loop: one session with each daemon that it uses, and those of its clients."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import time
from typing import Callable, TypeVar

from .._binding import Descriptor
from .._errors import DaemonUnavailable, LockdError
from .._link import farewell
from .._link import leave as leave_now
from .._pending import Report
from .._requests import Request
from .._transport import unanswered
from ._pending import TaskPending
from ._session import LoopSession, connect

_Answer = TypeVar("_Answer")

# The endpoints of locks without a client of their own. A forked child keeps those of its parent: to collect a loop is
# to close it, and a copy of a loop that is closed takes from its parent what that polls with.
_common: dict[asyncio.AbstractEventLoop, dict[str, Endpoint]] = {}


class Endpoint:
    """A daemon as one event loop sees it: the path of its socket and the session with it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pid = os.getpid()
        self.loop = asyncio.get_running_loop()
        self._connecting = asyncio.Lock()
        self._session: LoopSession | None = None
        self._refusal: tuple[float, LockdError] | None = None
        self._closed = False

    async def ask(
        self,
        make_request: Callable[[], Request],
        accept: Callable[[LoopSession, TaskPending], _Answer],
        *,
        answer_by: float | None,
        patience: float | None,
        connect_timeout: float,
        report: Report | None = None,
        descriptor: int | None = None,
    ) -> _Answer:
        """Send a request, wait for its answer, and return what ``accept`` makes of it.

        A session that turns out to have ended before the request was sent is replaced, once. If anything is raised, by
        whomever, no lease has come of it. A duplicate of ``descriptor`` goes with the request. Its progress is told to
        ``report``; what that raises ends the wait.

        :param answer_by: when a daemon that is there must have answered, by ``time.monotonic()``; ``None`` for never.
        :param patience: until when a daemon that has gone is waited for, and a little longer (``Pending.limit``).
        :raises DaemonUnavailable: if the daemon cannot be reached, goes for too long, or does not answer in time.
        :raises RequestRefused: if the answer is ERROR.
        :raises RuntimeError: in another loop.
        """
        while True:
            session, is_new = await self.connect(connect_timeout)
            pending = TaskPending(
                make_request(),
                answer_by=answer_by,
                patience=patience,
                report=report,
                descriptor=None if descriptor is None else Descriptor(descriptor),
            )
            try:
                await session.ask(pending)
                return accept(session, pending)
            except BaseException as error:
                # For what `accept` raises; `session.ask` has done it before.
                session.give_up(pending)
                if is_new or not pending.unsent or self._closed or not isinstance(error, LockdError):
                    raise

    async def connect(self, timeout: float) -> tuple[LoopSession, bool]:
        """The session, and whether it was made for this call."""
        self._check()
        session = self._session
        if session is not None and not session.ended:
            return session, False
        began = time.monotonic()
        async with self._connecting:
            self._check()
            session = self._session
            if session is not None and not session.ended:
                return session, False
            # What was in vain while this task waited for its turn is in vain for it too. Otherwise a daemon that is
            # stopped would keep the last of many tasks for as many timeouts.
            if self._refusal is not None and self._refusal[0] >= began:
                raise copy.copy(self._refusal[1])
            try:
                if session is not None and session.number is not None:
                    await _leave(self.path, session.number, timeout)
                session = await LoopSession.open(self.path, timeout)
            except LockdError as error:
                self._refusal = (time.monotonic(), error)
                raise
            if self._closed:
                session.end(_CLOSED)
                self._check()
            self._session = session
            return session, True

    def close(self) -> None:
        """End the session for good. What is held is lost, and whoever waits gets ``DaemonUnavailable``."""
        self._closed = True
        if self._session is not None and os.getpid() == self.pid:
            end_session(self._session, _CLOSED)

    def forget(self) -> None:
        """Close a forked child's copy of its parent's connection."""
        if self._session is not None:
            self._session.forget()

    def _check(self) -> None:
        if os.getpid() != self.pid:
            reason = f"the client is that of process {self.pid}, of which this one is a fork"
            raise DaemonUnavailable(self.path, reason, "Make a client of its own, in a loop of its own")
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError("the lockd client belongs to a different event loop")
        if self._closed:
            raise DaemonUnavailable(self.path, _CLOSED)


_CLOSED = "the client was closed"


def common_endpoint(path: str) -> Endpoint:
    """The running loop's endpoint for a socket, for all locks that have no client."""
    loop = asyncio.get_running_loop()
    mine = _common.get(loop)
    if mine is None:
        for other, theirs in list(_common.items()):
            inherited = any(endpoint.pid != os.getpid() for endpoint in theirs.values())
            if inherited:
                for endpoint in theirs.values():
                    endpoint.forget()
            elif other.is_closed():
                # Nobody will read what the daemon says to it.
                for endpoint in _common.pop(other, {}).values():
                    endpoint.close()
        mine = _common.setdefault(loop, {})
    found = mine.get(path)
    if found is None or found.pid != os.getpid():
        found = mine[path] = Endpoint(path)
    return found


def end_session(session: LoopSession, reason: str) -> None:
    """End a session. Does not block."""
    was_detached = session.detached
    session.end(reason)
    if was_detached and session.number is not None:
        with contextlib.suppress(LockdError):
            # It does not wait. Of a daemon that is not back yet, the session ends with this process.
            leave_now(session.path, session.number, timeout=0)


async def _leave(path: str, number: int, timeout: float) -> None:
    """End a session of this process that has ended here, within ``timeout`` seconds, as the other shell does."""
    deadline = time.monotonic() + timeout
    transport = await connect(path, deadline)
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    transport.begin_polling()
    loop.add_reader(transport.fileno(), readable.set)
    try:
        transport.send(farewell(number), None)
        while True:
            await asyncio.wait_for(readable.wait(), max(deadline - time.monotonic(), 0.0))
            readable.clear()
            with contextlib.suppress(BlockingIOError):
                if not transport.receive():
                    return
    except asyncio.TimeoutError:
        raise unanswered(path) from None
    except OSError:
        # It has closed the connection, and so ended whatever there was.
        return
    finally:
        loop.remove_reader(transport.fileno())
        transport.end_polling()
        transport.retire()

"""Word of whatever happens, in a session of its own, for the tasks of an event loop."""

from __future__ import annotations

import asyncio
import copy
import os
import time
from collections import deque
from types import TracebackType

from .. import _requests as requests
from .._errors import DaemonUnavailable
from .._replies import Event, Missed
from .._timing import ANSWER_TIMEOUT
from ._endpoint import end_session
from ._pending import TaskPending
from ._session import LoopSession

# So many events are kept here for whoever iterates. Behind them the daemon keeps what happens, as far as it has room.
_KEPT = 1000


class Watch:
    """An iterator over what happens to names, in the order in which it happens: ``Event``, and ``Missed``.

    ::

        async with client.watch("reports/") as watch:
            async for event in watch:
                print(event)

    It begins when it is entered, or first iterated, and ends when it is closed. One task at a time may iterate, in one
    loop. What happens while nobody does is kept by the daemon, as far as that has room; then comes ``Missed``. It is of
    no use to a forked child.

    It goes on when the daemon has restarted. While there is none, it waits for it. If the next one knows nothing of the
    watch, ``Missed`` says so, with a count of ``None``, and what happens from then on is told.
    """

    def __init__(self, path: str, prefix: bytes | None, connect_timeout: float) -> None:
        self._path = path
        self._prefix = prefix
        self._connect_timeout = connect_timeout
        self._pid = os.getpid()
        self._events: deque[Event | Missed] = deque()
        self._session: LoopSession | None = None
        # Who iterates, and waits.
        self._waker: asyncio.Future[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Watch:
        """Begin it: what happens from now on is told.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        :raises LimitReached: if as many sessions watch as may.
        """
        await self._begin()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Event | Missed:
        """The next event. The iteration ends when the watch is closed.

        A task that is cancelled while it waits for one misses none.

        :raises RequestRefused: if a daemon that has restarted refuses the watch.
        :raises RemoteProtocolError: if the other end of the socket said what no lockd says.
        :raises DaemonUnavailable: in a forked child; and as ``__aenter__`` does, if it has not begun.
        """
        if os.getpid() != self._pid:
            reason = f"the watch is that of process {self._pid}, of which this one is a fork"
            raise DaemonUnavailable(self._path, reason, "Make a client of its own, in a loop of its own")
        if self._session is None and not self._closed:
            await self._begin()
        while not self._closed and self._session is not None:
            if self._events:
                event = self._events.popleft()
                self._session.read(len(self._events) < _KEPT)
                return event
            if self._session.failure is not None:
                raise copy.copy(self._session.failure)
            self._waker = asyncio.get_running_loop().create_future()
            try:
                await self._waker
            finally:
                self._waker = None
        raise StopAsyncIteration

    async def close(self) -> None:
        """End it, and the iteration of whoever is in it. May be called more than once."""
        self._closed = True
        if os.getpid() == self._pid and self._session is not None:
            end_session(self._session, "the watch was closed")
        self._wake()

    async def _begin(self) -> None:
        deadline = time.monotonic() + self._connect_timeout
        session = await LoopSession.open(self._path, self._connect_timeout, self)
        try:
            request = requests.Watch(self._prefix)
            await session.ask(TaskPending(request, answer_by=deadline + ANSWER_TIMEOUT, patience=deadline))
        except BaseException:
            end_session(session, "the watch did not begin")
            raise
        if self._closed or self._session is not None:
            end_session(session, "the watch was closed")
            return
        self._session = session

    def happened(self, event: Event | Missed) -> bool:
        """Keep an event, and say whether there is room for more (a step of ``LoopSession``)."""
        self._events.append(event)
        self._wake()
        return len(self._events) < _KEPT

    def ended(self) -> None:
        """Have whoever iterates find out (a step of ``LoopSession``)."""
        self._wake()

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done() and not self._waker.get_loop().is_closed():
            self._waker.set_result(None)

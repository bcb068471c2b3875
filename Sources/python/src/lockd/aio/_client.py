"""What can be asked of the daemon from an event loop, and the connection that locks share."""

from __future__ import annotations

import functools
import os
import time
import weakref
from collections.abc import AsyncIterator, Awaitable
from types import TracebackType
from typing import Any, Callable

from .. import _grammar as grammar
from .. import _replies as replies
from .._discovery import socket_path
from .._errors import DaemonUnavailable, NotHeld
from .._replies import End, Hold, LeaseLine, Reply, WaiterLine
from .._requests import History, List, Ping, Release, Renew, Request, Show
from .._timing import ANSWER_TIMEOUT, milliseconds
from ._endpoint import Endpoint
from ._watch import Watch

#: How many seconds connecting may take, where nothing else is said.
CONNECT_TIMEOUT = 5.0


class Client:
    """One connection to the daemon, for the tasks of one event loop.

    ::

        async with lockd.aio.Client() as client:
            async with lockd.aio.Lock("reports/nightly", client=client):
                ...

    It connects when it is entered, or first used. Of use to one loop: in another one its methods raise
    ``RuntimeError``, unless the first was closed, and no method may be called from outside of the loop's thread. In a
    forked child they raise ``DaemonUnavailable``, whatever the loop; the child makes a client of its own, and takes
    nothing from its parent, neither when it is collected nor when the child ends. It can be pickled; the copy is a
    client of the same daemon, with a connection of its own.

    When the daemon restarts, its methods wait for the next one for as long as connecting may take. Every answer was
    true when the daemon gave it, and may not be when it is read.
    """

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        *,
        user: bool = False,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        """Name a daemon, as ``lockd.Lock`` does. Nothing is asked of it yet.

        :param connect_timeout: how many seconds connecting may take.
        """
        self._path = socket_path(socket, user)
        self._connect_timeout = connect_timeout
        self._endpoint: Endpoint | None = None
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._closed = False

    async def __aenter__(self) -> Client:
        """Connect.

        :raises DaemonUnavailable: if there is no daemon, or it does not answer.
        :raises LimitReached: if the daemon has as many sessions as it may have.
        """
        await self._here().connect(self._connect_timeout)
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection and those of its watches, for good. May be called more than once.

        The leases that are still held over it end, and count as lost, but for those that are bound; who waits gets
        ``DaemonUnavailable``. In a forked child it does nothing.
        """
        self._closed = True
        for watch in list(self._watches):
            await watch.close()
        if self._endpoint is not None:
            self._endpoint.close()

    async def ping(self) -> None:
        """Return if the daemon answers.

        :raises DaemonUnavailable: if it does not.
        """
        await self._ask(Ping)

    async def show(self, name: str | bytes) -> list[LeaseLine | WaiterLine]:
        """The lease on a name, then its waiters in the order of their turn. Empty if nobody holds it."""
        checked = grammar.check_name(name)
        return [line async for line in pages(self._ask, lambda after: Show(checked, after=after))]

    async def history(self, name: str | bytes) -> tuple[Hold, ...]:
        """The last leases on a name that have ended, the latest first. The daemon remembers 16 of a name at most.

        It forgets all of them when it ends, and those of names that were long unused when it knows too many.
        """
        checked = grammar.check_name(name)
        return tuple(line for line in await self._ask(lambda: History(checked)) if isinstance(line, Hold))

    def watch(self, prefix: str | bytes | None = None) -> Watch:
        """Be told of whatever happens to the names that begin with ``prefix`` (to all, without one).

        It has a session of its own, which begins when the watch is entered or iterated: close it, or use it in an
        ``async with`` statement.
        """
        checked = None if prefix is None else grammar.check_name(prefix)
        if self._closed:
            raise DaemonUnavailable(self._path, "the client was closed")
        watch = Watch(self._path, checked, self._connect_timeout)
        self._watches.add(watch)
        return watch

    async def release(self, name: str | bytes, token: int) -> None:
        """Release a lease by its token: one of this client, or a bound one of the same user, whoever acquired it.

        :param name: any of its names.
        :raises NotHeld: if there is no such lease. Nothing has changed. But if the daemon restarts meanwhile, it cannot
            be told whether the lease has been over for longer, and nothing is raised.
        """
        checked = grammar.check_name(name)
        if isinstance((await self._ask(lambda: Release(checked, token)))[-1], replies.NotHeld):
            raise NotHeld(checked, token)

    async def renew(self, name: str | bytes, token: int, ttl: float | None = None) -> None:
        """Move the deadline of such a lease to its ttl from now, or to ``ttl`` seconds, which is its ttl from then on.

        :param name: any of its names.
        :raises NotHeld: if there is no such lease. Nothing has changed.
        """
        checked, duration = grammar.check_name(name), None if ttl is None else milliseconds(ttl)
        if isinstance((await self._ask(lambda: Renew(checked, token, duration)))[-1], replies.NotHeld):
            raise NotHeld(checked, token)

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "_connect_timeout": self._connect_timeout}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_path"], connect_timeout=state["_connect_timeout"])  # type: ignore[misc]

    def _here(self) -> Endpoint:
        """The endpoint, which is that of the loop in which it is first asked for."""
        endpoint = self._endpoint
        if endpoint is not None and endpoint.pid == os.getpid() and endpoint.loop.is_closed():
            # Nobody will read what the daemon says to it.
            endpoint.close()
            endpoint = None
        if endpoint is None:
            if self._closed:
                raise DaemonUnavailable(self._path, "the client was closed")
            endpoint = self._endpoint = Endpoint(self._path)
        return endpoint

    async def _ask(self, make_request: Callable[[], Request]) -> list[Reply]:
        return await ask(self._here(), make_request, self._connect_timeout)

    # The last method, because in a class that has a `list` the name of the type means the method.
    def list(self, prefix: str | bytes | None = None) -> AsyncIterator[LeaseLine | WaiterLine]:
        """The leases and waiters of every lock whose name begins with ``prefix``, page by page: ``async for``.

        What is held or waiting throughout the listing is in it; what comes or goes meanwhile may be.
        """
        checked = None if prefix is None else grammar.check_name(prefix)
        return pages(self._ask, lambda after: List(checked, after=after))


async def ask(endpoint: Endpoint, make_request: Callable[[], Request], connect_timeout: float) -> list[Reply]:
    """The answer to what the daemon answers at once."""
    patience = time.monotonic() + connect_timeout
    return await endpoint.ask(
        make_request,
        lambda _, pending: pending.replies,
        answer_by=patience + ANSWER_TIMEOUT,
        patience=patience,
        connect_timeout=connect_timeout,
    )


async def pages(
    ask_here: Callable[[Callable[[], Request]], Awaitable[list[Reply]]],
    make_request: Callable[[str | None], Request],
) -> AsyncIterator[LeaseLine | WaiterLine]:
    """The lines of a listing that the daemon answers page by page."""
    after: str | None = None
    while True:
        page = functools.partial(make_request, after)
        after = None
        for line in await ask_here(page):
            if isinstance(line, (LeaseLine, WaiterLine)):
                yield line
            elif isinstance(line, End):
                after = line.next
        if after is None:
            return

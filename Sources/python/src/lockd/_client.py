"""What can be asked of the daemon without a lock of one's own."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from typing import Callable

from . import _grammar as grammar
from . import _replies as replies
from ._discovery import socket_path
from ._errors import NotHeld
from ._process import endpoint
from ._replies import End, Hold, LeaseLine, Reply, WaiterLine
from ._requests import History, List, Ping, Release, Renew, Request, Show
from ._timing import ANSWER_TIMEOUT, milliseconds
from ._watch import Watch


class Client:
    """What the daemon knows, and leases by their tokens.

    It shares the process's session with the locks, and needs no closing; only ``watch()`` has one of its own. When the
    daemon restarts, its methods wait for the next one for as long as connecting may take.

    Every answer was true when the daemon gave it, and may not be when it is read.
    """

    def __init__(
        self,
        *,
        socket: str | os.PathLike[str] | None = None,
        user: bool = False,
        connect_timeout: float = 5.0,
    ) -> None:
        """Name a daemon, as ``Lock`` does. Nothing is asked of it yet."""
        self._path = socket_path(socket, user)
        self._connect_timeout = connect_timeout

    def ping(self) -> None:
        """Return if the daemon answers.

        :raises DaemonUnavailable: if it does not.
        """
        self._ask(Ping)

    def show(self, name: str | bytes) -> list[LeaseLine | WaiterLine]:
        """The lease on a name, then its waiters in the order of their turn. Empty if nobody holds it."""
        checked = grammar.check_name(name)
        return list(self._pages(lambda after: Show(checked, after=after)))

    def history(self, name: str | bytes) -> tuple[Hold, ...]:
        """The last leases on a name that have ended, the latest first. The daemon remembers 16 of a name at most.

        It forgets all of them when it ends, and those of names that were long unused when it knows too many.
        """
        checked = grammar.check_name(name)
        return tuple(line for line in self._ask(lambda: History(checked)) if isinstance(line, Hold))

    def watch(self, prefix: str | bytes | None = None) -> Watch:
        """Be told of whatever happens to the names that begin with ``prefix`` (to all, without one), from now on.

        It has a session of its own: close it, or use it in a ``with`` statement.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        :raises LimitReached: if as many sessions watch as may.
        """
        checked = None if prefix is None else grammar.check_name(prefix)
        return Watch(self._path, checked, self._connect_timeout)

    def release(self, name: str | bytes, token: int) -> None:
        """Release a lease by its token: one of this process, or a bound one of the same user, whoever acquired it.

        :param name: any of its names.
        :raises NotHeld: if there is no such lease. Nothing has changed. But if the daemon restarts meanwhile, it cannot
            be told whether the lease has been over for longer, and nothing is raised.
        """
        checked = grammar.check_name(name)
        if isinstance(self._ask(lambda: Release(checked, token))[-1], replies.NotHeld):
            raise NotHeld(checked, token)

    def renew(self, name: str | bytes, token: int, ttl: float | None = None) -> None:
        """Move the deadline of such a lease to its ttl from now, or to ``ttl`` seconds, which is its ttl from then on.

        :param name: any of its names.
        :raises NotHeld: if there is no such lease. Nothing has changed.
        """
        checked, duration = grammar.check_name(name), None if ttl is None else milliseconds(ttl)
        if isinstance(self._ask(lambda: Renew(checked, token, duration))[-1], replies.NotHeld):
            raise NotHeld(checked, token)

    def _is_held(self, name: bytes) -> bool:
        return isinstance(self._ask(lambda: Show(name, limit=1))[0], LeaseLine)

    def _pages(self, make_request: Callable[[str | None], Request]) -> Iterator[LeaseLine | WaiterLine]:
        after: str | None = None
        while True:
            page = functools.partial(make_request, after)
            after = None
            for line in self._ask(page):
                if isinstance(line, (LeaseLine, WaiterLine)):
                    yield line
                elif isinstance(line, End):
                    after = line.next
            if after is None:
                return

    def _ask(self, make_request: Callable[[], Request]) -> list[Reply]:
        patience = time.monotonic() + self._connect_timeout
        return endpoint(self._path).ask(
            make_request,
            lambda _, pending: pending.replies,
            answer_by=patience + ANSWER_TIMEOUT,
            patience=patience,
            connect_timeout=self._connect_timeout,
        )

    # The last method, because in a class that has a `list` the name of the type means the method.
    def list(self, prefix: str | bytes | None = None) -> Iterator[LeaseLine | WaiterLine]:
        """The leases and waiters of every lock whose name begins with ``prefix``, page by page.

        What is held or waiting throughout the listing is in it; what comes or goes meanwhile may be.
        """
        checked = None if prefix is None else grammar.check_name(prefix)
        return self._pages(lambda after: List(checked, after=after))

"""What belongs to this process: one connection to each daemon that it uses, and nothing of what it inherited."""

from __future__ import annotations

import copy
import os
import threading
import time
from typing import Callable, TypeVar

from ._binding import Descriptor
from ._connection import SharedConnection
from ._errors import LockdError
from ._pending import Pending, Report
from ._requests import Request

_Answer = TypeVar("_Answer")

# By pid, so that a forked child finds nothing of its own. Its parent's entry goes when the child first asks.
_endpoints: dict[int, dict[str, Endpoint]] = {}


class Endpoint:
    """A daemon as this process sees it: the path of its socket and the connection to it. Thread-safe."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connecting = threading.Lock()
        self._connection: SharedConnection | None = None
        self._refusal: tuple[float, LockdError] | None = None

    def ask(
        self,
        make_request: Callable[[], Request],
        accept: Callable[[SharedConnection, Pending], _Answer],
        *,
        deadline: float | None,
        connect_timeout: float,
        report: Report | None = None,
        descriptor: int | None = None,
    ) -> _Answer:
        """Send a request, wait for its answer until ``deadline``, and return what ``accept`` makes of it.

        A connection that turns out to have ended before the request was sent is replaced, once. If anything is raised,
        by whomever, no lease has come of it. A duplicate of ``descriptor`` goes with the request. Its progress is told
        to ``report`` in the calling thread; what that raises ends the wait.

        :raises DaemonUnavailable: if the daemon cannot be reached, or goes, or does not answer in time.
        :raises RequestRefused: if the answer is ERROR.
        """
        while True:
            connection, is_new = self._connect(connect_timeout)
            pending = Pending(make_request(), report, None if descriptor is None else Descriptor(descriptor))
            try:
                connection.ask(pending, deadline)
                return accept(connection, pending)
            except BaseException as error:
                # For what `accept` raises; `connection.ask` has done it before.
                connection.give_up(pending)
                if is_new or not pending.unsent or not isinstance(error, LockdError):
                    raise

    def forget(self) -> None:
        """Close a forked child's copy of its parent's connection."""
        if self._connection is not None:
            self._connection.forget()

    def _connect(self, timeout: float) -> tuple[SharedConnection, bool]:
        connection = self._connection
        if connection is not None and not connection.ended:
            return connection, False
        began = time.monotonic()
        with self._connecting:
            connection = self._connection
            if connection is not None and not connection.ended:
                return connection, False
            # What was in vain while this thread waited for its turn is in vain for it too. Otherwise a daemon that is
            # stopped would keep the last of many threads for as many timeouts.
            if self._refusal is not None and self._refusal[0] >= began:
                raise copy.copy(self._refusal[1])
            try:
                connection = self._connection = SharedConnection.open(self.path, timeout)
            except LockdError as error:
                self._refusal = (time.monotonic(), error)
                raise
            return connection, True


def endpoint(path: str) -> Endpoint:
    """This process's endpoint for a socket."""
    pid = os.getpid()
    mine = _endpoints.get(pid)
    if mine is None:
        mine = _adopt(pid)
    found = mine.get(path)
    # setdefault is atomic, so that two threads get the same one without a lock made at import.
    return found if found is not None else mine.setdefault(path, Endpoint(path))


def _adopt(pid: int) -> dict[str, Endpoint]:
    mine = _endpoints.setdefault(pid, {})
    for other in [other for other in list(_endpoints) if other != pid]:
        for theirs in _endpoints.pop(other, {}).values():
            theirs.forget()
    return mine

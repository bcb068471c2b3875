"""What belongs to this process: one session with each daemon that it uses, and nothing of what it inherited."""

from __future__ import annotations

import copy
import os
import threading
import time
from typing import Callable, TypeVar

from ._binding import Descriptor
from ._errors import LockdError
from ._link import leave
from ._pending import Pending, Report
from ._requests import Request
from ._session import SharedSession

_Answer = TypeVar("_Answer")

# By pid, so that a forked child finds nothing of its own. Its parent's entry goes when the child first asks.
_endpoints: dict[int, dict[str, Endpoint]] = {}


class Endpoint:
    """A daemon as this process sees it: the path of its socket and the session with it. Thread-safe."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connecting = threading.Lock()
        self._session: SharedSession | None = None
        self._refusal: tuple[float, LockdError] | None = None

    def ask(
        self,
        make_request: Callable[[], Request],
        accept: Callable[[SharedSession, Pending], _Answer],
        *,
        answer_by: float | None,
        patience: float | None,
        connect_timeout: float,
        report: Report | None = None,
        descriptor: int | None = None,
        begin: Callable[[SharedSession, Pending], object] | None = None,
    ) -> _Answer:
        """Send a request, wait for its answer, and return what ``accept`` makes of it.

        A session that turns out to have ended before the request was sent is replaced, once. If anything is raised, by
        whomever, no lease has come of it. A duplicate of ``descriptor`` goes with the request. Its progress is told to
        ``report`` in the calling thread; what that raises ends the wait. With ``begin`` another thread learns what it
        can withdraw, and what that raises is raised.

        :param answer_by: when a daemon that is there must have answered, by ``time.monotonic()``; ``None`` for never.
        :param patience: until when a daemon that has gone is waited for, and a little longer (``Pending.limit``).
        :raises DaemonUnavailable: if the daemon cannot be reached, goes for too long, or does not answer in time.
        :raises RequestRefused: if the answer is ERROR.
        """
        while True:
            session, is_new = self._connect(connect_timeout)
            pending = Pending(
                make_request(),
                answer_by=answer_by,
                patience=patience,
                report=report,
                descriptor=None if descriptor is None else Descriptor(descriptor),
            )
            try:
                if begin is not None:
                    begin(session, pending)
                session.ask(pending)
                return accept(session, pending)
            except BaseException as error:
                # For what `accept` raises; `session.ask` has done it before.
                session.give_up(pending)
                if is_new or not pending.unsent or not isinstance(error, LockdError):
                    raise

    def forget(self) -> None:
        """Close a forked child's copy of its parent's connection."""
        if self._session is not None:
            self._session.forget()

    def _connect(self, timeout: float) -> tuple[SharedSession, bool]:
        session = self._session
        if session is not None and not session.ended:
            return session, False
        began = time.monotonic()
        with self._connecting:
            session = self._session
            if session is not None and not session.ended:
                return session, False
            # What was in vain while this thread waited for its turn is in vain for it too. Otherwise a daemon that is
            # stopped would keep the last of many threads for as many timeouts.
            if self._refusal is not None and self._refusal[0] >= began:
                raise copy.copy(self._refusal[1])
            try:
                if session is not None and session.number is not None:
                    leave(self.path, session.number, timeout)
                session = self._session = SharedSession.open(self.path, timeout)
            except LockdError as error:
                self._refusal = (time.monotonic(), error)
                raise
            return session, True


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

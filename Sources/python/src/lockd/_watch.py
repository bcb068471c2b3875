"""Word of whatever happens, in a session of its own."""

from __future__ import annotations

import contextlib
import copy
import os
import select
import threading
import time
from collections import deque
from types import TracebackType

from . import _requests as requests
from ._errors import DaemonUnavailable, LockdError
from ._link import Link, leave, refusal
from ._protocol import Received
from ._replies import Event, Missed, Refused, Reply, Watching, Welcome
from ._timing import ANSWER_TIMEOUT
from ._transport import connect
from ._waiting import wait_for_signal


class Watch:
    """An iterator over what happens to names, in the order in which it happens: ``Event``, and ``Missed``.

    ::

        with lockd.Client().watch("reports/") as watch:
            for event in watch:
                print(event)

    It ends when it is closed, which any thread may do. One thread at a time may iterate. What happens while nobody does
    is kept by the daemon, as far as that has room; then comes ``Missed``. It is of no use to a forked child.

    It goes on when the daemon has restarted. While there is none, it waits for it. If the next one knows nothing of the
    watch, ``Missed`` says so, with a count of ``None``, and what happens from then on is told.
    """

    def __init__(self, path: str, prefix: bytes | None, connect_timeout: float) -> None:
        self._pid = os.getpid()
        self._path = path
        self._events: deque[Event | Missed] = deque()
        # The kinds of answers that have come.
        self._answers: set[type[Reply]] = set()
        self._closed = False
        # Guards everything but the wait between two steps. Reentrant, because a signal handler may close the watch.
        self._mutex = threading.RLock()
        self._signal: threading.Lock | None = None
        deadline = time.monotonic() + connect_timeout
        self._link = Link(path, connect(path, deadline), self)
        try:
            self._await_answer(Welcome, deadline)
            self._link.core.send(requests.Watch(prefix))
            self._await_answer(Watching, deadline + ANSWER_TIMEOUT)
        except BaseException:
            self.close()
            raise

    def wait(self, timeout: float | None = None) -> Event | Missed | None:
        """The next event; ``None`` if there is none within ``timeout`` seconds, or if the watch is closed.

        :raises RequestRefused: if a daemon that has restarted refuses the watch.
        :raises RemoteProtocolError: if the other end of the socket said what no lockd says.
        :raises DaemonUnavailable: in a forked child.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._closed:
            if self._events:
                return self._events.popleft()
            self._exchange()
            if not self._events and not self._await_something(deadline):
                return None
        return None

    def close(self) -> None:
        """End it, and the iteration of whoever is in it. May be called more than once."""
        self._closed = True
        if os.getpid() != self._pid:
            # The connection is its parent's, and so is the mutex.
            if self._link.transport is not None:
                self._link.transport.forget()
            return
        with self._mutex:
            is_detached = self._link.transport is None and self._link.failure is None
            self._link.end(DaemonUnavailable(self._path, "the watch was closed"))
            if self._signal is not None:
                self._signal.release()
                self._signal = None
        if is_detached and self._link.core.number is not None:
            with contextlib.suppress(LockdError):
                # It does not wait. Of a daemon that is not back yet, the session ends with this process.
                leave(self._path, self._link.core.number, timeout=0)

    def deliver(self, received: Received) -> None:
        """Keep what was received (a step of ``Link``)."""
        reply = received.reply
        if isinstance(reply, (Event, Missed)):
            self._events.append(reply)
        elif isinstance(reply, Refused) and received.request is not None:
            self._link.end(refusal(reply))
        else:
            self._answers.add(type(reply))

    def connection_changed(self) -> None:
        """Nobody waits in the midst of a step (a step of ``Link``)."""

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Event | Missed:
        event = self.wait()
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _await_answer(self, kind: type[Reply], deadline: float) -> None:
        while True:
            self._exchange()
            if kind in self._answers:
                return
            if not self._await_something(deadline):
                raise copy.copy(self._link.silence())

    def _exchange(self) -> None:
        """Connect, send and receive, as far as that is possible without waiting."""
        if os.getpid() != self._pid:
            reason = f"the connection is that of process {self._pid}, of which this one is a fork"
            raise DaemonUnavailable(self._path, reason)
        with self._mutex:
            self._link.reconnect()
            if not self._link.flush():
                self._link.receive_rest()
            self._link.receive()
            if self._link.failure is not None and not self._closed and not self._events:
                raise copy.copy(self._link.failure)

    def _await_something(self, deadline: float | None) -> bool:
        """Wait until there is reason to look again, and say whether that was before ``deadline``."""
        with self._mutex:
            if self._closed:
                return True
            transport, signal = self._link.transport, threading.Lock()
            if transport is not None:
                transport.begin_polling()
            else:
                signal.acquire()
                self._signal = signal
        if transport is None:
            due = self._link.reconnecting.due
            wait_for_signal(signal, due if deadline is None else min(due, deadline))
            return deadline is None or time.monotonic() < deadline
        try:
            events = select.POLLIN | select.POLLOUT if self._link.core.unsent else select.POLLIN
            return transport.wait(events, deadline)
        finally:
            with self._mutex:
                transport.end_polling()

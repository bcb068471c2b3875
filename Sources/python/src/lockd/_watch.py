"""Word of whatever happens, on a connection of its own."""

from __future__ import annotations

import copy
import os
import select
import socket
import time
from collections import deque
from types import TracebackType

from . import _replies as replies
from . import _requests as requests
from ._connection import RECEIVE_SIZE, greeting, refusal, unanswered
from ._errors import DaemonUnavailable, LockdError
from ._protocol import Connection
from ._replies import Event, Missed, Reply
from ._timing import ANSWER_TIMEOUT
from ._waiting import connect, wait_for_socket


class Watch:
    """An iterator over what happens to names, in the order in which it happens: ``Event``, and ``Missed``.

    ::

        with lockd.Client().watch("reports/") as watch:
            for event in watch:
                print(event)

    It ends when it is closed, which any thread may do; ``DaemonUnavailable`` is raised when the daemon ends. One thread
    at a time may iterate. What happens while nobody does is kept by the daemon, as far as that has room; then comes
    ``Missed``. It is of no use to a forked child.
    """

    def __init__(self, path: str, prefix: bytes | None, connect_timeout: float) -> None:
        self._path = path
        self._pid = os.getpid()
        self._core = Connection()
        self._events: deque[Event | Missed] = deque()
        self._failure: LockdError | None = None
        self._answer: Reply | None = None
        self._closed = False
        self._waiting = False
        deadline = time.monotonic() + connect_timeout
        self._socket = connect(path, deadline)
        try:
            self._ask(greeting(), deadline)
            self._ask(requests.Watch(prefix), deadline + ANSWER_TIMEOUT)
        except BaseException:
            self._socket.close()
            raise

    def wait(self, timeout: float | None = None) -> Event | Missed | None:
        """The next event; ``None`` if there is none within ``timeout`` seconds, or if the watch is closed.

        :raises DaemonUnavailable: if the daemon has ended.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._waiting = True
        try:
            while not self._closed:
                if self._events:
                    return self._events.popleft()
                if not self._receive_before(deadline):
                    return None
            return None
        finally:
            self._waiting = False
            if self._closed:
                self._socket.close()

    def close(self) -> None:
        """End it, and the iteration of whoever is in it. May be called more than once."""
        self._closed = True
        try:
            # In a forked child, the connection is its parent's.
            if os.getpid() == self._pid:
                self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        # The descriptor of one that is polled must not be closed: its number could be given to another file.
        if not self._waiting or os.getpid() != self._pid:
            self._socket.close()

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

    def _ask(self, request: requests.Request, deadline: float) -> None:
        self._core.send(request)
        while data := self._core.data_to_send():
            # The first bytes of a connection always fit.
            self._core.data_sent(self._socket.send(data, socket.MSG_NOSIGNAL))
        self._answer = None
        while self._answer is None:
            if not self._receive_before(deadline):
                raise unanswered(self._path)
        if isinstance(self._answer, replies.Refused):
            raise refusal(self._answer)

    def _receive_before(self, deadline: float | None) -> bool:
        """Wait for something to receive, take it in, and say whether that was before ``deadline``."""
        if os.getpid() != self._pid:
            reason = f"the connection is that of process {self._pid}, of which this one is a fork"
            raise DaemonUnavailable(self._path, reason)
        if self._failure is not None:
            raise copy.copy(self._failure)
        if not wait_for_socket(self._socket, select.POLLIN, deadline):
            return False
        try:
            self._take_in()
        except LockdError as error:
            if not self._closed:
                self._failure = error
                raise
        return True

    def _take_in(self) -> None:
        try:
            data = self._socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            raise DaemonUnavailable(self._path, error.strerror or str(error)) from None
        if not data:
            raise DaemonUnavailable(self._path, "it closed the connection")
        for received in self._core.receive(data):
            if isinstance(received.reply, (Event, Missed)):
                self._events.append(received.reply)
            else:
                self._answer = received.reply

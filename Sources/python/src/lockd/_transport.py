"""A connected socket that several threads use, and how to come by another one.

As everywhere, ``socket``, ``select`` and ``time`` are looked up when they are used, so that gevent may patch them after
this module was imported.
"""

from __future__ import annotations

import array
import os
import random
import socket
import time

from ._binding import Descriptor
from ._discovery import unavailable
from ._errors import DaemonUnavailable
from ._waiting import wait_for_socket

#: How much is received at a time, in bytes.
RECEIVE_SIZE = 16384

# While the queue of new connections is full, in seconds: when the first connection is made, somebody waits for that.
_FIRST_BACKOFF = 0.001
_LONGEST_BACKOFF = 0.05

# The pauses between attempts to connect again, in seconds. They grow, and are random by half, so that the clients of a
# daemon that has restarted do not come all at once.
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0


class Transport:
    """A connected socket, to be closed when the last of those who poll it is out of it.

    Whoever uses it sees to it that only ``wait`` is called by several threads at a time.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._file = os.fstat(connected.fileno())
        self._poller_count = 0
        self._retired = False

    def fileno(self) -> int:
        """The descriptor, which may be closed unless somebody polls."""
        return self._socket.fileno()

    def send(self, data: bytes, descriptor: object) -> int:
        """Send what there is room for, and return how much that was.

        :raises BlockingIOError: if there is room for nothing.
        :raises OSError: if nobody is there to receive it.
        """
        # Some programs have SIGPIPE kill them. It should not be a restart of lockd that does it.
        if not isinstance(descriptor, Descriptor):
            return self._socket.send(data, socket.MSG_NOSIGNAL)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor.number]))
        return self._socket.sendmsg([data], [rights], socket.MSG_NOSIGNAL)

    def receive(self) -> bytes:
        """What has arrived, or nothing at the end of the stream.

        :raises BlockingIOError: if nothing has arrived.
        :raises OSError: if the connection broke.
        """
        return self._socket.recv(RECEIVE_SIZE)

    def begin_polling(self) -> None:
        """See to it that the descriptor stays open until ``end_polling``. Its number could be given to another file."""
        self._poller_count += 1

    def end_polling(self) -> None:
        """Let the descriptor be closed."""
        self._poller_count -= 1
        if self._retired:
            self._close_if_done()

    def wait(self, events: int, deadline: float | None) -> bool:
        """Wait until the socket is ready for ``events``, between ``begin_polling`` and ``end_polling``.

        Says whether that was before ``deadline`` (by ``time.monotonic()``).
        """
        return wait_for_socket(self._socket, events, deadline)

    def retire(self) -> None:
        """End the connection, wake whoever polls, and close the descriptor as soon as nobody does."""
        if self._retired:
            return
        self._retired = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._close_if_done()

    def forget(self) -> None:
        """Close this process's descriptor of the connection, and nothing more. Its parent's goes on undisturbed."""
        try:
            inherited = os.path.samestat(os.fstat(self._socket.fileno()), self._file)
        except OSError:
            inherited = False
        # A child that closed all it inherited may have another file under this number by now.
        if inherited:
            self._socket.close()
        else:
            self._socket.detach()

    def __del__(self) -> None:
        # So that the interpreter does not warn of an open socket at its end, neither in the process that made it nor in
        # a forked child that never used it.
        if hasattr(self, "_poller_count"):
            self.forget()

    def _close_if_done(self) -> None:
        if self._poller_count == 0:
            self._socket.close()


def connect(path: str, deadline: float) -> Transport:
    """A connection to the daemon at ``path``, made before ``deadline`` (``time.monotonic()``).

    :raises DaemonUnavailable: at once, if there is no daemon.
    """
    connecting = Connecting(path, deadline)
    while True:
        transport = connecting.attempt()
        if transport is not None:
            return transport
        time.sleep(connecting.pause)


class Connecting:
    """Attempts to make a first connection before ``deadline`` (``time.monotonic()``)."""

    def __init__(self, path: str, deadline: float) -> None:
        self._path = path
        self._deadline = deadline
        self._backoff = _FIRST_BACKOFF
        #: How long to wait before the next attempt, in seconds.
        self.pause = 0.0

    def attempt(self) -> Transport | None:
        """Connect, if that is possible at the moment. Does not block.

        :raises DaemonUnavailable: if there is no daemon, or its queue stays full until the deadline.
        """
        try:
            return _connect_now(self._path)
        except BlockingIOError as error:
            # The queue of connections that lockd has not accepted yet is full. There is nothing to poll for; a blocking
            # connect() would wait, and with it every greenlet of the process.
            if time.monotonic() + self._backoff > self._deadline:
                reason = "its queue of new connections stays full"
                raise unavailable(self._path, OSError(error.errno, reason)) from None
        except OSError as error:
            raise unavailable(self._path, error) from None
        self.pause, self._backoff = self._backoff, min(2 * self._backoff, _LONGEST_BACKOFF)
        return None


def _connect_now(path: str) -> Transport:
    connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.connect(path)
        return Transport(connecting)
    except BaseException:
        connecting.close()
        raise


class Reconnecting:
    """Attempts to connect again, at once and then with pauses that grow. They have no end: whoever waits has."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pause = 0.0
        #: When the next attempt is due, by ``time.monotonic()``.
        self.due = 0.0
        #: Why there is no connection.
        self.failure = unanswered(path)

    def begin(self, failure: DaemonUnavailable) -> None:
        """A connection has ended, or was not made. If nothing came of it, the next attempt is not made at once."""
        self.failure = failure
        self.due = time.monotonic() + self._pause * (1 + random.random()) / 2  # noqa: S311

    def succeed(self) -> None:
        """Something has come of the connection."""
        self._pause = 0.0

    def attempt(self) -> Transport | None:
        """Connect, if that is due and possible. Does not block."""
        if time.monotonic() < self.due:
            return None
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        self.failure = unanswered(self._path)
        try:
            return _connect_now(self._path)
        except OSError as error:
            # Any: the daemon is not there yet, or its queue is full, or its socket is not ours yet, or this process has
            # no descriptor left at the moment. What can be done about it is done by somebody else.
            self.begin(unavailable(self._path, error))
            return None


def unanswered(path: str) -> DaemonUnavailable:
    """The error for an answer that does not come."""
    return DaemonUnavailable(path, "it does not answer", "Is it stopped, or the machine overloaded?")

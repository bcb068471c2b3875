"""A session and its connection, whichever that is at the moment.

As everywhere, ``select`` and ``time`` are looked up when they are used, so that gevent may patch them after this module
was imported.
"""

from __future__ import annotations

import math
import select
import time
import weakref
from typing import Protocol

from . import _replies as replies
from ._errors import DaemonUnavailable, LimitReached, LockdError, RemoteProtocolError, RequestRefused
from ._protocol import Received, Session
from ._requests import Hello, Quit, Request
from ._transport import Reconnecting, Transport, connect, unanswered
from ._version import __version__

#: What this library calls itself.
CLIENT = f"lockd-python/{__version__}".encode()


class LinkUser(Protocol):
    """Who is told what a link receives and becomes."""

    def deliver(self, received: Received) -> None:
        """Something was received."""

    def connection_changed(self) -> None:
        """The connection has ended, another one is in use, or the session has ended."""


class Link:
    """A session, moved over one connection after the other.

    Nothing here blocks. Whoever uses it sees to it that one thread at a time is in here, and waits: until ``transport``
    has something to receive, or room for what is to be sent; without one, until ``reconnecting.due``.
    """

    def __init__(self, path: str, transport: Transport, user: LinkUser) -> None:
        self.path = path
        self.core = Session()
        #: The connection, unless it has ended and there is no other one yet.
        self.transport: Transport | None = transport
        self.reconnecting = Reconnecting(path)
        #: How the session ended, ``None`` as long as it has not.
        self.failure: LockdError | None = None
        #: When the latest connection ended or was made, if there was more than one, by ``time.monotonic()``.
        self.since = -math.inf
        # It outlives the link. And if nobody refers to it any more, the socket is closed at once.
        self._user: LinkUser = weakref.proxy(user)
        self.core.greet(CLIENT)

    def send_ahead(self, request: Request) -> int | None:
        """Send the line of a request that is asked of ``core`` behind this, as far as there is room.

        Returns how much of it was sent, nothing if others are to be sent before; ``None`` if nobody is there to receive
        it.
        """
        line = self.core.line_ahead(request)
        if not line or self.transport is None:
            return 0
        try:
            return self.transport.send(line, None)
        except BlockingIOError:
            return 0
        except OSError:
            return None

    def flush(self) -> bool:
        """Send what is to be sent, as far as there is room, and say whether anybody is there to receive it."""
        while self.core.unsent and self.transport is not None:
            try:
                count = self.transport.send(self.core.data_to_send(), self.core.descriptor_to_send())
            except BlockingIOError:
                break
            except OSError:
                return False
            self.core.data_sent(count)
        return True

    def receive(self) -> bool:
        """Receive once and deliver what it was, and say whether there may be more."""
        if self.transport is None:
            return False
        try:
            data = self.transport.receive()
        except BlockingIOError:
            return False
        except OSError as error:
            self._break_off(error.strerror or str(error))
            return False
        if not data:
            self._break_off("it closed the connection")
            return False
        try:
            received = self.core.receive(data)
        except RemoteProtocolError as error:
            self.end(error)
            return False
        for meaning in received:
            if meaning.request is None and isinstance(meaning.reply, replies.Refused):
                self._refuse(meaning.reply)
            elif meaning.final and meaning.request is not None:
                self.reconnecting.succeed()
            self._user.deliver(meaning)
        if self.core.welcomed:
            self._go_on()
        # Releases of leases that came of abandoned waits. If nobody is there to receive them, the next receive tells.
        if self.core.unsent:
            self.flush()
        return True

    def receive_rest(self) -> None:
        """Receive what is left on a connection at the other end of which nobody is."""
        while self.receive():
            pass
        self._break_off("it closed the connection")

    def drop(self) -> None:
        """End a connection on which the daemon has said nothing yet, and with it the waits for that."""
        self._break_off("it does not answer")

    def reconnect(self) -> None:
        """Make another connection, if that is due and possible."""
        if self.transport is None and self.failure is None:
            self.transport = self.reconnecting.attempt()
            if self.transport is not None:
                self.core.greet(CLIENT)
                if not self.flush():
                    self.receive_rest()

    def end(self, failure: LockdError) -> None:
        """End the session: nothing is held any more, and what is asked has no answer."""
        if self.failure is not None:
            return
        self.failure = failure
        self.core.receive_end(failure.reason if isinstance(failure, DaemonUnavailable) else str(failure))
        self._user.connection_changed()
        transport, self.transport = self.transport, None
        if transport is not None:
            # Wakes whoever polls.
            transport.retire()

    def silence(self) -> DaemonUnavailable:
        """The error for an answer that does not come, now."""
        return unanswered(self.path) if self.core.attached else self.reconnecting.failure

    def _go_on(self) -> None:
        now = time.monotonic()
        self.core.go_on(now)
        if self.since > -math.inf:
            self.since = now
            self._user.connection_changed()

    def _break_off(self, reason: str) -> None:
        """The connection has ended. The session goes on without, if it can."""
        transport, was_attached = self.transport, self.core.attached
        if transport is None:
            return
        failure = DaemonUnavailable(self.path, reason)
        if not self.core.detach():
            self.end(failure)
            return
        self.transport = None
        self.reconnecting.begin(failure)
        # Not if it was only half made: whoever has waited too long for it has waited for all attempts.
        if was_attached:
            self.since = time.monotonic()
        transport.retire()
        self._user.connection_changed()

    def _refuse(self, reply: replies.Refused) -> None:
        """The session is refused, or its connection is. Of a session that goes on, some of that may be right later."""
        passing = reply.code.startswith("too-many-") or reply.code == "log-full"
        if passing and self.core.number is not None and not self.core.attached:
            self._break_off(str(refusal(reply)))
        else:
            self.end(refusal(reply))


def leave(path: str, number: int, timeout: float) -> None:
    """End a session of this process that has ended here, within ``timeout`` seconds.

    The daemon may not have heard of its end, because it was not there at that moment; then it keeps its leases.

    :raises DaemonUnavailable: if there is no daemon, or it does not answer.
    """
    deadline = time.monotonic() + timeout
    transport = connect(path, deadline)
    transport.begin_polling()
    try:
        # The first bytes of a connection always fit. If there is no such session any more, it is a new one that ends.
        transport.send(farewell(number), None)
        while transport.wait(select.POLLIN, deadline):
            if not transport.receive():
                return
        raise unanswered(path)
    except OSError as error:
        if isinstance(error, LockdError):
            raise
    finally:
        transport.end_polling()
        transport.retire()


def farewell(number: int) -> bytes:
    """What is said on a new connection to end a session of this process."""
    return Hello(version=1, client=CLIENT, resume=number).to_line() + Quit().to_line()


def refusal(reply: replies.Refused) -> RequestRefused:
    """The error for an answer ERROR."""
    is_limit = reply.code.startswith("too-many-") and reply.code != "too-many-names"
    error = LimitReached if is_limit else RequestRefused
    return error(reply.code, reply.fields)

"""The client's side of the lockd protocol, without I/O.

The rules of this module:

1. Bytes in, replies out; requests in, bytes out. No sockets, no clocks, no threads, no locks, no globals. Whoever moves
   the bytes sees to it that one thread at a time is in here.
2. A tag is used once in the life of a connection. So no answer can be taken for another's, whatever was given up.
3. A lease is held from the moment GRANTED is *received* until its RELEASED, its LOST, or the end of the connection is.
   It is known by its token alone, and held or not as a whole, however many names it has.
4. Nothing that is given up keeps a lease. A wait that is abandoned is cancelled; if the grant was faster, the lease is
   released by its token the moment it arrives. An abandoned RELEASE is still a RELEASE.
5. What the daemon may not say in answer to a request ends the connection (``RemoteProtocolError``). A client that
   guesses what a lock server meant has two holders.
6. A lease that is bound to something else lives on when the connection ends. So that end is no loss of it, and after it
   nothing is known of it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from weakref import WeakValueDictionary

from . import _replies as replies
from ._errors import LocalProtocolError, RemoteProtocolError
from ._holders import AbandonedLease
from ._parsing import parse_reply
from ._replies import Reply
from ._requests import (
    Acquire,
    Cancel,
    Hello,
    History,
    List,
    Ping,
    Quit,
    Release,
    Renew,
    Request,
    Revoke,
    Show,
    Stats,
    Unwatch,
    Watch,
)

#: A line longer than this is no reply: the longest that the protocol can make, with 16 names, has less than 16 KiB.
LINE_LIMIT = 65536

_ANSWERS: dict[type[Request], tuple[type[Reply], ...]] = {
    Hello: (replies.Welcome,),
    Acquire: (
        replies.Progress,
        replies.Granted,
        replies.Held,
        replies.Busy,
        replies.TimedOut,
        replies.Cancelled,
        replies.DeadlockEdge,
        replies.Deadlock,
    ),
    Release: (replies.Released, replies.NotHeld),
    Renew: (replies.Renewed, replies.NotHeld),
    Cancel: (replies.WaitCancelled, replies.NotWaiting),
    Show: (replies.LeaseLine, replies.WaiterLine, replies.End),
    List: (replies.LeaseLine, replies.WaiterLine, replies.End),
    History: (replies.Hold, replies.End),
    Watch: (replies.Watching,),
    Unwatch: (replies.Unwatched,),
    Revoke: (replies.Revoked, replies.Denied, replies.NotHeld),
    Stats: (replies.Statistic, replies.End),
    Ping: (replies.Pong,),
    Quit: (replies.Bye,),
}

# Lines that others of the same answer follow.
_INNER_LINES = (
    replies.LeaseLine,
    replies.WaiterLine,
    replies.Statistic,
    replies.Hold,
    replies.Progress,
    replies.DeadlockEdge,
)

# Lines that nobody asked for.
_EVENTS = (replies.Lost, replies.Event, replies.Missed)


@dataclass(frozen=True)
class Loss:
    """Why a lease ended that was not released."""

    #: ``expired``, ``revoked``, ``disconnected`` or ``unknown``; a later daemon may know more words.
    reason: str
    #: Who revoked it and why, or how the connection ended, for people to read.
    detail: str = ""


#: What NOTHELD says of a lease that was bound.
BOUND_LOSS = Loss("unknown", "lockd knows it no more; what it was bound to may have ended")
_UNTOLD_LOSS = Loss("unknown", "lockd said NOTHELD without having told of a loss")


@dataclass(eq=False)
class HeldLease:
    """A lease that was granted on this connection."""

    names: tuple[bytes, ...]
    token: int
    #: Milliseconds, ``None`` for no bound.
    ttl: int | None
    #: The lease before it, if that was not released.
    previous: AbandonedLease | None = None
    #: Whether it is bound to something else than the connection.
    bound: bool = False
    #: Set once, when the lease is lost.
    loss: Loss | None = None
    #: Whether this side gave it back: RELEASED was received, or nobody waits for it.
    released: bool = False

    @property
    def name(self) -> bytes:
        """The first of its names, by which it is released and renewed."""
        return self.names[0]


@dataclass(frozen=True)
class Received:
    """A line that answers a request, or an event or a refusal of the whole session (neither tag nor request)."""

    tag: str | None
    request: Request | None
    reply: Reply
    #: Whether it is the last line of the answer.
    final: bool = True
    #: The lease that ``GRANTED`` or ``HELD`` speaks of.
    lease: HeldLease | None = None


@dataclass(eq=False)
class _Outstanding:
    request: Request
    abandoned: bool = False


@dataclass(eq=False)
class _Accompanied:
    """A line that is to be sent together with a descriptor, by where it stands in all that was ever sent."""

    start: int
    end: int
    descriptor: object


class Connection:
    """One connection to the daemon, from its first byte to its end.

    Ask with ``send``; move ``data_to_send()`` to the socket, together with ``descriptor_to_send()``, and tell how much
    went with ``data_sent``; pass what the socket says to ``receive``, and the end of the stream to ``receive_end``.
    """

    def __init__(self) -> None:
        #: The leases that are held, by token.
        self.leases: dict[int, HeldLease] = {}
        #: Those that are bound. Most of them end without a word, so they are known for as long as somebody else cares.
        self.bound_leases: WeakValueDictionary[int, HeldLease] = WeakValueDictionary()
        #: How the connection ended, ``None`` as long as it has not.
        self.end: str | None = None
        self._tag_count = 0
        self._tagged: dict[str, _Outstanding] = {}
        self._untagged: deque[_Outstanding] = deque()
        self._unsettled: set[str] = set()
        self._outgoing = bytearray()
        self._sent_count = 0
        self._accompanied: deque[_Accompanied] = deque()
        self._incoming = bytearray()

    def send(self, request: Request, descriptor: object = None) -> str:
        """Put a request into the bytes to send, and return its tag.

        :param descriptor: what ``descriptor_to_send()`` is to return along with its line. It is kept until the first
            byte of the line was sent, or the connection has ended; whatever becomes of the request.
        :raises LocalProtocolError: if the connection has ended.
        """
        self._check_open()
        start = self._sent_count + len(self._outgoing)
        tag = self._send(_Outstanding(request))
        if descriptor is not None:
            self._accompanied.append(_Accompanied(start, self._sent_count + len(self._outgoing), descriptor))
        return tag

    def send_untagged(self, request: Request) -> None:
        """Put a request without a tag into the bytes to send. Such requests are answered in their order.

        One that waits holds back all that come behind it, and cannot be abandoned.

        :raises LocalProtocolError: if the connection has ended.
        """
        self._check_open()
        self._untagged.append(_Outstanding(request))
        self._outgoing += request.to_line()

    def abandon(self, tag: str) -> None:
        """Give up the request under ``tag``: nobody is told of its answer, and no lease comes of it.

        A tag that is answered already, or was never sent, is passed over.
        """
        outstanding = self._tagged.get(tag)
        if outstanding is None or outstanding.abandoned:
            return
        outstanding.abandoned = True
        if isinstance(outstanding.request, Acquire):
            self._unsettled.add(tag)
            self._send(_Outstanding(Cancel(tag), abandoned=True))

    def give_back(self, lease: HeldLease) -> None:
        """Release a lease, and tell nobody of the answer. One that has ended is passed over."""
        if self._find(lease.token) is lease:
            lease.released = True
            self._send(_Outstanding(Release(lease.name, lease.token), abandoned=True))

    @property
    def settled(self) -> bool:
        """Whether no abandoned wait can still bring a lease.

        As long as it is false, somebody has to go on receiving: a grant that is never read is a lease that nobody has
        and nobody else gets.
        """
        return not self._unsettled

    def data_to_send(self) -> bytes:
        """The bytes that are to be written next, in one go. There may be more behind them."""
        if not self._accompanied:
            return bytes(self._outgoing)
        first = self._accompanied[0]
        # A line with a descriptor is written by itself, so that it is beyond doubt which line the descriptor is for.
        end = first.end if first.start == self._sent_count else first.start
        return bytes(self._outgoing[: end - self._sent_count])

    def descriptor_to_send(self) -> object:
        """What is to go with the first byte of ``data_to_send()``; ``None`` for nothing."""
        first = self._accompanied[0] if self._accompanied else None
        return first.descriptor if first is not None and first.start == self._sent_count else None

    def data_sent(self, count: int) -> None:
        """Forget the first ``count`` bytes of those that were to be written, and the descriptor that went with them."""
        del self._outgoing[:count]
        self._sent_count += count
        if self._accompanied and self._accompanied[0].start < self._sent_count:
            self._accompanied.popleft()

    def receive(self, data: bytes) -> list[Received]:
        """Take in what the socket said, and return what it means to those who wait.

        Answers to abandoned requests and unknown events are not among it.

        :raises RemoteProtocolError: if no lockd says so. The connection is then at its end: call ``receive_end``.
        """
        self._incoming += data
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = rest
        received = [meaning for meaning in map(self._receive_line, lines) if meaning is not None]
        if len(rest) > LINE_LIMIT:
            raise RemoteProtocolError(f"the reply has more than {LINE_LIMIT} bytes")
        return received

    def receive_end(self, reason: str) -> None:
        """Take in that the connection has ended. Every lease that is still held is lost, unless it is bound."""
        if self.end is not None:
            return
        self.end = reason
        for lease in self.leases.values():
            if not lease.released and lease.loss is None:
                lease.loss = Loss("disconnected", reason)
        self.leases.clear()
        self.bound_leases.clear()
        self._tagged.clear()
        self._untagged.clear()
        self._unsettled.clear()
        self._outgoing.clear()
        self._accompanied.clear()

    def _check_open(self) -> None:
        if self.end is not None:
            raise LocalProtocolError(f"the connection has ended: {self.end}")

    def _send(self, outstanding: _Outstanding) -> str:
        self._tag_count += 1
        tag = f"#{self._tag_count}"
        self._tagged[tag] = outstanding
        self._outgoing += outstanding.request.to_line(tag)
        return tag

    def _receive_line(self, line: bytearray) -> Received | None:
        tag, reply = parse_reply(bytes(line))
        if reply is None:
            return None
        if isinstance(reply, _EVENTS):
            if isinstance(reply, replies.Lost):
                self._lose(reply)
            return Received(None, None, reply)
        outstanding = self._tagged.get(tag) if tag is not None else self._untagged[0] if self._untagged else None
        if outstanding is None:
            if tag is None and isinstance(reply, replies.Refused):
                return Received(None, None, reply)
            raise RemoteProtocolError(f"nothing was asked to which this is an answer: {bytes(line)!r}")
        self._check(outstanding.request, reply)
        final = not isinstance(reply, _INNER_LINES)
        if final and tag is not None:
            del self._tagged[tag]
            self._unsettled.discard(tag)
        elif final:
            self._untagged.popleft()
        lease = self._follow(outstanding, reply)
        return None if outstanding.abandoned else Received(tag, outstanding.request, reply, final, lease)

    @staticmethod
    def _check(request: Request, reply: Reply) -> None:
        if isinstance(reply, replies.Refused):
            return
        if not isinstance(reply, _ANSWERS[type(request)]):
            raise RemoteProtocolError(f"{reply} is no answer to {request}")
        matches = _names_match(request, reply)
        for attribute in ("name", "token", "tag", "prefix"):
            said, asked = getattr(reply, attribute, None), getattr(request, attribute, None)
            matches = matches and (said is None or asked is None or said == asked)
        if not matches:
            raise RemoteProtocolError(f"{reply} is the answer to another request than {request}")

    # A lease is marked before it is forgotten: if an exception comes between the two, it is not left without an end.

    def _follow(self, outstanding: _Outstanding, reply: Reply) -> HeldLease | None:
        """Record what a reply says about the leases of this connection, and return the lease that it grants."""
        request = outstanding.request
        if isinstance(reply, replies.Granted):
            bound = isinstance(request, Acquire) and request.bind is not None
            lease = HeldLease(reply.names, reply.token, reply.ttl, reply.previous, bound)
            (self.bound_leases if bound else self.leases)[reply.token] = lease
            if outstanding.abandoned:
                self.give_back(lease)
            return lease
        if isinstance(reply, replies.Held):
            return self._find(reply.token)
        if isinstance(reply, replies.Renewed):
            self._renew(reply)
        elif isinstance(reply, replies.Released):
            self._release(reply.token)
        elif isinstance(reply, replies.NotHeld) and isinstance(request, (Release, Renew)):
            self._miss(request)
        elif isinstance(reply, replies.Bye):
            for token in list(self.leases):
                self._release(token)
        return None

    def _find(self, token: int) -> HeldLease | None:
        lease = self.leases.get(token)
        return self.bound_leases.get(token) if lease is None else lease

    def _forget(self, token: int) -> None:
        self.leases.pop(token, None)
        self.bound_leases.pop(token, None)

    def _renew(self, reply: replies.Renewed) -> None:
        lease = self._find(reply.token)
        if lease is not None:
            lease.ttl = reply.ttl

    def _release(self, token: int) -> None:
        lease = self._find(token)
        if lease is not None:
            lease.released = True
            self._forget(token)

    def _lose(self, event: replies.Lost) -> None:
        lease = self._find(event.token)
        if lease is not None:
            lease.loss = Loss(event.reason, _blame(event))
            self._forget(event.token)

    def _miss(self, request: Release | Renew) -> None:
        lease = None if request.token is None else self._find(request.token)
        if lease is not None and request.name in lease.names:
            # Nobody is told that what a lease was bound to has ended. Any other loss is told before anything else is
            # said of the lease, so this is not what a lockd does; but it is plain what it means.
            lease.loss = BOUND_LOSS if lease.bound else _UNTOLD_LOSS
            self._forget(lease.token)


def _names_match(request: Request, reply: Reply) -> bool:
    """Whether the names of a reply may be those that were asked for. Of others than ACQUIRE, any name will do."""
    said: tuple[bytes, ...] | None = getattr(reply, "names", None)
    if said is None:
        return True
    if not isinstance(request, Acquire):
        return getattr(request, "name", None) in said
    # The lease that an owner holds already may have more names.
    return set(request.names) <= set(said) if isinstance(reply, replies.Held) else request.names == said


def _blame(event: replies.Lost) -> str:
    """Who took the lease and why, for people to read."""
    said = [f"by uid {event.by_uid}"] if event.by_uid is not None else []
    if event.by_pid is not None:
        said.append(f"pid {event.by_pid}")
    if event.why is not None:
        said.append(f"because: {event.why.decode('utf-8', 'backslashreplace')}")
    return ", ".join(said)

"""The client's side of the lockd protocol, without I/O.

The rules of this module:

1. Bytes in, replies out; requests in, bytes out. No sockets, no clocks, no threads, no locks, no globals. Whoever moves
   the bytes sees to it that one thread at a time is in here.
2. A tag is used once in the life of a session. So no answer can be taken for another's, whatever was given up.
3. A lease is held from the moment GRANTED is *received* until its RELEASED, its LOST, or the end of the session is.
   It is known by its token alone, and held or not as a whole, however many names it has.
4. Nothing that is given up keeps a lease. A wait that is abandoned is cancelled; if the grant was faster, the lease is
   released by its token the moment it arrives. An abandoned RELEASE is still a RELEASE.
5. What the daemon may not say in answer to a request ends the session (``RemoteProtocolError``). A client that guesses
   what a lock server meant has two holders.
6. A lease that is bound to something else lives on when the session ends. So that end is no loss of it, and after it
   nothing is known of it.
7. A session outlives its connections. What was not answered on one is sent again on the next, in its order and under
   its tag; what is asked meanwhile waits for it. What is said twice counts once.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from . import _replies as replies
from ._answers import EVENTS, INNER_LINES, LISTINGS, check_answer
from ._errors import LocalProtocolError, RemoteProtocolError
from ._held import FORGOTTEN_LOSS, HeldLease, HeldLeases, Loss, damage
from ._outgoing import Outgoing
from ._outstanding import Echo, Outstanding, OutstandingRequests
from ._parsing import parse_reply
from ._replies import Reply
from ._requests import Acquire, Cancel, Hello, Quit, Release, Renew, Request, Unwatch, Watch

#: A line longer than this is no reply: the longest that the protocol can make, with 16 names, has less than 16 KiB.
LINE_LIMIT = 65536


class Received(NamedTuple):
    """A line that answers a request, or an event, or WELCOME or a refusal of the whole session (without a tag)."""

    tag: str | None
    request: Request | None
    reply: Reply
    #: Whether it is the last line of the answer.
    final: bool = True
    #: The lease that ``GRANTED`` or ``HELD`` speaks of.
    lease: HeldLease | None = None


class _Phase(Enum):
    #: There is a connection, and what is asked is sent on it.
    ATTACHED = 0
    #: There is none.
    DETACHED = 1
    #: There is one, and HELLO was put into the bytes to send.
    GREETING = 2
    #: WELCOME was received, and what was not sent before the break may arrive. Nothing was sent again so far.
    WELCOMED = 3


class Session:
    """One session with the daemon, over as many connections as it takes.

    Ask with ``send``; move ``data_to_send()`` to the socket, together with ``descriptor_to_send()``, and tell how much
    went with ``data_sent``; pass what the socket says to ``receive``. A new one takes it that there is a connection, on
    which nothing is to be said before the first request. To have one that can be resumed,

    1. call ``greet`` whenever a connection was made, the first one included;
    2. when ``receive`` has made ``welcomed`` true, call ``go_on``;
    3. when the stream has ended, call ``detach``. If that is false the session has ended: call ``receive_end``.
    """

    def __init__(self) -> None:
        #: The number of the session, as long as it can be resumed under it.
        self.number: int | None = None
        #: How the session ended, ``None`` as long as it has not.
        self.end: str | None = None
        #: Whether there is a connection on which requests are sent.
        self.attached = True
        #: Whether ``go_on`` is to be called.
        self.welcomed = False
        self._enter(_Phase.ATTACHED)
        self._greeting_tag = ""
        self._held = HeldLeases()
        #: The leases that are held, by token, and those that are bound.
        self.leases, self.bound_leases = self._held.own, self._held.bound
        self._asked = OutstandingRequests()
        # The latest of them. With nobody else about, that is the one whose answer comes next.
        self._latest: Outstanding | None = None
        # Tags of waits that were given up, or may have a second answer, and may still bring a lease.
        self._unsettled: set[str] = set()
        self._echoes: dict[str, Echo] = {}
        self._watch: Watch | None = None
        # Whether it has come to requests that end the session, or that cannot be sent again.
        self._lasts = True
        # Whether answers may come that came before.
        self._repeats = False
        # Whether the session held leases when the daemon that is there began with it.
        self._had_leases = False
        self._outgoing = Outgoing()
        #: What was not sent, on this connection; to look at only.
        self.unsent = self._outgoing.unsent
        #: The bytes that are to be written next, in one go. There may be more behind them.
        self.data_to_send = self._outgoing.data
        #: What is to go with the first byte of ``data_to_send()``; ``None`` for nothing.
        self.descriptor_to_send = self._outgoing.descriptor
        #: Forgets the first so many bytes of those that were to be written, and the descriptor that went with them.
        self.data_sent = self._outgoing.sent
        self._incoming = b""

    # Asking

    def send(self, request: Request, descriptor: object = None, now: float = 0.0) -> str:
        """Put a request into the bytes to send, or keep it until there is a connection, and return its tag.

        :param descriptor: what ``descriptor_to_send()`` is to return along with its line. It is kept until the request
            is answered, or the session has ended.
        :param now: the present instant in seconds; a wait counts from it.
        :raises LocalProtocolError: if the session has ended.
        """
        self._check_open()
        wait = request.wait if isinstance(request, Acquire) else None
        wait_end = now + wait / 1000 if isinstance(wait, int) else None
        self._lasts = self._lasts and not isinstance(request, Quit)
        outstanding = Outstanding(request, descriptor=descriptor, wait_end=wait_end)
        tag = self._ask(outstanding)
        outstanding.expect()
        # Nothing may refer to a descriptor for longer than it is needed.
        self._latest = outstanding if descriptor is None else None
        return tag

    def line_ahead(self, request: Request) -> bytes:
        """The line that ``send`` would put there for a request, if it could be written at once; else nothing.

        So it can be on its way while the rest is done: whoever writes it, or a part of it, calls ``send`` and then
        ``data_sent`` before anything else. It changes nothing.
        """
        return b"" if self.unsent or not self.attached else request.to_line(f"#{self._asked.tag_count + 1}")

    def send_untagged(self, request: Request) -> None:
        """Put a request without a tag into the bytes to send. Such requests are answered in their order.

        One that waits holds back all that come behind it, and cannot be abandoned. A session with such requests ends
        with its connection.

        :raises LocalProtocolError: if the session has ended, or has no connection.
        """
        self._check_open()
        if not self.attached:
            raise LocalProtocolError("a request without a tag cannot wait for a connection")
        self._lasts = False
        outstanding = Outstanding(request)
        self._asked.untagged.append(outstanding)
        self._write(outstanding)

    def abandon(self, tag: str) -> None:
        """Give up the request under ``tag``: nobody is told of its answer, and no lease comes of it.

        A tag that is answered already, or was never sent, is passed over.
        """
        outstanding = self._asked.tagged.get(tag)
        if outstanding is None or outstanding.abandoned:
            return
        outstanding.abandoned = True
        if outstanding.end is None and not self._matters(outstanding):
            self._drop(outstanding)
        elif isinstance(outstanding.request, Acquire):
            self._unsettled.add(tag)
            self._ask(Outstanding(Cancel(tag), abandoned=True))

    def give_back(self, lease: HeldLease) -> None:
        """Release a lease, and tell nobody of the answer. One that has ended, or was given back, is passed over."""
        if self._held.find(lease.token) is lease and not lease.released:
            lease.released = True
            self._ask(Outstanding(Release(lease.name, lease.token), abandoned=True))

    @property
    def settled(self) -> bool:
        """Whether nobody has to go on receiving, or connecting.

        Somebody has to as long as an abandoned wait can still bring a lease: a grant that is never read is a lease that
        nobody has and nobody else gets. Also as long as the session has leases, or requests, and no connection.
        """
        return not self._unsettled and (self.attached or not (self.leases or self._asked.tagged))

    # Connections

    def greet(self, client: bytes) -> None:
        """Take in that a connection was made: HELLO is what is said first, and nothing else before it is answered.

        :raises LocalProtocolError: if the session has ended, or has a connection.
        """
        self._check_open()
        is_new = self._asked.tag_count == 0 and not self._asked.untagged
        if self._phase is not _Phase.DETACHED and not is_new:
            raise LocalProtocolError("the session has a connection")
        self._enter(_Phase.GREETING)
        self._greeting_tag = self._asked.next_tag()
        self._outgoing.put(Hello(version=1, client=client, resume=self.number).to_line(self._greeting_tag))

    def go_on(self, now: float) -> None:
        """Send what was asked before and is not answered, at the present instant (of the clock that ``send`` goes by).

        What was read together with WELCOME was looked at before. So what is answered by that is not asked again.
        """
        if not self.welcomed:
            return
        self._enter(_Phase.ATTACHED)
        for outstanding in self._asked.tagged.values():
            if outstanding.sendings and isinstance(outstanding.request, LISTINGS):
                self._asked.change_tag(outstanding)
            self._write(outstanding, now)

    def detach(self) -> bool:
        """Take in that the connection has ended, and say whether another one can take its place."""
        if self.end is not None or self.number is None or not self._lasts:
            return False
        self._enter(_Phase.DETACHED)
        for outstanding in list(self._asked.tagged.values()):
            if self._was_sent(outstanding):
                outstanding.sendings += 1
            outstanding.end = None
            if not self._matters(outstanding):
                self._drop(outstanding)
        self._outgoing.clear()
        self._incoming = b""
        return True

    def receive_end(self, reason: str) -> None:
        """Take in that the session has ended. Every lease that is still held is lost, unless it is bound."""
        if self.end is not None:
            return
        self.end = reason
        self._held.lose_all(Loss("disconnected", reason))
        self.bound_leases.clear()
        self._asked.clear()
        self._unsettled.clear()
        self._echoes.clear()
        self._outgoing.clear()

    # Receiving

    def receive(self, data: bytes) -> list[Received]:
        """Take in what the socket said, and return what it means to those who wait.

        Answers to abandoned requests, second answers and unknown events are not among it. Behind ``Welcome`` and
        ``Restored``, an answer of several lines begins anew.

        :raises RemoteProtocolError: if no lockd says so. The session is then at its end: call ``receive_end``.
        """
        latest = self._latest
        if latest is not None and not self._incoming and latest.tag in self._asked.tagged:
            reply = latest.expected_reply(data)
            if reply is not None:
                self._drop(latest)
                return [Received(latest.tag, latest.request, reply, True, self._follow(latest, reply))]
        *lines, self._incoming = (self._incoming + data).split(b"\n")
        received: list[Received] = []
        for line in lines:
            received += self._receive_line(line)
        if len(self._incoming) > LINE_LIMIT:
            raise RemoteProtocolError(f"the reply has more than {LINE_LIMIT} bytes")
        return received

    def _receive_line(self, line: bytes) -> list[Received]:
        tag, reply = parse_reply(line)
        if reply is None:
            return []
        if tag is None and isinstance(reply, EVENTS):
            self._follow_event(reply)
            return [Received(None, None, reply)]
        if not self.attached and self._phase is _Phase.GREETING:
            return self._receive_greeting(tag, reply, line)
        outstanding = self._asked.find(tag)
        if outstanding is None:
            return self._receive_unasked(tag, reply, line)
        check_answer(outstanding.request, reply)
        received = self._receive_answer(outstanding, reply)
        return [] if received is None or outstanding.abandoned else [received]

    def _receive_answer(self, outstanding: Outstanding, reply: Reply) -> Received | None:
        if outstanding.sendings:
            if self._is_void(outstanding, reply):
                return None
            reply = self._first_answer(outstanding, reply)
        final = not isinstance(reply, INNER_LINES)
        if final:
            self._finish(outstanding, reply)
        lease = self._follow(outstanding, reply)
        return Received(outstanding.tag or None, outstanding.request, reply, final, lease)

    def _receive_greeting(self, tag: str | None, reply: Reply, line: bytes) -> list[Received]:
        if isinstance(reply, replies.Refused) and tag in (None, self._greeting_tag):
            return [Received(None, None, reply)]
        if not isinstance(reply, replies.Welcome) or tag != self._greeting_tag:
            raise RemoteProtocolError(f"this is no answer to HELLO, and nothing else was asked: {line!r}")
        former, self.number = self.number, reply.session if "resume" in reply.features else None
        self._enter(_Phase.WELCOMED)
        received = [Received(None, None, reply)]
        # A daemon that knows nothing may have given the same number anew. Only one that knows says what there is of it.
        if former is not None and former == reply.session and reply.leases is not None:
            self._repeats = True
            self._had_leases = bool(reply.leases)
        elif former is not None:
            received += self._begin_anew()
        return received

    def _receive_unasked(self, tag: str | None, reply: Reply, line: bytes) -> list[Received]:
        if tag is None and isinstance(reply, replies.Refused):
            return [Received(None, None, reply)]
        if tag is None or not self._repeats or not self._asked.was_used(tag):
            raise RemoteProtocolError(f"nothing was asked to which this is an answer: {line!r}")
        echo = self._echoes.get(tag)
        if echo is not None and isinstance(reply, replies.Granted) and reply.token != echo.token:
            # What was sent again became a request of its own, for which nobody waits.
            self._ask(Outstanding(Release(reply.names[0], reply.token), abandoned=True))
        return []

    def _is_void(self, outstanding: Outstanding, reply: Reply) -> bool:
        """Whether an answer is none: a wait ended because this side was away for too long when its turn came.

        Nobody here asked for that, and the request that is sent again is a new one. But a wait may also end because
        what it was to be bound to has.
        """
        request = outstanding.request
        is_unbound = isinstance(request, Acquire) and request.bind is None
        is_ours = outstanding.abandoned or not self._lasts
        return is_unbound and isinstance(reply, replies.Cancelled) and not is_ours

    def _first_answer(self, outstanding: Outstanding, reply: Reply) -> Reply:
        """What a reply stands for: that there is nothing to release any more says a lockd that has released it."""
        request = outstanding.request
        if isinstance(request, Release) and isinstance(reply, replies.NotHeld) and self._was_sent_twice(outstanding):
            lease = self._held.find(request.token)
            if request.token is not None:
                return replies.Released((request.name,) if lease is None else lease.names, request.token)
        return reply

    def _finish(self, outstanding: Outstanding, reply: Reply) -> None:
        tag, request = outstanding.tag, outstanding.request
        if not tag:
            self._asked.untagged.pop(0)
            return
        self._drop(outstanding)
        if outstanding.sendings and isinstance(request, Acquire) and self._was_sent_twice(outstanding):
            self._unsettled.add(tag)
            cancel_tag = self._ask(Outstanding(Cancel(tag), abandoned=True))
            self._echoes[tag] = Echo(cancel_tag, reply.token if isinstance(reply, replies.Granted) else None)
        elif isinstance(request, Cancel):
            echo = self._echoes.get(request.tag)
            if echo is not None and echo.cancel_tag == tag:
                del self._echoes[request.tag]
                self._unsettled.discard(request.tag)

    def _follow_event(self, event: Reply) -> None:
        if isinstance(event, replies.Lost):
            self._held.lose(event)
        elif isinstance(event, replies.AllLost):
            # Nobody is told so who has leases: this was said before, and they came later.
            if not self._had_leases:
                self._held.lose_all(damage(event))
        elif isinstance(event, replies.Restored):
            # The daemon is another one, and the connection is the same: what was read of it is answered.
            self._repeats = True
            self._had_leases = bool(event.leases)
            for outstanding in list(self._asked.tagged.values()):
                if isinstance(outstanding.request, LISTINGS) and self._was_sent(outstanding):
                    self._asked.change_tag(outstanding)
                    self._write(outstanding)

    def _follow(self, outstanding: Outstanding, reply: Reply) -> HeldLease | None:
        """Record what a reply says about the leases and the watch of the session, and return the lease of a grant."""
        request = outstanding.request
        if isinstance(reply, replies.Granted):
            lease = self._held.grant(reply, isinstance(request, Acquire) and request.bind is not None)
            if outstanding.abandoned:
                self.give_back(lease)
            return lease
        if isinstance(reply, replies.Released):
            self._held.release(reply.token)
        elif isinstance(reply, replies.Held):
            return self._held.find(reply.token)
        elif isinstance(reply, replies.Renewed):
            self._held.renew(reply)
        elif isinstance(reply, replies.NotHeld) and isinstance(request, (Release, Renew)):
            self._held.miss(request)
        elif isinstance(reply, replies.Bye):
            self._held.release_all()
        elif isinstance(reply, (replies.Watching, replies.Unwatched)):
            self._watch = request if isinstance(request, Watch) else None
        return None

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self.attached, self.welcomed = phase is _Phase.ATTACHED, phase is _Phase.WELCOMED

    # What was asked

    def _check_open(self) -> None:
        if self.end is not None:
            raise LocalProtocolError(f"the session has ended: {self.end}")

    def _ask(self, outstanding: Outstanding) -> str:
        tag = self._asked.put(outstanding)
        if self.attached:
            self._write(outstanding)
        return tag

    def _write(self, outstanding: Outstanding, now: float | None = None) -> None:
        outstanding.end = self._outgoing.put(outstanding.line(now), outstanding.descriptor)

    def _was_sent(self, outstanding: Outstanding) -> bool:
        return outstanding.end is not None and outstanding.end <= self._outgoing.sent_count

    def _was_sent_twice(self, outstanding: Outstanding) -> bool:
        return outstanding.sendings + (1 if self.attached else 0) > 1

    def _matters(self, outstanding: Outstanding) -> bool:
        """Whether a request has to be sent on the next connection."""
        request = outstanding.request
        if not outstanding.abandoned or isinstance(request, Release):
            return True
        if isinstance(request, Cancel):
            return request.tag in self._unsettled
        return isinstance(request, Acquire) and outstanding.sendings > 0

    def _drop(self, outstanding: Outstanding) -> None:
        self._asked.drop(outstanding)
        self._unsettled.discard(outstanding.tag)

    def _begin_anew(self) -> list[Received]:
        """Nothing is known of the session: nothing is held, and what is sent again is sent for the first time."""
        self._held.lose_all(FORGOTTEN_LOSS)
        self._unsettled.clear()
        self._echoes.clear()
        for outstanding in list(self._asked.tagged.values()):
            if outstanding.abandoned and isinstance(outstanding.request, (Acquire, Cancel)):
                self._drop(outstanding)
            elif not isinstance(outstanding.request, Release):
                # A lease that is bound may have been released before.
                outstanding.sendings = 0
        if self._watch is None:
            return []
        # One that was asked for meanwhile, or the end of all, counts instead.
        if not any(isinstance(outstanding.request, (Watch, Unwatch)) for outstanding in self._asked.tagged.values()):
            self._ask(Outstanding(self._watch))
        return [Received(None, None, replies.Missed(None))]

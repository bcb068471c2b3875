"""The session that the tasks of an event loop share.

The rules of this module:

1. A session belongs to one loop of one process. Everything runs in that loop, and nothing here blocks it.
2. All state is changed in *steps*, which do not await. Each looks at the pid first: a forked child neither sends on its
   parent's socket nor touches the loop, because what that polls with is its parent's too. A step that is torn apart by
   an exception leaves nobody knowing what was sent, so it ends the session: its leases are then lost and say so.
3. As long as there is a connection the loop reads it, whether anybody waits or not. So a loss is heard at once, and a
   wait that was given up and is granted all the same is given back.
4. A connection that ends is not the end of the session. The loop connects again, with pauses, as long as there are
   leases or requests; whoever asks for something else has it connect too.
"""

from __future__ import annotations

import asyncio
import copy
import math
import os
import time
from typing import Callable, Protocol, TypeVar

from .. import _replies as replies
from .._errors import DaemonUnavailable, LockdError
from .._held import HeldLease
from .._link import Link, refusal
from .._pending import Pending, hand_out
from .._protocol import Received
from .._renewal import RENEWALS_PER_TTL
from .._requests import Hello, Release, Renew
from .._requests import Watch as WatchRequest
from .._timing import ANSWER_TIMEOUT, RESTART_TIME
from .._transport import Connecting, Transport
from ._pending import TaskPending

# In place of a tag: of the one that waits for WELCOME.
_GREETER = "greeter"

# So often is received in a row before the loop does something else.
_RECEIVES_IN_A_ROW = 8

_Result = TypeVar("_Result")


class Listener(Protocol):
    """Who is told what happens to names."""

    def happened(self, event: replies.Event | replies.Missed) -> bool:
        """Something happened. Says whether more is to be read."""

    def ended(self) -> None:
        """The session has ended."""


async def connect(path: str, deadline: float) -> Transport:
    """A connection to the daemon at ``path``, made before ``deadline`` (``time.monotonic()``).

    :raises DaemonUnavailable: at once, if there is no daemon.
    """
    connecting = Connecting(path, deadline)
    while True:
        transport = connecting.attempt()
        if transport is not None:
            return transport
        await asyncio.sleep(connecting.pause)


class LoopSession:
    """A session with a daemon, and the tasks that wait on it. Of use to the loop that made it, in the same process."""

    def __init__(self, path: str, transport: Transport, listener: Listener | None = None) -> None:
        self.path = path
        self.pid = os.getpid()
        self.loop = asyncio.get_running_loop()
        #: Whether the loop is to read what arrives. What it does not read, the daemon keeps.
        self.reads = True
        self._listener = listener
        self._link = Link(path, transport, self)
        self._core = self._link.core
        self._stepping = False
        self._waiting: dict[str, Pending] = {}
        # Who is told of the loss of a lease, by its token.
        self._losers: dict[int, tuple[HeldLease, Callable[[], object]]] = {}
        self._renewals: dict[HeldLease, asyncio.TimerHandle] = {}
        # The tags of renewals that were not answered.
        self._unanswered: set[str] = set()
        self._reconnection: asyncio.TimerHandle | None = None
        # What the loop polls, and for what.
        self._polled: Transport | None = None
        self._polls_input = self._polls_room = False

    @classmethod
    async def open(cls, path: str, timeout: float, listener: Listener | None = None) -> LoopSession:
        """Connect, say HELLO, and await WELCOME, all within ``timeout`` seconds.

        :param listener: is told every ``Event`` and ``Missed``, in a step. With one the session goes on for as long as
            the loop does, also without leases.
        :raises DaemonUnavailable: at once, if there is no daemon.
        :raises LimitReached: if the daemon has as many sessions as it may have.
        """
        deadline = time.monotonic() + timeout
        session = cls(path, await connect(path, deadline), listener)
        try:
            await session._await_welcome(deadline)
            return session
        except BaseException:
            session.end("connecting was given up")
            raise

    @property
    def ended(self) -> bool:
        """Whether the session has ended. The end of a connection is not its end."""
        return self._link.failure is not None

    @property
    def failure(self) -> LockdError | None:
        """How it ended; ``None`` as long as it has not."""
        return self._link.failure

    @property
    def number(self) -> int | None:
        """The number of the session, if it can be resumed."""
        return self._core.number

    @property
    def detached(self) -> bool:
        """Whether the session goes on and has no connection, so that the daemon will not see its end."""
        return self._link.transport is None and self._link.failure is None

    async def ask(self, pending: TaskPending) -> None:
        """Send a request and wait for its answer, as long as ``pending.limit`` says.

        Whatever it raises, no lease comes of the request.

        :raises DaemonUnavailable: if the session has ended, or there was no daemon, or no answer, for too long.
        :raises RequestRefused: if the answer is ERROR.
        """
        try:
            self._step(self._begin, pending)
            await self._await(pending)
        except BaseException:
            self.give_up(pending)
            raise
        self._leave(pending)
        if isinstance(pending.reply, replies.Refused):
            raise refusal(pending.reply)

    def give_up(self, pending: Pending) -> None:
        """See to it that no lease comes of a request, whatever has become of it."""
        if os.getpid() == self.pid:
            self._step(self._give_up, pending)

    def keep(self, lease: HeldLease, lost: Callable[[], object]) -> None:
        """Call ``lost`` in the loop if a lease is lost, and until then renew it, if it has a ttl and is not bound."""
        self._losers[lease.token] = (lease, lost)
        if lease.ttl is not None and not lease.bound:
            self._plan_renewal(lease)
        self._tell_loss(lease.token)

    def forget_loss(self, token: int) -> None:
        """Tell nobody of the loss of a lease. Any thread may call this."""
        self._losers.pop(token, None)

    async def release(self, lease: HeldLease) -> None:
        """Release a lease, unless it is lost; then ``lease.loss`` says so.

        :raises DaemonUnavailable: if the daemon does not answer, or has gone for long. It will find the request when it
            goes on, or is back. And if the session has ended, of a lease that is bound: it is held still, or was
            released.
        """
        self._stop_renewal(lease)
        try:
            if lease.loss is None:
                now = time.monotonic()
                release = Release(lease.name, lease.token)
                await self.ask(TaskPending(release, answer_by=now + ANSWER_TIMEOUT, patience=now + RESTART_TIME))
        except BaseException as error:
            # If the session has ended, so has the lease, unless it is bound. It counts as lost, unless RELEASED was
            # received before: the daemon may or may not have read the request.
            if isinstance(error, LockdError) and (lease.released or lease.loss is not None):
                return
            self.give_back(lease)
            raise
        finally:
            if lease.loss is None:
                self._losers.pop(lease.token, None)

    def give_back(self, lease: HeldLease) -> None:
        """Release a lease without waiting for the answer. One that has ended is passed over."""
        self._stop_renewal(lease)
        self._losers.pop(lease.token, None)
        if os.getpid() == self.pid:
            self._step(self._give_back, lease)

    def read(self, wanted: bool) -> None:
        """Have the loop read what arrives, or leave it to the daemon to keep that."""
        if os.getpid() == self.pid and self.reads != wanted:
            self.reads = wanted
            self._step(lambda: None)

    def end(self, reason: str) -> None:
        """Close the connection. Every lease that is held is lost, and whoever waits gets ``DaemonUnavailable``."""
        if os.getpid() == self.pid:
            self._step(self._link.end, DaemonUnavailable(self.path, reason))

    def forget(self) -> None:
        """Close a forked child's descriptor of the connection, and nothing more. Its parent's goes on undisturbed."""
        if self._link.transport is not None:
            self._link.transport.forget()

    async def _await_welcome(self, deadline: float) -> None:
        greeter = TaskPending(Hello(), answer_by=deadline, patience=deadline)
        greeter.tag = _GREETER
        # Nobody was here before: a daemon that is not there is not waited for.
        greeter.began = -math.inf
        self._step(self._begin, greeter)
        try:
            await self._await(greeter)
        finally:
            self._leave(greeter)

    async def _await(self, pending: TaskPending) -> None:
        while not self._is_done(pending):
            if self._link.failure is not None:
                raise copy.copy(self._link.failure)
            if pending.progress is not None:
                pending.report()
            elif self._is_too_late(pending):
                # What has arrived in time counts, also if the loop was too busy to look.
                self._step(self._exchange)
                if self._is_too_late(pending):
                    raise copy.copy(self._link.silence())
            else:
                await pending.wait(self._limit(pending))

    def _is_done(self, pending: Pending) -> bool:
        return pending.answered or (pending.tag == _GREETER and self._core.attached)

    def _is_too_late(self, pending: Pending) -> bool:
        limit = self._limit(pending)
        is_over = self._is_done(pending) or self._link.failure is not None
        return not is_over and limit is not None and time.monotonic() >= limit

    def _limit(self, pending: Pending) -> float | None:
        return pending.limit(self._core.attached, self._link.since)

    def _leave(self, pending: Pending) -> None:
        if pending.tag is not None:
            self._waiting.pop(pending.tag, None)

    # Steps, and what they are made of

    def _step(self, step: Callable[..., _Result], *arguments: object) -> _Result:
        if os.getpid() != self.pid:
            reason = f"the connection is that of process {self.pid}, of which this one is a fork"
            raise DaemonUnavailable(self.path, reason, "Make a client of its own, in a loop of its own")
        if self._stepping:
            raise RuntimeError("lockd was called by a signal handler that interrupted lockd in the same thread")
        try:
            self._stepping = True
            result = step(*arguments)
            self._poll()
            return result
        except BaseException:
            reason = "an exception interrupted the bookkeeping of the connection, which was closed"
            self._link.end(DaemonUnavailable(self.path, reason))
            self._poll()
            raise
        finally:
            self._stepping = False

    def _begin(self, pending: Pending) -> None:
        if self._link.failure is None:
            sent: int | None = 0
            if pending.tag is None:
                descriptor, pending.descriptor = pending.descriptor, None
                # First of all, because the daemon takes its time meanwhile.
                sent = self._link.send_ahead(pending.request) if descriptor is None else 0
                pending.tag = self._core.send(pending.request, descriptor, pending.began)
                if sent:
                    self._core.data_sent(sent)
                # Nobody but the core refers to it from here on, so that it is closed when the request is answered.
                descriptor = None
            self._waiting[pending.tag] = pending
            if sent is None or not self._link.flush():
                self._link.receive_rest()
            if self._link.failure is None:
                return
        pending.unsent = True

    def _exchange(self) -> None:
        if not self._link.flush():
            self._link.receive_rest()
            return
        for _ in range(_RECEIVES_IN_A_ROW):
            if not self.reads or not self._link.receive():
                return

    def _give_up(self, pending: Pending) -> None:
        self._leave(pending)
        if self._link.failure is None:
            if pending.lease is not None:
                self._core.give_back(pending.lease)
            elif pending.tag is not None:
                self._core.abandon(pending.tag)
            self._link.flush()

    def _give_back(self, lease: HeldLease) -> None:
        if self._link.failure is None:
            self._core.give_back(lease)
            self._link.flush()

    def deliver(self, received: Received) -> None:
        """Hand out what was received (a step of ``Link``)."""
        hand_out(received, self._waiting)
        reply = received.reply
        if received.final and received.tag is not None:
            self._unanswered.discard(received.tag)
        if isinstance(reply, (replies.Event, replies.Missed)):
            if self._listener is not None:
                self.reads = self._listener.happened(reply)
        elif isinstance(reply, replies.Lost):
            self._tell_loss(reply.token)
        elif isinstance(reply, replies.Released):
            self._losers.pop(reply.token, None)
        elif isinstance(reply, replies.NotHeld) and isinstance(received.request, (Release, Renew)):
            self._tell_loss(received.request.token)
        elif isinstance(reply, (replies.AllLost, replies.Welcome)):
            self._tell_losses()
            greeter = self._waiting.get(_GREETER)
            if greeter is not None:
                greeter.wake()
        elif isinstance(reply, replies.Refused) and isinstance(received.request, WatchRequest):
            # A daemon that has restarted does not want it; the first answer is its caller's to deal with too.
            self._link.end(refusal(reply))

    def connection_changed(self) -> None:
        """Wake all who wait, because there is another limit to that (a step of ``Link``)."""
        for pending in self._waiting.values():
            pending.wake()
        if self._link.failure is not None:
            self._tell_losses()
            if self._listener is not None:
                self._listener.ended()

    # Losses

    def _tell_losses(self) -> None:
        for token in list(self._losers):
            self._tell_loss(token)

    def _tell_loss(self, token: int | None) -> None:
        known = None if token is None else self._losers.get(token)
        if token is None or known is None:
            return
        lease, lost = known
        if lease.loss is None:
            return
        self._losers.pop(token, None)
        self._stop_renewal(lease)
        if not self.loop.is_closed():
            self.loop.call_soon(lost)

    # Renewals

    def _plan_renewal(self, lease: HeldLease, former: str = "") -> None:
        interval = (lease.ttl or 0) / 1000 / RENEWALS_PER_TTL
        self._renewals[lease] = self.loop.call_later(interval, self._renew, lease, former)

    def _stop_renewal(self, lease: HeldLease) -> None:
        timer = self._renewals.pop(lease, None)
        if timer is not None:
            timer.cancel()

    def _renew(self, lease: HeldLease, former: str) -> None:
        self._renewals.pop(lease, None)
        if os.getpid() != self.pid or lease.loss is not None or lease.released or self.ended:
            return
        # While the one before has no answer there is no daemon, or it does not read. It hears that one first.
        tag = former if former in self._unanswered else self._step(self._begin_renewal, lease)
        self._plan_renewal(lease, tag)

    def _begin_renewal(self, lease: HeldLease) -> str:
        tag = self._core.send(Renew(lease.name, lease.token), None, time.monotonic())
        self._unanswered.add(tag)
        # If nobody is there to receive it, the loop is about to notice.
        self._link.flush()
        return tag

    # What the loop waits for

    def _poll(self) -> None:
        """Have the loop wait for what there is to wait for."""
        transport, needs_room = self._link.transport, bool(self._core.unsent)
        polls = self._polled, self._polls_input, self._polls_room
        if transport is not None and self._reconnection is None and polls == (transport, self.reads, needs_room):
            return
        if self._polled is not transport:
            self._stop_polling()
            if transport is not None:
                transport.begin_polling()
                self._polled = transport
        if transport is not None:
            descriptor = transport.fileno()
            if self.reads != self._polls_input:
                self._polls_input = self.reads
                if self.reads:
                    self.loop.add_reader(descriptor, self._wake)
                else:
                    self.loop.remove_reader(descriptor)
            if needs_room != self._polls_room:
                self._polls_room = needs_room
                if needs_room:
                    self.loop.add_writer(descriptor, self._wake)
                else:
                    self.loop.remove_writer(descriptor)
        self._plan_reconnection()

    def _stop_polling(self) -> None:
        polled, self._polled = self._polled, None
        if polled is None:
            return
        if self._polls_input:
            self.loop.remove_reader(polled.fileno())
        if self._polls_room:
            self.loop.remove_writer(polled.fileno())
        self._polls_input = self._polls_room = False
        polled.end_polling()

    def _plan_reconnection(self) -> None:
        is_needed = self._listener is not None or not self._core.settled
        if not self.detached or not is_needed:
            if self._reconnection is not None:
                self._reconnection.cancel()
                self._reconnection = None
        elif self._reconnection is None:
            pause = max(self._link.reconnecting.due - time.monotonic(), 0.0)
            self._reconnection = self.loop.call_later(pause, self._reconnect)

    def _reconnect(self) -> None:
        self._reconnection = None
        if os.getpid() == self.pid:
            self._step(self._link.reconnect)

    def _wake(self) -> None:
        # A child that goes on with its parent's loop must not read what is its parent's.
        if os.getpid() == self.pid:
            self._step(self._exchange)

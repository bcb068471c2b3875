"""The session that all threads of a process share, with sockets and threads.

The rules of this module:

1. ``socket``, ``select``, ``threading`` and ``time`` are looked up when they are used, and nothing of theirs is made at
   import. So gevent may patch them after this module was imported, as gunicorn's workers do under ``--preload``.
2. Everything belongs to the process that made it. Each entry compares the pid first: a forked child never waits for a
   lock that a thread of its parent holds, never sends on its parent's socket, and never resumes its parent's session.
3. All state of a session is changed in *steps*: short, under one mutex, never blocking. A step that is torn apart by an
   exception (a signal handler raised it) leaves nobody knowing what was sent, so it ends the session: its leases are
   then lost and say so, and none is leaked.
4. Nobody polls, and there is no thread that reads. Among those that wait for an answer one is the *leader*: it waits
   for the socket, receives for all, and wakes the others. With nobody else about, that is a send and a receive on the
   caller's own thread. A leader that has its answer makes one of the others leader.
5. Only the leader receives. Anybody may send; who cannot, because the socket is full, waits for room.
6. A connection that ends is not the end of the session. The leader connects again, with pauses, and the others wait as
   before: what they asked is sent again. How long each of them bears that is its own affair (``Pending.limit``).
7. A wait that was given up may still be granted, and what is held may be lost while there is no connection. As long as
   that is so, and nobody else waits, a *settler* leads: a thread that ends as soon as the daemon has answered.
8. How a wait goes is reported by the thread that waits, outside of all steps, and while somebody else leads. So what is
   told may take its time, use lockd, and raise.
"""

from __future__ import annotations

import _thread
import copy
import functools
import math
import os
import select
import threading
import time
from typing import Callable, TypeVar

from . import _replies as replies
from ._errors import DaemonUnavailable, LockdError
from ._held import HeldLease
from ._link import Link, refusal
from ._pending import Pending, hand_out
from ._protocol import Received
from ._renewal import Renewer
from ._requests import Hello, Release, Renew
from ._timing import ANSWER_TIMEOUT, RESTART_TIME
from ._transport import Transport, connect
from ._waiting import wait_for_signal, yields

# In place of tags: of those that wait for something else than an answer.
_GREETER, _SETTLER = "greeter", "settler"

_Result = TypeVar("_Result")

#: Waits for the next turn. It may end before there is reason for one.
Wait = Callable[[], object]


class SharedSession:
    """A session with a daemon, and those who wait on it.

    Thread-safe. Methods that change anything do nothing, or raise, in a process that did not make it.
    """

    def __init__(self, path: str, transport: Transport) -> None:
        self.path = path
        self.pid = os.getpid()
        self._renewer = Renewer()
        self._link = Link(path, transport, self)
        self._core = self._link.core
        # Reentrant, so that a signal handler that comes back in here gets an error instead of a deadlock.
        self._mutex = threading.RLock()
        self._stepping = False
        self._waiting: dict[str, Pending] = {}
        self._leader: Pending | None = None

    @classmethod
    def open(cls, path: str, timeout: float) -> SharedSession:
        """Connect, say HELLO, and await WELCOME, all within ``timeout`` seconds.

        :raises DaemonUnavailable: at once, if there is no daemon.
        :raises LimitReached: if the daemon has as many sessions as it may have.
        """
        deadline = time.monotonic() + timeout
        transport = connect(path, deadline)
        try:
            session = cls(path, transport)
            session._await_welcome(deadline)
            return session
        except BaseException:
            transport.forget()
            raise

    @property
    def ended(self) -> bool:
        """Whether the session has ended, as far as anybody has looked. The end of a connection is not its end."""
        return self._link.failure is not None

    @property
    def number(self) -> int | None:
        """The number of the session, if it can be resumed."""
        return self._core.number

    def ask(self, pending: Pending) -> None:
        """Send a request and wait for its answer, as long as ``pending.limit`` says.

        Whatever it raises, no lease comes of the request.

        :raises DaemonUnavailable: if the session has ended, or there was no daemon, or no answer, for too long.
        :raises RequestRefused: if the answer is ERROR.
        """
        leader = self._leader
        if leader is not None and leader.thread == pending.thread and os.getpid() == self.pid:
            raise RuntimeError(
                "lockd was called by a signal handler that interrupted a wait of lockd in the same thread"
            )
        try:
            self._await(pending)
        except BaseException:
            self.give_up(pending)
            raise
        if isinstance(pending.reply, replies.Refused):
            raise refusal(pending.reply)

    def give_up(self, pending: Pending) -> None:
        """See to it that no lease comes of a request, whatever has become of it. Does not block."""
        if os.getpid() == self.pid:
            self._step(self._give_up, pending)

    def withdraw(self, pending: Pending, error: LockdError) -> None:
        """End the wait of another thread: it gets ``error``, and no lease comes of its request. Does not block.

        If the answer has been received, nothing happens.
        """
        if os.getpid() == self.pid:
            self._step(self._withdraw, pending, error)

    def keep_alive(self, lease: HeldLease) -> None:
        """Renew a lease until it ends, if it has a ttl and is not bound to something else than this process."""
        if not lease.bound:
            self._renewer.watch(lease, self._renew)

    def release(self, lease: HeldLease) -> None:
        """Release a lease, unless it is lost; then ``lease.loss`` says so.

        :raises DaemonUnavailable: if the daemon does not answer, or has gone for long. It will find the request when it
            goes on, or is back. And if the session has ended, of a lease that is bound: it is held still, or was
            released.
        """
        self._renewer.forget(lease)
        try:
            if lease.loss is None:
                now = time.monotonic()
                release = Release(lease.name, lease.token)
                self.ask(Pending(release, answer_by=now + ANSWER_TIMEOUT, patience=now + RESTART_TIME))
        except BaseException as error:
            # If the session has ended, so has the lease, unless it is bound. It counts as lost, unless RELEASED was
            # received before: the daemon may or may not have read the request.
            if isinstance(error, LockdError) and (lease.released or lease.loss is not None):
                return
            self.give_back(lease)
            raise

    def give_back(self, lease: HeldLease) -> None:
        """Release a lease without waiting for the answer. One that has ended is passed over. Does not block."""
        self._renewer.forget(lease)
        if os.getpid() == self.pid:
            self._step(self._give_back, lease)

    def look(self) -> None:
        """Take in what has arrived, unless somebody else is about to. Does not block."""
        if os.getpid() == self.pid:
            self._step(self._look)

    def forget(self) -> None:
        """Close this process's descriptor of the connection, and nothing more. Its parent's goes on undisturbed."""
        if self._link.transport is not None:
            self._link.transport.forget()

    def _renew(self, lease: HeldLease) -> None:
        try:
            # While there is no daemon, no ttl runs out. When it is back, that is the first thing it hears.
            self.ask(Pending(Renew(lease.name, lease.token), answer_by=time.monotonic() + ANSWER_TIMEOUT))
        except LockdError:
            # If the lease is lost by now, it says so. If it is not, the next renewal may come in time.
            pass

    def _await_welcome(self, deadline: float) -> None:
        greeter = Pending(Hello(), answer_by=deadline, patience=deadline)
        greeter.tag = _GREETER
        # Nobody was here before: a daemon that is not there is not waited for.
        greeter.began = -math.inf
        try:
            self._await(greeter)
        except BaseException:
            self.give_up(greeter)
            raise

    def _await(self, pending: Pending) -> None:
        wait = self._step(self._begin, pending)
        while wait is not None:
            wait()
            wait = self._step(self._turn, pending)
        if pending.failure is not None and not pending.answered:
            raise pending.failure
        if not pending.answered and self._link.failure is not None:
            raise copy.copy(self._link.failure)

    # Steps, and what they are made of. All of it runs under the mutex.

    def _step(self, step: Callable[..., _Result], *arguments: object) -> _Result:
        if os.getpid() != self.pid:
            raise self._gone(f"the connection is that of process {self.pid}, of which this one is a fork")
        with self._mutex:
            if self._stepping:
                raise RuntimeError("lockd was called by a signal handler that interrupted lockd in the same thread")
            try:
                self._stepping = True
                result = step(*arguments)
                self._stepping = False
                return result
            except BaseException:
                self._stepping = False
                self._link.end(
                    self._gone("an exception interrupted the bookkeeping of the connection, which was closed")
                )
                raise

    def _begin(self, pending: Pending) -> Wait | None:
        if pending.failure is not None:  # withdrawn
            return None
        if self._link.failure is None:
            sent: int | None = 0
            if pending.tag is None:
                descriptor, pending.descriptor = pending.descriptor, None
                # First of all, because the daemon takes its time: what is done before it answers takes nobody longer.
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
                wait = self._next_wait(pending)
                # By now the answer is often there. To look once costs less than to wait, which takes a system call more
                # and may have the CPU wake up from idling. But greenlets are to have their turn whenever one waits.
                looks = sent and self._leader is pending and not yields()
                return self._turn(pending) if looks else wait
        pending.unsent = True
        return None

    def _turn(self, pending: Pending) -> Wait | None:
        polled = self._stop_polling(pending)
        if self._link.failure is None and (polled or self._link.transport is None):
            self._exchange(pending)
        pending.signal = None
        is_over = pending.answered or pending.failure is not None
        if is_over or self._link.failure is not None or self._is_done(pending):
            self._leave(pending)
            return None
        if pending.progress is not None:
            self._pass_on(pending)
            return pending.report
        limit = self._limit(pending)
        if limit is not None and time.monotonic() >= limit:
            pending.failure = copy.copy(self._link.silence())
            return None
        return self._next_wait(pending)

    def _is_done(self, pending: Pending) -> bool:
        """Whether one that waits for something else than an answer has seen it."""
        if pending.tag == _SETTLER:
            return self._core.settled and not self._core.unsent
        return pending.tag == _GREETER and self._core.attached

    def _limit(self, pending: Pending) -> float | None:
        return pending.limit(self._core.attached, self._link.since)

    def _next_wait(self, pending: Pending) -> Wait:
        if self._leader is None:
            self._leader = pending
        transport, limit = self._link.transport, self._limit(pending)
        has_unsent = bool(self._core.unsent)
        if transport is not None and (self._leader is pending or has_unsent):
            pending.polled = transport
            transport.begin_polling()
            # Whoever waits for room looks out for input too: a daemon whose replies nobody reads does not read either.
            events = select.POLLIN | select.POLLOUT if has_unsent else select.POLLIN
            return functools.partial(transport.wait, events, limit)
        if transport is None and self._leader is pending:
            due = self._link.reconnecting.due
            limit = due if limit is None else min(limit, due)
        signal = threading.Lock()
        signal.acquire()
        pending.signal = signal
        return functools.partial(wait_for_signal, signal, limit)

    def _stop_polling(self, pending: Pending) -> bool:
        transport = pending.polled
        if transport is None:
            return False
        pending.polled = None
        transport.end_polling()
        return True

    def _exchange(self, pending: Pending) -> None:
        if self._leader is None:
            self._leader = pending
        leads = self._leader is pending
        if self._link.transport is None:
            if leads:
                self._link.reconnect()
        elif self._core.unsent and not self._link.flush():
            self._link.receive_rest()
        elif leads:
            self._link.receive()

    def connection_changed(self) -> None:
        """Wake all who wait, because there is another limit to that (a step of ``Link``)."""
        for pending in self._waiting.values():
            pending.wake()

    def deliver(self, received: Received) -> None:
        """Hand out what was received (a step of ``Link``)."""
        hand_out(received, self._waiting)

    def _leave(self, pending: Pending) -> None:
        if pending.tag is not None:
            self._waiting.pop(pending.tag, None)
        self._pass_on(pending)

    def _pass_on(self, pending: Pending) -> None:
        """Let somebody else lead, if ``pending`` does."""
        if self._leader is pending:
            self._leader = None
            for other in self._waiting.values():
                if other.signal is not None:
                    self._leader = other
                    other.wake()
                    break
        self._see_to_settling()

    def _give_up(self, pending: Pending) -> None:
        self._stop_polling(pending)
        pending.signal = None
        if self._link.failure is None:
            if pending.lease is not None:
                self._core.give_back(pending.lease)
            elif pending.tag is not None:
                self._core.abandon(pending.tag)
            self._link.flush()
        self._leave(pending)

    def _withdraw(self, pending: Pending, error: LockdError) -> None:
        if pending.answered:
            return
        pending.failure = error
        if self._link.failure is None and pending.tag is not None:
            self._core.abandon(pending.tag)
            self._link.flush()
        # A thread that polls is woken by the daemon's answer to that; where there can be none yet, by the end of the
        # connection, on which nothing was said.
        if pending.polled is not None and not self._core.attached:
            self._link.drop()
        pending.wake()
        self._see_to_settling()

    def _give_back(self, lease: HeldLease) -> None:
        if self._link.failure is None:
            self._core.give_back(lease)
            self._link.flush()
            self._see_to_settling()

    def _look(self) -> None:
        if self._link.failure is None and self._leader is None:
            while self._link.receive():
                pass
            self._see_to_settling()

    def _see_to_settling(self) -> None:
        alone = self._leader is None and not self._core.settled
        is_needed = alone or self._core.unsent
        if is_needed and self._link.failure is None and _SETTLER not in self._waiting:
            settler = self._waiting[_SETTLER] = Pending(Hello())
            settler.tag = _SETTLER
            settler.thread = 0
            # Not threading.Thread, whose start() waits for the thread: a step never blocks.
            _thread.start_new_thread(self._settle, (settler,))

    def _settle(self, settler: Pending) -> None:
        settler.thread = threading.get_ident()
        try:
            while True:
                wait = self._step(self._turn, settler)
                if wait is None:
                    return
                wait()
        except LockdError:
            # This is the copy of a greenlet, in a forked child. What it was to settle is its parent's.
            return

    def _gone(self, reason: str) -> DaemonUnavailable:
        return DaemonUnavailable(self.path, reason)

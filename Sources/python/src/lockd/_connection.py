"""The connection that all threads of a process share, with sockets and threads.

The rules of this module:

1. ``socket``, ``select``, ``threading`` and ``time`` are looked up when they are used, and nothing of theirs is made at
   import. So gevent may patch them after this module was imported, as gunicorn's workers do under ``--preload``.
2. Everything belongs to the process that made it. Each entry compares the pid first: a forked child never waits for a
   lock that a thread of its parent holds, and never sends on its parent's socket.
3. All state of a connection is changed in *steps*: short, under one mutex, never blocking. A step that is torn apart by
   an exception (a signal handler raised it) leaves nobody knowing what was sent, so it ends the connection: its leases
   are then lost and say so, and none is leaked.
4. Nobody polls, and there is no thread that reads. Among those that wait for an answer one is the *leader*: it waits
   for the socket, receives for all, and wakes the others. With nobody else about, that is a send and a receive on the
   caller's own thread. A leader that has its answer makes one of the others leader.
5. Only the leader receives. Anybody may send; who cannot, because the socket is full, waits for room.
6. A wait that was given up may still be granted. As long as it may, and nobody else waits, a *settler* leads: a thread
   that ends as soon as the daemon has answered.
7. How a wait goes is reported by the thread that waits, outside of all steps, and while somebody else leads. So what is
   told may take its time, use lockd, and raise.
"""

from __future__ import annotations

import _thread
import array
import copy
import os
import select
import socket
import threading
import time
from typing import Callable, Optional, TypeVar

from . import _replies as replies
from ._binding import Descriptor
from ._errors import DaemonUnavailable, LimitReached, LockdError, RemoteProtocolError, RequestRefused
from ._pending import Pending
from ._protocol import Connection, HeldLease, Received
from ._renewal import Renewer
from ._requests import Hello, Release, Renew
from ._timing import ANSWER_TIMEOUT
from ._version import __version__
from ._waiting import connect, wait_for_signal, wait_for_socket

#: How much is received at a time, in bytes.
RECEIVE_SIZE = 16384
_SETTLER = "settler"

_Result = TypeVar("_Result")

#: Waits for the next turn, or until a deadline; says whether it ended before the deadline.
Wait = Callable[[Optional[float]], bool]


class SharedConnection:
    """A connection and those who wait on it.

    Thread-safe. Methods that change anything do nothing, or raise, in a process that did not make it.
    """

    def __init__(self, path: str, connected: socket.socket) -> None:
        self.path = path
        self.pid = os.getpid()
        self._renewer = Renewer()
        self._core = Connection()
        # Reentrant, so that a signal handler that comes back in here gets an error instead of a deadlock.
        self._mutex = threading.RLock()
        self._stepping = False
        self._failure: LockdError | None = None
        self._waiting: dict[str, Pending] = {}
        self._leader: Pending | None = None
        self._poller_count = 0
        self._socket = connected
        self._file = os.fstat(connected.fileno())

    @classmethod
    def open(cls, path: str, timeout: float) -> SharedConnection:
        """Connect, say HELLO, and await WELCOME, all within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        connected = connect(path, deadline)
        try:
            connection = cls(path, connected)
            connection.ask(Pending(greeting()), deadline)
            return connection
        except BaseException:
            connected.close()
            raise

    @property
    def ended(self) -> bool:
        """Whether the connection has ended, as far as anybody has looked."""
        return self._failure is not None

    def ask(self, pending: Pending, deadline: float | None) -> None:
        """Send a request and wait for its answer until ``deadline`` (by ``time.monotonic()``; ``None``: for ever).

        Whatever it raises, no lease comes of the request.

        :raises DaemonUnavailable: if the connection has ended, or the deadline has passed.
        :raises RequestRefused: if the answer is ERROR.
        """
        leader = self._leader
        if leader is not None and leader.thread == pending.thread and os.getpid() == self.pid:
            raise RuntimeError(
                "lockd was called by a signal handler that interrupted a wait of lockd in the same thread"
            )
        try:
            self._await(pending, deadline)
        except BaseException:
            self.give_up(pending)
            raise
        if isinstance(pending.reply, replies.Refused):
            raise refusal(pending.reply)

    def give_up(self, pending: Pending) -> None:
        """See to it that no lease comes of a request, whatever has become of it. Does not block."""
        if os.getpid() == self.pid:
            self._step(lambda: self._give_up(pending))

    def keep_alive(self, lease: HeldLease) -> None:
        """Renew a lease until it ends, if it has a ttl and is not bound to something else than this process."""
        if not lease.bound:
            self._renewer.watch(lease, self._renew)

    def release(self, lease: HeldLease) -> None:
        """Release a lease, unless it is lost; then ``lease.loss`` says so.

        :raises DaemonUnavailable: if the daemon does not answer. It will find the request when it goes on. And if the
            connection has ended, of a lease that is bound: it is held still, or was released.
        """
        self._renewer.forget(lease)
        try:
            if lease.loss is None:
                self.ask(Pending(Release(lease.name, lease.token)), time.monotonic() + ANSWER_TIMEOUT)
        except BaseException as error:
            # If the connection has ended, so has the lease, unless it is bound. It counts as lost, unless RELEASED was
            # received before: the daemon may or may not have read the request.
            if isinstance(error, LockdError) and (lease.released or lease.loss is not None):
                return
            self.give_back(lease)
            raise

    def give_back(self, lease: HeldLease) -> None:
        """Release a lease without waiting for the answer. One that has ended is passed over. Does not block."""
        self._renewer.forget(lease)
        if os.getpid() == self.pid:
            self._step(lambda: self._give_back(lease))

    def look(self) -> None:
        """Take in what has arrived, unless somebody else is about to. Does not block."""
        if os.getpid() == self.pid:
            self._step(self._look)

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
        if hasattr(self, "_file"):
            self.forget()

    def _renew(self, lease: HeldLease) -> None:
        try:
            self.ask(Pending(Renew(lease.name, lease.token)), time.monotonic() + ANSWER_TIMEOUT)
        except LockdError:
            # If the lease is lost by now, it says so. If it is not, the next renewal may come in time.
            pass

    def _await(self, pending: Pending, deadline: float | None) -> None:
        wait = self._step(lambda: self._begin(pending))
        while wait is not None:
            in_time = wait(None if deadline is None else deadline + pending.reporting_time)
            wait = self._step(lambda: self._turn(pending))
            if wait is not None and not in_time:
                raise unanswered(self.path)
        if not pending.answered and self._failure is not None:
            raise copy.copy(self._failure)

    # Steps, and what they are made of. All of it runs under the mutex.

    def _step(self, step: Callable[[], _Result]) -> _Result:
        if os.getpid() != self.pid:
            raise self._gone(f"the connection is that of process {self.pid}, of which this one is a fork")
        with self._mutex:
            if self._stepping:
                raise RuntimeError("lockd was called by a signal handler that interrupted lockd in the same thread")
            try:
                self._stepping = True
                result = step()
                self._stepping = False
                return result
            except BaseException:
                self._stepping = False
                self._end(self._gone("an exception interrupted the bookkeeping of the connection, which was closed"))
                raise

    def _begin(self, pending: Pending) -> Wait | None:
        if self._failure is None:
            descriptor, pending.descriptor = pending.descriptor, None
            pending.tag = self._core.send(pending.request, descriptor)
            # Nobody but the core refers to it from here on, so that it is closed when it was sent.
            descriptor = None
            self._waiting[pending.tag] = pending
            if self._flush():
                return self._next_wait(pending)
            self._receive_rest()
        pending.unsent = True
        return None

    def _turn(self, pending: Pending) -> Wait | None:
        if self._stop_polling(pending) and self._failure is None:
            self._exchange(pending)
        pending.signal = None
        if pending.answered or self._failure is not None or (pending.tag == _SETTLER and self._is_settled()):
            self._leave(pending)
            return None
        if pending.progress is not None:
            self._pass_on(pending)
            return lambda _: pending.report()
        return self._next_wait(pending)

    def _next_wait(self, pending: Pending) -> Wait:
        if self._leader is None:
            self._leader = pending
        has_unsent = bool(self._core.data_to_send())
        if self._leader is pending or has_unsent:
            pending.polling = True
            self._poller_count += 1
            # Whoever waits for room looks out for input too: a daemon whose replies nobody reads does not read either.
            events = select.POLLIN | select.POLLOUT if has_unsent else select.POLLIN
            return lambda deadline: wait_for_socket(self._socket, events, deadline)
        signal = threading.Lock()
        signal.acquire()
        pending.signal = signal
        return lambda deadline: wait_for_signal(signal, deadline)

    def _stop_polling(self, pending: Pending) -> bool:
        if not pending.polling:
            return False
        pending.polling = False
        self._poller_count -= 1
        self._close_if_done()
        return True

    def _exchange(self, pending: Pending) -> None:
        if not self._flush():
            self._receive_rest()
        elif self._leader in (None, pending):
            self._leader = pending
            self._receive()

    def _flush(self) -> bool:
        """Send what is to be sent, as far as there is room, and say whether anybody is there to receive it."""
        while True:
            data = self._core.data_to_send()
            if not data:
                return True
            try:
                # Some programs have SIGPIPE kill them. It should not be a restart of lockd that does it.
                count = self._send(data, self._core.descriptor_to_send())
            except BlockingIOError:
                return True
            except OSError:
                self._core.data_sent(len(data))
                return False
            self._core.data_sent(count)

    def _send(self, data: bytes, descriptor: object) -> int:
        if not isinstance(descriptor, Descriptor):
            return self._socket.send(data, socket.MSG_NOSIGNAL)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor.number]))
        return self._socket.sendmsg([data], [rights], socket.MSG_NOSIGNAL)

    def _receive(self) -> bool:
        """Receive once and hand out what it was, and say whether there was anything."""
        try:
            data = self._socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(self._gone(error.strerror or str(error)))
            return False
        if not data:
            self._end(self._gone("it closed the connection"))
            return False
        try:
            received = self._core.receive(data)
        except RemoteProtocolError as error:
            self._end(error)
            return False
        for meaning in received:
            self._deliver(meaning)
        # Releases of leases that came of abandoned waits. If nobody is there to receive them, the next receive tells.
        self._flush()
        return True

    def _receive_rest(self) -> None:
        while self._receive():
            pass
        self._end(self._gone("it closed the connection"))

    def _deliver(self, received: Received) -> None:
        if received.request is None and isinstance(received.reply, replies.Refused):
            self._end(refusal(received.reply))
        pending = self._waiting.get(received.tag) if received.tag is not None else None
        if pending is None:
            return
        if isinstance(received.reply, replies.Progress):
            pending.progress = received.reply
            pending.wake()
            return
        pending.replies.append(received.reply)
        # A lease that the owner held before is not this request's to give back.
        if isinstance(received.reply, replies.Granted):
            pending.lease = received.lease
        if received.final:
            pending.answered = True
            pending.wake()

    def _leave(self, pending: Pending) -> None:
        if pending.tag is not None:
            self._waiting.pop(pending.tag, None)
        self._pass_on(pending)

    def _pass_on(self, pending: Pending) -> None:
        """Let somebody else lead, if ``pending`` does."""
        if self._leader is pending:
            self._leader = next((other for other in self._waiting.values() if other.signal is not None), None)
            if self._leader is not None:
                self._leader.wake()
        self._see_to_settling()

    def _give_up(self, pending: Pending) -> None:
        self._stop_polling(pending)
        pending.signal = None
        if self._failure is None:
            if pending.lease is not None:
                self._core.give_back(pending.lease)
            elif pending.tag is not None:
                self._core.abandon(pending.tag)
            self._flush()
        self._leave(pending)

    def _give_back(self, lease: HeldLease) -> None:
        if self._failure is None:
            self._core.give_back(lease)
            self._flush()
            self._see_to_settling()

    def _look(self) -> None:
        if self._failure is None and self._leader is None:
            while self._receive():
                pass

    def _is_settled(self) -> bool:
        return self._core.settled and not self._core.data_to_send()

    def _see_to_settling(self) -> None:
        alone = self._leader is None and not self._core.settled
        if self._failure is None and _SETTLER not in self._waiting and (alone or self._core.data_to_send()):
            settler = self._waiting[_SETTLER] = Pending(Hello())
            settler.tag = _SETTLER
            settler.thread = 0
            # Not threading.Thread, whose start() waits for the thread: a step never blocks.
            _thread.start_new_thread(self._settle, (settler,))

    def _settle(self, settler: Pending) -> None:
        settler.thread = threading.get_ident()
        try:
            while True:
                wait = self._step(lambda: self._turn(settler))
                if wait is None:
                    return
                wait(None)
        except LockdError:
            # This is the copy of a greenlet, in a forked child. What it was to settle is its parent's.
            return

    def _gone(self, reason: str) -> DaemonUnavailable:
        return DaemonUnavailable(self.path, reason)

    def _end(self, failure: LockdError) -> None:
        if self._failure is not None:
            return
        self._failure = failure
        self._core.receive_end(failure.reason if isinstance(failure, DaemonUnavailable) else str(failure))
        for pending in self._waiting.values():
            pending.wake()
        try:
            # Wakes whoever polls. Before they are all out of it the descriptor must not be closed, because its number
            # could be given to another file, and polled.
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._failure is not None and self._poller_count == 0:
            self._socket.close()


def greeting() -> Hello:
    """The first line of every connection."""
    return Hello(version=1, client=f"lockd-python/{__version__}".encode())


def unanswered(path: str) -> DaemonUnavailable:
    """The error for an answer that does not come."""
    return DaemonUnavailable(path, "it does not answer", "Is it stopped, or the machine overloaded?")


def refusal(reply: replies.Refused) -> RequestRefused:
    """The error for an answer ERROR."""
    is_limit = reply.code.startswith("too-many-") and reply.code != "too-many-names"
    error = LimitReached if is_limit else RequestRefused
    return error(reply.code, reply.fields)

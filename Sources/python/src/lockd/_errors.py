"""The errors of this library.

Every one of them can be pickled, because multiprocessing sends exceptions from one process to another that way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._replies import DeadlockEdge

__all__ = [
    "AlreadyHeld",
    "BindingEnded",
    "DaemonUnavailable",
    "DeadlockError",
    "LeaseLost",
    "LimitReached",
    "LocalProtocolError",
    "LockdError",
    "NotHeld",
    "ProtocolError",
    "QueueFull",
    "ReleasedTooOften",
    "RemoteProtocolError",
    "RequestRefused",
]


class LockdError(Exception):
    """The base of every error that this library raises on purpose."""


class ProtocolError(LockdError):
    """Somebody did not keep to the protocol. The subclasses say who."""


class LocalProtocolError(ProtocolError, ValueError):
    """What this program asked for cannot be said in the protocol, for example an empty name. Nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The other end of the socket said what no lockd says. The session is ended, so its leases are lost."""


class DaemonUnavailable(LockdError, ConnectionError):
    """The daemon cannot be reached, does not answer, or has gone.

    It does not say that nobody holds the lock: a daemon that cannot be reached from here may well grant it to others.
    """

    def __init__(self, path: str, reason: str, advice: str = "", errno: int | None = None) -> None:
        super().__init__(errno, reason, path)
        #: The path of the socket that was tried.
        self.path = path
        #: What went wrong, in the words of the operating system where it said something.
        self.reason = reason
        #: What to do about it; empty where there is nothing to suggest.
        self.advice = advice

    def __str__(self) -> str:
        sentence = f"lockd at {self.path}: {self.reason}"
        return f"{sentence}. {self.advice}" if self.advice else sentence

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.reason, self.advice, self.errno)


class LeaseLost(LockdError):
    """The lease ended before it was released. Work done since then may overlap another holder's.

    The fencing token tells the two apart: see ``Lease.token``.
    """

    def __init__(
        self, name: bytes, token: int, reason: str, detail: str = "", names: tuple[bytes, ...] | None = None
    ) -> None:
        super().__init__(name, token, reason, detail, names)
        #: The name of the lock; the first, if it has several.
        self.name = name
        #: All names of the lock.
        self.names = names or (name,)
        #: The token of the lost lease.
        self.token = token
        #: ``expired``; ``revoked``; ``forgotten`` and ``log-damaged`` (the daemon has restarted without what it had
        #: written down, or with damage to it); ``disconnected`` (the session ended for a reason on this side, or the
        #: daemon is too old to go on with it); or ``unknown``. A later daemon may know more words.
        self.reason = reason
        #: Who revoked it and why, or what happened and what to do about it, for people to read.
        self.detail = detail

    def __str__(self) -> str:
        sentence = f"the lease on {show_names(self.names)} (token {self.token}) was lost: {self.reason}"
        return f"{sentence}, {self.detail}" if self.detail else sentence


class NotHeld(LockdError, RuntimeError):
    """There is no lease to release or renew: this process, thread or task, or nobody by that token, holds one.

    A process that was forked while its parent held the lease holds none.
    """

    def __init__(self, name: bytes, token: int | None = None, who: str = "process") -> None:
        super().__init__(name, token, who)
        #: The name of the lock; the first, if it has several.
        self.name = name
        #: The token that was given, if one was.
        self.token = token
        #: Who holds none, if no token was given: this ``process``, ``thread`` or ``task``.
        self.who = who

    def __str__(self) -> str:
        if self.token is None:
            return f"release of {show_name(self.name)}, of which this {self.who} holds no lease"
        return f"there is no lease on {show_name(self.name)} with token {self.token} that is yours to release or renew"


class ReleasedTooOften(NotHeld, ValueError):
    """A semaphore was released more often than this process had acquired it. Nothing was released.

    It is a ``ValueError``, as that of ``threading.BoundedSemaphore``.
    """


class AlreadyHeld(LockdError, RuntimeError):
    """``acquire()`` by an owner that holds the lock already. A lock is not reentrant; nothing has changed."""

    def __init__(self, names: tuple[bytes, ...], token: int) -> None:
        super().__init__(names, token)
        #: All names of the lease that is held. They may be more than were asked for.
        self.names = names
        #: Its token.
        self.token = token

    def __str__(self) -> str:
        return f"the owner holds {show_names(self.names)} already, with token {self.token}"


class DeadlockError(LockdError):
    """The wait would never end, because those that it waits for wait for its own owner. Nothing has changed.

    The others go on waiting, and are granted when this owner releases what it holds.
    """

    def __init__(self, names: tuple[bytes, ...], edges: tuple[DeadlockEdge, ...] = ()) -> None:
        super().__init__(names, edges)
        #: All names of the lock.
        self.names = names
        #: Who waits for whom, those nearest to the request first.
        self.edges = edges

    def __str__(self) -> str:
        said = [_show_edge(edge) for edge in self.edges[:_SHOWN_EDGES]]
        if len(self.edges) > _SHOWN_EDGES:
            said.append(f"and {len(self.edges) - _SHOWN_EDGES} more")
        sentence = f"waiting for {show_names(self.names)} would be a deadlock"
        return f"{sentence}: {'; '.join(said)}" if said else sentence


class BindingEnded(LockdError):
    """What the lease was to be bound to has ended before it was granted: the process, or all who could write."""

    def __init__(self, names: tuple[bytes, ...]) -> None:
        super().__init__(names)
        #: All names of the lock.
        self.names = names

    def __str__(self) -> str:
        return f"what a lease on {show_names(self.names)} was to be bound to has ended"


class QueueFull(LockdError):
    """A ``with`` block was not entered, because as many others wait for the lock as ``max_queue`` says."""

    def __init__(self, name: bytes, limit: int, names: tuple[bytes, ...] | None = None) -> None:
        super().__init__(name, limit, names)
        #: The name of the lock; the first, if it has several.
        self.name = name
        #: The ``max_queue`` of the lock.
        self.limit = limit
        #: All names of the lock.
        self.names = names or (name,)

    def __str__(self) -> str:
        are, them = ("is", "it") if len(self.names) == 1 else ("are", "them")
        return f"{show_names(self.names)} {are} not free, and {self.limit} or more wait for {them} already"


class RequestRefused(LockdError):
    """The daemon answered ERROR. The request changed nothing.

    It would be refused again, unless its code speaks of the moment: ``stricter-lease`` and ``partly-held`` say that the
    owner has to release first what it holds. For limits there is ``LimitReached``.
    """

    def __init__(self, code: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(code, fields or {})
        #: The code, from the list in ``docs/protocol.md``, *Errors*.
        self.code = code
        #: What the daemon said besides: ``key``, ``got``, ``want``, ``limit``, ``scope``, as it spelled them.
        self.fields = fields or {}

    def __str__(self) -> str:
        said = "".join(f" {key}={value}" for key, value in self.fields.items())
        return f"lockd refused the request: {self.code}{said}"


class LimitReached(RequestRefused):
    """The daemon answered that a limit is reached (a ``too-many-…`` code). The same request can be right later.

    ``fields["scope"]`` says whose limit that is: ``session`` (this process), ``user`` or ``daemon``.
    """


def show_name(name: bytes) -> str:
    """``name`` as people are to see it."""
    return repr(name.decode("utf-8", "backslashreplace"))


def show_names(names: tuple[bytes, ...]) -> str:
    """``names`` as people are to see them."""
    return ", ".join(map(show_name, names))


# So many edges people can follow in a message.
_SHOWN_EDGES = 8


def _show_edge(edge: DeadlockEdge) -> str:
    waiter = _show_party(edge.waiter_pid, None, edge.waiter_owner, edge.waiter_session)
    holder = _show_party(edge.holder_pid, edge.holder_command, edge.holder_owner, edge.holder_session)
    if edge.waited is not None:
        return f"{waiter} waits for {show_name(edge.name)} behind {holder}, which has waited for {edge.waited} ms"
    since = "" if edge.held is None else f" for {edge.held} ms"
    return f"{waiter} waits for {show_name(edge.name)}, held{since} by {holder}"


def _show_party(pid: int | None, command: bytes | None, owner: bytes | None, session: int | None) -> str:
    words = [] if command is None else [command.decode("utf-8", "backslashreplace")]
    words += [] if owner is None else [f"owner {show_name(owner)}"]
    words += [] if session is None else [f"session {session}"]
    who = "a process" if pid is None else f"process {pid}"
    return f"{who} ({', '.join(words)})" if words else who

"""The errors of this library.

Every one of them can be pickled, because multiprocessing sends exceptions from one process to another that way.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "DaemonUnavailable",
    "LeaseLost",
    "LimitReached",
    "LocalProtocolError",
    "LockdError",
    "NotHeld",
    "ProtocolError",
    "QueueFull",
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
    """The other end of the socket said what no lockd says. The connection is closed, so its leases are lost."""


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

    def __init__(self, name: bytes, token: int, reason: str, detail: str = "") -> None:
        super().__init__(name, token, reason, detail)
        #: The name of the lock.
        self.name = name
        #: The token of the lost lease.
        self.token = token
        #: ``expired``, ``revoked``, ``disconnected`` or ``unknown``; a later daemon may know more words.
        self.reason = reason
        #: Who revoked it and why, or how the connection ended, for people to read.
        self.detail = detail

    def __str__(self) -> str:
        sentence = f"the lease on {show_name(self.name)} (token {self.token}) was lost: {self.reason}"
        return f"{sentence}, {self.detail}" if self.detail else sentence


class NotHeld(LockdError, RuntimeError):
    """``release()`` of a lock of which this process holds no lease.

    A process that was forked while its parent held the lease holds none.
    """

    def __init__(self, name: bytes) -> None:
        super().__init__(name)
        #: The name of the lock.
        self.name = name

    def __str__(self) -> str:
        return f"release of {show_name(self.name)}, of which this process holds no lease"


class QueueFull(LockdError):
    """A ``with`` block was not entered, because as many others wait for the lock as ``max_queue`` says."""

    def __init__(self, name: bytes, limit: int) -> None:
        super().__init__(name, limit)
        #: The name of the lock.
        self.name = name
        #: The ``max_queue`` of the lock.
        self.limit = limit

    def __str__(self) -> str:
        return f"{show_name(self.name)} is not free, and {self.limit} or more wait for it already"


class RequestRefused(LockdError):
    """The daemon answered ERROR. The request changed nothing, and would be refused again."""

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
    """The daemon answered that a limit is reached (a ``too-many-…`` code). The same request can be right later."""


def show_name(name: bytes) -> str:
    """``name`` as people are to see it."""
    return repr(name.decode("utf-8", "backslashreplace"))

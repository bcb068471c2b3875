"""Who holds a lease, and who held the one before, as replies say it. Durations are milliseconds, texts are bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as far as the daemon says."""

    #: The process that holds it.
    pid: int | None = None
    #: The user of that process.
    uid: int | None = None
    #: The kernel's command name of that process when it connected.
    command: bytes | None = None
    #: The number of its session.
    session: int | None = None
    #: How many milliseconds it has been held.
    held: int | None = None
    #: How many hold it, if more than one; the rest is of the one that was granted first.
    count: int | None = None
    #: The systemd unit of that process when it connected.
    unit: bytes | None = None
    #: The note of its request.
    note: bytes | None = None


@dataclass(frozen=True)
class AbandonedLease:
    """A lease that ended without having been released: what its holder was doing may be half done."""

    #: ``ended`` (with its process or connection), ``expired`` or ``revoked``; a later daemon may know more words.
    ending: str
    #: Its token, smaller than that of the lease that follows.
    token: int | None = None
    #: The process that held it.
    pid: int | None = None
    #: The user of that process.
    uid: int | None = None
    #: The kernel's command name of that process when it connected.
    command: bytes | None = None
    #: How many milliseconds it was held.
    held: int | None = None
    #: The note of its request.
    note: bytes | None = None

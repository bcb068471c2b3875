"""What the daemon says: one class for each line of the protocol.

What a lock hangs on (names, tokens) is always there; what is only told (holder fields, times) may be missing. Durations
are whole milliseconds, names and texts are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ._holders import AbandonedLease, Holder


class Reply:
    """The base of everything the daemon says."""


@dataclass(frozen=True)
class Welcome(Reply):
    """The answer to HELLO."""

    daemon_version: str
    version: int
    session: int | None = None
    pid: int | None = None
    features: tuple[str, ...] = ()
    line_limit: int | None = None
    name_limit: int | None = None
    #: Of a session that goes on: how many leases it holds, and how many of its requests wait.
    leases: int | None = None
    waiters: int | None = None


@dataclass(frozen=True)
class Granted(Reply):
    """The session holds the lease. ``previous`` is the lease before it, if that was not released."""

    names: tuple[bytes, ...]
    token: int
    ttl: int | None = None
    previous: AbandonedLease | None = None


@dataclass(frozen=True)
class Held(Reply):
    """The owner of the request held the lease already. Nothing has changed."""

    names: tuple[bytes, ...]
    token: int
    ttl: int | None = None


@dataclass(frozen=True)
class Busy(Reply):
    """A request that was not to queue, and could not be granted."""

    names: tuple[bytes, ...]
    holder: Holder | None = None
    waiters: int | None = None


@dataclass(frozen=True)
class TimedOut(Reply):
    """The wait ran out."""

    names: tuple[bytes, ...]
    waited: int | None = None
    holder: Holder | None = None
    waiters: int | None = None


@dataclass(frozen=True)
class Cancelled(Reply):
    """The wait was ended by CANCEL, QUIT, or the end of the session or of what it was to be bound to."""

    names: tuple[bytes, ...]
    waited: int | None = None


@dataclass(frozen=True)
class Progress(Reply):
    """How a wait goes. Names and texts are bytes, durations are milliseconds."""

    #: The names that are waited for.
    names: tuple[bytes, ...]
    #: 1 for the next to be granted.
    position: int
    #: The name that is waited for first; the rest speaks of that one.
    on: bytes
    #: Who holds that name, if anybody does.
    holder: Holder | None = None
    #: How many requests wait for that name, this one included.
    waiters: int | None = None


@dataclass(frozen=True)
class DeadlockEdge(Reply):
    """A part of a deadlock: who waits for whom. Names and texts are bytes, durations are milliseconds.

    The waiter cannot have the name before the holder has released it. If ``waited`` is there in place of ``held``, the
    holder is itself only a request that is ahead in the queue.
    """

    #: The name that is waited for.
    name: bytes
    #: The process that waits.
    waiter_pid: int | None = None
    #: The owner named in its request.
    waiter_owner: bytes | None = None
    #: The number of its session.
    waiter_session: int | None = None
    #: The process that is waited for.
    holder_pid: int | None = None
    #: The user of that process.
    holder_uid: int | None = None
    #: The kernel's command name of that process when it connected.
    holder_command: bytes | None = None
    #: The systemd unit of that process when it connected.
    holder_unit: bytes | None = None
    #: The owner named in its request.
    holder_owner: bytes | None = None
    #: The number of its session.
    holder_session: int | None = None
    #: How long it has held the name.
    held: int | None = None
    #: How long it has waited for the name.
    waited: int | None = None
    #: The fencing token of its lease.
    token: int | None = None


@dataclass(frozen=True)
class Deadlock(Reply):
    """The wait would never end. The edges came before this line."""

    names: tuple[bytes, ...]
    edge_count: int | None = None


@dataclass(frozen=True)
class Released(Reply):
    """The lease has ended as asked."""

    names: tuple[bytes, ...]
    token: int


@dataclass(frozen=True)
class Renewed(Reply):
    """The lease has a new deadline."""

    names: tuple[bytes, ...]
    token: int
    ttl: int | None = None


@dataclass(frozen=True)
class NotHeld(Reply):
    """There is no such lease to release, renew or revoke."""

    name: bytes


@dataclass(frozen=True)
class WaitCancelled(Reply):
    """The answer to CANCEL: the wait under that tag has ended."""

    tag: str


@dataclass(frozen=True)
class NotWaiting(Reply):
    """The answer to CANCEL: nothing waits under that tag."""

    tag: str


@dataclass(frozen=True)
class LeaseLine(Reply):
    """A lease in a listing. Names and texts are bytes, durations are milliseconds."""

    #: The name of the lock.
    name: bytes
    #: The fencing token of the lease.
    token: int
    #: The number of the session that holds it.
    session: int | None = None
    #: The process that holds it: the one that called connect().
    pid: int | None = None
    #: The user of that process.
    uid: int | None = None
    #: The kernel's command name of that process when it connected.
    command: bytes | None = None
    #: The name and version of its client library.
    client: bytes | None = None
    #: How long it has been held.
    held: int | None = None
    #: The longest it may be held without renewal; ``None`` for no bound.
    ttl: int | None = None
    #: The time to its deadline, if it has a ttl.
    left: int | None = None
    #: The owner named in its request.
    owner: bytes | None = None
    #: The note of its request.
    note: bytes | None = None
    #: How many requests wait for the name.
    waiters: int | None = None
    #: How many holders of the name it tolerates, itself included: 1 if it is exclusive, ``None`` for any number.
    holder_limit: int | None = 1
    #: The systemd unit of that process when it connected.
    unit: bytes | None = None
    #: How many names it has; its lines have the same token on each.
    name_count: int = 1
    #: What it is bound to in place of a session: ``pidfd`` or ``pipe``.
    bound: str | None = None
    #: For how long the daemon has run without a connection of the session, or to what the lease is bound.
    detached: int | None = None


@dataclass(frozen=True)
class WaiterLine(Reply):
    """A waiting request in a listing. Names and texts are bytes, durations are milliseconds."""

    #: The name of the lock.
    name: bytes
    #: 1 for the next to be granted.
    position: int
    #: The number of the session that waits.
    session: int | None = None
    #: The process that waits: the one that called connect().
    pid: int | None = None
    #: The user of that process.
    uid: int | None = None
    #: The kernel's command name of that process when it connected.
    command: bytes | None = None
    #: The name and version of its client library.
    client: bytes | None = None
    #: How long it has waited.
    waited: int | None = None
    #: The time to the end of the wait, if it has one.
    left: int | None = None
    #: The ttl that its lease will have.
    ttl: int | None = None
    #: The owner named in the request.
    owner: bytes | None = None
    #: The note of the request.
    note: bytes | None = None
    #: How many holders of the name the lease will tolerate: 1 if it is exclusive, ``None`` for any number.
    holder_limit: int | None = 1
    #: The systemd unit of that process when it connected.
    unit: bytes | None = None
    #: How many names it waits for.
    name_count: int = 1
    #: For how long the daemon has run without a connection of the session.
    detached: int | None = None


@dataclass(frozen=True)
class Hold(Reply):
    """A lease that has ended. Names and texts are bytes, durations are milliseconds."""

    #: The name of the lock.
    name: bytes
    #: The fencing token of the lease.
    token: int
    #: ``released``, ``expired``, ``revoked`` or ``ended`` (with its process, its connection, or what it was bound to);
    #: a later daemon may know more words.
    outcome: str
    #: The number of the session that held it.
    session: int | None = None
    #: The process that held it: the one that called connect().
    pid: int | None = None
    #: The user of that process.
    uid: int | None = None
    #: The kernel's command name of that process when it connected.
    command: bytes | None = None
    #: The systemd unit of that process when it connected.
    unit: bytes | None = None
    #: How long its request waited.
    waited: int | None = None
    #: How long it was held.
    held: int | None = None
    #: How long ago it ended.
    ago: int | None = None
    #: The note of its request.
    note: bytes | None = None


@dataclass(frozen=True)
class Watching(Reply):
    """The answer to WATCH. From here on there are events."""

    prefix: bytes | None = None


@dataclass(frozen=True)
class Unwatched(Reply):
    """The answer to UNWATCH. From here on there are none."""


@dataclass(frozen=True)
class End(Reply):
    """The end of an answer of several lines; ``next`` is the cursor of the next page, if there is more."""

    next: str | None = None


@dataclass(frozen=True)
class Revoked(Reply):
    """The lease was taken from its holder."""

    names: tuple[bytes, ...]
    token: int


@dataclass(frozen=True)
class Denied(Reply):
    """The lease belongs to another user, who is not you."""

    names: tuple[bytes, ...]
    token: int
    uid: int | None = None


@dataclass(frozen=True)
class Statistic(Reply):
    """One figure of STATS."""

    key: str
    value: str


@dataclass(frozen=True)
class Histogram(Reply):
    """One line of HISTOGRAMS; all times in microseconds."""

    #: ``None`` for all leases.
    name: bytes | None
    #: ``wait`` or ``hold``; a later daemon may know more words.
    of: str
    count: int | None = None
    #: How long all of them took together.
    sum: int | None = None
    #: Each bound with how many took no longer, and longer than the bound before; the last bound is ``None``.
    buckets: tuple[tuple[int | None, int], ...] = ()


@dataclass(frozen=True)
class Pong(Reply):
    """The answer to PING."""


@dataclass(frozen=True)
class Bye(Reply):
    """The answer to QUIT, and the last line of the session."""


@dataclass(frozen=True)
class Refused(Reply):
    """ERROR: the request was refused and has changed nothing."""

    code: str
    #: The fields as they were spelled.
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lost(Reply):
    """The event LOST: a lease ended that its holder had not released."""

    names: tuple[bytes, ...]
    token: int
    #: ``expired`` or ``revoked``; a later daemon may know more words.
    reason: str
    by_uid: int | None = None
    by_pid: int | None = None
    why: bytes | None = None


@dataclass(frozen=True)
class AllLost(Reply):
    """The event LOST without names: the daemon has restarted, and nothing that this session held is held."""

    #: ``log-damaged``; a later daemon may know more words.
    reason: str


@dataclass(frozen=True)
class Restored(Reply):
    """The event RESTORED: the daemon has restarted, and the session goes on. Answers may come for the second time."""

    session: int | None = None
    leases: int | None = None
    waiters: int | None = None


@dataclass(frozen=True)
class Event(Reply):
    """Something that happened to a lease or a wait. Names and texts are bytes, durations are milliseconds."""

    #: ``queued``, ``unqueued`` (a wait ended without a lease), ``granted``, ``released``, ``expired``, ``revoked``, or
    #: ``abandoned`` (the lease ended with its process, its connection, or what it was bound to).
    kind: str
    #: All names of the lease or the request.
    names: tuple[bytes, ...]
    #: The fencing token of the lease.
    token: int | None = None
    #: The number of the session that holds, held or waits.
    session: int | None = None
    #: Its process: the one that called connect().
    pid: int | None = None
    #: The user of that process.
    uid: int | None = None
    #: The kernel's command name of that process when it connected.
    command: bytes | None = None
    #: The systemd unit of that process when it connected.
    unit: bytes | None = None
    #: Of ``queued``: 1 for the next to be granted.
    position: int | None = None
    #: Of ``unqueued`` and ``granted``: how long it waited.
    waited: int | None = None
    #: Of what ends a lease: how long it was held.
    held: int | None = None
    #: Of ``unqueued``: ``timeout`` or ``cancelled``.
    reason: str | None = None
    #: The note of the request.
    note: bytes | None = None


@dataclass(frozen=True)
class Missed(Reply):
    """Events that a watch was not told of: it did not keep up, or the daemon has restarted and did not know of it."""

    #: How many; ``None`` if nobody knows, in which case it may be none.
    count: int | None

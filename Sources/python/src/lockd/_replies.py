"""What the daemon says: one class for each line of the protocol, and the parser of lines.

Keys that are not known are ignored, as the protocol demands. What a lock hangs on (names, tokens) is required; what is
only told (holder fields, times) may be missing. Nothing here does I/O. Durations are whole milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, TypeVar

from . import _grammar as grammar
from ._errors import RemoteProtocolError
from ._holders import AbandonedLease, Holder

_Value = TypeVar("_Value")


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


@dataclass(frozen=True)
class Granted(Reply):
    """The session holds the lease. ``previous`` is the lease before it, if that was not released."""

    name: bytes
    token: int
    ttl: int | None = None
    previous: AbandonedLease | None = None


@dataclass(frozen=True)
class Held(Reply):
    """The owner of the request held the lease already. Nothing has changed."""

    name: bytes
    token: int
    ttl: int | None = None


@dataclass(frozen=True)
class Busy(Reply):
    """A try that found the name held, or others waiting."""

    name: bytes
    holder: Holder | None = None
    waiters: int | None = None


@dataclass(frozen=True)
class TimedOut(Reply):
    """The wait ran out."""

    name: bytes
    waited: int | None = None
    holder: Holder | None = None
    waiters: int | None = None


@dataclass(frozen=True)
class Cancelled(Reply):
    """The wait was ended by CANCEL, QUIT or the end of the session."""

    name: bytes
    waited: int | None = None


@dataclass(frozen=True)
class Released(Reply):
    """The lease has ended as asked."""

    name: bytes
    token: int


@dataclass(frozen=True)
class Renewed(Reply):
    """The lease has a new deadline."""

    name: bytes
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


@dataclass(frozen=True)
class End(Reply):
    """The end of an answer of several lines; ``next`` is the cursor of the next page, if there is more."""

    next: str | None = None


@dataclass(frozen=True)
class Revoked(Reply):
    """The lease was taken from its holder."""

    name: bytes
    token: int


@dataclass(frozen=True)
class Denied(Reply):
    """The lease belongs to another user, who is not you."""

    name: bytes
    token: int
    uid: int | None = None


@dataclass(frozen=True)
class Statistic(Reply):
    """One figure of STATS."""

    key: str
    value: str


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

    name: bytes
    token: int
    #: ``expired`` or ``revoked``; a later daemon may know more words.
    reason: str
    by_uid: int | None = None
    by_pid: int | None = None
    why: bytes | None = None


def parse_reply(line: bytes) -> tuple[str | None, Reply | None]:
    """The tag and the meaning of a line without its LF; no meaning for an event that is not known.

    :raises RemoteProtocolError: if no daemon of this protocol says so.
    """
    text = line.decode("latin-1")
    if not text.isascii() or not text.isprintable():
        raise RemoteProtocolError(f"the reply is not printable ASCII: {line!r}")
    words = text.split(" ")
    if words[0] == "*":
        return None, _lost(_Words(text, words[2:])) if words[1:2] == ["LOST"] else None
    tag = words.pop(0) if words[0].startswith("#") else None
    parse = _PARSERS.get(words[0]) if words else None
    if parse is None or (tag is not None and not grammar.is_tag(tag)):
        raise RemoteProtocolError(f"the reply is not one of the protocol: {text!r}")
    return tag, parse(_Words(text, words[1:]))


class _Words:
    """The words of a reply behind its first: arguments, then fields."""

    def __init__(self, line: str, words: list[str]) -> None:
        self._line = line
        self._words = words
        self.fields = dict(word.split("=", 1) for word in words if "=" in word)

    def argument(self) -> str:
        if not self._words or "=" in self._words[0]:
            raise self.missing("a word")
        return self._words[0]

    def tag(self) -> str:
        tag = self.argument()
        if not grammar.is_tag(tag):
            raise RemoteProtocolError(f"the tag is not one in {self._line!r}")
        return tag

    def name(self) -> bytes:
        name = grammar.read_name(self.argument())
        if name is None:
            raise RemoteProtocolError(f"the name is not one in {self._line!r}")
        return name

    def word(self, key: str) -> str:
        return self._required(key, self.fields.get(key))

    def number(self, key: str) -> int:
        return self._required(key, self.optional_number(key))

    def optional_number(self, key: str) -> int | None:
        return self._read(key, grammar.read_number)

    def optional_duration(self, key: str) -> int | None:
        return self._read(key, grammar.read_duration)

    def optional_text(self, key: str) -> bytes | None:
        return self._read(key, grammar.read_text)

    def missing(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{what} is missing in {self._line!r}")

    def holder(self) -> Holder | None:
        holder = Holder(
            pid=self.optional_number("holder-pid"),
            uid=self.optional_number("holder-uid"),
            command=self.optional_text("holder-command"),
            session=self.optional_number("holder-session"),
            held=self.optional_duration("held"),
            count=self.optional_number("holders"),
        )
        return None if holder == Holder() else holder

    def previous(self) -> AbandonedLease | None:
        ending = self.fields.get("previous")
        if ending is None:
            return None
        number, text = self.optional_number, self.optional_text
        pid, uid, command = number("previous-pid"), number("previous-uid"), text("previous-command")
        held = self.optional_duration("previous-held")
        return AbandonedLease(ending, number("previous-token"), pid, uid, command, held, text("previous-note"))

    def holder_limit(self) -> int | None:
        if self.fields.get("mode") == "shared":
            return None
        limit = self.optional_number("limit")
        return 1 if limit is None else limit

    def _read(self, key: str, read: Callable[[str], _Value | None]) -> _Value | None:
        word = self.fields.get(key)
        if word is None:
            return None
        value = read(word)
        if value is None:
            raise RemoteProtocolError(f"the value of {key}= is not one in {self._line!r}")
        return value

    def _required(self, key: str, value: _Value | None) -> _Value:
        if value is None:
            raise self.missing(f"{key}=")
        return value


def _welcome(words: _Words) -> Reply:
    return Welcome(
        daemon_version=words.word("lockd"),
        version=words.number("v"),
        session=words.optional_number("session"),
        pid=words.optional_number("pid"),
        features=tuple(filter(None, words.fields.get("features", "").split(","))),
        line_limit=words.optional_number("line"),
        name_limit=words.optional_number("name"),
    )


def _cancelled(words: _Words) -> Reply:
    # A name never begins with "#", so the two answers cannot be mistaken for each other.
    if words.argument().startswith("#"):
        return WaitCancelled(words.tag())
    return Cancelled(words.name(), words.optional_duration("waited"))


def _lease(words: _Words) -> Reply:
    return LeaseLine(
        name=words.name(),
        token=words.number("token"),
        holder_limit=words.holder_limit(),
        session=words.optional_number("session"),
        pid=words.optional_number("pid"),
        uid=words.optional_number("uid"),
        command=words.optional_text("command"),
        client=words.optional_text("client"),
        held=words.optional_duration("held"),
        ttl=words.optional_duration("ttl"),
        left=words.optional_duration("left"),
        owner=words.optional_text("owner"),
        note=words.optional_text("note"),
        waiters=words.optional_number("waiters"),
    )


def _waiter(words: _Words) -> Reply:
    return WaiterLine(
        name=words.name(),
        position=words.number("position"),
        holder_limit=words.holder_limit(),
        session=words.optional_number("session"),
        pid=words.optional_number("pid"),
        uid=words.optional_number("uid"),
        command=words.optional_text("command"),
        client=words.optional_text("client"),
        waited=words.optional_duration("waited"),
        left=words.optional_duration("left"),
        ttl=words.optional_duration("ttl"),
        owner=words.optional_text("owner"),
        note=words.optional_text("note"),
    )


def _statistic(words: _Words) -> Reply:
    for key, value in words.fields.items():
        return Statistic(key, value)
    raise words.missing("KEY=VALUE")


def _lost(words: _Words) -> Reply:
    return Lost(
        name=words.name(),
        token=words.number("token"),
        reason=words.word("reason"),
        by_uid=words.optional_number("by-uid"),
        by_pid=words.optional_number("by-pid"),
        why=words.optional_text("why"),
    )


_PARSERS: dict[str, Callable[[_Words], Reply]] = {
    "WELCOME": _welcome,
    "GRANTED": lambda words: Granted(
        words.name(), words.number("token"), words.optional_duration("ttl"), words.previous()
    ),
    "HELD": lambda words: Held(words.name(), words.number("token"), words.optional_duration("ttl")),
    "BUSY": lambda words: Busy(words.name(), words.holder(), words.optional_number("waiters")),
    "TIMEOUT": lambda words: TimedOut(
        words.name(), words.optional_duration("waited"), words.holder(), words.optional_number("waiters")
    ),
    "CANCELLED": _cancelled,
    "RELEASED": lambda words: Released(words.name(), words.number("token")),
    "RENEWED": lambda words: Renewed(words.name(), words.number("token"), words.optional_duration("ttl")),
    "NOTHELD": lambda words: NotHeld(words.name()),
    "NOTWAITING": lambda words: NotWaiting(words.tag()),
    "LEASE": _lease,
    "WAITER": _waiter,
    "END": lambda words: End(words.fields.get("next")),
    "REVOKED": lambda words: Revoked(words.name(), words.number("token")),
    "DENIED": lambda words: Denied(words.name(), words.number("token"), words.optional_number("uid")),
    "STAT": _statistic,
    "PONG": lambda words: Pong(),
    "BYE": lambda words: Bye(),
    "ERROR": lambda words: Refused(words.argument(), words.fields),
}

"""The parser of what the daemon says.

Keys and events that are not known are ignored, as the protocol demands. What a lock hangs on (names, tokens) is
required; what is only told (holder fields, times) may be missing. Nothing here does I/O.
"""

from __future__ import annotations

import itertools
import re
from typing import Callable, TypedDict, TypeVar

from . import _grammar as grammar
from ._errors import RemoteProtocolError
from ._holders import AbandonedLease, Holder
from ._replies import (
    AllLost,
    Busy,
    Bye,
    Cancelled,
    Deadlock,
    DeadlockEdge,
    Denied,
    End,
    Event,
    Granted,
    Held,
    Histogram,
    Hold,
    LeaseLine,
    Lost,
    Missed,
    NotHeld,
    NotWaiting,
    Pong,
    Progress,
    Refused,
    Released,
    Renewed,
    Reply,
    Restored,
    Revoked,
    Statistic,
    TimedOut,
    Unwatched,
    WaitCancelled,
    WaiterLine,
    Watching,
    Welcome,
)

_Value = TypeVar("_Value")

# What most replies are: a lease on one name that is spelled as it is was granted or released, under a tag of this
# library. They are read in one go, and are what the words would make of them too.
_PLAIN = re.compile(
    rb'(#[0-9]{1,20}) (GRANTED|RELEASED) ([!"$&-<>-~]+) token=([0-9]{1,19})'
    rb"(?: ttl=([0-9]{1,15}m?s))?"
)


class _Peer(TypedDict):
    """The peer fields, by the names that they have everywhere."""

    session: int | None
    pid: int | None
    uid: int | None
    command: bytes | None
    unit: bytes | None


def parse_reply(line: bytes) -> tuple[str | None, Reply | None]:
    """The tag and the meaning of a line without its LF; no meaning for an event that is not known.

    :raises RemoteProtocolError: if no daemon of this protocol says so.
    """
    plain = _PLAIN.fullmatch(line)
    if plain is not None:
        tag, verb, name, token, ttl = plain.groups()
        if verb == b"RELEASED":
            return tag.decode(), Released((name,), int(token))
        return tag.decode(), Granted((name,), int(token), None if ttl is None else grammar.read_duration(ttl.decode()))
    text = line.decode("latin-1")
    if not text.isascii() or not text.isprintable():
        raise RemoteProtocolError(f"the reply is not printable ASCII: {line!r}")
    words = text.split(" ")
    if words[0] == "*":
        parse_event = _EVENT_PARSERS.get(words[1]) if len(words) > 1 else None
        return None, None if parse_event is None else parse_event(_Words(text, words[2:]))
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

    @property
    def has_arguments(self) -> bool:
        return bool(self._words) and "=" not in self._words[0]

    def argument(self) -> str:
        if not self.has_arguments:
            raise self.missing("a word")
        return self._words[0]

    def tag(self) -> str:
        tag = self.argument()
        if not grammar.is_tag(tag):
            raise RemoteProtocolError(f"the tag is not one in {self._line!r}")
        return tag

    def name(self) -> bytes:
        return self._name(self.argument())

    def names(self) -> tuple[bytes, ...]:
        # At least one: `argument` complains if there is none.
        self.argument()
        return tuple(map(self._name, itertools.takewhile(lambda word: "=" not in word, self._words)))

    def optional_name(self) -> bytes | None:
        return self.name() if self.has_arguments else None

    def word(self, key: str) -> str:
        return self._required(key, self.fields.get(key))

    def number(self, key: str) -> int:
        return self._required(key, self.optional_number(key))

    def optional_number(self, key: str) -> int | None:
        return self.read(key, grammar.read_number)

    def optional_duration(self, key: str) -> int | None:
        return self.read(key, grammar.read_duration)

    def optional_text(self, key: str) -> bytes | None:
        return self.read(key, grammar.read_text)

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
            unit=self.optional_text("holder-unit"),
            note=self.optional_text("holder-note"),
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

    def name_count(self) -> int:
        count = self.optional_number("names")
        return 1 if count is None else count

    def holder_limit(self) -> int | None:
        if self.fields.get("mode") == "shared":
            return None
        limit = self.optional_number("limit")
        return 1 if limit is None else limit

    def peer(self) -> _Peer:
        return {
            "session": self.optional_number("session"),
            "pid": self.optional_number("pid"),
            "uid": self.optional_number("uid"),
            "command": self.optional_text("command"),
            "unit": self.optional_text("unit"),
        }

    def _name(self, word: str) -> bytes:
        name = grammar.read_name(word)
        if name is None:
            raise RemoteProtocolError(f"the name is not one in {self._line!r}")
        return name

    def read(self, key: str, read: Callable[[str], _Value | None]) -> _Value | None:
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
        leases=words.optional_number("leases"),
        waiters=words.optional_number("waiters"),
    )


def _cancelled(words: _Words) -> Reply:
    # A name never begins with "#", so the two answers cannot be mistaken for each other.
    if words.argument().startswith("#"):
        return WaitCancelled(words.tag())
    return Cancelled(words.names(), words.optional_duration("waited"))


def _lease(words: _Words) -> Reply:
    return LeaseLine(
        name=words.name(),
        token=words.number("token"),
        holder_limit=words.holder_limit(),
        **words.peer(),
        client=words.optional_text("client"),
        held=words.optional_duration("held"),
        ttl=words.optional_duration("ttl"),
        left=words.optional_duration("left"),
        owner=words.optional_text("owner"),
        note=words.optional_text("note"),
        waiters=words.optional_number("waiters"),
        name_count=words.name_count(),
        bound=words.fields.get("bound"),
        detached=words.optional_duration("detached"),
    )


def _waiter(words: _Words) -> Reply:
    return WaiterLine(
        name=words.name(),
        position=words.number("position"),
        holder_limit=words.holder_limit(),
        **words.peer(),
        client=words.optional_text("client"),
        waited=words.optional_duration("waited"),
        left=words.optional_duration("left"),
        ttl=words.optional_duration("ttl"),
        owner=words.optional_text("owner"),
        note=words.optional_text("note"),
        name_count=words.name_count(),
        detached=words.optional_duration("detached"),
    )


def _progress(words: _Words) -> Reply:
    names = words.names()
    on = words.read("on", grammar.read_name)
    waiters = words.optional_number("waiters")
    return Progress(names, words.number("position"), names[0] if on is None else on, words.holder(), waiters)


def _edge(words: _Words) -> Reply:
    return DeadlockEdge(
        name=words.name(),
        waiter_pid=words.optional_number("waiter-pid"),
        waiter_owner=words.optional_text("waiter-owner"),
        waiter_session=words.optional_number("waiter-session"),
        holder_pid=words.optional_number("holder-pid"),
        holder_uid=words.optional_number("holder-uid"),
        holder_command=words.optional_text("holder-command"),
        holder_unit=words.optional_text("holder-unit"),
        holder_owner=words.optional_text("holder-owner"),
        holder_session=words.optional_number("holder-session"),
        held=words.optional_duration("held"),
        waited=words.optional_duration("waited"),
        token=words.optional_number("token"),
    )


def _hold(words: _Words) -> Reply:
    return Hold(
        name=words.name(),
        token=words.number("token"),
        outcome=words.word("outcome"),
        **words.peer(),
        waited=words.optional_duration("waited"),
        held=words.optional_duration("held"),
        ago=words.optional_duration("ago"),
        note=words.optional_text("note"),
    )


def _buckets(word: str) -> tuple[tuple[int | None, int], ...] | None:
    buckets: list[tuple[int | None, int]] = []
    for bucket in word.split(","):
        bound, _, count = bucket.partition(":")
        read = grammar.read_number(bound), grammar.read_number(count)
        if read[1] is None or (read[0] is None and bound != "inf"):
            return None
        buckets.append((read[0], read[1]))
    return tuple(buckets)


def _histogram(words: _Words) -> Reply:
    return Histogram(
        name=words.optional_name(),
        of=words.word("of"),
        count=words.optional_number("count"),
        sum=words.optional_number("sum-us"),
        buckets=words.read("buckets-us", _buckets) or (),
    )


def _statistic(words: _Words) -> Reply:
    for key, value in words.fields.items():
        return Statistic(key, value)
    raise words.missing("KEY=VALUE")


def _lost(words: _Words) -> Reply:
    # A token belongs to names: a line that has the one without the others is broken.
    if not words.has_arguments and "token" not in words.fields:
        return AllLost(words.word("reason"))
    return Lost(
        names=words.names(),
        token=words.number("token"),
        reason=words.word("reason"),
        by_uid=words.optional_number("by-uid"),
        by_pid=words.optional_number("by-pid"),
        why=words.optional_text("why"),
    )


def _event(kind: str, words: _Words) -> Reply:
    return Event(
        kind=kind,
        names=words.names(),
        token=words.optional_number("token"),
        **words.peer(),
        position=words.optional_number("position"),
        waited=words.optional_duration("waited"),
        held=words.optional_duration("held"),
        reason=words.fields.get("reason"),
        note=words.optional_text("note"),
    )


_PARSERS: dict[str, Callable[[_Words], Reply]] = {
    "WELCOME": _welcome,
    "GRANTED": lambda words: Granted(
        words.names(), words.number("token"), words.optional_duration("ttl"), words.previous()
    ),
    "HELD": lambda words: Held(words.names(), words.number("token"), words.optional_duration("ttl")),
    "BUSY": lambda words: Busy(words.names(), words.holder(), words.optional_number("waiters")),
    "TIMEOUT": lambda words: TimedOut(
        words.names(), words.optional_duration("waited"), words.holder(), words.optional_number("waiters")
    ),
    "CANCELLED": _cancelled,
    "QUEUED": _progress,
    "EDGE": _edge,
    "DEADLOCK": lambda words: Deadlock(words.names(), words.optional_number("edges")),
    "RELEASED": lambda words: Released(words.names(), words.number("token")),
    "RENEWED": lambda words: Renewed(words.names(), words.number("token"), words.optional_duration("ttl")),
    "NOTHELD": lambda words: NotHeld(words.name()),
    "NOTWAITING": lambda words: NotWaiting(words.tag()),
    "LEASE": _lease,
    "WAITER": _waiter,
    "HOLD": _hold,
    "WATCHING": lambda words: Watching(words.optional_name()),
    "UNWATCHED": lambda words: Unwatched(),
    "END": lambda words: End(words.fields.get("next")),
    "REVOKED": lambda words: Revoked(words.names(), words.number("token")),
    "DENIED": lambda words: Denied(words.names(), words.number("token"), words.optional_number("uid")),
    "STAT": _statistic,
    "HISTOGRAM": _histogram,
    "PONG": lambda words: Pong(),
    "BYE": lambda words: Bye(),
    "ERROR": lambda words: Refused(words.argument(), words.fields),
}

_EVENT_PARSERS: dict[str, Callable[[_Words], Reply]] = {
    "LOST": _lost,
    "RESTORED": lambda words: Restored(
        words.optional_number("session"), words.optional_number("leases"), words.optional_number("waiters")
    ),
    "MISSED": lambda words: Missed(words.number("count")),
    "QUEUED": lambda words: _event("queued", words),
    "UNQUEUED": lambda words: _event("unqueued", words),
    "GRANTED": lambda words: _event("granted", words),
    "RELEASED": lambda words: _event("released", words),
    "EXPIRED": lambda words: _event("expired", words),
    "REVOKED": lambda words: _event("revoked", words),
    "ABANDONED": lambda words: _event("abandoned", words),
}

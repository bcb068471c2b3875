"""What a client asks for: one class for each verb, checked when it is made, and its line.

A request that exists can be said in the protocol. Nothing here does I/O. Durations are whole milliseconds, names and
texts are bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Optional

from . import _grammar as grammar
from ._errors import LocalProtocolError

#: ``wait=forever``.
FOREVER = "forever"
#: The modes of a lease.
EXCLUSIVE, SHARED = MODES = ("exclusive", "shared")
#: What a lease can be bound to.
PIDFD, PIPE = BINDINGS = ("pidfd", "pipe")

#: The options of a request: key and spelled value, ``None`` for one that is left out.
Options = Iterator[tuple[str, Optional[str]]]

# As long as any that this library gives to a request.
_LONGEST_TAG = f"#{2**64}"


class Request:
    """The base of every request."""

    verb: ClassVar[str]

    def to_line(self, tag: str | None = None) -> bytes:
        """The canonical line, with its LF: capitals, options in the order of the document."""
        # A request never changes, and most of those for locks are sent many times.
        line: bytes | None = self.__dict__.get("_line")
        if line is None:
            line = self.__dict__["_line"] = f"{self._spelled()}\n".encode("ascii")
        return line if tag is None else b"%b %b" % (tag.encode("ascii"), line)

    def _spelled(self) -> str:
        words = [self.verb, *self._arguments()]
        words.extend([f"{key}={value}" for key, value in self._options() if value is not None])
        return " ".join(words)

    def _arguments(self) -> list[str]:
        return []

    def _options(self) -> Options:
        return iter(())


class _OfOneName(Request):
    name: bytes

    def _arguments(self) -> list[str]:
        return [grammar.spell_name(self.name)]


@dataclass(frozen=True)
class Hello(Request):
    """The first line of a session that wants to be known."""

    verb = "HELLO"
    version: int | None = None
    client: bytes | None = None
    #: The number of the session that is to go on.
    resume: int | None = None

    def __post_init__(self) -> None:
        if self.client is not None:
            grammar.check_text("a client", self.client, grammar.CLIENT_LIMIT)
        if self.resume is not None:
            grammar.check_number("a session", self.resume)

    def _options(self) -> Options:
        yield "v", _number(self.version)
        yield "client", _text(self.client)
        yield "resume", _number(self.resume)


@dataclass(frozen=True)
class Acquire(Request):
    """A request for one lease on all of ``names``.

    ``wait`` is milliseconds, ``FOREVER``, or ``None`` to leave it out: for ever too. ``mode`` is ``EXCLUSIVE``,
    ``SHARED``, or ``None``; ``limit`` says instead how many holders the lease tolerates. ``progress`` is the least
    milliseconds between two words of how the wait goes. ``bind`` is ``PIDFD`` or ``PIPE``; the descriptor goes with the
    line, not in it.
    """

    verb = "ACQUIRE"
    names: tuple[bytes, ...]
    wait: int | str | None = None
    max_queue: int | None = None
    mode: str | None = None
    limit: int | None = None
    ttl: int | None = None
    owner: bytes | None = None
    note: bytes | None = None
    progress: int | None = None
    bind: str | None = None

    def __post_init__(self) -> None:
        grammar.check_names(self.names)
        if isinstance(self.wait, int):
            grammar.check_duration("a wait", self.wait)
        if self.max_queue is not None:
            grammar.check_number("max_queue", self.max_queue, most=grammar.QUEUE_LIMIT)
        if self.limit is not None:
            grammar.check_number("limit", self.limit, least=1, most=grammar.HOLDER_LIMIT)
            if self.mode is not None:
                raise LocalProtocolError("a lease is shared or has a limit, not both")
        if self.ttl is not None:
            grammar.check_duration("a ttl", self.ttl, least=1)
        if self.owner is not None:
            grammar.check_text("an owner", self.owner, grammar.OWNER_LIMIT)
        if self.note is not None:
            grammar.check_text("a note", self.note, grammar.NOTE_LIMIT)
        if self.progress is not None:
            grammar.check_duration("progress", self.progress, least=grammar.LEAST_PROGRESS)
        length = len(self.to_line(_LONGEST_TAG)) - 1 if len(self.names) > 1 else 0
        if length > grammar.LINE_LIMIT:
            limit = grammar.LINE_LIMIT
            raise LocalProtocolError(
                f"the names are too long together: a request has at most {limit} bytes, not {length}"
            )

    def _arguments(self) -> list[str]:
        return [grammar.spell_name(name) for name in self.names]

    def _options(self) -> Options:
        # A wait of nothing has a word of its own; everything else is a duration with its unit.
        yield "wait", "0" if self.wait == 0 else _duration(self.wait) if isinstance(self.wait, int) else self.wait
        yield "max-queue", _number(self.max_queue)
        yield "mode", self.mode
        yield "limit", _number(self.limit)
        yield "ttl", _duration(self.ttl)
        yield "owner", _text(self.owner)
        yield "note", _text(self.note)
        yield "progress", _duration(self.progress)
        yield "bind", self.bind


@dataclass(frozen=True)
class Release(_OfOneName):
    """The end of a lease. Without a token, of whichever this session holds on the name."""

    verb = "RELEASE"
    name: bytes
    token: int | None = None

    def __post_init__(self) -> None:
        grammar.check_name(self.name)
        _check_token(self.token)

    def _spelled(self) -> str:
        # Every lease that is released has one of its own, so it takes no detour.
        token = "" if self.token is None else f" token={self.token}"
        return f"{self.verb} {grammar.spell_name(self.name)}{token}"


@dataclass(frozen=True)
class Renew(_OfOneName):
    """A later deadline for a lease."""

    verb = "RENEW"
    name: bytes
    token: int | None = None
    ttl: int | None = None

    def __post_init__(self) -> None:
        grammar.check_name(self.name)
        _check_token(self.token)
        if self.ttl is not None:
            grammar.check_duration("a ttl", self.ttl, least=1)

    def _options(self) -> Options:
        yield "token", _number(self.token)
        yield "ttl", _duration(self.ttl)


@dataclass(frozen=True)
class Cancel(Request):
    """The end of the wait under a tag (with its ``#``)."""

    verb = "CANCEL"
    tag: str

    def __post_init__(self) -> None:
        if not grammar.is_tag(self.tag):
            raise LocalProtocolError(f"a tag is # and 1 to 32 letters, digits, dots, _, - or :, not {self.tag!r}")

    def _arguments(self) -> list[str]:
        return [self.tag]


@dataclass(frozen=True)
class Show(_OfOneName):
    """A page of the lease of a name and its waiters."""

    verb = "SHOW"
    name: bytes
    after: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        grammar.check_name(self.name)
        _check_page(self.after, self.limit)

    def _options(self) -> Options:
        yield "after", self.after
        yield "limit", _number(self.limit)


@dataclass(frozen=True)
class List(Request):
    """A page of all locks whose names begin with ``prefix``."""

    verb = "LIST"
    prefix: bytes | None = None
    after: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.prefix is not None:
            grammar.check_name(self.prefix)
        _check_page(self.after, self.limit)

    def _arguments(self) -> list[str]:
        return [] if self.prefix is None else [grammar.spell_name(self.prefix)]

    def _options(self) -> Options:
        yield "after", self.after
        yield "limit", _number(self.limit)


@dataclass(frozen=True)
class History(_OfOneName):
    """The last leases on a name that have ended."""

    verb = "HISTORY"
    name: bytes

    def __post_init__(self) -> None:
        grammar.check_name(self.name)


@dataclass(frozen=True)
class Watch(Request):
    """Word of whatever happens to the names that begin with ``prefix``."""

    verb = "WATCH"
    prefix: bytes | None = None

    def __post_init__(self) -> None:
        if self.prefix is not None:
            grammar.check_name(self.prefix)

    def _arguments(self) -> list[str]:
        return [] if self.prefix is None else [grammar.spell_name(self.prefix)]


@dataclass(frozen=True)
class Unwatch(Request):
    """No more of that."""

    verb = "UNWATCH"


@dataclass(frozen=True)
class Revoke(_OfOneName):
    """The end of a lease, whoever holds it."""

    verb = "REVOKE"
    name: bytes
    token: int | None = None
    reason: bytes | None = None

    def __post_init__(self) -> None:
        grammar.check_name(self.name)
        _check_token(self.token)
        if self.reason is not None:
            grammar.check_text("a reason", self.reason, grammar.REASON_LIMIT)

    def _options(self) -> Options:
        yield "token", _number(self.token)
        yield "reason", _text(self.reason)


@dataclass(frozen=True)
class Stats(Request):
    """The figures of the daemon."""

    verb = "STATS"


@dataclass(frozen=True)
class Histograms(Request):
    """How long leases were waited for and held."""

    verb = "HISTOGRAMS"
    after: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        _check_page(self.after, self.limit)

    def _options(self) -> Options:
        yield "after", self.after
        yield "limit", _number(self.limit)


@dataclass(frozen=True)
class Ping(Request):
    """A sign of life."""

    verb = "PING"


@dataclass(frozen=True)
class Quit(Request):
    """The end of the session."""

    verb = "QUIT"


def _number(number: int | None) -> str | None:
    return None if number is None else str(number)


def _duration(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else grammar.spell_duration(milliseconds)


def _text(text: bytes | None) -> str | None:
    return None if text is None else grammar.spell_text(text)


def _check_token(token: int | None) -> None:
    if token is not None:
        grammar.check_number("a token", token)


def _check_page(after: str | None, limit: int | None) -> None:
    if after is not None and not grammar.is_cursor(after):
        raise LocalProtocolError(f"a cursor is what END said, not {after!r}")
    if limit is not None:
        grammar.check_number("a limit", limit, least=1, most=grammar.PAGE_LIMIT)

"""The parser of what a client asks for. Nothing here does I/O."""

from __future__ import annotations

import itertools
from typing import Callable, NoReturn, TypeVar

from . import _grammar as grammar
from ._errors import LocalProtocolError
from ._requests import (
    BINDINGS,
    FOREVER,
    MODES,
    Acquire,
    Cancel,
    Hello,
    Histograms,
    History,
    List,
    Ping,
    Quit,
    Release,
    Renew,
    Request,
    Revoke,
    Show,
    Stats,
    Unwatch,
    Watch,
)

_Value = TypeVar("_Value")


def parse_request(line: bytes) -> tuple[str | None, Request]:
    """The tag and the request of a line, without its LF.

    The daemon is the judge of lines, with a code for each mistake; this only tells requests from everything else. A
    canonical line comes back from ``to_line`` byte for byte.

    :raises LocalProtocolError: if it is no request line.
    """
    text = line.decode("latin-1")
    words = text.split(" ")
    tag = words.pop(0) if words[0].startswith("#") else None
    parse = _PARSERS.get(words[0].upper()) if words else None
    if parse is None or (tag is not None and not grammar.is_tag(tag)):
        _refuse(text)
    rest = _Words(text, words[1:])
    request = parse(rest)
    rest.end()
    return tag, request


class _Words:
    """The words of a request behind its verb, taken one by one."""

    def __init__(self, line: str, words: list[str]) -> None:
        self._line = line
        self._arguments = list(itertools.takewhile(lambda word: "=" not in word, words))
        options = words[len(self._arguments) :]
        self._options = dict(word.split("=", 1) for word in options if "=" in word)
        if len(self._options) != len(options):
            _refuse(line)

    def argument(self) -> str:
        return self._arguments.pop(0) if self._arguments else _refuse(self._line)

    def name(self) -> bytes:
        name = grammar.read_name(self.argument())
        return _refuse(self._line) if name is None else name

    def names(self) -> tuple[bytes, ...]:
        return self.name(), *[self.name() for _ in list(self._arguments)]

    def optional_name(self) -> bytes | None:
        return self.name() if self._arguments else None

    def number(self, key: str) -> int | None:
        return self._option(key, grammar.read_number)

    def duration(self, key: str) -> int | None:
        return self._option(key, grammar.read_duration)

    def text(self, key: str) -> bytes | None:
        return self._option(key, grammar.read_text)

    def cursor(self) -> str | None:
        return self._option("after", lambda word: word if grammar.is_cursor(word) else None)

    def mode(self) -> str | None:
        return self._option("mode", lambda word: word if word in MODES else None)

    def binding(self) -> str | None:
        return self._option("bind", lambda word: word if word in BINDINGS else None)

    def wait(self) -> int | str | None:
        if self._options.get("wait") in ("0", FOREVER):
            return 0 if self._options.pop("wait") == "0" else FOREVER
        return self.duration("wait")

    def end(self) -> None:
        if self._arguments or self._options:
            _refuse(self._line)

    def _option(self, key: str, read: Callable[[str], _Value | None]) -> _Value | None:
        word = self._options.pop(key, None)
        if word is None:
            return None
        value = read(word)
        return _refuse(self._line) if value is None else value


_PARSERS: dict[str, Callable[[_Words], Request]] = {
    "HELLO": lambda words: Hello(words.number("v"), words.text("client"), words.number("resume")),
    "ACQUIRE": lambda words: Acquire(
        words.names(),
        words.wait(),
        words.number("max-queue"),
        words.mode(),
        words.number("limit"),
        words.duration("ttl"),
        words.text("owner"),
        words.text("note"),
        words.duration("progress"),
        words.binding(),
    ),
    "RELEASE": lambda words: Release(words.name(), words.number("token")),
    "RENEW": lambda words: Renew(words.name(), words.number("token"), words.duration("ttl")),
    "CANCEL": lambda words: Cancel(words.argument()),
    "SHOW": lambda words: Show(words.name(), words.cursor(), words.number("limit")),
    "LIST": lambda words: List(words.optional_name(), words.cursor(), words.number("limit")),
    "HISTORY": lambda words: History(words.name()),
    "WATCH": lambda words: Watch(words.optional_name()),
    "UNWATCH": lambda words: Unwatch(),
    "REVOKE": lambda words: Revoke(words.name(), words.number("token"), words.text("reason")),
    "STATS": lambda words: Stats(),
    "HISTOGRAMS": lambda words: Histograms(words.cursor(), words.number("limit")),
    "PING": lambda words: Ping(),
    "QUIT": lambda words: Quit(),
}


def _refuse(line: str) -> NoReturn:
    raise LocalProtocolError(f"not a request of the protocol: {line!r}")

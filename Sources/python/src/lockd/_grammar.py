"""The words of the protocol: names, texts, durations, numbers, tags; bytes to values and back.

The grammar is that of ``docs/protocol.md``. Nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ._errors import LocalProtocolError, show_name

# The most bytes that a word may stand for, names of one lease, and milliseconds of a duration (366 days).
NAME_LIMIT = 255
NAMES_LIMIT = 16
OWNER_LIMIT = 64
CLIENT_LIMIT = 64
NOTE_LIMIT = 256
REASON_LIMIT = 256
PAGE_LIMIT = 500
HOLDER_LIMIT = 100_000
QUEUE_LIMIT = 100_000
NUMBER_LIMIT = 2**64 - 1
DURATION_LIMIT = 366 * 24 * 60 * 60 * 1000
#: The least milliseconds between two words of how a wait goes.
LEAST_PROGRESS = 100
#: The most bytes of a request line, without its LF.
LINE_LIMIT = 8192

_UNITS = {"d": 24 * 60 * 60 * 1000, "h": 60 * 60 * 1000, "m": 60 * 1000, "s": 1000, "ms": 1}

# `name-char` and `text-char` without `escape` and `OCTET-HIGH`: what stands for itself in the canonical spelling.
_PLAIN_NAME = re.compile(rb'[!"$&-<>-~]+')
_PLAIN_TEXT = re.compile(rb"[!-$&-~]+")
# The same with them: all that may stand in a request. A name in a reply is canonical, and so is one of these.
_NAME = re.compile(rb'(?:[!"$&-<>-~\x80-\xff]|%[0-9A-Fa-f]{2})+')
_TEXT = re.compile(rb"(?:[!-$&-~\x80-\xff]|%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")

_TAG = re.compile(r"#[A-Za-z0-9._:-]{1,32}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_CURSOR = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
_DURATION = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")

_NAME_SPELLINGS = [chr(byte) if _PLAIN_NAME.fullmatch(bytes([byte])) else f"%{byte:02X}" for byte in range(256)]
_TEXT_SPELLINGS = [chr(byte) if _PLAIN_TEXT.fullmatch(bytes([byte])) else f"%{byte:02X}" for byte in range(256)]


def spell_name(name: bytes) -> str:
    """The canonical spelling of a name."""
    return name.decode("ascii") if _PLAIN_NAME.fullmatch(name) else "".join(map(_NAME_SPELLINGS.__getitem__, name))


def spell_text(text: bytes) -> str:
    """The canonical spelling of a text."""
    return text.decode("ascii") if _PLAIN_TEXT.fullmatch(text) else "".join(map(_TEXT_SPELLINGS.__getitem__, text))


def spell_duration(milliseconds: int) -> str:
    """A duration in the largest unit that is exact: ``90s``, ``2m``."""
    for unit, size in _UNITS.items():
        if milliseconds % size == 0 and milliseconds >= size:
            return f"{milliseconds // size}{unit}"
    return "0ms"


def read_name(word: str) -> bytes | None:
    """The bytes that a spelling of a name stands for; ``None`` if it is none."""
    return _unescape(word, _NAME)


def read_text(word: str) -> bytes | None:
    """The bytes that a spelling of a text stands for; ``None`` if it is none."""
    return _unescape(word, _TEXT)


def read_number(word: str) -> int | None:
    """The number that a word is; ``None`` if it is none."""
    number = int(word) if _NUMBER.fullmatch(word) else None
    return None if number is not None and number > NUMBER_LIMIT else number


def read_duration(word: str) -> int | None:
    """The milliseconds that a word stands for, without a bound; ``None`` if it is no duration."""
    match = _DURATION.fullmatch(word)
    return int(match[1]) * _UNITS[match[2]] if match else None


def is_tag(word: str) -> bool:
    """Whether a word is a tag, with its ``#``."""
    return _TAG.fullmatch(word) is not None


def is_cursor(word: str) -> bool:
    """Whether a word can be what END said."""
    return _CURSOR.fullmatch(word) is not None


def check_name(name: str | bytes) -> bytes:
    """The bytes of a lock name.

    :raises LocalProtocolError: if it has not 1 to 255 bytes.
    """
    return _check_bytes("a lock name", name, NAME_LIMIT)


def check_names(names: Iterable[str | bytes]) -> tuple[bytes, ...]:
    """The bytes of the names of one lease, in their order.

    :raises LocalProtocolError: if they are not 1 to 16, if one is no name, or if two are the same.
    """
    checked = tuple(map(check_name, names))
    if not 1 <= len(checked) <= NAMES_LIMIT:
        raise LocalProtocolError(f"a lock has 1 to {NAMES_LIMIT} names, not {len(checked)}")
    for index, name in enumerate(checked):
        if name in checked[:index]:
            raise LocalProtocolError(f"the names of a lock are all different, but {show_name(name)} is there twice")
    return checked


def check_text(what: str, text: str | bytes, limit: int) -> bytes:
    """The bytes of an owner, note, reason or client.

    :raises LocalProtocolError: if it has not 1 to ``limit`` bytes.
    """
    return _check_bytes(what, text, limit)


def check_duration(what: str, milliseconds: int, *, least: int = 0) -> int:
    """``milliseconds``, if the daemon would take it.

    :raises LocalProtocolError: if it is less than ``least`` or more than 366 days.
    """
    if least <= milliseconds <= DURATION_LIMIT:
        return milliseconds
    raise LocalProtocolError(f"{what} is {least} ms to 366 days, not {milliseconds} ms")


def check_number(what: str, number: int, *, least: int = 0, most: int = NUMBER_LIMIT) -> int:
    """``number``, if the daemon would take it.

    :raises LocalProtocolError: if it is less than ``least`` or more than ``most``.
    """
    if least <= number <= most:
        return number
    raise LocalProtocolError(f"{what} is {least} to {most}, not {number}")


def _check_bytes(what: str, value: str | bytes, limit: int) -> bytes:
    if isinstance(value, str):
        try:
            value = value.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"{what} is bytes, or a str that UTF-8 can encode: {error}") from error
    elif not isinstance(value, bytes):
        raise TypeError(f"{what} is a str or bytes, not {type(value).__name__}")
    if 1 <= len(value) <= limit:
        return value
    raise LocalProtocolError(f"{what} has 1 to {limit} bytes, not {len(value)}")


def _unescape(word: str, allowed: re.Pattern[bytes]) -> bytes | None:
    # Latin-1 is the identity between the bytes of a line and the characters of a word.
    raw = word.encode("latin-1")
    if allowed.fullmatch(raw) is None:
        return None
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), raw) if b"%" in raw else raw

"""The requests that were not answered, and their tags. Nothing here does I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import _grammar as grammar
from ._replies import Granted, Released
from ._requests import Acquire, Release, Request
from ._timing import milliseconds

# Any number of so many digits is one of the protocol.
_TOKEN_DIGITS = 19


@dataclass(eq=False)
class Outstanding:
    """A request that was not answered."""

    request: Request
    #: Whether nobody waits for the answer.
    abandoned: bool = False
    #: What goes with its line.
    descriptor: object = None
    #: When its wait runs out, if it does.
    wait_end: float | None = None
    #: The tag by which whoever asked knows it, and the one that it is under on this connection. Empty without one.
    tag: str = ""
    wire_tag: str = ""
    #: How often it was sent as a whole, on connections that have ended.
    sendings: int = 0
    #: Where its line ends among the bytes of this connection, if it was put there.
    end: int | None = None
    # How the answer that is expected begins, and what it means if that is known.
    _expected: bytes = b""
    _expected_reply: Released | None = None

    def line(self, now: float | None = None) -> bytes:
        """What to send at ``now``; without that, at the moment at which it was asked."""
        request = self.request
        if now is not None and self.wait_end is not None and isinstance(request, Acquire):
            request = replace(request, wait=milliseconds(max(self.wait_end - now, 0.0)))
        return request.to_line(self.wire_tag or None)

    def expect(self) -> None:
        """Work out which answer is expected, so that ``expected_reply`` has little left to do."""
        request = self.request
        if isinstance(request, Acquire):
            self._expected = f"{self.tag} GRANTED {' '.join(map(grammar.spell_name, request.names))} token=".encode()
        elif isinstance(request, Release) and request.token is not None:
            self._expected = f"{self.tag} RELEASED {grammar.spell_name(request.name)} token={request.token}\n".encode()
            self._expected_reply = Released((request.name,), request.token)

    def expected_reply(self, data: bytes) -> Granted | Released | None:
        """What ``data`` says if it is the answer that is expected, all of it, and nothing else. Nearly always it is.

        That is what the parser would make of it, and may answer the request. Only of a request that was sent for the
        first time, and for somebody who waits, so that nothing else follows from its answer.
        """
        request, expected = self.request, self._expected
        if not expected or not data.startswith(expected) or self.end is None or self.sendings or self.abandoned:
            return None
        if not isinstance(request, Acquire):
            return self._expected_reply if data == expected else None
        token = data[len(expected) : -1]
        if token.isdigit() and len(token) <= _TOKEN_DIGITS and data.endswith(b"\n"):
            return Granted(request.names, int(token))
        return None


@dataclass(frozen=True)
class Echo:
    """A second answer to an ACQUIRE that was sent twice. It may come until this CANCEL, sent behind it, is answered."""

    cancel_tag: str
    #: The token of the first answer, if that was GRANTED.
    token: int | None


class OutstandingRequests:
    """The requests that were not answered, in the order in which they were asked."""

    def __init__(self) -> None:
        #: By the tags by which whoever asked knows them.
        self.tagged: dict[str, Outstanding] = {}
        self.untagged: list[Outstanding] = []
        #: How many tags were used.
        self.tag_count = 0
        # Those that are under another tag on this connection, with the tags by which whoever asked knows them.
        self._other_tags: dict[str, str] = {}

    def next_tag(self) -> str:
        """A tag that was never used."""
        self.tag_count += 1
        return f"#{self.tag_count}"

    def was_used(self, tag: str) -> bool:
        """Whether a tag is one of those that ``next_tag`` has returned."""
        number = tag[1:]
        return number.isdecimal() and f"#{int(number)}" == tag and 0 < int(number) <= self.tag_count

    def put(self, outstanding: Outstanding) -> str:
        """Put a request behind all others, under a tag of its own, and return that."""
        outstanding.tag = outstanding.wire_tag = tag = self.next_tag()
        self.tagged[tag] = outstanding
        return tag

    def find(self, tag: str | None) -> Outstanding | None:
        """The request that an answer under ``tag`` may be for: one that was sent, or handed over to be."""
        if tag is None:
            return self.untagged[0] if self.untagged else None
        outstanding = self.tagged.get(self._other_tags.get(tag, tag))
        if outstanding is None or outstanding.wire_tag != tag:
            return None
        return outstanding if outstanding.sendings or outstanding.end is not None else None

    def change_tag(self, outstanding: Outstanding) -> None:
        """Give a request another tag on the connection. Whatever is said under the former one is not for it."""
        self._other_tags.pop(outstanding.wire_tag, None)
        outstanding.wire_tag = self.next_tag()
        self._other_tags[outstanding.wire_tag] = outstanding.tag

    def drop(self, outstanding: Outstanding) -> None:
        """Forget a request that has a tag."""
        del self.tagged[outstanding.tag]
        self._other_tags.pop(outstanding.wire_tag, None)

    def clear(self) -> None:
        """Forget all of them."""
        self.tagged.clear()
        self.untagged.clear()
        self._other_tags.clear()

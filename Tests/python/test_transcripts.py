"""The transcripts of the protocol, replayed against the client's protocol core.

The client sends what the clients of a transcript send, as far as it can be made to say something wrong, and is told
what they are told. It must take every line for what it is, hand each answer to the request that it answers, and know
at the end which leases it holds. Tests/Transcripts/README.md describes the format.
"""

from __future__ import annotations

import contextlib
import pathlib
import re
from collections import defaultdict
from typing import TypeVar

import pytest

from lockd import LocalProtocolError
from lockd import _replies as replies
from lockd._answers import ANSWERS, INNER_LINES, names_match
from lockd._parsing import parse_reply
from lockd._protocol import Session
from lockd._request_parsing import parse_request
from lockd._requests import Acquire, Cancel, Request

TRANSCRIPTS = sorted((pathlib.Path(__file__).parents[1] / "Transcripts").glob("*.txt"))

LINE_LIMIT = 8192

# What a value may be that a transcript leaves open; numbers for the rest.
ANY_VALUE = {
    **dict.fromkeys(("held", "previous-held", "waited", "left", "ago", "uptime"), "7ms"),
    **dict.fromkeys(("lockd", "version"), "0.1.0"),
}


def unescape(text: str) -> str:
    """Replaces the escapes of transcripts by the bytes that they stand for, one character each."""
    text = re.sub(r"\\\((.*?)\*(\d+)\)", lambda match: match[1] * int(match[2]), text)
    bytes_ = {"n": "\n", "r": "\r", "\\": "\\"}
    return re.sub(
        r"\\(?:x([0-9A-Fa-f]{2})|([nr\\]))",
        lambda match: chr(int(match[1], 16)) if match[1] else bytes_[match[2]],
        text,
    )


class Values:
    """The values of a transcript's variables: tokens grow with their numbers, others are all different."""

    def __init__(self) -> None:
        self._others: dict[str, str] = {}

    def fill(self, line: str) -> str:
        line = re.sub(r"(next|after)=\$(\w+)", lambda match: f"{match[1]}={self._value(match[2])}.1", line)
        line = re.sub(r"([a-z-]+)=\*", lambda match: f"{match[1]}={ANY_VALUE.get(match[1], '7')}", line)
        return re.sub(r"\$([A-Za-z0-9]+)", lambda match: self._value(match[1]), line)

    def _value(self, name: str) -> str:
        if name.isdigit():
            return str(1000 + int(name))
        return self._others.setdefault(name, str(500 + len(self._others)))


class Client:
    """One client of a transcript, played by the protocol core."""

    def __init__(self) -> None:
        self.session = Session()
        self.expected_leases: set[int] = set()
        self._partial = ""
        #: The core's own tags of the requests that the transcript sends under a tag, the oldest first.
        self._tags: defaultdict[str, list[tuple[str, Request]]] = defaultdict(list)
        #: What the core calls the tags that the transcript cancels, the oldest first.
        self._cancelled: defaultdict[str, list[str]] = defaultdict(list)
        #: Lines that the core refuses to say, by their tags: the daemon's refusal of them is not for it.
        self._unsaid: defaultdict[str | None, int] = defaultdict(int)

    def send(self, text: str) -> None:
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._send_line(line)

    def receive(self, line: str) -> None:
        tag, reply = parse_reply(line.encode("latin-1"))
        assert reply is not None, f"an unknown event: {line}"
        self._follow(reply)
        if isinstance(reply, replies.Refused) and reply.code == "line-too-long":
            return
        if isinstance(reply, replies.Refused) and self._unsaid[tag] > 0 and reply.code != "tag-in-use":
            self._unsaid[tag] -= 1
            return
        own = None if tag is None else self._own_tag(tag, reply)
        line = line if own is None else own + line.removeprefix(tag or "")
        if isinstance(reply, (replies.WaitCancelled, replies.NotWaiting)):
            line = line.rpartition(" ")[0] + " " + self._cancelled[reply.tag].pop(0)
        (received,) = self.session.receive(line.encode("latin-1") + b"\n")
        assert received.tag == own
        if not isinstance(reply, (replies.WaitCancelled, replies.NotWaiting)):
            assert received.reply == reply
        if isinstance(reply, (replies.Granted, replies.Held)):
            assert received.lease is not None
            assert (received.lease.names, received.lease.token) == (reply.names, reply.token)
            # It lives on without this session, and nobody here cares for it.
            if received.lease.bound:
                self.expected_leases.discard(reply.token)

    def _send_line(self, line: str) -> None:
        bytes_ = line.encode("latin-1")
        if len(bytes_) > LINE_LIMIT:
            return
        bytes_ = bytes_.removesuffix(b"\r")
        first = bytes_.decode("latin-1").split(" ", maxsplit=1)[0]
        tag = first if re.fullmatch(r"#[A-Za-z0-9._:-]{1,32}", first) else None
        try:
            tag, request = parse_request(bytes_)
        except LocalProtocolError:
            self._unsaid[tag] += 1
            return
        assert parse_request(request.to_line(tag).removesuffix(b"\n")) == (tag, request)
        if isinstance(request, Cancel):
            cancelled = request.tag
            request = Cancel(self._waiting_tag(cancelled))
            self._cancelled[cancelled].append(request.tag)
        if tag is None:
            self.session.send_untagged(request)
        else:
            self._tags[tag].append((self.session.send(request), request))

    def _waiting_tag(self, tag: str) -> str:
        """The core's tag of the ACQUIRE that CANCEL speaks of; one that it never used if there is none."""
        waiting = [own for own, request in self._tags[tag] if isinstance(request, Acquire)]
        return waiting[0] if waiting else "#none-" + tag[1:27]

    def _own_tag(self, tag: str, reply: replies.Reply) -> str:
        asked = self._tags[tag]
        # The core has a tag for each of several requests that the transcript sends under one. A refusal is of the last.
        for own, request in reversed(asked) if isinstance(reply, replies.Refused) else asked:
            name, asked_name = getattr(reply, "name", None), getattr(request, "name", None)
            if (
                isinstance(reply, (*ANSWERS[type(request)], replies.Refused))
                and (name is None or asked_name in (None, name))
                and names_match(request, reply)
            ):
                if not isinstance(reply, INNER_LINES):
                    asked.remove((own, request))
                return own
        raise AssertionError(f"nothing was asked under {tag} to which {reply} is an answer")

    def _follow(self, reply: replies.Reply) -> None:
        """Keeps the books of leases once more, by nothing but the replies."""
        if isinstance(reply, replies.Granted):
            self.expected_leases.add(reply.token)
        elif isinstance(reply, (replies.Released, replies.Lost)):
            self.expected_leases.discard(reply.token)
        elif isinstance(reply, replies.Bye):
            self.expected_leases.clear()


_Base = TypeVar("_Base")

#: What no transcript has, because it takes a daemon that restarts, or a client that does not read.
NOT_IN_TRANSCRIPTS = {replies.AllLost, replies.Missed, replies.Restored}


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_client_follows_transcript(path: pathlib.Path) -> None:
    clients: dict[str, Client] = {}
    values = Values()
    received = 0
    for line in path.read_text().splitlines():
        if opening := re.match(r"open (\w+)", line):
            clients[opening[1]] = Client()
        elif action := re.fullmatch(r"(\w+)(>>?|<) (.*)", line):
            name, arrow, text = action.groups()
            client = clients[name]
            if arrow == "<" and text == "(end)":
                client.session.receive_end("closed")
                client.expected_leases.clear()
            elif arrow == "<":
                client.receive(values.fill(unescape(text)))
                received += 1
            else:
                client.send(values.fill(unescape(text)) + ("\n" if arrow == ">" else ""))
    assert received > 0, "nobody is told anything"
    for name, client in clients.items():
        assert set(client.session.leases) == client.expected_leases, name


def kinds(base: type[_Base]) -> set[type[_Base]]:
    """What there is of a base, without what is a base itself."""
    derived = base.__subclasses__()
    return {kind for each in derived for kind in kinds(each)} if derived else {base}


def test_transcripts_have_every_kind_of_request_and_of_reply() -> None:
    """So there is nothing in the core that the daemon's own transcripts do not drive, but what is named above."""
    said, heard = set[type[Request]](), set[type[replies.Reply]]()
    values = Values()
    for path in TRANSCRIPTS:
        for line in path.read_text().splitlines():
            action = re.fullmatch(r"\w+([><]) (?!\(end\))(.*)", line)
            if action and action[1] == "<":
                heard.add(type(parse_reply(values.fill(unescape(action[2])).encode("latin-1"))[1]))  # type: ignore[arg-type]
            elif action:
                with contextlib.suppress(LocalProtocolError):
                    said.add(type(parse_request(values.fill(unescape(action[2])).encode("latin-1"))[1]))
    assert said == kinds(Request)
    assert heard == kinds(replies.Reply) - NOT_IN_TRANSCRIPTS

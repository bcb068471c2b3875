"""Requests whose line goes ahead of them, and answers that are recognized without being taken apart."""

from __future__ import annotations

import gc
import weakref

import pytest
from resuming import drain, greeted, hear, welcome

from lockd import RemoteProtocolError
from lockd import _replies as replies
from lockd._protocol import Received, Session
from lockd._requests import FOREVER, Acquire, Release, Request, Show


@pytest.mark.parametrize("request_", [Acquire((b"a b", b"c"), wait=FOREVER), Acquire((b"x",), wait=0), Show(b"x")])
def test_the_line_ahead_is_what_is_sent_then(request_: Request) -> None:
    session = greeted()
    line = session.line_ahead(request_)
    assert session.line_ahead(request_) == line
    assert not session.unsent
    session.send(request_, None, 3.0)
    assert session.data_to_send() == line


def test_nothing_goes_ahead_of_what_is_not_sent() -> None:
    session = greeted()
    session.send(Show(b"x"))
    assert session.line_ahead(Show(b"y")) == b""


def test_nothing_goes_ahead_without_a_connection() -> None:
    session = greeted()
    session.detach()
    assert session.line_ahead(Show(b"y")) == b""


def grant(session: Session, *names: bytes, answer: str) -> Received:
    tag = session.send(Acquire(names, wait=FOREVER))
    drain(session)
    (received,) = hear(session, f"{tag} {answer}")
    return received


@pytest.mark.parametrize(
    ("names", "answer", "token"),
    [
        ((b"x",), "GRANTED x token=5", 5),
        ((b"a b", b"c"), "GRANTED a%20b c token=1234567890123456789", 1234567890123456789),
        # Those are for the parser.
        ((b"a b",), "GRANTED %61%20b token=5", 5),
        ((b"x",), "GRANTED x token=5 ttl=30s", 5),
        ((b"x",), "GRANTED x token=12345678901234567890", 12345678901234567890),
    ],
)
def test_a_grant_is_the_same_however_it_is_read(names: tuple[bytes, ...], answer: str, token: int) -> None:
    session = greeted()
    received = grant(session, *names, answer=answer)
    ttl = 30_000 if "ttl" in answer else None
    assert received.reply == replies.Granted(names, token, ttl)
    assert received.final
    assert received.request == Acquire(names, wait=FOREVER)
    assert received.lease is not None
    assert (received.lease.names, received.lease.token, received.lease.ttl) == (names, token, ttl)
    assert session.leases == {token: received.lease}
    tag = session.send(Release(names[0], token))
    drain(session)
    spelled = answer.partition(" token")[0].removeprefix("GRANTED ")
    (answered,) = hear(session, f"{tag} RELEASED {spelled} token={token}")
    assert isinstance(answered.reply, replies.Released)
    assert answered.reply.token == token
    assert received.lease.released
    assert session.settled
    assert not session.leases


@pytest.mark.parametrize(
    "answer",
    [
        "GRANTED y token=5",
        "GRANTED x token=",
        "GRANTED x token=-5",
        "GRANTED x token=5x",
        "GRANTED x token=123456789012345678901",
        "RELEASED x token=5",
    ],
)
def test_what_only_resembles_a_grant_ends_the_session(answer: str) -> None:
    with pytest.raises(RemoteProtocolError):
        grant(greeted(), b"x", answer=answer)


def test_the_release_of_another_token_ends_the_session() -> None:
    session = greeted()
    grant(session, b"x", answer="GRANTED x token=5")
    session.send(Release(b"x", 5))
    drain(session)
    with pytest.raises(RemoteProtocolError):
        hear(session, "#3 RELEASED x token=55")


def test_a_grant_that_comes_in_pieces_or_with_others_is_read_all_the_same() -> None:
    session = greeted()
    session.send(Acquire((b"x",), wait=FOREVER))
    drain(session)
    assert session.receive(b"#2 GRANTED x token=1") == []
    (received,) = session.receive(b"2\n")
    assert received.reply == replies.Granted((b"x",), 12)
    session.send(Acquire((b"y",), wait=FOREVER))
    drain(session)
    both = hear(session, "#3 GRANTED y token=13", "* LOST y token=13 reason=expired")
    assert [type(each.reply) for each in both] == [replies.Granted, replies.Lost]
    assert both[0].lease is not None
    assert both[0].lease.loss is not None


def test_a_second_answer_is_none() -> None:
    session = greeted()
    grant(session, b"x", answer="GRANTED x token=5")
    with pytest.raises(RemoteProtocolError):
        hear(session, "#2 GRANTED x token=6")


def test_the_grant_of_a_wait_that_was_given_up_is_released() -> None:
    session = greeted()
    tag = session.send(Acquire((b"x",), wait=FOREVER))
    drain(session)
    session.abandon(tag)
    assert drain(session) == "#3 CANCEL #2\n"
    assert hear(session, "#2 GRANTED x token=5") == []
    assert drain(session) == "#4 RELEASE x token=5\n"


def test_a_request_that_was_not_sent_on_this_connection_has_no_answer() -> None:
    session = greeted()
    session.send(Acquire((b"x",), wait=FOREVER))
    drain(session)
    session.detach()
    session.greet(b"me")
    drain(session)
    with pytest.raises(RemoteProtocolError):
        hear(session, "#2 GRANTED x token=5")


def test_the_first_answer_to_what_was_sent_twice_may_have_a_second() -> None:
    session = greeted()
    session.send(Acquire((b"x",), wait=FOREVER))
    drain(session)
    session.detach()
    session.greet(b"me")
    drain(session)
    hear(session, welcome("#3", leases=0))
    session.go_on(0)
    drain(session)
    (received,) = hear(session, "#2 GRANTED x token=5")
    assert received.lease is not None
    assert drain(session) == "#4 CANCEL #2\n"
    assert not session.settled


def test_a_descriptor_is_kept_no_longer_than_until_the_answer() -> None:
    class Thing:
        pass

    session, thing = greeted(), Thing()
    known = weakref.ref(thing)
    session.send(Acquire((b"x",), wait=FOREVER, bind="pipe"), thing)
    del thing
    drain(session)
    assert known() is not None
    hear(session, "#2 GRANTED x token=5")
    gc.collect()
    assert known() is None

"""The protocol core: sessions that outlive their connections, and what is sent again.

Each test goes through what can happen between a break and what comes of it, with bytes in and bytes out.
"""

from __future__ import annotations

import pytest
from resuming import broken, connected, drain, granted, greeted, hear, resumed, sent, welcome

from lockd import LocalProtocolError, RemoteProtocolError
from lockd import _replies as replies
from lockd._held import FORGOTTEN_LOSS, Loss
from lockd._protocol import Received, Session
from lockd._requests import (
    PIPE,
    Acquire,
    Hello,
    Ping,
    Quit,
    Release,
    Renew,
    Show,
)


class TestGreeting:
    def test_nothing_is_sent_before_welcome(self) -> None:
        session = Session()
        session.greet(b"me")
        tag = session.send(Ping())
        assert drain(session) == "#1 HELLO v=1 client=me\n"
        assert not session.attached
        (received,) = hear(session, welcome("#1"))
        assert (received.tag, received.request) == (None, None)
        assert isinstance(received.reply, replies.Welcome)
        assert session.welcomed
        session.go_on(0)
        assert drain(session) == f"{tag} PING\n"
        assert session.number == 7

    def test_going_on_twice_is_nothing(self) -> None:
        session = greeted()
        sent(session, Ping())
        session.go_on(0)
        assert drain(session) == ""

    def test_only_an_answer_to_hello_may_come(self) -> None:
        for line in ("#1 PONG", "PONG", "#2 PONG", welcome("#2"), "#2 ERROR unknown-verb"):
            session = Session()
            session.greet(b"me")
            session.send(Ping())
            with pytest.raises(RemoteProtocolError, match="this is no answer to HELLO"):
                hear(session, line)

    @pytest.mark.parametrize("tag", ["", "#1 "])
    def test_refusal_is_one_of_the_session(self, tag: str) -> None:
        session = Session()
        session.greet(b"me")
        (received,) = hear(session, f"{tag}ERROR too-many-sessions limit=5")
        assert received == Received(None, None, replies.Refused("too-many-sessions", {"limit": "5"}))
        assert not session.detach()

    def test_events_may_come_before(self) -> None:
        session = greeted()
        lease = granted(session)
        broken(session).greet(b"me")
        hear(session, "* LOST x token=5 reason=expired")
        assert lease.loss == Loss("expired")

    def test_session_with_a_connection_takes_no_other(self) -> None:
        untagged, tagged = Session(), Session()
        untagged.send_untagged(Ping())
        tagged.send(Ping())
        for session in (untagged, tagged, greeted()):
            with pytest.raises(LocalProtocolError, match="the session has a connection"):
                session.greet(b"me")

    def test_requests_without_tags_do_not_wait_for_a_connection(self) -> None:
        with pytest.raises(LocalProtocolError, match="without a tag"):
            broken(greeted()).send_untagged(Ping())


class TestWhatCanBeResumed:
    def test_session_without_hello_cannot(self) -> None:
        session = Session()
        session.send(Ping())
        assert not session.detach()

    def test_session_of_a_daemon_that_does_not_say_so_cannot(self) -> None:
        session = Session()
        session.greet(b"me")
        hear(session, "#1 WELCOME lockd=1 v=1 session=7 features=acquire")
        session.go_on(0)
        assert session.number is None
        assert not session.detach()

    def test_session_that_has_quit_cannot(self) -> None:
        session = greeted()
        session.send(Quit())
        assert not session.detach()

    def test_session_with_requests_without_tags_cannot(self) -> None:
        session = greeted()
        session.send_untagged(Ping())
        assert not session.detach()

    def test_session_that_has_ended_cannot(self) -> None:
        session = broken(greeted())
        lease = granted(greeted())
        session.receive_end("it is over")
        assert not session.detach()
        assert lease.loss is None
        with pytest.raises(LocalProtocolError, match="the session has ended: it is over"):
            session.greet(b"me")

    def test_attempt_that_breaks_too_is_followed_by_another(self) -> None:
        session = greeted()
        lease = granted(session)
        for _ in range(2):
            broken(session).greet(b"me")
            assert session.detach()
        assert connected(session)[0] == ""
        assert lease.loss is None

    def test_half_a_line_is_not_the_beginning_of_the_next(self) -> None:
        session = greeted()
        tag = sent(session, Ping())
        session.receive(f"{tag} PO".encode())
        resumed(session)
        assert hear(session, f"{tag} PONG") == [Received(tag, Ping(), replies.Pong())]


class TestLeases:
    def test_break_is_no_loss(self) -> None:
        session = greeted()
        lease = granted(session)
        assert resumed(session) == ""
        assert (lease.loss, session.leases) == (None, {5: lease})

    def test_end_of_a_session_without_connection_is(self) -> None:
        session = greeted()
        lease = granted(session)
        broken(session).receive_end("it is over")
        assert lease.loss == Loss("disconnected", "it is over")

    def test_session_that_is_forgotten_holds_nothing(self) -> None:
        session = greeted()
        lease, bound = granted(session), granted(session, "y", 6, PIPE)
        given_back = granted(session, "z", 8)
        session.give_back(given_back)
        assert connected(broken(session), 9) == ("#5 RELEASE z token=8\n", [])
        assert lease.loss == FORGOTTEN_LOSS
        assert lease.loss.reason == "forgotten"
        assert "acquire it again" in lease.loss.detail
        # The one that was given back is wanted by nobody, and the bound one is known to any session.
        assert (given_back.loss, bound.loss) == (None, None)
        assert (session.number, session.leases, dict(session.bound_leases)) == (9, {}, {6: bound})
        assert hear(session, "#5 NOTHELD z") == []

    def test_session_that_only_has_the_number_of_one_that_is_forgotten_holds_nothing(self) -> None:
        session = greeted()
        lease = granted(session)
        broken(session).greet(b"me")
        hear(session, welcome(drain(session).split()[0]))
        assert lease.loss == FORGOTTEN_LOSS

    def test_damage_of_the_log_is_the_loss_of_all(self) -> None:
        session = greeted()
        leases = [granted(session), granted(session, "a b", 6)]
        resumed(session)
        (received,) = hear(session, "* LOST reason=log-damaged")
        assert received == Received(None, None, replies.AllLost("log-damaged"))
        for lease in leases:
            assert lease.loss is not None
            assert lease.loss.reason == "log-damaged"
            assert "acquire it again" in lease.loss.detail
        assert session.leases == {}

    @pytest.mark.parametrize("survives", [True, False])
    def test_damage_that_was_told_before_is_none(self, survives: bool) -> None:
        session = greeted()
        resumed(session, "* LOST reason=log-damaged")
        lease = granted(session)
        if survives:
            hear(session, "* RESTORED session=7 leases=1 waiters=0", "* LOST reason=log-damaged")
        else:
            broken(session).greet(b"me")
            hello = drain(session).split()[0]
            hear(session, welcome(hello, leases=1), "* LOST reason=log-damaged")
        assert (lease.loss, session.leases) == (None, {5: lease})

    def test_loss_of_one_may_wait_behind_welcome(self) -> None:
        session = greeted()
        lease = granted(session)
        resumed(session, "* LOST x token=5 reason=revoked by-uid=0")
        assert lease.loss == Loss("revoked", "by uid 0")


class TestSendingAgain:
    def test_what_was_not_answered_is_sent_again_in_order_under_its_tag(self) -> None:
        session = greeted()
        first, done, second = (sent(session, Acquire((name,))) for name in (b"x", b"y", b"z"))
        renew = sent(session, Renew(b"w", 3))
        hear(session, f"{done} BUSY y waiters=0")
        assert resumed(session) == f"{first} ACQUIRE x\n{second} ACQUIRE z\n{renew} RENEW w token=3\n"
        (received,) = hear(session, f"{second} GRANTED z token=5")
        assert (received.tag, received.final) == (second, True)

    def test_what_is_asked_without_a_connection_is_sent_on_the_next(self) -> None:
        session = greeted()
        waiting = sent(session, Acquire((b"x",)))
        broken(session)
        tag = session.send(Ping())
        assert session.data_to_send() == b""
        session.greet(b"me")
        later = session.send(Show(b"x"))
        hello = drain(session)
        assert hello.count("\n") == 1
        hear(session, welcome(hello.split()[0], leases=0))
        session.go_on(0)
        assert drain(session) == f"{waiting} ACQUIRE x\n{tag} PING\n{later} SHOW x\n"

    def test_what_was_sent_by_halves_is_sent_again(self) -> None:
        session = greeted()
        tag = session.send(Acquire((b"x",)))
        session.data_sent(5)
        assert resumed(session) == f"{tag} ACQUIRE x\n"
        # It was sent once, so there is one answer.
        (received,) = hear(session, f"{tag} CANCELLED x waited=1ms")
        assert received.final
        assert session.settled

    def test_what_is_answered_behind_welcome_is_not_sent_again(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",)))
        again, received = connected(broken(session), 7, f"{tag} GRANTED x token=5")
        assert again == ""
        assert received[0].lease is session.leases[5]
        assert session.settled

    def test_descriptor_goes_with_its_line_again(self) -> None:
        session, descriptor = greeted(), object()
        tag = session.send(Acquire((b"x",), bind=PIPE), descriptor)
        assert session.descriptor_to_send() is descriptor
        drain(session)
        assert session.descriptor_to_send() is None
        broken(session).greet(b"me")
        hello = session.data_to_send().decode().split()[0]
        assert session.descriptor_to_send() is None
        drain(session)
        hear(session, welcome(hello, leases=0))
        session.go_on(0)
        assert session.data_to_send() == f"{tag} ACQUIRE x bind=pipe\n".encode()
        assert session.descriptor_to_send() is descriptor

    @pytest.mark.parametrize(
        ("wait", "now", "left"),
        [(10_000, 104.0, "6s"), (10_000, 103.9995, "6001ms"), (10_000, 200.0, "0"), (0, 104.0, "0")],
    )
    def test_wait_goes_on_from_its_beginning(self, wait: int, now: float, left: str) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",), wait=wait), now=100.0)
        assert resumed(session, now=now) == f"{tag} ACQUIRE x wait={left}\n"

    def test_waiting_for_a_connection_counts(self) -> None:
        session = broken(greeted())
        tag = session.send(Acquire((b"x",), wait=10_000), None, 100.0)
        assert connected(session, now=103.0)[0] == f"{tag} ACQUIRE x wait=7s\n"

    def test_session_that_is_forgotten_asks_everything_anew(self) -> None:
        session = greeted()
        lease = granted(session)
        waiting = sent(session, Acquire((b"y",), wait=10_000), now=100.0)
        given_up = sent(session, Acquire((b"z",)))
        session.abandon(given_up)
        drain(session)
        release = sent(session, Release(b"x", 5))
        again, _ = connected(broken(session), 9, now=104.0)
        assert again == f"{waiting} ACQUIRE y wait=6s\n{release} RELEASE x token=5\n"
        assert session.settled
        assert lease.loss == FORGOTTEN_LOSS
        # It is a new request, so this is its one answer.
        (received,) = hear(session, f"{waiting} GRANTED y token=6")
        assert received.lease is session.leases[6]
        assert session.settled


def test_hello_names_the_session() -> None:
    assert Hello(1, b"me", 7).to_line("#1") == b"#1 HELLO v=1 client=me resume=7\n"
    with pytest.raises(LocalProtocolError, match="a session"):
        Hello(resume=2**64)

"""The protocol core: bytes in, replies out."""

from __future__ import annotations

import pytest

from lockd import LocalProtocolError, RemoteProtocolError
from lockd import _replies as replies
from lockd._held import HeldLease, Loss
from lockd._protocol import LINE_LIMIT, Received, Session
from lockd._requests import (
    Acquire,
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


def send(session: Session, request: Request) -> str:
    """Send a request and forget its bytes."""
    tag = session.send(request)
    drain(session)
    return tag


def drain(session: Session) -> bytes:
    """What the session wants sent, as if it was."""
    data = session.data_to_send()
    session.data_sent(len(data))
    return data


def granted(session: Session, name: bytes = b"x", token: int = 5, ttl: str = "") -> HeldLease:
    """Acquire a lease."""
    tag = send(session, Acquire(tuple(name.split(b" "))))
    (received,) = session.receive(f"{tag} GRANTED {name.decode()} token={token}{ttl}\n".encode())
    assert received.lease is not None
    return received.lease


class TestTags:
    def test_every_request_has_a_tag_of_its_own(self) -> None:
        session = Session()
        assert [session.send(Ping()) for _ in range(3)] == ["#1", "#2", "#3"]
        assert session.unsent == session.data_to_send() == b"#1 PING\n#2 PING\n#3 PING\n"

    def test_tags_are_not_used_again(self) -> None:
        session = Session()
        session.receive(f"{send(session, Ping())} PONG\n".encode())
        assert session.send(Ping()) == "#2"

    def test_answers_find_their_requests_in_any_order(self) -> None:
        session = Session()
        first, second = send(session, Acquire((b"x",))), send(session, Ping())
        assert session.receive(f"{second} PONG\n".encode()) == [Received(second, Ping(), replies.Pong())]
        (received,) = session.receive(f"{first} BUSY x waiters=0\n".encode())
        assert (received.tag, received.request) == (first, Acquire((b"x",)))

    def test_untagged_requests_are_answered_in_order(self) -> None:
        session = Session()
        session.send_untagged(Ping())
        session.send_untagged(Show(b"x"))
        assert drain(session) == b"PING\nSHOW x\n"
        received = session.receive(b"PONG\nEND\n")
        assert [meaning.request for meaning in received] == [Ping(), Show(b"x")]

    def test_an_answer_that_nobody_asked_for_is_an_error(self) -> None:
        for line in (b"#1 PONG\n", b"PONG\n", b"#9 ERROR unknown-verb\n"):
            with pytest.raises(RemoteProtocolError, match="nothing was asked"):
                Session().receive(line)

    def test_an_answer_under_a_tag_that_was_answered_is_an_error(self) -> None:
        session = Session()
        line = f"{send(session, Ping())} PONG\n".encode()
        session.receive(line)
        with pytest.raises(RemoteProtocolError, match="nothing was asked"):
            session.receive(line)


class TestBytes:
    def test_replies_may_come_byte_by_byte(self) -> None:
        session = Session()
        data = f"{send(session, Ping())} PONG\n".encode()
        received = [session.receive(data[index : index + 1]) for index in range(len(data))]
        assert received[:-1] == [[]] * (len(data) - 1)
        assert received[-1] == [Received("#1", Ping(), replies.Pong())]

    def test_many_replies_may_come_at_once(self) -> None:
        session = Session()
        tags = [send(session, Ping()) for _ in range(3)]
        received = session.receive("".join(f"{tag} PONG\n" for tag in tags).encode())
        assert [meaning.tag for meaning in received] == tags

    def test_bytes_that_did_not_go_are_kept(self) -> None:
        session = Session()
        session.send(Ping())
        session.data_sent(3)
        assert session.data_to_send() == b"PING\n"

    def test_a_line_without_end_is_an_error(self) -> None:
        session = Session()
        assert session.receive(b"x" * LINE_LIMIT) == []
        with pytest.raises(RemoteProtocolError, match=f"more than {LINE_LIMIT} bytes"):
            session.receive(b"x")

    def test_answers_of_several_lines_end_with_their_last(self) -> None:
        for request, lines, finals in (
            (Show(b"x"), ["LEASE x token=5", "WAITER x position=1", "END"], [False, False, True]),
            (List(), ["LEASE a token=5", "LEASE b token=6", "END next=1.2"], [False, False, True]),
            (Stats(), ["STAT pid=5", "END"], [False, True]),
            (Histograms(), ["HISTOGRAM of=wait", "HISTOGRAM a of=hold", "END"], [False, False, True]),
            (History(b"x"), ["HOLD x token=5 outcome=ended", "END"], [False, True]),
            (
                Acquire((b"x",)),
                ["QUEUED x position=2", "QUEUED x position=1", "GRANTED x token=5"],
                [False, False, True],
            ),
            (Acquire((b"x",)), ["EDGE x", "EDGE y", "DEADLOCK x edges=2"], [False, False, True]),
        ):
            session = Session()
            tag = send(session, request)
            received = session.receive("".join(f"{tag} {line}\n" for line in lines).encode())
            assert [meaning.final for meaning in received] == finals
            with pytest.raises(RemoteProtocolError, match="nothing was asked"):
                session.receive(f"{tag} {lines[-1]}\n".encode())


class TestAnswers:
    @pytest.mark.parametrize(
        ("request_", "line"),
        [
            (Hello(), "WELCOME lockd=1 v=1"),
            (Acquire((b"x",)), "GRANTED x token=5"),
            (Acquire((b"x",)), "HELD x token=5"),
            (Acquire((b"x",)), "BUSY x waiters=0"),
            (Acquire((b"x",)), "TIMEOUT x waited=1ms waiters=0"),
            (Acquire((b"x",)), "CANCELLED x waited=1ms"),
            (Release(b"x"), "RELEASED x token=5"),
            (Release(b"x"), "NOTHELD x"),
            (Renew(b"x"), "RENEWED x token=5"),
            (Renew(b"x"), "NOTHELD x"),
            (Revoke(b"x"), "REVOKED x token=5"),
            (Revoke(b"x"), "DENIED x token=5 uid=1"),
            (Revoke(b"x"), "NOTHELD x"),
            (Acquire((b"x", b"y")), "GRANTED x y token=5"),
            (Acquire((b"x", b"y")), "HELD z y x token=5"),
            (Acquire((b"x",)), "DEADLOCK x edges=1"),
            (Release(b"y"), "RELEASED x y token=5"),
            (Renew(b"y"), "RENEWED x y token=5"),
            (Revoke(b"y"), "REVOKED x y token=5"),
            (Revoke(b"y"), "DENIED x y token=5 uid=1"),
            (Watch(), "WATCHING"),
            (Watch(b"x"), "WATCHING x"),
            (Unwatch(), "UNWATCHED"),
            (Quit(), "BYE"),
            (Ping(), "ERROR unknown-verb"),
        ],
    )
    def test_what_may_answer_what(self, request_: Request, line: str) -> None:
        session = Session()
        tag = send(session, request_)
        (received,) = session.receive(f"{tag} {line}\n".encode())
        assert received.final
        assert received.request == request_
        with pytest.raises(RemoteProtocolError, match="nothing was asked"):
            session.receive(f"{tag} {line}\n".encode())

    @pytest.mark.parametrize(
        ("request_", "line"),
        [
            (Ping(), "GRANTED x token=5"),
            (Acquire((b"x",)), "PONG"),
            (Acquire((b"x",)), "GRANTED y token=5"),
            (Release(b"x", token=5), "RELEASED x token=6"),
            (Revoke(b"x"), "NOTHELD y"),
            (Acquire((b"x", b"y")), "GRANTED x token=5"),
            (Acquire((b"x", b"y")), "GRANTED y x token=5"),
            (Acquire((b"x", b"y")), "HELD x token=5"),
            (Acquire((b"x",)), "QUEUED y position=1"),
            (Acquire((b"x",)), "END"),
            (Release(b"x"), "RELEASED y z token=5"),
            (History(b"x"), "HOLD y token=5 outcome=ended"),
            (Watch(b"x"), "WATCHING y"),
        ],
    )
    def test_any_other_answer_is_an_error(self, request_: Request, line: str) -> None:
        session = Session()
        tag = send(session, request_)
        with pytest.raises(RemoteProtocolError, match="answer"):
            session.receive(f"{tag} {line}\n".encode())

    def test_a_refused_session_is_told_without_a_request(self) -> None:
        session = Session()
        send(session, Hello())
        refused = replies.Refused("too-many-sessions", {"limit": "8192"})
        assert session.receive(b"ERROR too-many-sessions limit=8192\n") == [Received(None, None, refused)]


class TestLeases:
    def test_a_grant_is_a_lease(self) -> None:
        session = Session()
        lease = granted(session, ttl=" ttl=30s")
        assert (lease.name, lease.token, lease.ttl, lease.loss) == (b"x", 5, 30_000, None)
        assert session.leases == {5: lease}

    def test_held_is_the_lease_that_was_granted_before(self) -> None:
        session = Session()
        lease = granted(session)
        tag = send(session, Acquire((b"x",), owner=b"o"))
        (received,) = session.receive(f"{tag} HELD x token=5\n".encode())
        assert received.lease is lease

    def test_released_ends_it(self) -> None:
        session = Session()
        lease = granted(session)
        session.receive(f"{send(session, Release(b'x', 5))} RELEASED x token=5\n".encode())
        assert lease.released
        assert lease.loss is None
        assert session.leases == {}

    def test_released_without_a_lease_changes_nothing(self) -> None:
        session = Session()
        session.receive(f"{send(session, Release(b'x'))} RELEASED x token=5\n".encode())
        assert session.leases == {}

    def test_lease_on_several_names_is_one(self) -> None:
        session = Session()
        lease = granted(session, b"a b")
        assert (lease.name, lease.names) == (b"a", (b"a", b"b"))
        assert session.leases == {5: lease}
        session.give_back(lease)
        assert drain(session) == b"#2 RELEASE a token=5\n"
        session.receive(b"#2 RELEASED a b token=5\n")
        assert session.leases == {}

    def test_renewed_says_which_ttl_holds(self) -> None:
        session = Session()
        lease = granted(session)
        session.receive(f"{send(session, Renew(b'x', 5, 1000))} RENEWED x token=5 ttl=1s\n".encode())
        assert lease.ttl == 1000
        session.receive(f"{send(session, Renew(b'x', 6))} RENEWED x token=6 ttl=9s\n".encode())
        assert lease.ttl == 1000

    @pytest.mark.parametrize(
        ("line", "loss"),
        [
            ("* LOST x token=5 reason=expired", Loss("expired")),
            ("* LOST x token=5 reason=revoked by-uid=0 by-pid=9", Loss("revoked", "by uid 0, pid 9")),
            (
                "* LOST x token=5 reason=revoked by-uid=0 by-pid=9 why=too%20slow%FF",
                Loss("revoked", "by uid 0, pid 9, because: too slow\\xff"),
            ),
        ],
    )
    def test_lost_is_a_loss(self, line: str, loss: Loss) -> None:
        session = Session()
        lease, other = granted(session), granted(session, b"y", 6)
        (received,) = session.receive(line.encode() + b"\n")
        assert isinstance(received.reply, replies.Lost)
        assert lease.loss == loss
        assert not lease.released
        assert session.leases == {6: other}

    def test_the_loss_of_another_lease_changes_nothing(self) -> None:
        session = Session()
        lease = granted(session)
        session.receive(b"* LOST x token=4 reason=expired\n* UNHEARD of it\n* EXPIRED x token=5 held=1s\n")
        assert lease.loss is None

    def test_nothing_held_without_word_of_a_loss_is_a_loss(self) -> None:
        session = Session()
        lease = granted(session)
        session.receive(f"{send(session, Renew(b'x', 5))} NOTHELD x\n".encode())
        assert lease.loss is not None
        assert lease.loss.reason == "unknown"

    def test_nothing_held_under_another_token_changes_nothing(self) -> None:
        session = Session()
        lease = granted(session)
        for request in (Release(b"x", 4), Release(b"x"), Revoke(b"x", 5), Release(b"y", 5)):
            session.receive(f"{send(session, request)} NOTHELD {request.name.decode()}\n".encode())
        assert lease.loss is None
        assert session.leases == {5: lease}

    def test_bye_ends_every_lease_as_asked(self) -> None:
        session = Session()
        lease = granted(session)
        session.receive(f"{send(session, Quit())} BYE\n".encode())
        session.receive_end("it closed the connection")
        assert lease.released
        assert lease.loss is None

    def test_events_of_a_watch_answer_nothing(self) -> None:
        session = Session()
        tag = send(session, Watch(b"x"))
        received = session.receive(f"{tag} WATCHING x\n* RELEASED x token=4 held=1s\n* MISSED count=3\n".encode())
        assert received[1:] == [
            Received(None, None, replies.Event("released", (b"x",), 4, held=1000)),
            Received(None, None, replies.Missed(3)),
        ]


class TestAbandoning:
    def test_an_abandoned_wait_is_cancelled(self) -> None:
        session = Session()
        tag = send(session, Acquire((b"x",)))
        session.abandon(tag)
        assert drain(session) == f"#2 CANCEL {tag}\n".encode()
        assert not session.settled
        assert session.receive(f"{tag} CANCELLED x waited=3ms\n#2 CANCELLED {tag}\n".encode()) == []
        assert session.settled
        assert session.leases == {}

    def test_a_grant_that_was_faster_is_released_by_its_token(self) -> None:
        session = Session()
        tag = send(session, Acquire((b"x",)))
        session.abandon(tag)
        drain(session)
        assert session.receive(f"{tag} GRANTED x token=5\n".encode()) == []
        assert session.settled
        assert drain(session) == b"#3 RELEASE x token=5\n"
        assert session.receive(f"#2 NOTWAITING {tag}\n#3 RELEASED x token=5\n".encode()) == []
        assert session.leases == {}

    @pytest.mark.parametrize("answer", ["BUSY x waiters=0", "TIMEOUT x waited=1ms waiters=0", "ERROR too-many-leases"])
    def test_an_answer_that_was_faster_and_no_grant_is_forgotten(self, answer: str) -> None:
        session = Session()
        tag = send(session, Acquire((b"x",)))
        session.abandon(tag)
        drain(session)
        assert session.receive(f"{tag} {answer}\n#2 NOTWAITING {tag}\n".encode()) == []
        assert session.settled
        assert session.data_to_send() == b""

    def test_other_abandoned_requests_are_only_forgotten(self) -> None:
        session = Session()
        lease = granted(session)
        tag = send(session, Release(b"x", 5))
        session.abandon(tag)
        assert session.settled
        assert session.data_to_send() == b""
        assert session.receive(f"{tag} RELEASED x token=5\n".encode()) == []
        assert lease.released

    def test_an_abandoned_listing_is_forgotten_to_its_end(self) -> None:
        session = Session()
        tag = send(session, Show(b"x"))
        session.abandon(tag)
        assert session.receive(f"{tag} LEASE x token=5\n{tag} END\n".encode()) == []
        with pytest.raises(RemoteProtocolError):
            session.receive(f"{tag} END\n".encode())

    def test_abandoning_twice_or_too_late_is_nothing(self) -> None:
        session = Session()
        tag = send(session, Acquire((b"x",)))
        session.abandon(tag)
        drain(session)
        session.abandon(tag)
        session.abandon("#77")
        assert session.data_to_send() == b""

    def test_giving_back_releases_once(self) -> None:
        session = Session()
        lease = granted(session)
        session.give_back(lease)
        assert lease.released
        assert drain(session) == b"#2 RELEASE x token=5\n"
        session.receive(b"#2 RELEASED x token=5\n")
        session.give_back(lease)
        assert session.data_to_send() == b""

    def test_a_lease_that_is_given_back_twice_is_no_loss(self) -> None:
        session = Session()
        lease = granted(session)
        send(session, Release(b"x", 5))
        session.give_back(lease)
        session.receive(b"#2 RELEASED x token=5\n#3 NOTHELD x\n")
        assert lease.loss is None


class TestEnd:
    def test_the_end_of_the_connection_is_the_loss_of_every_lease(self) -> None:
        session = Session()
        lease = granted(session)
        session.receive_end("it closed the connection")
        assert lease.loss == Loss("disconnected", "it closed the connection")
        assert session.leases == {}

    def test_a_lease_that_was_given_back_is_no_loss(self) -> None:
        session = Session()
        lease = granted(session)
        session.give_back(lease)
        session.receive_end("it closed the connection")
        assert lease.loss is None

    def test_a_connection_ends_once(self) -> None:
        session = Session()
        lease = granted(session)
        session.receive_end("first")
        session.receive_end("second")
        assert session.end == "first"
        assert lease.loss == Loss("disconnected", "first")

    def test_nothing_is_sent_behind_the_end(self) -> None:
        session = Session()
        tag = session.send(Acquire((b"x",)))
        session.send_untagged(Ping())
        session.abandon(tag)
        session.receive_end("it closed the connection")
        assert session.data_to_send() == b""
        assert session.settled
        with pytest.raises(LocalProtocolError, match="the session has ended: it closed the connection"):
            session.send(Ping())
        with pytest.raises(LocalProtocolError, match="the session has ended"):
            session.send_untagged(Ping())

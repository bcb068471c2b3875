"""The protocol core: what is said and asked twice because a connection broke, and counts once."""

from __future__ import annotations

import pytest
from resuming import broken, connected, drain, granted, greeted, hear, resumed, sent, welcome

from lockd import RemoteProtocolError
from lockd import _replies as replies
from lockd._held import Loss
from lockd._protocol import Received, Session
from lockd._requests import (
    PIPE,
    Acquire,
    Cancel,
    Ping,
    Quit,
    Release,
    Renew,
    Request,
    Show,
    Unwatch,
    Watch,
)


class TestSecondAnswers:
    def test_they_are_ignored(self) -> None:
        session = greeted()
        lease = granted(session)
        ping = sent(session, Ping())
        hear(session, f"{ping} PONG")
        resumed(session)
        assert hear(session, "#2 GRANTED x token=5", f"{ping} PONG", f"{ping} ERROR unknown-verb") == []
        assert session.leases == {5: lease}
        assert drain(session) == ""

    def test_not_before_anything_was_resumed_and_not_under_tags_that_were_never_used(self) -> None:
        session = greeted()
        ping = sent(session, Ping())
        hear(session, f"{ping} PONG")
        with pytest.raises(RemoteProtocolError, match="nothing was asked"):
            hear(session, f"{ping} PONG")
        resumed(session)
        for tag in ("#99", "#0", "#02", "#two", "#-1"):
            with pytest.raises(RemoteProtocolError, match="nothing was asked"):
                hear(session, f"{tag} PONG")
        with pytest.raises(RemoteProtocolError, match="nothing was asked"):
            hear(session, "PONG")

    def test_nor_under_tags_of_what_was_not_sent_yet(self) -> None:
        session = broken(greeted())
        tag = session.send(Ping())
        session.greet(b"me")
        hello = drain(session).split()[0]
        assert hear(session, welcome(hello, leases=0), f"{tag} PONG")[1:] == []
        session.go_on(0)
        assert drain(session) == f"{tag} PING\n"

    def test_connection_that_survives_the_daemon_has_them_too(self) -> None:
        session = Session()
        lease = granted(session)
        (received,) = hear(session, "* RESTORED session=7 leases=1 waiters=0")
        assert received == Received(None, None, replies.Restored(7, 1, 0))
        assert hear(session, "#1 GRANTED x token=5") == []
        assert session.leases == {5: lease}
        assert drain(session) == ""

    def test_wait_that_was_sent_twice_is_cancelled_once_it_is_answered(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",)))
        resumed(session)
        (received,) = hear(session, f"{tag} GRANTED x token=5")
        assert not session.settled
        assert drain(session) == f"#4 CANCEL {tag}\n"
        # The lease that is held is told again, and stays.
        assert hear(session, f"{tag} GRANTED x token=5", f"#4 NOTWAITING {tag}") == []
        assert session.settled
        assert session.leases == {5: received.lease}
        assert drain(session) == ""

    def test_grant_that_nobody_waits_for_is_given_back(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",), wait=0))
        resumed(session)
        (received,) = hear(session, f"{tag} BUSY x waiters=0")
        assert isinstance(received.reply, replies.Busy)
        assert drain(session) == f"#4 CANCEL {tag}\n"
        # What was sent again has become a request of its own.
        assert hear(session, f"{tag} GRANTED x token=6") == []
        assert drain(session) == "#5 RELEASE x token=6\n"
        assert hear(session, f"#4 NOTWAITING {tag}", "#5 RELEASED x token=6") == []
        assert session.settled
        assert session.leases == {}

    def test_so_is_one_behind_another_break(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",), wait=0))
        resumed(session)
        hear(session, f"{tag} BUSY x waiters=0")
        assert resumed(session) == f"#4 CANCEL {tag}\n"
        hear(session, f"{tag} GRANTED x token=6")
        assert drain(session) == "#6 RELEASE x token=6\n"

    def test_so_is_one_whose_first_answer_comes_behind_another_break(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",), wait=0))
        resumed(session)
        assert resumed(session, f"{tag} BUSY x waiters=0") == f"#5 CANCEL {tag}\n"
        hear(session, f"{tag} GRANTED x token=6")
        assert drain(session) == "#6 RELEASE x token=6\n"

    def test_answer_to_an_earlier_cancel_does_not_end_the_watch_for_it(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",)))
        session.abandon(tag)
        drain(session)
        assert resumed(session) == f"{tag} ACQUIRE x\n#3 CANCEL {tag}\n"
        hear(session, f"{tag} CANCELLED x waited=1ms", f"#3 CANCELLED {tag}")
        assert not session.settled
        assert drain(session) == f"#5 CANCEL {tag}\n"
        hear(session, f"{tag} GRANTED x token=6")
        assert drain(session) == "#6 RELEASE x token=6\n"
        hear(session, f"#5 NOTWAITING {tag}")
        assert session.settled

    def test_session_that_is_forgotten_expects_none(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",)))
        resumed(session)
        hear(session, f"{tag} BUSY x waiters=0")
        drain(session)
        assert connected(broken(session), 9)[0] == ""
        assert session.settled


class TestRelease:
    def test_made_without_a_connection_it_is_sent_on_the_next(self) -> None:
        session = greeted()
        lease = granted(session)
        broken(session)
        tag = session.send(Release(b"x", 5))
        assert connected(session)[0] == f"{tag} RELEASE x token=5\n"
        hear(session, f"{tag} RELEASED x token=5")
        assert (lease.released, lease.loss) == (True, None)

    def test_nothing_held_in_answer_to_the_second_sending_is_released(self) -> None:
        session = greeted()
        lease = granted(session, "x y")
        tag = sent(session, Release(b"x", 5))
        resumed(session)
        (received,) = hear(session, f"{tag} NOTHELD x")
        assert received.reply == replies.Released((b"x", b"y"), 5)
        assert (lease.released, lease.loss) == (True, None)

    def test_by_a_token_alone_too(self) -> None:
        session = greeted()
        tag = sent(session, Release(b"x", 5))
        resumed(session)
        (received,) = hear(session, f"{tag} NOTHELD x")
        assert received.reply == replies.Released((b"x",), 5)

    def test_but_not_without_a_token(self) -> None:
        session = greeted()
        tag = sent(session, Release(b"x"))
        resumed(session)
        (received,) = hear(session, f"{tag} NOTHELD x")
        assert received.reply == replies.NotHeld(b"x")

    def test_nor_in_answer_to_the_first_sending(self) -> None:
        session = greeted()
        lease = granted(session)
        tag = sent(session, Release(b"x", 5))
        _, (received,) = connected(broken(session), 7, f"{tag} NOTHELD x")
        assert received.reply == replies.NotHeld(b"x")
        assert lease.loss is not None

    def test_a_lease_that_was_lost_before_stays_lost(self) -> None:
        session = greeted()
        lease = granted(session)
        tag = sent(session, Release(b"x", 5))
        resumed(session, "* LOST x token=5 reason=expired")
        hear(session, f"{tag} NOTHELD x")
        assert (lease.released, lease.loss) == (False, Loss("expired"))

    def test_of_a_bound_lease_it_counts_in_a_new_session(self) -> None:
        session = greeted()
        lease = granted(session, bind=PIPE)
        tag = sent(session, Release(b"x", 5))
        assert connected(broken(session), 9)[0] == f"{tag} RELEASE x token=5\n"
        hear(session, f"{tag} NOTHELD x")
        assert (lease.released, lease.loss) == (True, None)

    def test_given_back_without_a_connection_it_is_sent_once(self) -> None:
        session = greeted()
        lease = granted(session)
        broken(session)
        session.give_back(lease)
        session.give_back(lease)
        assert not session.settled
        assert connected(session)[0] == "#3 RELEASE x token=5\n"
        assert hear(session, "#3 RELEASED x token=5") == []
        assert session.settled

    def test_nobody_waits_for_and_yet_it_is_sent(self) -> None:
        session = greeted()
        granted(session)
        broken(session)
        tag = session.send(Release(b"x", 5))
        session.abandon(tag)
        assert connected(session)[0] == f"{tag} RELEASE x token=5\n"


class TestGivingUp:
    def test_what_was_never_sent_is_forgotten(self) -> None:
        session = broken(greeted())
        for request in (Acquire((b"x",)), Ping(), Renew(b"x", 5)):
            session.abandon(session.send(request))
        assert session.settled
        assert connected(session)[0] == ""

    def test_what_was_sent_by_halves_is_forgotten_with_its_cancel(self) -> None:
        session = greeted()
        session.abandon(session.send(Acquire((b"x",))))
        session.data_sent(3)
        assert resumed(session) == ""
        assert session.settled

    def test_wait_that_was_sent_is_asked_about_and_cancelled(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",)))
        broken(session)
        session.abandon(tag)
        assert not session.settled
        assert connected(session)[0] == f"{tag} ACQUIRE x\n#3 CANCEL {tag}\n"

    def test_grant_that_was_faster_than_the_break_is_given_back(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",)))
        broken(session)
        session.abandon(tag)
        again, received = connected(session, 7, f"{tag} GRANTED x token=5")
        assert received == []
        assert again == f"#3 CANCEL {tag}\n#5 RELEASE x token=5\n"

    def test_questions_that_nobody_waits_for_are_forgotten_at_the_break(self) -> None:
        session = greeted()
        for request in (Ping(), Show(b"x"), Renew(b"x", 5)):
            session.abandon(sent(session, request))
        assert resumed(session) == ""
        assert hear(session, "#2 PONG", "#3 END") == []

    def test_cancel_of_what_is_settled_is_forgotten_at_the_break(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",)))
        session.abandon(tag)
        drain(session)
        hear(session, f"{tag} CANCELLED x waited=1ms")
        assert resumed(session) == ""

    def test_settled_is_only_what_nobody_holds_or_asks_without_a_connection(self) -> None:
        session = greeted()
        granted(session)
        assert session.settled
        assert not broken(session).settled
        connected(session)
        assert session.settled
        sent(session, Ping())
        assert session.settled
        assert not broken(session).settled
        assert broken(greeted()).settled


class TestWaitsThatEndWithoutUs:
    def test_cancelled_though_nobody_asked_is_no_answer(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",)))
        again, received = connected(broken(session), 7, f"{tag} CANCELLED x waited=20000ms")
        assert received == []
        assert again == f"{tag} ACQUIRE x\n"
        (granted_later,) = hear(session, f"{tag} GRANTED x token=5")
        assert granted_later.lease is session.leases[5]

    def test_of_a_wait_for_what_is_bound_it_is(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",), bind=PIPE))
        _, (received,) = connected(broken(session), 7, f"{tag} CANCELLED x waited=1ms")
        assert received.final

    def test_behind_quit_it_is(self) -> None:
        session = greeted()
        tag = sent(session, Acquire((b"x",)))
        resumed(session)
        sent(session, Quit())
        assert [received.tag for received in hear(session, f"{tag} CANCELLED x waited=1ms")] == [tag]


class TestListings:
    def test_they_are_asked_anew_under_another_tag(self) -> None:
        session = greeted()
        tag = sent(session, Show(b"x"))
        assert len(hear(session, f"{tag} LEASE x token=5")) == 1
        assert resumed(session) == "#4 SHOW x\n"
        # The rest of the first answer is not taken for the second.
        assert hear(session, f"{tag} WAITER x position=1", f"{tag} END") == []
        received = hear(session, "#4 LEASE x token=5", "#4 END")
        assert [(line.tag, line.final) for line in received] == [(tag, False), (tag, True)]
        assert hear(session, "#4 END") == []

    def test_again_and_again(self) -> None:
        session = greeted()
        tag = sent(session, Show(b"x"))
        resumed(session)
        assert resumed(session) == "#6 SHOW x\n"
        assert hear(session, "#4 END", f"{tag} END") == []
        assert [line.tag for line in hear(session, "#6 END")] == [tag]

    def test_they_may_be_given_up_meanwhile(self) -> None:
        session = greeted()
        tag = sent(session, Show(b"x"))
        resumed(session)
        session.abandon(tag)
        assert hear(session, "#4 LEASE x token=5", "#4 END") == []

    def test_those_that_were_not_sent_keep_their_tag(self) -> None:
        session = broken(greeted())
        tag = session.send(Show(b"x"))
        assert connected(session)[0] == f"{tag} SHOW x\n"

    def test_on_a_connection_that_survives_they_are_asked_anew_too(self) -> None:
        session = Session()
        first, other = sent(session, Show(b"x")), sent(session, Ping())
        unsent = session.send(Show(b"y"))
        hear(session, f"{first} LEASE x token=5", "* RESTORED session=7 leases=0 waiters=0")
        assert drain(session) == f"{unsent} SHOW y\n#4 SHOW x\n"
        assert hear(session, f"{first} END") == []
        assert [line.tag for line in hear(session, f"{other} PONG", "#4 END")] == [other, first]


class TestWatching:
    def watching(self, prefix: bytes | None = None) -> Session:
        session = greeted()
        tag = sent(session, Watch(prefix))
        hear(session, f"{tag} WATCHING" + ("" if prefix is None else f" {prefix.decode()}"))
        return session

    def test_watch_goes_on_with_its_session(self) -> None:
        session = self.watching()
        assert resumed(session, "* GRANTED x token=5") == ""

    def test_it_begins_again_in_a_new_session_and_says_so(self) -> None:
        session = self.watching(b"x")
        again, received = connected(broken(session), 9)
        assert again == "#4 WATCH x\n"
        assert received == [Received(None, None, replies.Missed(None))]
        assert [line.tag for line in hear(session, "#4 WATCHING x")] == ["#4"]

    def test_refusal_of_that_is_told(self) -> None:
        session = self.watching()
        connected(broken(session), 9)
        (received,) = hear(session, "#4 ERROR too-many-watchers limit=64 scope=daemon")
        assert received.request == Watch()
        assert isinstance(received.reply, replies.Refused)

    def test_one_that_was_ended_does_not_begin_again(self) -> None:
        session = self.watching()
        tag = sent(session, Unwatch())
        hear(session, f"{tag} UNWATCHED")
        assert connected(broken(session), 9) == ("", [])

    @pytest.mark.parametrize(("request_", "line"), [(Unwatch(), "UNWATCH"), (Watch(b"y"), "WATCH y")])
    def test_what_was_asked_meanwhile_counts(self, request_: Request, line: str) -> None:
        session = self.watching(b"x")
        broken(session)
        tag = session.send(request_)
        again, received = connected(session, 9)
        assert again == f"{tag} {line}\n"
        assert received == [Received(None, None, replies.Missed(None))]


def test_cancel_that_somebody_waits_for_is_answered() -> None:
    session = greeted()
    tag = sent(session, Cancel("#99"))
    resumed(session)
    (received,) = hear(session, f"{tag} NOTWAITING #99")
    assert received.request == Cancel("#99")

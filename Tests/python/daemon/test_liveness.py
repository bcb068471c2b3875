"""When a session ends, and when it does not."""

from __future__ import annotations

import os
import signal

import pytest

from .processes import END, Client, Daemon, Owner


def holder_and_waiter(daemon: Daemon, *arguments: str) -> tuple[Client, Owner, Client]:
    """A process that holds `db`, and a client that waits for it."""
    holder, owner = daemon.connect_from_a_process(*arguments)
    holder.acquire("db")
    waiter = daemon.connect()
    waiter.send("ACQUIRE db")
    daemon.wait_until_listed("db", 2)
    return holder, owner, waiter


def test_killing_the_holder_grants_the_waiter(daemon: Daemon) -> None:
    holder, owner, waiter = holder_and_waiter(daemon)
    with holder, owner, waiter:
        holder.close()
        owner.kill()
        assert waiter.receive().startswith("GRANTED db ")


def test_child_that_inherited_the_socket_keeps_nothing(daemon: Daemon) -> None:
    holder, owner, waiter = holder_and_waiter(daemon, "fork")
    with holder, owner, waiter:
        holder.close()
        owner.kill()
        assert waiter.receive().startswith("GRANTED db ")
        os.kill(owner.child, 0)


def test_end_of_the_process_closes_the_session_though_others_have_the_socket(daemon: Daemon) -> None:
    holder, owner, waiter = holder_and_waiter(daemon)
    with holder, owner, waiter:
        assert holder.ask("PING") == "PONG"
        owner.kill()
        assert waiter.receive().startswith("GRANTED db ")
        assert holder.receive() == END


def test_what_others_sent_before_the_process_ended_is_applied(daemon: Daemon) -> None:
    holder, owner, waiter = holder_and_waiter(daemon)
    with holder, owner, waiter:
        daemon.process.send_signal(signal.SIGSTOP)
        holder.send("#1 ACQUIRE other", "RELEASE other", "PING")
        owner.kill()
        daemon.process.send_signal(signal.SIGCONT)
        answers = holder.receive_to_the_end()
        assert [answer.split()[0:2] for answer in answers[:2]] == [["#1", "GRANTED"], ["RELEASED", "other"]]
        assert answers[2:] == ["PONG"]
        assert waiter.receive().startswith("GRANTED db ")


def test_waits_end_with_the_process(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        holder.acquire("db")
        waiter, owner = daemon.connect_from_a_process()
        with waiter, owner:
            waiter.send("ACQUIRE db")
            daemon.wait_until_listed("db", 2)
            owner.kill()
            assert waiter.receive().startswith("CANCELLED db waited=")
            assert waiter.receive() == END
            assert len(daemon.wait_until_listed("db", 1)) == 1


def test_stopped_holder_loses_nothing(daemon: Daemon) -> None:
    holder, owner, waiter = holder_and_waiter(daemon)
    with holder, owner, waiter:
        owner.send_signal(signal.SIGSTOP)
        with daemon.connect() as other:
            for _ in range(100):
                assert other.ask("ACQUIRE db wait=1ms").startswith("TIMEOUT db ")
        assert not waiter.has_something_to_read()
        owner.send_signal(signal.SIGCONT)
        assert holder.ask("RELEASE db").startswith("RELEASED db ")
        assert waiter.receive().startswith("GRANTED db ")


def test_session_outlives_the_thread_that_connected(daemon: Daemon) -> None:
    holder, owner, waiter = holder_and_waiter(daemon, "thread")
    with holder, owner, waiter:
        with daemon.connect() as other:
            assert other.ask("ACQUIRE db wait=1ms").startswith("TIMEOUT db ")
        owner.kill()
        assert waiter.receive().startswith("GRANTED db ")


def test_session_outlives_the_program_that_connected(daemon: Daemon) -> None:
    holder, owner, waiter = holder_and_waiter(daemon, "exec")
    with holder, owner, waiter:
        with daemon.connect() as other:
            assert other.ask("ACQUIRE db wait=1ms").startswith("TIMEOUT db ")
        owner.kill()
        assert waiter.receive().startswith("GRANTED db ")


def test_closing_the_socket_grants_the_waiter(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.acquire("db")
        waiter.send("ACQUIRE db")
        daemon.wait_until_listed("db", 2)
        holder.close()
        assert waiter.receive().startswith("GRANTED db ")


def test_closing_the_socket_with_replies_unread_grants_the_waiter(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.acquire("db")
        waiter.send("ACQUIRE db")
        daemon.wait_until_listed("db", 2)
        holder.send("PING", "PING")
        holder.close()
        assert waiter.receive().startswith("GRANTED db ")


def test_half_close_without_a_wait_is_an_end(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.acquire("db")
        waiter.send("ACQUIRE db")
        daemon.wait_until_listed("db", 2)
        holder.send("ACQUIRE other", "PING")
        holder.shut_down()
        assert holder.receive().startswith("GRANTED other ")
        assert holder.receive() == "PONG"
        assert holder.receive() == END
        assert waiter.receive().startswith("GRANTED db ")


def test_half_close_with_a_wait_cancels_it(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.acquire("db")
        holder.acquire("lane")
        waiter.acquire("cache")
        waiter.send("#1 ACQUIRE lane", "ACQUIRE db", "PING", "ACQUIRE db", "RELEASE cache")
        waiter.send_bytes(b"PI")
        daemon.wait_until_listed("db", 2)
        waiter.shut_down()
        answers = [answer.split() for answer in waiter.receive_to_the_end()]
        assert [answer[:3] for answer in answers[:1]] == [["#1", "CANCELLED", "lane"]]
        assert [answer[0] for answer in answers[1:]] == ["CANCELLED", "PONG", "BUSY", "RELEASED"]
        assert holder.ask("RELEASE db").startswith("RELEASED db ")
        assert holder.ask("SHOW db") == "END"


def test_what_would_have_to_wait_behind_a_half_close_is_busy(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as pipe:
        holder.acquire("db")
        daemon.process.send_signal(signal.SIGSTOP)
        pipe.send("ACQUIRE db wait=1m", "#1 ACQUIRE db", "ACQUIRE free")
        pipe.shut_down()
        daemon.process.send_signal(signal.SIGCONT)
        answers = [answer.split() for answer in pipe.receive_to_the_end()]
        assert [answer[0] for answer in answers] == ["BUSY", "#1", "GRANTED"]
        assert answers[1][1] == "BUSY"


@pytest.mark.parametrize("lines", [0, 1, 1000])
def test_one_shot_client_gets_every_answer(daemon: Daemon, lines: int) -> None:
    with daemon.connect() as client:
        client.send(*["PING"] * lines)
        client.shut_down()
        assert client.receive_to_the_end() == ["PONG"] * lines


def test_half_closed_session_that_does_not_read_costs_no_processor_time(daemon: Daemon) -> None:
    with daemon.connect() as client, daemon.connect() as other:
        client.socket.settimeout(None)
        pings = 20_000
        client.send_bytes(b"PING\n" * pings)
        client.shut_down()
        used = daemon.cpu_seconds()
        for _ in range(50):
            assert other.ask("ACQUIRE db wait=0").startswith(("GRANTED", "HELD"))
            assert other.ask("#1 ACQUIRE x wait=20ms").startswith(("#1 GRANTED", "#1 TIMEOUT"))
        assert daemon.cpu_seconds() - used < 0.5
        answers = client.receive_to_the_end()
        assert set(answers) == {"PONG"}

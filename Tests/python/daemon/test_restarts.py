"""What is there still when the daemon was killed and started again, where nobody keeps its connections."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from .processes import END, Daemon, wait_until

FIRST_RECORD = 4096 + 16 * 1024
"""Where the records begin in the log."""

VERSION = slice(8, 16)
"""Where the version of its format is."""


class Resumable:
    """A session of this process that says HELLO, and goes on when there is another daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self.client = daemon.connect()
        self.session = session_of(self.client.ask("HELLO"))

    def resume(self, daemon: Daemon, behind: str = "") -> str:
        """Goes on over a new connection, and returns what it was welcomed with; `behind` is sent together with that."""
        self.client.close()
        self.client = daemon.connect()
        self.client.send_bytes(f"HELLO resume={self.session}\n{behind}".encode())
        return self.client.receive()

    def wait(self, name: str, tag: str) -> None:
        """Waits for a name: returns when it is known to be in the queue."""
        assert self.client.ask(f"#{tag} ACQUIRE {name} progress=1d").startswith(f"#{tag} QUEUED {name} ")

    def receive(self, *heard: str) -> str:
        """The next line that is not one of those, which have been heard before and may come again."""
        while (line := self.client.receive()).startswith(heard):
            pass
        return line

    def ask(self, line: str, *heard: str) -> str:
        """The answer to a line, behind what may come again."""
        self.client.send(line)
        return self.receive("WELCOME ", *heard)


Begin = Callable[[Daemon], Resumable]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins sessions that can be resumed, and hangs up when the test is over."""
    sessions: list[Resumable] = []

    def begin(daemon: Daemon) -> Resumable:
        sessions.append(Resumable(daemon))
        return sessions[-1]

    yield begin
    for session in sessions:
        session.client.close()


def session_of(welcome: str) -> str:
    found = re.fullmatch(r"WELCOME .* session=(\d+) .*", welcome)
    assert found, welcome
    return found[1]


def log_of(daemon: Daemon) -> pathlib.Path:
    return daemon.socket.with_name("lockd.sock.log")


def damage(path: pathlib.Path, text: bytes) -> None:
    """Changes one bit of what was recorded last that has these bytes in it."""
    content = bytearray(path.read_bytes())
    content[content.rindex(text)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_session_that_is_resumed_has_its_lease_and_its_token(
    tmp_path: pathlib.Path, end: signal.Signals, begin: Begin
) -> None:
    with Daemon(tmp_path) as daemon:
        holder = begin(daemon)
        token = holder.client.acquire("a")
        daemon.end(end)
        assert holder.client.receive() == END

    with Daemon(tmp_path) as daemon:
        assert f" session={holder.session} " in (welcome := holder.resume(daemon))
        assert welcome.endswith(" leases=1 waiters=0")
        assert holder.ask(f"RELEASE a token={token}", "GRANTED ") == f"RELEASED a token={token}"


def test_tokens_go_on_growing(tmp_path: pathlib.Path) -> None:
    tokens: list[int] = []
    for _ in range(5):
        with Daemon(tmp_path) as daemon, daemon.connect() as client:
            tokens += [client.acquire(f"a/{number}") for number in range(3)]
            daemon.end(signal.SIGKILL)

    assert tokens == sorted(set(tokens))


def test_session_that_never_said_hello_ends_when_the_daemon_starts(tmp_path: pathlib.Path) -> None:
    with Daemon(tmp_path) as daemon:
        client = daemon.connect()
        client.acquire("a")
        daemon.end(signal.SIGKILL)

    with Daemon(tmp_path) as daemon, daemon.connect() as other:
        other.acquire("a")
        client.close()


def test_lease_stays_as_long_as_its_process_lives(tmp_path: pathlib.Path) -> None:
    with Daemon(tmp_path) as daemon:
        client, owner = daemon.connect_from_a_process()
        client.ask("HELLO")
        client.acquire("a")
        daemon.end(signal.SIGKILL)

    with client, owner, Daemon(tmp_path) as daemon, daemon.connect() as other:
        assert other.ask("ACQUIRE a wait=0").startswith("BUSY a ")
        assert " detached=" in daemon.wait_until_listed("a", 1)[0]
        other.send("ACQUIRE a")
        owner.kill()
        assert other.receive().startswith("GRANTED a token=")


def test_lease_of_a_process_that_ended_without_a_daemon_is_gone_at_the_start(
    tmp_path: pathlib.Path, begin: Begin
) -> None:
    with Daemon(tmp_path) as daemon:
        client, owner = daemon.connect_from_a_process()
        client.ask("HELLO")
        client.acquire("a")
        waiter = begin(daemon)
        waiter.wait("a", "1")
        daemon.end(signal.SIGKILL)
    with client, owner:
        owner.kill()

    with Daemon(tmp_path) as daemon:
        waiter.resume(daemon)
        assert waiter.receive("#1 QUEUED ").startswith("#1 GRANTED a token=")


def test_session_is_resumed_by_its_own_process_only(tmp_path: pathlib.Path, begin: Begin) -> None:
    with Daemon(tmp_path) as daemon:
        holder = begin(daemon)
        token = holder.client.acquire("a")
        daemon.end(signal.SIGKILL)

    with Daemon(tmp_path) as daemon:
        stranger, owner = daemon.connect_from_a_process()
        with stranger, owner:
            answer = stranger.ask(f"HELLO resume={holder.session}")
            assert answer == f"ERROR foreign-process key=resume got={holder.session} want=session-of-your-process"
            assert stranger.ask(f"RELEASE a token={token}") == "NOTHELD a"
        assert holder.resume(daemon).endswith(" leases=1 waiters=0")


def test_request_that_waits_is_granted_when_its_session_is_back(tmp_path: pathlib.Path, begin: Begin) -> None:
    with Daemon(tmp_path) as daemon:
        holder, first, second = (begin(daemon) for _ in range(3))
        token = holder.client.acquire("a")
        first.wait("a", "1")
        second.wait("a", "2")
        daemon.end(signal.SIGKILL)

    with Daemon(tmp_path) as daemon:
        for session in (holder, second):
            session.resume(daemon)
        assert holder.ask(f"RELEASE a token={token}", "GRANTED ") == f"RELEASED a token={token}"
        # It is the turn of the one that is not there, so nobody is granted.
        first_line, second_line = daemon.wait_until_listed("a", 2)
        assert f" position=1 session={first.session} " in first_line
        assert f" position=2 session={second.session} " in second_line
        assert first.resume(daemon).endswith(" leases=0 waiters=1")
        # An ACQUIRE that waits still goes on waiting under its tag, so it is granted once.
        first.client.send("#1 ACQUIRE a progress=1d", "#3 PING")
        assert (granted := first.receive("#1 QUEUED ", "#3 PONG")).startswith("#1 GRANTED a token=")
        assert first.ask("#4 RELEASE a", granted, "#3 PONG").startswith("#4 RELEASED a ")
        assert second.receive("#2 QUEUED ").startswith("#2 GRANTED a ")


def test_request_whose_session_does_not_come_back_is_waited_for_and_then_passed_over(
    tmp_path: pathlib.Path, begin: Begin
) -> None:
    with Daemon(tmp_path) as daemon:
        holder, first, second = (begin(daemon) for _ in range(3))
        token = holder.client.acquire("a")
        first.wait("a", "1")
        second.wait("a", "2")
        daemon.end(signal.SIGKILL)

    with Daemon(tmp_path) as daemon:
        for session in (holder, second):
            session.resume(daemon)
        began = time.monotonic()
        holder.client.send(f"RELEASE a token={token}")
        assert second.receive("#2 QUEUED ").startswith("#2 GRANTED a ")
        # Ten seconds by the daemon's clock, which it has read a little before.
        assert 9.9 < time.monotonic() - began < 20
        assert first.resume(daemon).endswith(" leases=0 waiters=0")


def test_release_that_was_not_read_is_asked_for_again(tmp_path: pathlib.Path, begin: Begin) -> None:
    with Daemon(tmp_path) as daemon:
        holder = begin(daemon)
        token = holder.client.acquire("a")
        daemon.process.send_signal(signal.SIGSTOP)
        holder.client.send(f"#1 RELEASE a token={token}")
        daemon.end(signal.SIGKILL)

    with Daemon(tmp_path) as daemon:
        holder.resume(daemon)
        assert holder.ask(f"#1 RELEASE a token={token}", "GRANTED ") == f"#1 RELEASED a token={token}"


def test_answer_that_was_not_read_may_come_again_and_says_the_same(tmp_path: pathlib.Path, begin: Begin) -> None:
    with Daemon(tmp_path) as daemon:
        holder = begin(daemon)
        holder.client.send("#1 ACQUIRE a", "#2 ACQUIRE b")
        answers = [holder.client.receive() for _ in range(2)]
        token = answers[1].rpartition("=")[2]
        assert holder.client.ask(f"#3 RELEASE b token={token}") == f"#3 RELEASED b token={token}"
        daemon.end(signal.SIGKILL)

    with Daemon(tmp_path) as daemon:
        holder.resume(daemon)
        holder.client.send("#1 ACQUIRE a", f"#3 RELEASE b token={token}", "#4 PING")
        heard = []
        while (line := holder.receive("WELCOME ")) != "#4 PONG":
            heard.append(line)
        assert answers[0] in heard
        assert heard[-1] == "#3 NOTHELD b"
        assert set(heard) <= {*answers, f"#3 RELEASED b token={token}", "#3 NOTHELD b"}


def test_session_is_resumed_again_and_again(tmp_path: pathlib.Path, begin: Begin) -> None:
    with Daemon(tmp_path) as daemon:
        holder = begin(daemon)
        token = holder.client.acquire("a")
        daemon.end(signal.SIGKILL)

    pongs = [f"#{number} PONG" for number in range(5)]
    for number in range(5):
        with Daemon(tmp_path) as daemon:
            assert holder.resume(daemon).endswith(" leases=1 waiters=0")
            assert holder.ask(f"#{number} PING", "GRANTED ", *pongs[:number]) == pongs[number]
            daemon.end(signal.SIGKILL)

    with Daemon(tmp_path) as daemon:
        holder.resume(daemon)
        assert holder.ask(f"RELEASE a token={token}", "GRANTED ", *pongs) == f"RELEASED a token={token}"


def test_lines_that_were_held_back_are_done_once_whatever_connection_they_came_over(
    tmp_path: pathlib.Path, begin: Begin
) -> None:
    with Daemon(tmp_path) as daemon:
        holder, waiter = begin(daemon), begin(daemon)
        token = holder.client.acquire("a")
        waiter.client.send("ACQUIRE a", "#1 ACQUIRE b", "#2 RELEASE b")
        waiter.client.send_bytes(b"#3 PI")
        daemon.wait_until_listed("a", 2)
        daemon.end(signal.SIGKILL)

    # The incomplete line is none any more; what was read of the others is done behind the ACQUIRE that waits.
    for number in (4, 5):
        with Daemon(tmp_path) as daemon:
            assert waiter.resume(daemon, f"#{number} PING\n#6 PI").endswith(" leases=0 waiters=1")
            daemon.end(signal.SIGKILL)

    with Daemon(tmp_path) as daemon:
        waiter.resume(daemon)
        holder.resume(daemon)
        holder.client.send(f"RELEASE a token={token}")
        heard = [waiter.receive("WELCOME ") for _ in range(5)]
        assert [line.split(" token=")[0] for line in heard] == [
            "GRANTED a",
            "#1 GRANTED b",
            "#2 RELEASED b",
            "#4 PONG",
            "#5 PONG",
        ]


def test_ttl_is_longer_by_the_time_without_a_daemon(tmp_path: pathlib.Path, begin: Begin) -> None:
    with Daemon(tmp_path) as daemon:
        holder = begin(daemon)
        holder.client.acquire("a", "ttl=5s")
        daemon.end(signal.SIGKILL)
        gone = time.monotonic()

    wait_until(lambda: time.monotonic() > gone + 5.5, "the ttl would have run out")

    with Daemon(tmp_path) as daemon:
        holder.resume(daemon)
        assert holder.ask("RENEW a", "GRANTED ").startswith("RENEWED a ")


def test_ttl_runs_on_where_there_is_a_daemon(tmp_path: pathlib.Path, begin: Begin) -> None:
    with Daemon(tmp_path) as daemon:
        holder = begin(daemon)
        token = holder.client.acquire("a", "ttl=1s")
        daemon.end(signal.SIGKILL)

    with Daemon(tmp_path) as daemon, daemon.connect() as other:
        # It comes to its end though its holder is not there.
        assert other.ask("ACQUIRE a").startswith(f"GRANTED a token={token + 1}")
        holder.resume(daemon)
        assert holder.receive("WELCOME ", "GRANTED ") == f"* LOST a token={token} reason=expired"


def test_bound_leases_stay_and_end_with_what_they_are_bound_to(tmp_path: pathlib.Path) -> None:
    read, write = os.pipe()
    with Daemon(tmp_path) as daemon:
        owner_client, owner = daemon.connect_from_a_process()
        with daemon.connect() as client:
            for name, kind, descriptor in (("a", "pidfd", os.pidfd_open(owner.process.pid)), ("b", "pipe", read)):
                socket.send_fds(client.socket, [f"ACQUIRE {name} bind={kind}\n".encode()], [descriptor])
                assert client.receive().startswith(f"GRANTED {name} token=")
                os.close(descriptor)
        daemon.end(signal.SIGKILL)

    with owner_client, owner, Daemon(tmp_path) as daemon:
        assert " bound=pidfd" in daemon.wait_until_listed("a", 1)[0]
        assert " bound=pipe" in daemon.wait_until_listed("b", 1)[0]
        owner.kill()
        os.close(write)
        daemon.wait_until_listed("a", 0)
        daemon.wait_until_listed("b", 0)


# The log


def test_log_of_a_newer_daemon_is_refused_and_left_as_it_is(tmp_path: pathlib.Path) -> None:
    with Daemon(tmp_path) as daemon, daemon.connect() as client:
        client.acquire("a")
        daemon.end(signal.SIGKILL)
    log = log_of(daemon)
    content = bytearray(log.read_bytes())
    newer = int.from_bytes(content[VERSION], "little") + 1
    content[VERSION] = newer.to_bytes(8, "little")
    log.write_bytes(content)

    daemon = Daemon(tmp_path)

    assert daemon.process.wait(timeout=60) not in (0, -signal.SIGABRT)
    message = daemon.messages()
    assert (
        f"{log} was written by a newer lockd (format {newer}; this one reads {newer - 1}) and is left as it is"
        in message
    )
    assert "start that one again, or, to forget all leases, remove the file" in message
    assert log.read_bytes() == content
    assert not log.with_name(log.name + ".new").exists()


def test_damaged_log_is_put_aside_and_sessions_are_told_of_it(tmp_path: pathlib.Path, begin: Begin) -> None:
    with Daemon(tmp_path) as daemon:
        holder, other = begin(daemon), begin(daemon)
        kept = holder.client.acquire("kept")
        other.client.acquire("damaged-from-here-on")
        daemon.end(signal.SIGKILL)
    log = log_of(daemon)
    damage(log, b"damaged-from-here-on")
    content = log.read_bytes()

    with Daemon(tmp_path) as daemon:
        aside = log.with_name(log.name + ".damaged")
        assert "the log is damaged, going on with the part of it that is not" in daemon.messages()
        assert str(aside) in daemon.messages()
        assert aside.read_bytes() == content
        assert holder.resume(daemon).endswith(" leases=1 waiters=0")
        assert holder.ask("#1 PING", "GRANTED ") == "#1 PONG"
        assert other.resume(daemon).endswith(" leases=0 waiters=0")
        assert other.receive("WELCOME ") == "* LOST reason=log-damaged"
        # Who believes to hold something is to be heard of before anybody else is granted it.
        with daemon.connect() as client:
            assert client.ask("ACQUIRE free wait=0").startswith("BUSY free ")
            assert holder.client.ask(f"RELEASE kept token={kept}") == f"RELEASED kept token={kept}"
            began = time.monotonic()
            assert client.ask("ACQUIRE free").startswith("GRANTED free ")
            assert time.monotonic() - began < 15


def test_log_that_is_none_is_put_aside(tmp_path: pathlib.Path, begin: Begin) -> None:
    with Daemon(tmp_path) as daemon:
        holder = begin(daemon)
        holder.client.acquire("a")
        daemon.end(signal.SIGKILL)
    log = log_of(daemon)
    log.write_bytes(b"something else")

    with Daemon(tmp_path) as daemon:
        assert "it does not begin as a log does" in daemon.messages()
        assert log.with_name(log.name + ".damaged").read_bytes() == b"something else"
        # Nothing is known of the session, so it is another one, with another number.
        assert session_of(holder.resume(daemon)) != holder.session

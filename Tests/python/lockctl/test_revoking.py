"""lockctl revoke on a terminal: what it shows, what it asks, and that it hits nothing but what it has shown."""

from __future__ import annotations

import contextlib
import os
import pty
import re
from collections.abc import Iterator

import pytest
from binaries import binary
from daemon.processes import Client

from .conftest import Daemon

QUESTION = "Revoke it? [y/N] "


class Screen:
    """A terminal, with lockctl on it."""

    def __init__(self, daemon: Daemon, *arguments: str, user: int | None = None) -> None:
        self._seen = ""
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.environ.update(LOCKD_SOCKET=str(daemon.socket), NO_COLOR="1")
            if user is not None:
                os.setgid(user)
                os.setuid(user)
            os.execv(binary("lockctl"), ["lockctl", "revoke", *arguments])

    def until_question(self) -> list[str]:
        """The lines above the question, as soon as that is there."""
        while not self._seen.endswith(QUESTION):
            self._seen += os.read(self._terminal, 4096).decode()
        lines = self._seen.removesuffix(QUESTION).splitlines()
        self._seen = ""
        return lines

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def end(self) -> tuple[int, list[str]]:
        """The exit code, and the lines that came since the question; the first is what was typed."""
        # At its end the terminal is an error.
        with contextlib.suppress(OSError):
            while data := os.read(self._terminal, 4096):
                self._seen += data.decode()
        _, status = os.waitpid(self._process, 0)
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(status), self._seen.splitlines()


@pytest.fixture
def holder(daemon: Daemon) -> Iterator[Client]:
    with daemon.connect() as client:
        yield client


def acquire(client: Client, line: str) -> str:
    (token,) = re.findall(r"^GRANTED .*token=(\d+)", client.ask(line))
    return str(token)


def tokens(daemon: Daemon) -> list[str]:
    with daemon.connect() as client:
        return re.findall(r"token=(\d+)", "\n".join(client.ask_lines("SHOW a")))


def test_terminal_shows_whom_it_hits_and_asks(daemon: Daemon, holder: Client) -> None:
    token = acquire(holder, "ACQUIRE a b note=schema%2041%1B")
    with daemon.connect() as first, daemon.connect() as second:
        first.send("ACQUIRE a")
        daemon.wait_until_listed("a", 2)
        second.send("ACQUIRE a")
        daemon.wait_until_listed("a", 3)
        screen = Screen(daemon, "a", "--reason", "stuck")
        lines = screen.until_question()
        who = rf"\S+ \(pid {os.getpid()}, user \w+.*?\)"
        expected = [
            rf"a is held by {who} since \d\d:\d\d:\d\d, for [\d.]+ s: schema 41%1B\.",
            rf"The lease, token {token}, is on 2 names; all of them are lost\.",
            rf"2 requests wait for it; the next is that of {who}, which has waited for [\d.]+ s\.",
            r"Its process is told at once, is not ended, and goes on until it takes notice; what it does until then, it does"
            r" beside the next holder\.",
        ]
        assert len(lines) == len(expected)
        for line, pattern in zip(lines, expected):
            assert re.fullmatch(pattern, line), line
        assert tokens(daemon) == [token]
        screen.type("y\n")
        assert screen.end() == (0, ["y", f"revoked the lease on a b, token {token}"])
        assert re.match(rf"\* LOST a b token={token} reason=revoked .*why=stuck$", holder.receive())
        assert first.receive().startswith("GRANTED a ")


@pytest.mark.parametrize("keys", ["\n", "n\n", "no\n", "yess\n", "\x04"])
def test_any_other_answer_does_nothing(daemon: Daemon, holder: Client, keys: str) -> None:
    token = acquire(holder, "ACQUIRE a")
    screen = Screen(daemon, "a")
    assert "Nobody waits for it." in screen.until_question()
    screen.type(keys)
    code, lines = screen.end()
    assert code == 1
    assert lines[-1].endswith("lockctl: nothing is revoked")
    assert tokens(daemon) == [token]


@pytest.mark.parametrize("answer", ["y", "Y", "yes", "YES"])
def test_yes_is_yes(daemon: Daemon, holder: Client, answer: str) -> None:
    acquire(holder, "ACQUIRE a")
    screen = Screen(daemon, "a")
    screen.until_question()
    screen.type(f"{answer}\n")
    assert screen.end()[0] == 0
    assert tokens(daemon) == []


def test_whoever_came_meanwhile_is_not_hit(daemon: Daemon, holder: Client) -> None:
    acquire(holder, "ACQUIRE a")
    with daemon.connect() as next_one:
        next_one.send("ACQUIRE a")
        daemon.wait_until_listed("a", 2)
        screen = Screen(daemon, "a")
        screen.until_question()
        holder.ask("RELEASE a")
        (token,) = re.findall(r"token=(\d+)", next_one.receive())
        screen.type("y\n")
        assert screen.end() == (1, ["y", "lockctl: the lease that was shown is over; nothing is revoked"])
        assert tokens(daemon) == [token]


def test_of_several_holders_the_first_is_hit_and_all_are_shown(daemon: Daemon, holder: Client) -> None:
    first = acquire(holder, "ACQUIRE a mode=shared")
    with daemon.connect() as other:
        second = acquire(other, "ACQUIRE a mode=shared")
        screen = Screen(daemon, "a")
        lines = screen.until_question()
        assert lines[1] == f"The lease that is lost has the token {first}."
        assert lines[2].startswith("It is held by ")
        assert lines[2].endswith(f"token {second}, and stays so.")
        screen.type("y\n")
        assert screen.end() == (0, ["y", f"revoked the lease on a, token {first}"])
        assert tokens(daemon) == [second]


def test_lease_with_a_token_is_the_one_that_is_shown(daemon: Daemon, holder: Client) -> None:
    first = acquire(holder, "ACQUIRE a mode=shared")
    with daemon.connect() as other:
        second = acquire(other, "ACQUIRE a mode=shared")
        screen = Screen(daemon, "a", "--token", second)
        assert f"The lease that is lost has the token {second}." in screen.until_question()
        screen.type("y\n")
        assert screen.end()[0] == 0
        assert tokens(daemon) == [first]


def test_nothing_is_asked_if_nobody_holds_it(daemon: Daemon) -> None:
    assert Screen(daemon, "a").end() == (1, ["lockctl: nobody holds a"])
    assert Screen(daemon, "a", "--token", "5").end() == (1, ["lockctl: nobody holds a with token 5"])


@pytest.mark.parametrize("option", ["--yes", "-y"])
def test_with_yes_nothing_is_asked(daemon: Daemon, holder: Client, option: str) -> None:
    token = acquire(holder, "ACQUIRE a")
    assert Screen(daemon, option, "a").end() == (0, [f"revoked the lease on a, token {token}"])


def test_dry_run_shows_it_and_does_nothing(daemon: Daemon, holder: Client) -> None:
    token = acquire(holder, "ACQUIRE a")
    shown = daemon.lockctl("revoke", "--dry-run", "a")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"The lease that is lost has the token {token}." in shown.stdout.splitlines()
    assert tokens(daemon) == [token]
    free = daemon.lockctl("revoke", "--dry-run", "b")
    assert (free.returncode, free.stdout, free.stderr) == (1, "", "lockctl: nobody holds b\n")
    assert daemon.lockctl("revoke", "--dry-run", "--yes", "a").returncode == 64


def test_command_of_lockctl_is_what_ends(daemon: Daemon) -> None:
    running = daemon.start("run", "a", "--", "sleep", "60")
    daemon.wait_until_listed("a", 1)
    screen = Screen(daemon, "a")
    assert screen.until_question()[-1].startswith(
        "lockctl, if it is there still, is told at once, and ends the command and all that this has started"
    )
    screen.type("y\n")
    assert screen.end()[0] == 0
    assert running.wait(timeout=30) != 0
    running.communicate()


def test_bound_lease_is_said_to_be_one(daemon: Daemon) -> None:
    assert daemon.lockctl("acquire", "--pid", str(os.getpid()), "a").returncode == 0
    screen = Screen(daemon, "a")
    lines = screen.until_question()
    assert ", bound to a process" in lines[0]
    assert lines[-1].startswith("Whoever asked for the lease is told, if it is there still, and what it is bound to")
    screen.type("y\n")
    assert screen.end()[0] == 0


def test_question_outlives_the_daemon(daemon: Daemon, holder: Client) -> None:
    holder.ask("HELLO")
    token = acquire(holder, "ACQUIRE a")
    screen = Screen(daemon, "a")
    screen.until_question()
    daemon.end()
    with Daemon(daemon.directory):
        screen.type("y\n")
        assert screen.end() == (0, ["y", f"revoked the lease on a, token {token}"])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_somebody_elses_lease_is_denied(daemon: Daemon, holder: Client) -> None:
    token = acquire(holder, "ACQUIRE a")
    for path in [daemon.socket.parent, *daemon.socket.parent.parents[:-2]]:
        path.chmod(0o755)
    daemon.socket.chmod(0o666)
    shown = daemon.lockctl("revoke", "--dry-run", "a", user=1, group=1)
    assert shown.stdout.splitlines()[-1] == "Only root may revoke it."
    assert "may revoke it" not in daemon.lockctl("revoke", "--dry-run", "a").stdout
    screen = Screen(daemon, "a", user=1)
    screen.until_question()
    screen.type("y\n")
    code, lines = screen.end()
    assert code == 77
    assert lines[-1] == "lockctl: a is held by user root; only that user and root may revoke it"
    assert tokens(daemon) == [token]

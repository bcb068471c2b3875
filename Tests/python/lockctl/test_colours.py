"""What lockctl sets off, and where it does not."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator

import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon

ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")
BOLD, QUIET, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"


class Terminal:
    """What a program writes to a terminal of so many columns."""

    def __init__(self, columns: int = 200) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read_to_end(self) -> str:
        os.close(self.theirs)
        read = b""
        try:
            while more := os.read(self.ours, 65536):
                read += more
        except OSError:  # The end of a terminal is an error.
            pass
        os.close(self.ours)
        return read.decode().replace("\r\n", "\n")


def environment(daemon: Daemon, changes: dict[str, str] | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    return {**kept, "TERM": "xterm-256color", "LOCKD_SOCKET": str(daemon.socket), **(changes or {})}


def on_terminal(daemon: Daemon, *arguments: str, columns: int = 200, changes: dict[str, str] | None = None) -> str:
    """What lockctl writes to stdout, where that is a terminal."""
    terminal = Terminal(columns)
    subprocess.run(
        [binary("lockctl"), *arguments],
        env=environment(daemon, changes),
        stdin=subprocess.DEVNULL,
        stdout=terminal.theirs,
        stderr=subprocess.DEVNULL,
        timeout=30,
    )
    return terminal.read_to_end()


def piped(daemon: Daemon, *arguments: str) -> str:
    return subprocess.run(
        [binary("lockctl"), *arguments], env=environment(daemon), capture_output=True, text=True, timeout=30
    ).stdout


def coloured(text: str) -> list[tuple[str, str]]:
    """The words that are set off, with how; every one of them must end where it begins to be usual again."""
    words = re.findall(r"\x1b\[([0-9;]+)m([^\x1b]+)\x1b\[0m", text)
    assert 2 * len(words) == len(ESCAPE.findall(text)), text
    return [(code, word) for code, word in words]


@pytest.fixture
def busy(daemon: Daemon) -> Iterator[Daemon]:
    """A daemon whose lock `a` is held and waited for, and whose lock `b` somebody has lost."""
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE a note=" + "n" * 60)
        waiter.send("ACQUIRE a")
        daemon.wait_until_listed("a", 2)
        with daemon.connect() as lost:
            lost.ask("ACQUIRE b")
        wait_until(lambda: '"ended"' in piped(daemon, "history", "--json", "b"), "the lease on b is history")
        yield daemon


VIEWS = [["ls"], ["show", "a"], ["tree"], ["history", "b"], ["doctor"], ["why", "a"], ["show", "free"]]


def test_views_set_off_what_matters_on_a_terminal(busy: Daemon) -> None:
    listed = coloured(on_terminal(busy, "ls"))
    assert listed[:2] == [(BOLD, "NAME"), (BOLD, "STATE")]
    assert [word for word in listed if word[0] != BOLD] == [(GREEN, "held"), (YELLOW, "waits #1")]
    assert coloured(on_terminal(busy, "show", "a")) == [(GREEN, "held"), (YELLOW, "waits")]
    assert coloured(on_terminal(busy, "show", "free")) == [(GREEN, "free")]
    assert coloured(on_terminal(busy, "tree")) == [(BOLD, "a"), (GREEN, "held"), (YELLOW, "waits")]
    assert [word for word in coloured(on_terminal(busy, "history", "b")) if word[0] != BOLD] == [(RED, "ended")]
    verdicts = coloured(on_terminal(busy, "doctor"))
    assert verdicts[0] == (GREEN, "ok")
    assert {word for _, word in verdicts} <= {"ok", "warning", "wrong"}


@pytest.mark.parametrize("arguments", VIEWS, ids=" ".join)
def test_nothing_is_set_off_where_nobody_wants_it(busy: Daemon, arguments: list[str]) -> None:
    assert "\x1b" not in piped(busy, *arguments)
    for name, value in (("NO_COLOR", "1"), ("NO_COLOR", "0"), ("TERM", "dumb"), ("TERM", "")):
        assert "\x1b" not in on_terminal(busy, *arguments, changes={name: value}), (name, value)


def test_empty_no_color_is_none(busy: Daemon) -> None:
    assert coloured(on_terminal(busy, "ls", changes={"NO_COLOR": ""}))


@pytest.mark.parametrize("columns", [20, 37, 60, 80, 200])
def test_widths_are_the_same_with_and_without(busy: Daemon, columns: int) -> None:
    def without_times(text: str) -> str:
        return re.sub(r"\d+\.\d s", "T.T s", text)

    with_colours = on_terminal(busy, "ls", columns=columns)
    without = on_terminal(busy, "ls", columns=columns, changes={"NO_COLOR": "1"})
    assert "\x1b" in with_colours
    assert without_times(ESCAPE.sub("", with_colours)) == without_times(without)
    assert max(map(len, without.splitlines())) <= columns
    if columns == 200:
        assert without_times(without) == without_times(piped(busy, "ls"))


def test_json_is_never_coloured(busy: Daemon) -> None:
    for arguments in (["ls", "--json"], ["ls", "--json-lines"], ["show", "a", "--json"], ["doctor", "--json"]):
        text = on_terminal(busy, *arguments)
        assert "\x1b" not in text
        for line in text.splitlines():
            json.loads(line)


def test_detached_is_set_off(busy: Daemon) -> None:
    with busy.connect() as client:
        client.ask("HELLO")
        client.ask("ACQUIRE c")
        busy.end(signal.SIGKILL)
        next_one = Daemon(busy.directory)
        with next_one:
            words = coloured(on_terminal(next_one, "ls", "c"))
            shown = coloured(on_terminal(next_one, "show", "c"))
    assert words[-1][0] == RED
    assert words[-1][1].startswith("held, detached for ")
    assert shown == [(GREEN, "held"), (RED, "detached")]


def on_terminal_with_stderr(daemon: Daemon, *arguments: str, changes: dict[str, str] | None = None) -> str:
    """What lockctl writes to stderr, where that alone is a terminal."""
    terminal = Terminal()
    subprocess.run(
        [binary("lockctl"), *arguments],
        env=environment(daemon, changes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=terminal.theirs,
        timeout=30,
    )
    return terminal.read_to_end()


def test_each_stream_is_looked_at_for_itself(busy: Daemon) -> None:
    assert coloured(on_terminal_with_stderr(busy, "run", "-n", "a", "--", "true")) == [(RED, "lockctl:")]
    assert "\x1b" not in on_terminal_with_stderr(busy, "run", "-n", "a", "--", "true", changes={"NO_COLOR": "1"})
    # Here stdout is a terminal, and stderr is none.
    terminal = Terminal()
    ran = subprocess.run(
        [binary("lockctl"), "histroy"],
        env=environment(busy),
        stdout=terminal.theirs,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
    )
    terminal.read_to_end()
    assert "\x1b" not in ran.stderr
    assert "\x1b" in on_terminal(busy, "ls")


def test_what_is_no_failure_does_not_look_like_one(busy: Daemon) -> None:
    assert coloured(on_terminal_with_stderr(busy, "once", "a", "--", "true")) == [(QUIET, "lockctl:")]
    said = coloured(on_terminal_with_stderr(busy, "run", "b", "--", "true"))
    assert said == [(YELLOW, "lockctl:")], "the holder before did not release its lease"


def test_wait_is_told_quietly(busy: Daemon) -> None:
    said = on_terminal_with_stderr(busy, "run", "-w", "100ms", "a", "--", "true")
    first = coloured(said.replace("\r\x1b[K", ""))[0]
    assert first[0] == QUIET
    assert first[1].startswith("lockctl: waiting for a, #2 of 2: held by ")


def test_events_are_set_off(daemon: Daemon) -> None:
    terminal = Terminal()
    with subprocess.Popen(
        [binary("lockctl"), "watch"],
        env=environment(daemon),
        stdin=subprocess.DEVNULL,
        stdout=terminal.theirs,
    ) as watching:
        wait_until(lambda: daemon.statistics()["watchers"] == "1", "lockctl watches")
        with daemon.connect() as holder:
            holder.ask("ACQUIRE a")
            with daemon.connect() as waiter:
                waiter.send("ACQUIRE a")
                daemon.wait_until_listed("a", 2)
                holder.ask("RELEASE a")
                assert waiter.receive().startswith("GRANTED")
        os.set_blocking(terminal.ours, False)
        read = b""

        def has_ended() -> bool:
            nonlocal read
            try:
                read += os.read(terminal.ours, 65536)
            except BlockingIOError:
                pass
            return b"ended" in read

        wait_until(has_ended, "the last event is told")
        watching.send_signal(signal.SIGINT)
    words = [(code, word) for code, word in coloured(read.decode()) if code != QUIET]
    assert words == [(GREEN, "granted"), (YELLOW, "queued"), (GREEN, "granted"), (RED, "ended")]

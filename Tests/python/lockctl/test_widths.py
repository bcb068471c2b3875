"""What lockctl shows is made for the terminal that it is shown on."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios

import pytest
from binaries import binary

from .conftest import Daemon


def shown(daemon: Daemon, width: int, *arguments: str) -> list[str]:
    """The lines that lockctl writes to a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {**os.environ, "LOCKD_SOCKET": str(daemon.socket), "NO_COLOR": "1"}
    subprocess.run([binary("lockctl"), *arguments], env=environment, stdout=theirs, check=True)
    os.close(theirs)
    lines = os.read(ours, 65536).decode().splitlines()
    os.close(ours)
    return lines


def test_ls_is_as_wide_as_its_terminal(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        holder.ask(f"ACQUIRE {'n' * 100}")
        narrow, wide = shown(daemon, 60, "ls"), shown(daemon, 60, "ls", "--wide")
    assert (len(narrow), len(wide)) == (2, 2)
    assert max(map(len, narrow)) <= 60
    assert narrow[1].endswith("…")
    assert min(map(len, wide)) > 60


@pytest.mark.parametrize(
    ("width", "there", "left_out"),
    [
        (24, {"NAME", "STATE", "NOTE"}, {"PID", "COMMAND", "USER", "FOR", "LEFT", "WAITERS", "NAMES", "TOKEN"}),
        (60, {"NAME", "STATE", "PID", "FOR", "NOTE"}, {"NAMES", "TOKEN"}),
        (400, {"NAME", "STATE", "PID", "COMMAND", "USER", "FOR", "LEFT", "WAITERS", "NAMES", "TOKEN", "NOTE"}, set()),
    ],
)
def test_narrow_listing_leaves_out_what_matters_least(
    daemon: Daemon, width: int, there: set[str], left_out: set[str]
) -> None:
    with daemon.connect() as holder:
        holder.ask("ACQUIRE a b ttl=1h note=the%20job")
        lines = shown(daemon, width, "ls")
        chosen = shown(daemon, 24, "ls", "--columns", "note,token,name")
    header = set(lines[0].split())
    assert there <= header
    assert not header & left_out
    assert all("the job" in line for line in lines[1:])
    assert chosen[0].startswith("NOTE     TOKEN")


@pytest.mark.parametrize(
    ("width", "seen"),
    [
        (400, [", #2 of 2: held by ", ", user ", " since ", " (the job)"]),
        (90, [", #2 of 2: held by ", ": the job, since "]),
        (44, [", #2 of 2: held"]),
    ],
)
def test_narrow_wait_says_its_place_in_the_queue(daemon: Daemon, width: int, seen: list[str]) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE build note=the%20job")
        waiter.send("ACQUIRE build")
        daemon.wait_until_listed("build", 2)
        line = waiting_line(daemon, width, "xterm")
    assert line.startswith("\r\x1b[Klockctl: waiting for build")
    assert len(line.removeprefix("\r\x1b[K")) < width
    for words in seen:
        assert words in line


def test_dumb_terminal_has_whole_lines(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE build")
        waiter.send("ACQUIRE build")
        daemon.wait_until_listed("build", 2)
        line = waiting_line(daemon, 44, "dumb")
    assert line.startswith("lockctl: waiting for build, #2 of 2: held by ")
    assert ", user " in line


def waiting_line(daemon: Daemon, width: int, terminal: str) -> str:
    """What lockctl says first on a terminal when it has to wait for `build`, with the second place in the queue."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {**os.environ, "LOCKD_SOCKET": str(daemon.socket), "NO_COLOR": "1", "TERM": terminal}
    with subprocess.Popen([binary("lockctl"), "run", "build", "--", "true"], env=environment, stderr=theirs) as process:
        os.close(theirs)
        # It is written at once.
        line = os.read(ours, 65536).decode()
        process.terminate()
    os.close(ours)
    return line

"""A real daemon for the tests, and the means to wait for what it and other processes do."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Callable

import pytest
from binaries import binary

import lockd

#: How long anything may take that is awaited, in seconds. Nothing takes that long unless it is broken.
PATIENCE = 30.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as ``condition()`` is true."""
    deadline = time.monotonic() + PATIENCE
    while True:
        # Before the condition: after a pause of the machine it is looked at once more.
        is_late = time.monotonic() > deadline
        if condition():
            return
        if is_late:
            pytest.fail(f"in vain for {PATIENCE} s: {what}")
        time.sleep(0.005)


def await_stopped(pid: int) -> None:
    """Return when a process is stopped."""
    stat = Path(f"/proc/{pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", f"process {pid} stopped")


class Daemon:
    """A lockd of the test's own, on a socket and a state directory that nobody else uses."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="lockd-python-"))
        self.socket = str(self.directory / "lockd.sock")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it accepts connections."""
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [binary("lockd"), "--socket", self.socket, "--state-dir", str(self.directory / "state")],
                stdout=log,
                stderr=log,
            )
        wait_until(self._accepts, f"a connection to lockd; it says {(self.directory / 'log').read_text()!r}")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> None:
        """End it with a signal."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None

    def restart(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it with a signal, and start the next one at the same socket."""
        self.end(number)
        self.start()

    def stop(self) -> None:
        """Stop it with SIGSTOP, and return when it is."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        await_stopped(self._process.pid)

    def go_on(self) -> None:
        """Continue it with SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """End it, whatever its state, and leave nothing behind."""
        self.kill()
        shutil.rmtree(self.directory)

    def ask(self, *lines: str) -> list[str]:
        """Say lines on a connection of their own, and return all that it says in turn."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(self.socket)
            connection.sendall("".join(f"{line}\n" for line in (*lines, "QUIT")).encode())
            with connection.makefile("rb") as replies:
                return [line.decode().rstrip("\n") for line in replies][:-1]

    def show(self, name: str) -> list[str]:
        """The lines of SHOW, without END."""
        return self.ask(f"SHOW {name}")[:-1]

    def holder(self, name: str) -> int | None:
        """The process that holds a lock."""
        leases = [line for line in self.show(name) if line.startswith("LEASE")]
        return int(leases[0].split(" pid=")[1].split()[0]) if leases else None

    def await_holder(self, name: str, pid: int | None) -> None:
        """Return when a process holds a lock, or nobody does."""
        wait_until(lambda: self.holder(name) == pid, f"{name} held by {pid}")

    def await_waiters(self, name: str, count: int) -> None:
        """Return when so many requests wait for a lock."""
        wait_until(
            lambda: sum(line.startswith("WAITER") for line in self.show(name)) == count, f"{count} waiters for {name}"
        )

    def session_count(self) -> int:
        """How many sessions there are, besides the one that asks."""
        (line,) = [line for line in self.ask("STATS") if line.startswith("STAT sessions=")]
        return int(line.split("=")[1]) - 1

    def _accepts(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"lockd ended: {(self.directory / 'log').read_text()}")
        try:
            return self.ask("PING") == ["PONG"]
        except OSError:
            return False


class Program:
    """A Python program in a process of its own, that talks with the test line by line."""

    def __init__(self, source: str, daemon: Daemon, *arguments: str, python: tuple[str, ...] = ("-W", "error")) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *python, "-c", textwrap.dedent(source), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LOCKD_SOCKET": daemon.socket, "PYTHONUNBUFFERED": "1"},
        )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def say(self, line: str = "") -> None:
        """Write a line to its input."""
        _of(self._process.stdin).write(f"{line}\n")
        _of(self._process.stdin).flush()

    def hear(self) -> str:
        """The next line of its output."""
        line = _of(self._process.stdout).readline()
        if not line:
            pytest.fail(f"the program ended: {_of(self._process.stderr).read()}")
        return line.rstrip("\n")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def finish(self, status: int = 0) -> str:
        """Wait for its end, and return the rest of its output. It must have ended as it should, with no complaint."""
        output, complaint = self._process.communicate(timeout=PATIENCE)
        assert (self._process.returncode, complaint) == (status, "")
        return output.rstrip("\n")

    def remove(self) -> None:
        """End it, whatever its state."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            _of(stream).close()


def _of(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


RunProgram = Callable[..., Program]


@pytest.fixture(scope="session")
def common_daemon() -> Iterator[Daemon]:
    """A daemon for all tests that leave it as it is."""
    daemon = Daemon()
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
def daemon(common_daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """The common daemon, found through the environment."""
    monkeypatch.setenv("LOCKD_SOCKET", common_daemon.socket)
    return common_daemon


@pytest.fixture
def own_daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon that the test may stop and kill, found through the environment."""
    daemon = Daemon()
    try:
        daemon.start()
        monkeypatch.setenv("LOCKD_SOCKET", daemon.socket)
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
def name() -> str:
    """The name of a lock that no other test uses."""
    return f"test/{uuid.uuid4().hex}"


@pytest.fixture
def lock(daemon: Daemon, name: str) -> lockd.Lock:
    """A lock that no other test uses."""
    return lockd.Lock(name)


@pytest.fixture
def run() -> Iterator[RunProgram]:
    """Run programs, and end those that are still there when the test is over."""
    programs: list[Program] = []

    def start(source: str, daemon: Daemon, *arguments: str, **options: tuple[str, ...]) -> Program:
        programs.append(Program(source, daemon, *arguments, **options))
        return programs[-1]

    yield start
    for program in programs:
        program.remove()

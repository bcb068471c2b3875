"""A daemon of its own for every test of lockctl, and the means to talk to both."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from binaries import binary


class Daemon:
    """A running lockd on a private socket."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.socket = directory / "lockd.sock"
        self.process = subprocess.Popen(
            [binary("lockd"), "--socket", self.socket, "--state-dir", directory / "state"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while not self.accepts():
            assert self.process.poll() is None, "lockd has ended"
            assert time.monotonic() < deadline, "lockd does not listen"

    def accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def connect(self) -> Session:
        return Session(self.socket)

    def start(self, *arguments: str, **options: object) -> subprocess.Popen[str]:
        """Starts lockctl with this daemon in its environment."""
        environment = {**os.environ, "LOCKD_SOCKET": str(self.socket)}
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            [binary("lockctl"), *arguments],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def lockctl(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs lockctl to its end."""
        process = self.start(*arguments, **options)
        output, errors = process.communicate(timeout=30)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def wait_until_listed(self, name: str, lines: int) -> list[str]:
        """The lines of SHOW, as soon as there are so many."""
        deadline = time.monotonic() + 20
        with self.connect() as session:
            while True:
                listed = session.ask_lines(f"SHOW {name}")
                if len(listed) == lines:
                    return listed
                assert time.monotonic() < deadline, f"SHOW {name} says {listed}, not {lines} lines"

    def end(self, with_signal: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        self.process.wait(timeout=20)


class Session:
    """A bare session, line by line."""

    def __init__(self, path: pathlib.Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def send(self, *lines: str) -> None:
        self._socket.sendall("".join(line + "\n" for line in lines).encode())

    def receive(self) -> str:
        return self._lines.readline().decode().removesuffix("\n")

    def ask(self, line: str) -> str:
        self.send(line)
        return self.receive()

    def ask_lines(self, line: str) -> list[str]:
        """The lines of one page, without END."""
        lines = [self.ask(line)]
        while not lines[-1].startswith("END"):
            lines.append(self.receive())
        return lines[:-1]


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> Iterator[Daemon]:
    running = Daemon(tmp_path)
    yield running
    running.end()

"""A daemon of its own for every test of lockctl, and lockctl itself."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import pytest
from binaries import binary
from daemon import processes

from .terminal import Shell

# What a test is started with in the background would be ignored by lockctl as well.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


class Daemon(processes.Daemon):
    """A running lockd, and lockctl as its client."""

    def start(
        self,
        *arguments: str,
        stdin: int | None = None,
        user: int | None = None,
        group: int | None = None,
        output: bool = True,
    ) -> subprocess.Popen[str]:
        """Starts lockctl with this daemon in its environment."""
        return subprocess.Popen(
            [binary("lockctl"), *arguments],
            env={**os.environ, "LOCKD_SOCKET": str(self.socket)},
            text=True,
            stdin=stdin,
            stdout=subprocess.PIPE if output else subprocess.DEVNULL,
            stderr=subprocess.PIPE if output else subprocess.DEVNULL,
            user=user,
            group=group,
        )

    def lockctl(
        self,
        *arguments: str,
        stdin: int | None = None,
        user: int | None = None,
        group: int | None = None,
        output: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs lockctl to its end; what else writes to its output has ended, too, unless there is none."""
        process = self.start(*arguments, stdin=stdin, user=user, group=group, output=output)
        written, errors = process.communicate(timeout=30)
        return subprocess.CompletedProcess(process.args, process.returncode, written, errors)

    @staticmethod
    def commands(process: subprocess.Popen[str]) -> str:
        """The numbers of the commands that lockctl has started, and that it waits for."""
        return pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> Iterator[Daemon]:
    running = Daemon(tmp_path)
    with running:
        yield running


@pytest.fixture
def shell(daemon: Daemon) -> Iterator[Shell]:
    shell = Shell(daemon)
    yield shell
    shell.terminal.close(force=True)

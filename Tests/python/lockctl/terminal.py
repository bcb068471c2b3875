"""A shell on a terminal, in which lockctl runs."""

from __future__ import annotations

import os
import pathlib
import sys
import termios
from typing import Any

import pexpect
from binaries import binary
from daemon.processes import Daemon, wait_until

PROMPT = "PROMPT> "


class Shell:
    """An interactive bash on a terminal of its own, in which `lockctl` is ours."""

    def __init__(self, daemon: Daemon) -> None:
        self.directory = daemon.directory
        readline = self.directory / "inputrc"
        readline.write_text("set enable-bracketed-paste off\n")
        environment = {
            "INPUTRC": str(readline),
            "PATH": f"{os.path.abspath(os.path.dirname(binary('lockctl')))}:{os.environ['PATH']}",
            "LOCKD_SOCKET": str(daemon.socket),
            "PS1": PROMPT,
            "TERM": "xterm",
            "HOME": "/nonexistent",
            "LC_ALL": "C.UTF-8",
        }
        self.terminal: Any = pexpect.spawn(
            "bash", ["--norc", "--noprofile", "-i"], env=environment, encoding="utf-8", timeout=30, dimensions=(24, 80)
        )
        self.terminal.delaybeforesend = None
        self.terminal.expect_exact(PROMPT)

    def script(self, text: str) -> str:
        """A line that runs a script in Python."""
        path = self.directory / "script.py"
        path.write_text(text)
        return f"{sys.executable} {path}"

    def send(self, text: str) -> None:
        self.terminal.send(text)

    def expect(self, text: str) -> None:
        self.terminal.expect_exact(text)

    def run(self, line: str) -> str:
        """What a line writes until the next prompt."""
        self.send(line + "\n")
        self.expect("\n")
        self.expect(PROMPT)
        return str(self.terminal.before).replace("\r", "")

    def wait_until_in_front(self, command: str) -> None:
        """Returns when a job with this command has the terminal."""

        def is_in_front() -> bool:
            try:
                return pathlib.Path(f"/proc/{os.tcgetpgrp(self.terminal.child_fd)}/comm").read_text() == f"{command}\n"
            except FileNotFoundError:
                return False

        wait_until(is_in_front, f"{command} has the terminal")

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self.terminal.child_fd)

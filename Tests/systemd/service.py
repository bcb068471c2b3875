"""The daemon, for a program that ends it in every way there is: one that systemd looks after, and one that nobody does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Protocol

from client import FOREVER

#: How long a daemon is let live that is killed before it has done anything, or while it does its first things, in seconds.
_INFANCY = 0.04


class Service(Protocol):
    """What starts the daemon, and sees to it that there is one."""

    #: How the daemon ends, of ten times.
    ways: list[str]
    #: Connections outlive the daemon.
    keeps_connections: bool

    def end(self, way: str, daemon: int, chance: random.Random) -> float:
        """End the daemon, which is that process, and return when that was. Another one comes."""

    def ready_at(self) -> float:
        """When the present daemon said that it is ready, in the seconds of ``time.monotonic``."""


class SystemdService:
    """The unit of the package."""

    ways = ["kill"] * 5 + ["kill twice"] * 2 + ["restart"] * 2 + ["hang"]
    keeps_connections = True
    _unit = "lockd.service"
    _processes = Path(f"/sys/fs/cgroup/system.slice/{_unit}/cgroup.procs")

    def end(self, way: str, daemon: int, chance: random.Random) -> float:
        """End the daemon, which is that process, and return when that was. Another one comes."""
        began = time.monotonic()
        if way == "restart":
            subprocess.run(["systemctl", "restart", self._unit], check=True)
            return began
        if way == "hang":
            # Its watchdog is to notice.
            os.kill(daemon, signal.SIGSTOP)
            self._await_other(daemon)
            return time.monotonic()
        os.kill(daemon, signal.SIGKILL)
        if way == "kill twice":
            second = self._await_other(daemon)
            time.sleep(chance.uniform(0, _INFANCY))
            began = time.monotonic()
            os.kill(second, signal.SIGKILL)
        return began

    def ready_at(self) -> float:
        """When the present daemon said that it is ready, in the seconds of ``time.monotonic``."""
        command = ["systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", self._unit]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1e6

    def _await_other(self, former: int) -> int:
        """The process of the service, as soon as it is another one."""
        deadline = time.monotonic() + FOREVER
        while time.monotonic() < deadline:
            try:
                processes = [int(line) for line in self._processes.read_text().split()]
            except OSError:
                processes = []
            if processes and former not in processes:
                return processes[0]
            time.sleep(0.001)
        raise TimeoutError("systemd does not start the daemon again")


class BareService:
    """A program that is started again at the same path, and of which nothing is kept but its files."""

    ways = ["kill"] * 6 + ["kill twice"] * 2 + ["restart"] * 2
    keeps_connections = False

    def __init__(self, program: str, path: str, directory: Path) -> None:
        self._command = [program, "--socket", path, "--state-dir", str(directory / "state")]
        self._log = directory / "log"
        self._ready_at = 0.0
        self._start()

    def end(self, way: str, daemon: int, chance: random.Random) -> float:
        """End the daemon, which is that process, and return when that was. Another one comes."""
        assert daemon == self._process.pid
        self._stop(signal.SIGTERM if way == "restart" else signal.SIGKILL)
        began = time.monotonic()
        self._start()
        if way == "kill twice":
            time.sleep(chance.uniform(0, _INFANCY))
            self._stop(signal.SIGKILL)
            began = time.monotonic()
            self._start()
        return began

    def ready_at(self) -> float:
        """When the present daemon said that it is ready, in the seconds of ``time.monotonic``."""
        # Nobody is told, so it is whenever it answers.
        return time.monotonic()

    def remove(self) -> str:
        """End the daemon, and return what all of them have logged."""
        self._stop(signal.SIGKILL)
        return self._log.read_text()

    def _start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _stop(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        self._process.wait(FOREVER)

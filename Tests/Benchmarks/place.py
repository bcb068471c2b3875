"""Where daemons start, one after the other."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

from run import RunningServer, Server
from sessions import Session


@dataclasses.dataclass
class Place:
    """A server and the folder with what its daemons leave to the next one."""

    server: Server
    folder: Path
    cpu: int | None

    @contextlib.contextmanager
    def started(self) -> Iterator[tuple[RunningServer, float]]:
        """A daemon, and how many seconds it took from the fork until it had answered."""
        began = time.monotonic()
        with self.server.running(self.folder, self.cpu) as running, contextlib.closing(Session(running.path)) as first:
            first.ask(b"PING\n", b"PONG")
            seconds = time.monotonic() - began
            yield running, seconds

    def log_bytes(self) -> int:
        path = self.folder / f"{self.server.name}.sock.log"
        return path.stat().st_size if path.exists() else 0

"""Starts lockd and gunicorn in a private folder, and stops what it started, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKD = ROOT / ".build/release/lockd"
LOCKCTL = ROOT / ".build/release/lockctl"

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class StartFailed(Exception):
    """A program did not come up. The message holds the end of what it printed."""


def wait_for(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Returns when `condition()` is true; raises `StartFailed` if it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StartFailed(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.01)


@contextlib.contextmanager
def running(command: list[str], *, log: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` in a process group of its own, and ends the whole group on leaving: politely first, then by force."""
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **options
        )  # type: ignore[call-overload]
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def lockd(folder: Path) -> Iterator[Path]:
    """Runs lockd with socket and state in `folder`, and yields the path of the socket when it is answering there."""
    path = folder / "lockd.sock"
    state = folder / "state"
    state.mkdir()
    log = folder / "lockd.log"
    with running([str(LOCKD), "--socket", str(path), "--state-dir", str(state)], log=log) as process:
        wait_until_ready(process, lambda: connects(path), "lockd", log)
        yield path


def connects(path: Path) -> bool:
    """Whether somebody accepts connections at `path`."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], name: str, log: Path) -> None:
    """Returns when `ready()` is true; raises `StartFailed` with the end of the log if the process ends before."""

    def ready_or_ended() -> bool:
        return process.poll() is not None or ready()

    try:
        wait_for(ready_or_ended, f"the start of {name}")
    except StartFailed as error:
        raise StartFailed(f"{error}; it printed:\n{tail(log)}") from None
    if process.returncode is not None:
        raise StartFailed(f"{name} ended with status {process.returncode}; it printed:\n{tail(log)}")


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

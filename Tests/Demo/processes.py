"""Starts lockd and gunicorn in a private folder, and stops what it started, whatever happens."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import stopping

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "Tests/Demo"
EXAMPLE = ROOT / "docs/examples/flask_app_lock"
LOCKD = ROOT / ".build/release/lockd"
LOCKCTL = ROOT / ".build/release/lockctl"

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class Failed(Exception):
    """Something did not happen that should have. The message says what, and what the program printed."""


def wait_for(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Returns when `condition()` is true; raises `Failed` if it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        stopping.check()
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.01)


@contextlib.contextmanager
def running(
    command: list[str], *, log: Path, environment: dict[str, str] | None = None, descriptors: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` in a process group of its own, and ends the group on leaving: politely first, then by force."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            pass_fds=descriptors,
            start_new_session=True,
        )
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
    """Returns when `ready()` is true; raises `Failed` with the end of the log if the process ends before."""

    def ready_or_ended() -> bool:
        return process.poll() is not None or ready()

    try:
        wait_for(ready_or_ended, f"the start of {name}")
    except Failed as error:
        raise Failed(f"{error}; it printed:\n{tail(log)}") from None
    if process.returncode is not None:
        raise Failed(f"{name} ended with status {process.returncode}; it printed:\n{tail(log)}")


def answers(port: int) -> bool:
    """Whether somebody answers a request to the port within a second, whatever the answer is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    return False


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def gunicorn(
    worker_class: str, *, workers: int, application: str, folder: Path, environment: dict[str, str]
) -> Iterator[int]:
    """Runs gunicorn on a loopback port that nobody else has, and yields the port when it answers there."""
    log = folder / f"gunicorn-{worker_class}.log"
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--bind", f"fd://{listener.fileno()}"]
        command += ["--workers", str(workers), "--worker-class", worker_class]
        command += ["--chdir", str(EXAMPLE), "--pythonpath", str(DEMO), application]
        with running(command, log=log, environment=environment, descriptors=[listener.fileno()]) as process:
            port = listener.getsockname()[1]

            def ready() -> bool:
                return log.read_text().count("Booting worker") >= workers and answers(port)

            wait_until_ready(process, ready, "gunicorn", log)
            yield port

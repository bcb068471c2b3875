"""The examples, under a real gunicorn with several workers and real HTTP connections."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from binaries import ROOT
from conftest import PATIENCE, Daemon, wait_until

for needed in ("gunicorn", "gevent", "flask"):
    pytest.importorskip(needed)

WORKER_COUNT = 3
CONNECTION_COUNT = 12
REQUEST_COUNT = 240

EXAMPLES = ROOT / "docs" / "examples"


class Connection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Gunicorn:
    """An example, served by gunicorn."""

    def __init__(self, example: str, daemon: Daemon, directory: Path, *arguments: str) -> None:
        self.counter = directory / "counter"
        self.counter.write_text("0\n")
        self.crash = directory / "crash"
        self._socket = str(directory / "http.sock")
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--no-control-socket", "--bind", f"unix:{self._socket}"),
                    # A worker that is told to end while it starts does not hear it, and is waited for this long.
                    *("--workers", str(WORKER_COUNT), "--threads", "4", "--graceful-timeout", "2"),
                    *(*arguments, "app:app"),
                ],
                cwd=EXAMPLES / example,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "LOCKD_SOCKET": daemon.socket,
                    "COUNTER_FILE": str(self.counter),
                    "CRASH_FILE": str(self.crash),
                },
            )
        wait_until(self._serves, f"an answer of gunicorn; it says {self._log.read_text()}")

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text()

    def get(self, path: str, *headers: tuple[str, str]) -> tuple[int, str]:
        """The status and the body of the answer."""
        with contextlib.closing(Connection(self._socket)) as connection:
            connection.putrequest("GET", path)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return response.status, response.read().decode()

    def load(self, path: str) -> list[tuple[int, str]]:
        """The answers to many requests, over several connections at once, to a counter that begins at 0."""
        self.counter.write_text("0\n")
        with ThreadPoolExecutor(CONNECTION_COUNT) as pool:
            return list(pool.map(self.get, [path] * REQUEST_COUNT))

    def stop(self) -> None:
        """End it and its workers."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()

    def _serves(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"gunicorn ended: {self.log}")
        try:
            return self.get("/unlocked")[0] == http.client.OK
        except OSError:
            return False


@pytest.fixture(scope="module")
def gunicorn(
    request: pytest.FixtureRequest, common_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gunicorn]:
    """The example and the arguments that the test asks for; tests that ask for the same share it."""
    example, *arguments = request.param
    server = Gunicorn(example, common_daemon, tmp_path_factory.mktemp("gunicorn"), *arguments)
    yield server
    server.stop()


def every_kind(example: str) -> list[object]:
    """An example under every kind of worker, with and without --preload."""
    return [
        pytest.param((example, "--worker-class", kind, *preload), id="".join([example, "-", kind, *preload]))
        for kind in ("sync", "gthread", "gevent")
        for preload in ([], ["--preload"])
    ]


APP_LOCK = every_kind("flask_app_lock")
ENVIRON_LOCK = every_kind("gunicorn_environ_lock")


@pytest.mark.parametrize("gunicorn", APP_LOCK + ENVIRON_LOCK, indirect=True)
def test_the_counter_is_exact(common_daemon: Daemon, gunicorn: Gunicorn) -> None:
    answers = gunicorn.load("/locked")
    assert sorted(int(body) for _, body in answers) == list(range(1, REQUEST_COUNT + 1))
    assert int(gunicorn.counter.read_text()) == REQUEST_COUNT
    assert common_daemon.show("counter") == []


@pytest.mark.parametrize("gunicorn", APP_LOCK[:1], indirect=True)
def test_without_the_lock_it_is_not(gunicorn: Gunicorn) -> None:
    """What the test above would find, if the lock did not lock."""
    gunicorn.load("/unlocked")
    assert 0 < int(gunicorn.counter.read_text()) < REQUEST_COUNT


@pytest.mark.parametrize(
    "gunicorn", [*ENVIRON_LOCK, ("gunicorn_environ_lock", "--header-map", "dangerous")], indirect=True
)
@pytest.mark.parametrize(
    "sent",
    [["Flask-Lock"], ["FLASK-LOCK"], ["flask_lock"], ["Flask-Lock", "flask_Lock", "flask-lock", "Flask-Lock"]],
)
def test_a_client_that_sends_the_header_changes_nothing(gunicorn: Gunicorn, sent: list[str]) -> None:
    gunicorn.counter.write_text("0\n")
    assert gunicorn.get("/locked", *((name, "x") for name in sent)) == (http.client.OK, "1")


@pytest.mark.parametrize("gunicorn", APP_LOCK, indirect=True)
def test_a_worker_that_is_killed_while_it_holds_the_lock_hands_it_on(common_daemon: Daemon, gunicorn: Gunicorn) -> None:
    def attempt(path: str) -> bool:
        # A connection that the worker has accepted dies with it.
        with contextlib.suppress(OSError, http.client.HTTPException):
            return gunicorn.get(path)[0] == http.client.OK
        return False

    gunicorn.counter.write_text("0\n")
    with ThreadPoolExecutor(2) as pool:
        hanging = pool.submit(attempt, "/crash-holding")
        wait_until(gunicorn.crash.exists, "a worker that holds the lock")
        pid, token = (int(word) for word in gunicorn.crash.read_text().split())
        (lease,) = common_daemon.show("counter")
        assert f" token={token} " in lease
        assert f" pid={pid} " in lease
        counting = pool.submit(lambda: any(attempt("/locked") for _ in range(100)))
        common_daemon.await_waiters("counter", 1)
        os.kill(pid, signal.SIGKILL)
        assert not hanging.result()
        assert counting.result()
    assert int(gunicorn.counter.read_text()) == 1

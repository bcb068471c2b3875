"""The examples, under a real gunicorn with several workers and real HTTP connections."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from binaries import ROOT
from conftest import Daemon, wait_until
from serving import Gunicorn

for needed in ("gunicorn", "gevent", "flask"):
    pytest.importorskip(needed)

WORKER_COUNT = 3
CONNECTION_COUNT = 12
REQUEST_COUNT = 240

EXAMPLES = ROOT / "docs" / "examples"


class Example(Gunicorn):
    """An example, served by gunicorn."""

    def __init__(self, example: str, daemon: Daemon, directory: Path, *arguments: str) -> None:
        self.counter = directory / "counter"
        self.counter.write_text("0\n")
        self.crash = directory / "crash"
        super().__init__(
            EXAMPLES / example,
            daemon,
            directory,
            *("--workers", str(WORKER_COUNT), "--threads", "4", *arguments),
            environment={"COUNTER_FILE": str(self.counter), "CRASH_FILE": str(self.crash)},
            path="/unlocked",
        )

    def load(self, path: str) -> list[tuple[int, str]]:
        """The answers to many requests, over several connections at once, to a counter that begins at 0."""
        self.counter.write_text("0\n")
        with ThreadPoolExecutor(CONNECTION_COUNT) as pool:
            return list(pool.map(self.get, [path] * REQUEST_COUNT))


@pytest.fixture(scope="module")
def gunicorn(
    request: pytest.FixtureRequest, common_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Example]:
    """The example and the arguments that the test asks for; tests that ask for the same share it."""
    example, *arguments = request.param
    server = Example(example, common_daemon, tmp_path_factory.mktemp("gunicorn"), *arguments)
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
def test_the_counter_is_exact(common_daemon: Daemon, gunicorn: Example) -> None:
    answers = gunicorn.load("/locked")
    assert sorted(int(body) for _, body in answers) == list(range(1, REQUEST_COUNT + 1))
    assert int(gunicorn.counter.read_text()) == REQUEST_COUNT
    assert common_daemon.show("counter") == []


@pytest.mark.parametrize("gunicorn", APP_LOCK[:1], indirect=True)
def test_without_the_lock_it_is_not(gunicorn: Example) -> None:
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
def test_a_client_that_sends_the_header_changes_nothing(gunicorn: Example, sent: list[str]) -> None:
    gunicorn.counter.write_text("0\n")
    assert gunicorn.get("/locked", *((name, "x") for name in sent)) == (http.client.OK, "1")


@pytest.mark.parametrize("gunicorn", APP_LOCK, indirect=True)
def test_a_worker_that_is_killed_while_it_holds_the_lock_hands_it_on(common_daemon: Daemon, gunicorn: Example) -> None:
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

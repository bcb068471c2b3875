"""The examples, under real servers with several workers and real HTTP connections."""

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
from serving import Gunicorn, Server, Uvicorn

for needed in ("gunicorn", "gevent", "flask", "django", "fastapi", "uvicorn"):
    pytest.importorskip(needed)

WORKER_COUNT = 3
CONNECTION_COUNT = 12
REQUEST_COUNT = 240

EXAMPLES = ROOT / "docs" / "examples"


class Example:
    """An example, served by gunicorn, or by uvicorn."""

    def __init__(self, example: str, daemon: Daemon, directory: Path, *arguments: str) -> None:
        self.counter = directory / "counter"
        self.counter.write_text("0\n")
        self.crash = directory / "crash"
        kind: type[Server] = Uvicorn if example == "fastapi_lock" else Gunicorn
        server = kind(
            EXAMPLES / example,
            daemon,
            directory,
            *("--workers", str(WORKER_COUNT), *arguments),
            environment={"COUNTER_FILE": str(self.counter), "CRASH_FILE": str(self.crash)},
            path="/unlocked",
        )
        self.get, self.stop = server.get, server.stop

    def load(self, path: str) -> list[tuple[int, str]]:
        """The answers to many requests, over several connections at once, to a counter that begins at 0."""
        self.counter.write_text("0\n")
        with ThreadPoolExecutor(CONNECTION_COUNT) as pool:
            return list(pool.map(self.get, [path] * REQUEST_COUNT))


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, common_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Example]:
    """The example and the arguments that the test asks for; tests that ask for the same share it."""
    example, *arguments = request.param
    server = Example(example, common_daemon, tmp_path_factory.mktemp("server"), *arguments)
    yield server
    server.stop()


def every_kind(example: str) -> list[object]:
    """An example under every kind of worker, with and without --preload."""
    return [
        pytest.param(
            (example, "--threads", "4", "--worker-class", kind, *preload), id="".join([example, "-", kind, *preload])
        )
        for kind in ("sync", "gthread", "gevent")
        for preload in ([], ["--preload"])
    ]


APP_LOCK = every_kind("flask_app_lock")
ENVIRON_LOCK = every_kind("gunicorn_environ_lock")
DJANGO = every_kind("django_lock")
FASTAPI = [pytest.param(("fastapi_lock",), id="fastapi_lock")]


@pytest.mark.parametrize("server", APP_LOCK + ENVIRON_LOCK + DJANGO + FASTAPI, indirect=True)
def test_the_counter_is_exact(common_daemon: Daemon, server: Example) -> None:
    """benoitc/gunicorn#2251: a lock in an app does not lock across its workers. This one does."""
    answers = server.load("/locked")
    assert sorted(int(body) for _, body in answers) == list(range(1, REQUEST_COUNT + 1))
    assert int(server.counter.read_text()) == REQUEST_COUNT
    assert common_daemon.show("counter") == []


@pytest.mark.parametrize("server", [APP_LOCK[0], DJANGO[0], *FASTAPI], indirect=True)
def test_without_the_lock_it_is_not(server: Example) -> None:
    """What the test above would find, if the lock did not lock."""
    server.load("/unlocked")
    assert 0 < int(server.counter.read_text()) < REQUEST_COUNT


@pytest.mark.parametrize(
    "server", [*ENVIRON_LOCK, ("gunicorn_environ_lock", "--header-map", "dangerous")], indirect=True
)
@pytest.mark.parametrize(
    "sent",
    [["Flask-Lock"], ["FLASK-LOCK"], ["flask_lock"], ["Flask-Lock", "flask_Lock", "flask-lock", "Flask-Lock"]],
)
def test_a_client_that_sends_the_header_changes_nothing(server: Example, sent: list[str]) -> None:
    server.counter.write_text("0\n")
    assert server.get("/locked", *((name, "x") for name in sent)) == (http.client.OK, "1")


@pytest.mark.parametrize("server", APP_LOCK, indirect=True)
def test_a_worker_that_is_killed_while_it_holds_the_lock_hands_it_on(common_daemon: Daemon, server: Example) -> None:
    """HKUDS/LightRAG#3413: it dies in a long call under the lock, and all other workers wait for ever."""

    def attempt(path: str) -> bool:
        # A connection that the worker has accepted dies with it.
        with contextlib.suppress(OSError, http.client.HTTPException):
            return server.get(path)[0] == http.client.OK
        return False

    server.counter.write_text("0\n")
    with ThreadPoolExecutor(2) as pool:
        hanging = pool.submit(attempt, "/crash-holding")
        wait_until(server.crash.exists, "a worker that holds the lock")
        pid, token = (int(word) for word in server.crash.read_text().split())
        (lease,) = common_daemon.show("counter")
        assert f" token={token} " in lease
        assert f" pid={pid} " in lease
        counting = pool.submit(lambda: any(attempt("/locked") for _ in range(100)))
        common_daemon.await_waiters("counter", 1)
        os.kill(pid, signal.SIGKILL)
        assert not hanging.result()
        assert counting.result()
    assert int(server.counter.read_text()) == 1

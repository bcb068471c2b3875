"""The settings for gunicorn, under a real one with several workers."""

from __future__ import annotations

import http.client
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Daemon, wait_until
from serving import Gunicorn

import lockd
import lockd.gunicorn

for needed in ("gunicorn", "gevent"):
    pytest.importorskip(needed)

WORKER_COUNT = 3
REQUEST_COUNT = 60

CONFIGURATION = """
import os
import lockd.gunicorn

def write(what):
    with open("events", "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

if "LOCKS" in os.environ:
    pre_request = lockd.gunicorn.environ_locks(note="made by the worker")
else:
    pre_request = lockd.gunicorn.environ_lock(os.environ["NAME"], header="Its-Lock")

post_worker_init, worker_exit = lockd.gunicorn.run_once(
    os.environ["NAME"] + "/task", lambda: write("start"), lambda: write("stop")
)
"""

APP = """
import os

def app(environ, start_response):
    if "LOCKS" in os.environ:
        lock = environ["HTTP_LOCKD_LOCK"](os.environ["NAME"])
    else:
        lock = environ["HTTP_ITS_LOCK"]
    with lock:
        with open("counter", "r+") as file:
            count = int(file.read()) + 1
            file.seek(0)
            file.write(str(count))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(count).encode()]
"""


class Server(Gunicorn):
    """The app above; ``events`` has what was started and stopped, in which worker."""

    def __init__(self, daemon: Daemon, directory: Path, *arguments: str, **environment: str) -> None:
        self.name = environment["NAME"]
        self.task = f"{self.name}/task"
        self.events_file = directory / "events"
        self._daemon = daemon
        self._counter = directory / "counter"
        self._counter.write_text("0")
        (directory / "gunicorn.conf.py").write_text(CONFIGURATION)
        (directory / "app.py").write_text(APP)
        super().__init__(
            directory,
            daemon,
            directory,
            *("--workers", str(WORKER_COUNT), "--threads", "2", *arguments),
            environment=environment,
        )

    def count(self) -> int:
        """The counter."""
        return int(self._counter.read_text())

    def events(self) -> list[tuple[str, int]]:
        """What was written, in order: ``start`` or ``stop``, and the worker."""
        text = self.events_file.read_text() if self.events_file.exists() else ""
        return [(what, int(pid)) for what, pid in re.findall(r"(\w+) (\d+)\n", text)]

    def candidates(self) -> set[int]:
        """The workers that hold the lease, or wait for it."""
        return {int(line.split(" pid=")[1].split()[0]) for line in self._daemon.show(self.task)}

    def await_candidates(self, but: set[int]) -> int:
        """Return the worker that runs it, when all workers are there and none of ``but`` is."""
        wait_until(
            lambda: len(self.candidates() - but) == WORKER_COUNT and not self.candidates() & but,
            f"{WORKER_COUNT} workers that wait or run",
        )
        wait_until(lambda: self.events()[-1:] == [("start", self._daemon.holder(self.task))], "a worker that runs")
        return self.events()[-1][1]


def one_at_a_time(events: list[tuple[str, int]], killed: int | None = None) -> bool:
    """Whether each was stopped, or had been killed, before the next was started."""
    running: int | None = None
    for what, pid in events:
        if what == "start" and running not in (None, killed):
            return False
        if what == "stop" and running != pid:
            return False
        running = pid if what == "start" else None
    return True


KINDS = [
    pytest.param(("--worker-class", kind, *preload), id="".join([kind, *preload]))
    for kind in ("sync", "gthread", "gevent")
    for preload in ([], ["--preload"])
]


@pytest.fixture
def server(request: pytest.FixtureRequest, daemon: Daemon, tmp_path: Path, name: str) -> Iterator[Server]:
    server = Server(daemon, tmp_path, *request.param, NAME=name)
    yield server
    server.stop()


@pytest.mark.parametrize("server", KINDS, indirect=True)
def test_one_worker_runs_it_and_hands_over(daemon: Daemon, server: Server) -> None:
    """viniciuschiele/flask-apscheduler#13: it starts in each worker, and people bind a port to have it once."""
    first = server.await_candidates(but=set())
    assert server.events() == [("start", first)]

    os.kill(first, signal.SIGKILL)
    second = server.await_candidates(but={first})
    assert server.events() == [("start", first), ("start", second)]

    old = server.candidates()
    server.signal(signal.SIGHUP)
    third = server.await_candidates(but=old)
    assert ("stop", second) in server.events()
    assert one_at_a_time(server.events(), killed=first), server.events()

    server.stop()
    assert ("stop", third) in server.events()
    assert one_at_a_time(server.events(), killed=first), server.events()
    assert daemon.show(server.task) == []
    assert "Traceback" not in server.log


@pytest.mark.parametrize("how", [{}, {"LOCKS": "1"}], ids=["lock", "factory"])
@pytest.mark.parametrize("kind", KINDS[::2])
def test_the_environ_has_a_lock(
    daemon: Daemon, tmp_path: Path, name: str, kind: tuple[str, ...], how: dict[str, str]
) -> None:
    """benoitc/gunicorn#2895: one made by the server, which the app need not make."""
    server = Server(daemon, tmp_path, *kind, "--header-map", "dangerous", NAME=name, **how)
    try:
        before = server.count()
        # What a client says does not pass for the lock.
        header = "Lockd-Lock" if how else "Its-Lock"
        headers = [(header, "x"), (header.lower().replace("-", "_"), "x")]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: server.get("/", *headers), range(REQUEST_COUNT)))
        assert {status for status, _ in answers} == {http.client.OK}
        assert server.count() == before + REQUEST_COUNT
    finally:
        server.stop()


def test_what_a_client_sends_under_its_name_is_dropped(name: str) -> None:
    class Request:
        headers: list[tuple[str, Any]] = [("HOST", "a"), ("FLASK-LOCK", "b"), ("FLASK_LOCK", "c"), ("FLASK-LOCKS", "d")]  # noqa: RUF012

    request = Request()
    lockd.gunicorn.environ_lock(name, note="n")(None, request)
    *others, (key, lock) = request.headers
    assert others == [("HOST", "a"), ("FLASK-LOCKS", "d")]
    assert key == "FLASK-LOCK"
    assert isinstance(lock, lockd.Lock)
    assert lock.names == (name.encode(),)


def test_what_is_wrong_is_said_when_the_file_is_read() -> None:
    with pytest.raises(lockd.LocalProtocolError):
        lockd.gunicorn.environ_lock("")
    with pytest.raises(lockd.LocalProtocolError):
        lockd.gunicorn.run_once("", print)

"""Workers of a real uWSGI, forked after the master has imported the app, and used and kept locks."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Daemon, wait_until
from serving import Uwsgi

import lockd

pytest.importorskip("pyuwsgi")

WORKER_COUNT = 3
REQUEST_COUNT = 60
TTL = 6

# What the master does before it forks is at the top.
APP = """
import gc, os
import lockd

counter_lock = lockd.Lock(os.environ["NAME"])
with counter_lock:
    pass
masters_lock = lockd.Lock(os.environ["NAME"] + "/master", ttl=float(os.environ["TTL"]) or None)
masters_lock.acquire()
masters_lease = masters_lock.lease

def count():
    with counter_lock:
        with open("counter", "r+") as file:
            count = int(file.read()) + 1
            file.seek(0)
            file.write(str(count))
    return count

def attempt():
    lock = lockd.Lock(os.environ["NAME"] + "/tried")
    is_ours = lock.acquire(blocking=False)
    if is_ours:
        lock.release()
    return is_ours

def release():
    try:
        masters_lock.release()
    except lockd.NotHeld:
        return masters_lease.lost, masters_lock.lease

def collect():
    global masters_lock, masters_lease
    masters_lock = masters_lease = None
    gc.collect()
    lockd._process._endpoints.clear()
    gc.collect()

def app(environ, start_response):
    result = {"/": os.getpid, "/count": count, "/try": attempt, "/release": release, "/collect": collect}[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(result).encode()]
"""


@pytest.fixture(params=[0, TTL], ids=["no-ttl", "ttl"])
def ttl(request: pytest.FixtureRequest) -> int:
    """The ttl of what the master holds, if it has one: then a thread of the master renews it."""
    return int(request.param)


@pytest.fixture
def server(daemon: Daemon, tmp_path: Path, name: str, ttl: int) -> Iterator[Uwsgi]:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "counter").write_text("0")
    environment = {"NAME": name, "TTL": str(ttl), "UWSGI_PROCESSES": str(WORKER_COUNT)}
    if ttl:
        # Without this, a worker hangs for ever that is forked while a thread of the master runs.
        environment["UWSGI_PY_CALL_UWSGI_FORK_HOOKS"] = "true"
    server = Uwsgi(tmp_path, daemon, tmp_path, environment=environment)
    yield server
    server.stop()


def load(server: Uwsgi, path: str) -> list[str]:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(server.get, [path] * REQUEST_COUNT))
    assert {status for status, _ in answers} == {http.client.OK}
    return [body for _, body in answers]


def end(server: Uwsgi, number: signal.Signals) -> None:
    """End a worker, and return when it is gone."""
    pid = int(server.get("/")[1])
    os.kill(pid, number)

    def is_gone() -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return False
        return True

    wait_until(is_gone, f"the end of worker {pid}")


def masters_lease(daemon: Daemon, server: Uwsgi, name: str) -> str:
    """The lease that the master has held from the beginning."""
    (line,) = daemon.show(f"{name}/master")
    assert f" pid={server.pid} " in line
    return line.split(" token=")[1].split()[0]


def test_workers_count_without_losing_any(daemon: Daemon, server: Uwsgi, name: str) -> None:
    assert sorted(map(int, load(server, "/count"))) == list(range(1, REQUEST_COUNT + 1))
    assert daemon.show(name) == []
    assert "Traceback" not in server.log


def test_workers_that_try_are_not_held_up(server: Uwsgi, daemon: Daemon, name: str) -> None:
    """unbit/uwsgi#899: a lock that cannot be tried holds up all workers."""
    with lockd.Lock(f"{name}/tried"):
        assert set(load(server, "/try")) == {"False"}
        assert len(daemon.show(f"{name}/tried")) == 1
    # Those that try at the same time are in each other's way, and one is not.
    assert server.get("/try") == (http.client.OK, "True")


def test_no_worker_touches_what_the_master_holds(daemon: Daemon, server: Uwsgi, name: str) -> None:
    before = masters_lease(daemon, server, name)
    assert set(load(server, "/release")) == {"(True, None)"}
    assert masters_lease(daemon, server, name) == before
    # Graceful, with a finalisation of Python; and not.
    for number in (signal.SIGHUP, signal.SIGKILL):
        end(server, number)
        assert masters_lease(daemon, server, name) == before
    load(server, "/collect")
    end(server, signal.SIGHUP)
    assert sorted(map(int, load(server, "/count"))) == list(range(1, REQUEST_COUNT + 1))
    assert masters_lease(daemon, server, name) == before
    assert "Traceback" not in server.log


def test_the_lease_of_the_master_ends_with_it(daemon: Daemon, server: Uwsgi, name: str) -> None:
    masters_lease(daemon, server, name)
    server.stop()
    daemon.await_holder(f"{name}/master", None)


@pytest.mark.parametrize("ttl", [TTL], indirect=True)
def test_the_master_renews_what_it_holds(server: Uwsgi, daemon: Daemon, name: str) -> None:
    def left() -> int:
        (line,) = lockd.Client().show(f"{name}/master")
        assert isinstance(line, lockd.LeaseLine)
        assert line.left is not None
        return line.left

    before = left()
    wait_until(lambda: left() < before, "time passing")
    before = left()
    wait_until(lambda: left() > before, "a renewal")
    masters_lease(daemon, server, name)

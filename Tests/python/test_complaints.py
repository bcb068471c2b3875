"""What people complain of in other locks, tried with the Python library. Each test names a place where somebody does.

More of them are named where something is tried anyway: in test_examples, test_gunicorn, test_uwsgi, test_schedulers, test_gevent, test_loss and test_package.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import textwrap
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import pytest
from conftest import PATIENCE, Daemon, RunProgram, wait_until
from serving import Uvicorn

import lockd

WORKER_COUNT = 3

FASTAPI_APP = """
import contextlib, os
import fastapi, lockd

def write(what):
    with open("events", "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

@contextlib.asynccontextmanager
async def lifespan(app):
    with lockd.run_once_per_host(os.environ["NAME"], lambda: write("start"), lambda: write("stop")):
        yield

app = fastapi.FastAPI(lifespan=lifespan)
app.get("/")(os.getpid)
"""


def test_startup_of_fastapi_runs_once_and_not_once_in_each_worker(daemon: Daemon, name: str, tmp_path: Path) -> None:
    """fastapi/fastapi#4526, fastapi/fastapi#5732: what is to begin once begins in each worker. ascoderu/lokole#1: each mail is sent four times."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    (tmp_path / "app.py").write_text(FASTAPI_APP)
    events = tmp_path / "events"

    def candidates() -> set[int]:
        return {int(line.split(" pid=")[1].split()[0]) for line in daemon.show(name)}

    server = Uvicorn(tmp_path, daemon, tmp_path, "--workers", str(WORKER_COUNT), environment={"NAME": name})
    try:
        wait_until(lambda: len(candidates()) == WORKER_COUNT, "all workers are there")
        wait_until(lambda: events.exists() and events.read_text() != "", "one of them has begun")
        first = daemon.holder(name)
        assert events.read_text() == f"start {first}\n"
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: daemon.holder(name) not in (None, first), "another one has the lease")
        second = daemon.holder(name)
        wait_until(lambda: events.read_text() == f"start {first}\nstart {second}\n", "it has begun")
    finally:
        server.stop()
    wait_until(lambda: daemon.show(name) == [], "all are gone")
    # As they end one by one, one that is there still may have its turn.
    _, *orderly = events.read_text().splitlines()
    begun, ended = orderly[::2], orderly[1::2]
    assert [line.replace("start", "stop") for line in begun] == ended


def hold(lock: lockd.Lock, told: Connection) -> None:
    """Acquire it, and hold it until somebody kills this process."""
    lock.acquire()
    told.send(os.getpid())
    signal.pause()


def add_one(lock: lockd.Lock, path: str) -> None:
    with lock:
        file = Path(path)
        file.write_text(str(int(file.read_text()) + 1))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_survivors_of_a_killed_process_of_multiprocessing_go_on(
    daemon: Daemon, name: str, tmp_path: Path, method: Literal["fork", "spawn", "forkserver"]
) -> None:
    """python/cpython#88304: a lock of multiprocessing is nobody's, so nobody gives it back for the dead.

    birdnet-team/birdnet#73, noxdafox/pebble#163: a worker is killed, as by a kernel without memory, and all others hang.
    """
    counter = tmp_path / "counter"
    counter.write_text("0")
    context: multiprocessing.context.SpawnContext = multiprocessing.get_context(method)  # type: ignore[assignment]
    lock = lockd.Lock(name)
    ours, theirs = context.Pipe()
    holder = context.Process(target=hold, args=(lock, theirs), daemon=True)
    holder.start()
    assert ours.poll(PATIENCE)
    assert ours.recv() == daemon.holder(name)
    survivors = [context.Process(target=add_one, args=(lock, str(counter)), daemon=True) for _ in range(3)]
    for process in survivors:
        process.start()
    daemon.await_waiters(name, 3)
    assert counter.read_text() == "0"
    holder.kill()
    for process in (holder, *survivors):
        process.join(PATIENCE)
    assert [process.exitcode for process in (holder, *survivors)] == [-signal.SIGKILL, 0, 0, 0]
    assert counter.read_text() == "3"


MULTIPROCESSING_UNDER_GEVENT = """
import multiprocessing, os, sys, warnings
import lockd
from gevent import monkey
monkey.patch_all()
import gevent

warnings.simplefilter("ignore", DeprecationWarning)
name, counter = sys.argv[1:]
lock = lockd.Lock(name)

def add():
    for _ in range(20):
        with lock:
            with open(counter, "r+") as file:
                count = int(file.read()) + 1
                file.seek(0)
                file.write(str(count))

ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        gevent.sleep(0)

gevent.spawn(tick)
processes = [multiprocessing.get_context("fork").Process(target=add) for _ in range(3)]
with lock:
    for process in processes:
        process.start()
    while len(lockd.Client().show(name)) < 4:
        gevent.sleep(0)
print(ticks > 0)
add()
while any(process.is_alive() for process in processes):
    gevent.sleep(0)
print([process.exitcode for process in processes])
"""


def test_multiprocessing_under_gevent_neither_hangs_nor_loses_any(
    own_daemon: Daemon, run: RunProgram, name: str, tmp_path: Path
) -> None:
    """gevent/gevent#2017."""
    pytest.importorskip("gevent")
    counter = tmp_path / "counter"
    counter.write_text("0")
    program = run(textwrap.dedent(MULTIPROCESSING_UNDER_GEVENT), own_daemon, name, str(counter))
    assert program.hear() == "True"
    assert program.hear() == "[0, 0, 0]"
    program.finish()
    assert counter.read_text() == "80"

"""A socket whose queue of new connections is full: there is nothing to poll for, so connecting is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Daemon, RunProgram
from looping import run_loop

import lockd
from lockd import _transport, aio

# Counts the attempts that find the queue full. The lock is waited for behind this, and something else runs meanwhile.
PREAMBLE = """
import sys
import lockd
from lockd import _transport

full = []
connect_now = _transport._connect_now

def connect(path):
    try:
        return connect_now(path)
    except BlockingIOError as error:
        full.append(error)
        raise

_transport._connect_now = connect
"""

THREADS = """
import threading, time
acquired = []
lock = lockd.Lock(sys.argv[1], socket=sys.argv[2], connect_timeout=30)
waiting = threading.Thread(target=lambda: acquired.append(lock.acquire()))
waiting.start()
while len(full) < 3:
    time.sleep(0.001)
print("full")
waiting.join()
print(acquired)
"""

GREENLETS = """
from gevent import monkey
monkey.patch_all()
import gevent
lock = lockd.Lock(sys.argv[1], socket=sys.argv[2], connect_timeout=30)
waiting = gevent.spawn(lock.acquire)
while len(full) < 3:
    gevent.sleep(0.001)
print("full")
waiting.join()
print([waiting.value])
"""

TASKS = """
import asyncio
from lockd import aio

async def main():
    lock = aio.Lock(sys.argv[1], socket=sys.argv[2], connect_timeout=30)
    waiting = asyncio.create_task(lock.acquire())
    while len(full) < 3:
        await asyncio.sleep(0.001)
    print("full")
    print([await waiting])

asyncio.run(main())
"""


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """The path of a socket on which nobody accepts, with as many connections as fit into its queue."""
    path = tmp_path / "full.sock"
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as connections:
        listener.bind(str(path))
        listener.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                connection = connections.enter_context(socket.socket(socket.AF_UNIX))
                connection.setblocking(False)
                connection.connect(str(path))
        yield path


@pytest.mark.parametrize("shell", [THREADS, GREENLETS, TASKS], ids=["threads", "greenlets", "tasks"])
def test_who_finds_the_queue_full_tries_again_and_blocks_nobody(
    daemon: Daemon, run: RunProgram, name: str, full: Path, shell: str
) -> None:
    if shell is GREENLETS and importlib.util.find_spec("gevent") is None:
        pytest.skip("there is no gevent")
    program = run(PREAMBLE + shell, daemon, name, str(full))
    assert program.hear() == "full"
    # From now on there is a daemon that accepts under this path.
    link = full.with_name("link")
    link.symlink_to(daemon.socket)
    os.replace(link, full)
    assert program.finish() == "[True]"


def test_a_queue_that_stays_full_is_unavailable_to_threads(full: Path) -> None:
    began = time.monotonic()
    with pytest.raises(lockd.DaemonUnavailable, match="its queue of new connections stays full"):
        lockd.Lock("x", socket=full, connect_timeout=0.2).acquire()
    assert 0.1 < time.monotonic() - began < 10


def test_a_queue_that_stays_full_is_unavailable_to_tasks(full: Path) -> None:
    async def main() -> None:
        began = time.monotonic()
        waiting = asyncio.create_task(aio.Lock("x", socket=full, connect_timeout=0.2).acquire())
        turns = 0
        while not waiting.done():
            turns += 1
            await asyncio.sleep(0)
        with pytest.raises(lockd.DaemonUnavailable, match="its queue of new connections stays full"):
            await waiting
        assert 0.1 < time.monotonic() - began < 10
        assert turns > 10

    run_loop(main())


def test_the_pauses_grow_and_are_bounded(full: Path) -> None:
    connecting = _transport.Connecting(str(full), time.monotonic() + 60)
    pauses = []
    for _ in range(9):
        assert connecting.attempt() is None
        pauses.append(connecting.pause)
    assert pauses == [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05, 0.05]

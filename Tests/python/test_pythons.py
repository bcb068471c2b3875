"""Every Python that the client is for, as far as it is on this machine: a round with threads, and one with tasks."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from binaries import ROOT
from conftest import PATIENCE, Daemon

PYTHONS = [f"3.{minor}" for minor in range(9, 14)]

ROUND = """
import asyncio, sys, threading
import lockd
from lockd import aio

name, count = sys.argv[1], 0

def work():
    global count
    for _ in range(20):
        with lockd.Lock(name, ttl=60):
            before = count
            threading.Event().wait(0)
            count = before + 1

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert count == 80, count

async def work_in_loop(lock):
    global count
    for _ in range(20):
        async with lock:
            before = count
            await asyncio.sleep(0)
            count = before + 1

async def main():
    async with aio.Client() as client:
        lock = aio.Lock(name, client=client)
        await asyncio.gather(*[work_in_loop(lock) for _ in range(4)])
        async with lock:
            assert not await aio.Lock(name, client=client).acquire(timeout=0.01)
            waiting = asyncio.ensure_future(aio.Lock(name).acquire())
            while len(await client.show(name)) < 2:
                pass
            waiting.cancel()
            await asyncio.wait([waiting])
        assert not await lock.locked()

asyncio.run(main())
assert count == 160, count

import lockd.asgi, lockd.compat, lockd.gunicorn, lockd.wsgi
print("%d.%d" % sys.version_info[:2])
"""


def find(version: str) -> str | None:
    """A Python of this version: one on the path that runs, or one of pyenv's."""
    on_path = shutil.which(f"python{version}")
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    of_pyenv = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    for candidate in [*filter(None, [on_path]), *map(str, of_pyenv)]:
        if subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    return None


@pytest.mark.parametrize("version", PYTHONS)
def test_a_round_of_threads_and_tasks(daemon: Daemon, name: str, version: str) -> None:
    python = find(version)
    if python is None:
        pytest.skip(f"there is no python{version}")
    ran = subprocess.run(
        [python, "-W", "error", "-B", "-c", ROUND, name],
        env={**os.environ, "PYTHONPATH": str(ROOT / "Sources" / "python" / "src"), "LOCKD_SOCKET": daemon.socket},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{version}\n", "")
    assert daemon.show(name) == []

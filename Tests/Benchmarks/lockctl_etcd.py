"""A server of etcd for lockctl.py: one member, with its data in memory, on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import run
from run import BenchmarkError

PAUSE_SECONDS = 0.05
#: What etcdctl finds the server by.
ENDPOINTS = "ETCDCTL_ENDPOINTS"


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def running(folder: Path, cpu: int | None) -> Iterator[dict[str, str]]:
    """What a process finds the server by in its environment; nothing if etcd is not installed."""
    if shutil.which("etcd") is None or shutil.which("etcdctl") is None:
        yield {}
        return
    client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    command = ["etcd", "--data-dir", str(folder / "etcd")]
    command += ["--listen-client-urls", client, "--advertise-client-urls", client]
    command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    command += ["--initial-cluster", f"default={peer}"]
    log_path = folder / "etcd.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=run.pinning(cpu))
    try:
        # Versions before 3.4 speak an older protocol without that.
        environment = {"ETCDCTL_API": "3", ENDPOINTS: client}
        wait_until_healthy(process, environment, log_path)
        yield environment
    finally:
        run.stop(process)


@contextlib.contextmanager
def held(environment: Mapping[str, str], name: str) -> Iterator[None]:
    """Has a lock of etcd while it lasts."""
    with subprocess.Popen(["etcdctl", "lock", name], stdout=subprocess.PIPE, env=environment) as holder:
        # It says under which key, as soon as it has the lock.
        if holder.stdout is None or not holder.stdout.readline():
            raise BenchmarkError("etcdctl does not get the lock")
        try:
            yield
        finally:
            holder.send_signal(signal.SIGINT)


def waiting(environment: Mapping[str, str], name: str) -> int:
    """How many wait for a lock of etcd that somebody has: each has a key."""
    ask = ["etcdctl", "get", f"{name}/", "--prefix", "--keys-only"]
    completed = subprocess.run(ask, check=False, capture_output=True, text=True, env=environment)
    if completed.returncode != 0:
        raise run.failure("etcdctl get", completed.returncode, completed.stderr)
    return sum(bool(line.strip()) for line in completed.stdout.splitlines()) - 1


def wait_until_healthy(process: subprocess.Popen[bytes], environment: dict[str, str], log: Path) -> None:
    deadline = time.monotonic() + run.START_SECONDS
    ask = ["etcdctl", "endpoint", "health"]
    while subprocess.run(ask, check=False, capture_output=True, env={**os.environ, **environment}).returncode != 0:
        if process.poll() is not None:
            raise run.failure("etcd", process.returncode, log.read_text(errors="replace"))
        if time.monotonic() > deadline:
            raise BenchmarkError(f"etcd does not answer:\n{log.read_text(errors='replace')}")
        time.sleep(PAUSE_SECONDS)

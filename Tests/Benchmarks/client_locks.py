"""The locks that clients.py compares, each by a name, as a program would use it. What is missing here is told apart.

A place is a folder with the sockets of the servers, and with files to lock.
"""

from __future__ import annotations

import fcntl
import importlib
import importlib.util
import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Protocol

#: What a place has, if it is there.
LOCKD, REDIS, POSTGRES = "lockd.sock", "redis.sock", "postgres"
#: The port that is part of the name of PostgreSQL's socket.
POSTGRES_PORT = 5432
READ_BYTES = 16384


class Mutex(Protocol):
    """What every candidate is used by."""

    def acquire(self) -> object: ...

    def release(self) -> object: ...


class RawSocket:
    """The lines of the protocol on a plain socket: what the fastest client in Python would need."""

    def __init__(self, place: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(place / LOCKD))
        self._ask(b"HELLO v=1\n", b"WELCOME ")

    def acquire(self) -> None:
        self._ask(b"ACQUIRE raw wait=forever\n", b"GRANTED ")

    def release(self) -> None:
        self._ask(b"RELEASE raw\n", b"RELEASED ")

    def _ask(self, line: bytes, beginning: bytes) -> None:
        self._socket.sendall(line)
        reply = self._socket.recv(READ_BYTES)
        if not reply.startswith(beginning):
            raise SystemExit(f"wrong reply: {reply!r}")


class Flock:
    def __init__(self, place: Path) -> None:
        self._file = os.open(place / "flock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


class AdvisoryLock:
    """A lock of a session of PostgreSQL."""

    def __init__(self, place: Path) -> None:
        psycopg = _module("psycopg")
        address = f"host={place / POSTGRES} port={POSTGRES_PORT} user=postgres dbname=postgres"
        self._cursor = psycopg.connect(address, autocommit=True).cursor()

    def acquire(self) -> None:
        self._cursor.execute("SELECT pg_advisory_lock(1)")

    def release(self) -> None:
        self._cursor.execute("SELECT pg_advisory_unlock(1)")


def _module(name: str) -> ModuleType:
    """A module that need not be there to check this file, and that only the program that uses it is to load."""
    return importlib.import_module(name)


def _lockd(place: Path) -> Mutex:
    lock: Mutex = _module("lockd").Lock("bench", socket=place / LOCKD)
    return lock


def _redis(place: Path, **options: float) -> Mutex:
    lock: Mutex = _module("redis").Redis(unix_socket_path=str(place / REDIS)).lock("bench", timeout=60, **options)
    return lock


def _filelock(place: Path, **options: float) -> Mutex:
    lock: Mutex = _module("filelock").FileLock(place / "filelock", **options)
    return lock


def _portalocker(place: Path, **options: float) -> Mutex:
    lock: Mutex = _module("portalocker").Lock(place / "portalocker", timeout=60, **options)
    return lock


#: What makes a lock of a place, in the process that uses it. Of multiprocessing there is one for all processes.
MAKERS: dict[str, Callable[[Path], Mutex]] = {
    "raw socket": RawSocket,
    "lockd.Lock": _lockd,
    "fcntl.flock": Flock,
    "multiprocessing.Lock": lambda place: multiprocessing.Lock(),
    "filelock": _filelock,
    "filelock, 1 ms": lambda place: _filelock(place, poll_interval=0.001),
    "portalocker": _portalocker,
    "portalocker, 1 ms": lambda place: _portalocker(place, check_interval=0.001),
    "redis-py": _redis,
    "redis-py, 1 ms": lambda place: _redis(place, sleep=0.001),
    "psycopg": AdvisoryLock,
}

#: The module that a lock needs, and what has to be at its place.
NEEDS: dict[str, tuple[str, str]] = {
    "filelock": ("filelock", ""),
    "portalocker": ("portalocker", ""),
    "redis-py": ("redis", REDIS),
    "psycopg": ("psycopg", POSTGRES),
}


def missing(name: str, place: Path) -> str:
    """What there is not of what a lock needs; nothing if all is there."""
    module, server = NEEDS.get(name.partition(",")[0], ("", ""))
    if module and importlib.util.find_spec(module) is None:
        return f"no module {module}"
    if server and not (place / server).exists():
        return f"no server of {server.removesuffix('.sock')}"
    return ""

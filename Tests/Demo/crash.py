"""Kills the process that holds a lease while others wait for it, and measures when each of those gets it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from processes import wait_for

LOCK = "counter"
ANSWER_SECONDS = 20.0
#: With gevent a worker takes every connection that it can, so some waiting requests are in the process that is killed.
ATTEMPTS = 100


@dataclass(frozen=True)
class Outcome:
    """What became of those that waited in other processes than the holder's."""

    #: How many there were.
    waiters: int
    #: Milliseconds from SIGKILL to the grant, of those that were answered, in the order of their grants.
    delays_ms: list[float]
    #: Whether they were granted in the order in which they queued.
    in_order: bool


def kill_holder(path: Path, port: int, *, waiters: int, when_contended: Callable[[], None]) -> Outcome:
    """Lets a worker hold the lease and `waiters` requests in other workers wait for it, and kills that worker.

    Calls `when_contended` before the kill.
    """
    with contextlib.closing(Requests(port)) as requests:
        requests.send("/hold")
        wait_for(lambda: bool(holders(path)), "the grant to the first worker")
        (holder,) = holders(path)
        for _ in range(ATTEMPTS):
            if len(waiting(path, except_for=holder)) == waiters:
                break
            queue_next(path, requests)
        expected = waiting(path, except_for=holder)
        when_contended()
        killed = time.monotonic_ns()
        os.kill(holder, signal.SIGKILL)
        answers = requests.answers()
    granted = sorted((answer["granted"], answer["process"]) for answer in answers)
    return Outcome(
        waiters=len(expected),
        delays_ms=[(instant - killed) / 1e6 for instant, _ in granted],
        in_order=[process for _, process in granted] == expected,
    )


def queue_next(path: Path, requests: Requests) -> None:
    """Sends a request that has to wait, and returns when it does."""
    queued = len(queue(path))
    requests.send("/next")
    wait_for(lambda: len(queue(path)) > queued, "the queueing of a request")


class Requests:
    """Requests that are sent now and answered later, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connections: list[http.client.HTTPConnection] = []

    def send(self, path: str) -> None:
        """Sends `GET path` on a new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        self._connections.append(connection)
        connection.request("GET", path)

    def answers(self) -> list[dict[str, int]]:
        """The answers to all requests, except for those whose worker has died."""
        found = []
        for connection in self._connections:
            with contextlib.suppress(OSError, http.client.HTTPException):
                response = connection.getresponse()
                if response.status == 200:
                    found.append(json.load(response))
        return found

    def close(self) -> None:
        """Closes all connections."""
        for connection in self._connections:
            connection.close()


def show(path: Path) -> list[dict[str, str]]:
    """What lockd says of the lock: a line each for the lease and the waiters, in the order of the queue."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(f"SHOW {LOCK}\nQUIT\n".encode())
        with connection.makefile() as replies:
            lines = [line.split() for line in replies if line.startswith(("LEASE", "WAITER"))]
    return [{"kind": kind, **dict(word.split("=", 1) for word in words)} for kind, _, *words in lines]


def holders(path: Path) -> list[int]:
    """The process that holds the lease, if one does."""
    return [int(line["pid"]) for line in show(path) if line["kind"] == "LEASE"]


def queue(path: Path) -> list[int]:
    """The processes that wait, in the order of the queue."""
    return [int(line["pid"]) for line in show(path) if line["kind"] == "WAITER"]


def waiting(path: Path, *, except_for: int) -> list[int]:
    """The processes that wait, except for one, in the order of the queue."""
    return [process for process in queue(path) if process != except_for]

"""Kills the process that holds a lease while others wait for it, and measures when each of those gets it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from processes import Failed, wait_for

import lockd

ANSWER_SECONDS = 10.0
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
    queue = Queue(path)
    with contextlib.closing(Requests(port)) as requests:
        requests.send("/crash-holding")
        wait_for(lambda: queue.holder() is not None, "the grant to the first worker")
        holder = queue.holder()
        if holder is None:
            raise Failed("the first worker gave up its lease")
        expected = fill(queue, requests, waiters, besides=holder)
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


def fill(queue: Queue, requests: Requests, count: int, *, besides: int) -> list[int | None]:
    """Sends requests until `count` of them wait outside of the process `besides`; those processes, in order."""
    for _ in range(ATTEMPTS):
        others = [process for process in queue.waiters() if process != besides]
        if len(others) == count:
            return others
        queue_one(queue, requests)
    raise Failed(f"of {ATTEMPTS} requests fewer than {count} went to other workers than the holder")


def queue_one(queue: Queue, requests: Requests) -> None:
    """Sends a request that has to wait, and returns when it does."""
    before = len(queue.waiters())
    requests.send("/next")
    wait_for(lambda: len(queue.waiters()) > before, "the queueing of a request")


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


class Queue:
    """Who holds and who waits, as the daemon says it. The application has one lock, so there is nothing else."""

    def __init__(self, path: Path) -> None:
        self._client = lockd.Client(socket=path)

    def holder(self) -> int | None:
        """The process that holds the lease, if one does."""
        return next((line.pid for line in self._client.list() if isinstance(line, lockd.LeaseLine)), None)

    def waiters(self) -> list[int | None]:
        """The processes that wait, in the order of the queue."""
        return [line.pid for line in self._client.list() if isinstance(line, lockd.WaiterLine)]

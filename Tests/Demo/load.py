"""HTTP load: so many requests over so many connections at a time, every answer counted."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import stopping

ANSWER_SECONDS = 10.0


@dataclass
class Load:
    """What came of a number of requests."""

    requests: int
    seconds: float = 0.0
    #: How many answers had status 200.
    answered: int = 0
    #: How many requests ended otherwise, by what happened.
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def requests_per_second(self) -> float:
        """How many requests were answered a second."""
        return self.answered / self.seconds


def drive(port: int, path: str, *, requests: int, connections: int) -> Load:
    """Sends `requests` times `GET path`, over `connections` connections at a time, and counts the answers.

    A connection is kept as long as the server keeps it; gunicorn's sync workers close it behind every answer. No request
    is sent twice.
    """
    load = Load(requests)
    left = iter(range(requests))
    lock = threading.Lock()

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        while not stopping.requested():
            with lock:
                if next(left, None) is None:
                    break
            outcome = get(connection, path)
            with lock:
                if outcome == "200":
                    load.answered += 1
                else:
                    load.failures[outcome] += 1
        connection.close()

    threads = [threading.Thread(target=send, daemon=True) for _ in range(connections)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stopping.check()
    load.seconds = time.monotonic() - started
    return load


def get(connection: http.client.HTTPConnection, path: str) -> str:
    """Sends one request, and returns the status of the answer, or what happened instead."""
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__
    return str(response.status)

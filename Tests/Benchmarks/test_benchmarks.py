"""The benchmarks themselves: they run, and a wrong reply does not pass as a fast one. No speed is judged here.

They need the release builds of the daemon and of the benchmarks. `make bench` makes both and runs these tests before it measures;
`make test` does not build the benchmarks, and runs only test_run.py.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent
LOADGEN = BENCHMARKS / ".build" / "release" / "loadgen"

# Answers a line of the client with a number: pairs of a client's number and what is sent to that client.
Rule = Callable[[int, str], "list[tuple[int, str]]"]


@contextlib.contextmanager
def wrong_server(folder: Path, rule: Rule) -> Iterator[Path]:
    """A server that answers by `rule`, to see what the load generator makes of it."""
    path = folder / "wrong.sock"
    selector = selectors.DefaultSelector()
    clients: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        end_reader, end_writer = socket.socketpair()
        selector.register(listener, selectors.EVENT_READ)
        selector.register(end_reader, selectors.EVENT_READ)

        def serve() -> None:
            while True:
                for key, _ in selector.select():
                    if key.fileobj is end_reader:
                        return
                    if key.fileobj is listener:
                        clients.append(listener.accept()[0])
                        selector.register(clients[-1], selectors.EVENT_READ, data=len(clients) - 1)
                        continue
                    client = clients[key.data]
                    # The requests of these tests are so short that a read ends with a line.
                    received = ""
                    with contextlib.suppress(ConnectionResetError):
                        received = client.recv(65536).decode()
                    if not received:
                        selector.unregister(client)
                    for line in received.splitlines():
                        for number, text in rule(key.data, line):
                            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                                clients[number].sendall(text.encode())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            end_writer.close()
            thread.join()
            for one in (end_reader, *clients):
                one.close()


def loadgen(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LOADGEN, path, "--requests", "20", "--warm-up", "0", "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def answers(acquire: str, release: str) -> Rule:
    return lambda client, line: [(client, acquire if "ACQUIRE" in line else release)]


GRANTED = "GRANTED lock-0-0 token=17\n"
RELEASED = "RELEASED lock-0-0 token=17\n"


def test_right_replies_pass(tmp_path: Path) -> None:
    with wrong_server(tmp_path, answers(GRANTED, RELEASED)) as path:
        completed = loadgen(path, "--connections", "1", "--untagged")
    assert completed.returncode == 0, completed.stderr
    figures = json.loads(completed.stdout)
    assert figures["wrong_replies"] == 0
    assert figures["operations"] >= 20
    assert 0 < figures["latency"]["p50"] <= figures["latency"]["p99"] <= figures["latency"]["max"]


@pytest.mark.parametrize(
    ("acquire", "release"),
    [
        ("BUSY lock-0-0 waiters=0\n", RELEASED),
        ("GRANTED lock-0-1 token=17\n", RELEASED),
        ("GRANTED lock-0-0 token=\n", RELEASED),
        ("GRANTED lock-0-0 token=seventeen\n", RELEASED),
        (GRANTED, "RELEASED lock-0-0 token=18\n"),
        (GRANTED, "NOTHELD lock-0-0\n"),
        (GRANTED + GRANTED, RELEASED),
    ],
)
def test_wrong_reply_is_counted_and_fails(tmp_path: Path, acquire: str, release: str) -> None:
    with wrong_server(tmp_path, answers(acquire, release)) as path:
        completed = loadgen(path, "--connections", "1", "--untagged")
    assert completed.returncode == 1
    assert "wrong reply" in completed.stderr
    assert json.loads(completed.stdout)["wrong_replies"] > 0


def test_reply_under_another_tag_fails(tmp_path: Path) -> None:
    with wrong_server(tmp_path, answers(f"#1 {GRANTED}", f"#0 {RELEASED}")) as path:
        completed = loadgen(path, "--connections", "1")
    assert completed.returncode == 1
    assert "wrong reply" in completed.stderr


def test_redis_lock_that_is_not_free_fails(tmp_path: Path) -> None:
    def rule(client: int, line: str) -> list[tuple[int, str]]:
        return {"SET": [(client, "$-1\r\n")], "DEL": [(client, ":0\r\n")]}.get(line, [])

    with wrong_server(tmp_path, rule) as path:
        completed = loadgen(path, "--connections", "1", "--protocol", "redis")
    assert completed.returncode == 1
    assert 'wrong reply: "$-1' in completed.stderr


class LastInFirstOut:
    """A lock whose newest waiter is the next to be granted."""

    def __init__(self) -> None:
        self.token = 0
        self.name = ""
        self.holder: int | None = None
        self.waiters: list[int] = []

    def grant(self, client: int) -> tuple[int, str]:
        self.token += 1
        self.holder = client
        return client, f"#a GRANTED {self.name} token={self.token}\n"

    def __call__(self, client: int, line: str) -> list[tuple[int, str]]:
        if line == "#p PING":
            return [(client, "#p PONG\n")]
        if line.startswith("#a ACQUIRE "):
            self.name = line.removeprefix("#a ACQUIRE ")
            if self.holder is None:
                return [self.grant(client)]
            self.waiters.append(client)
            return []
        return [(client, f"#r RELEASED {self.name} token={self.token}\n"), self.grant(self.waiters.pop())]


def test_unfair_hand_over_fails(tmp_path: Path) -> None:
    with wrong_server(tmp_path, LastInFirstOut()) as path:
        completed = loadgen(path, "--connections", "3", "--contended")
    assert completed.returncode == 1
    assert "wrong order: connection 2 was granted the lock before connection 1" in completed.stderr


def test_token_that_does_not_rise_fails(tmp_path: Path) -> None:
    class SameToken(LastInFirstOut):
        def grant(self, client: int) -> tuple[int, str]:
            self.token = 0
            return super().grant(client)

    with wrong_server(tmp_path, SameToken()) as path:
        completed = loadgen(path, "--connections", "2", "--contended")
    assert completed.returncode == 1
    assert "with N larger than 1" in completed.stderr


def test_every_server_answers_right(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    completed = subprocess.run(
        [sys.executable, BENCHMARKS / "run.py", "--quick", "--json", report],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    results = json.loads(report.read_text())["results"]
    assert {"limit", "lockd"} <= {result["server"] for result in results}
    assert {"3x5 untagged", "3 for one lock"} <= {result["shape"] for result in results if result["server"] == "lockd"}
    assert all(result["operations_per_second"] > 0 for result in results)

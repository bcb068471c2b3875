"""Connections that send lines and read lines, and how long that takes: what scale.py asks a server with."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from run import BenchmarkError, RunningServer

Item = TypeVar("Item")

# How long a reply may take before the benchmark gives up.
PATIENCE_SECONDS = 60
READ_BYTES = 1 << 18
# So few requests in one write that neither side ever waits for the other to read.
BATCH = 200
WARM_UP = 3


class Session:
    """One connection. Replies are checked: one that was not expected ends the benchmark."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        # Not settimeout(): with that Python would wait in arrived() too.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", PATIENCE_SECONDS, 0))
        self._socket.connect(str(path))
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self.reports = 0

    def send(self, text: bytes) -> None:
        self._socket.sendall(text)

    def line(self) -> bytes:
        """The next line, without its end."""
        while not self._lines:
            try:
                received = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                raise BenchmarkError(f"no reply within {PATIENCE_SECONDS} seconds") from None
            if not received:
                raise BenchmarkError("the server has closed a connection")
            *lines, self._rest = (self._rest + received).split(b"\n")
            self._lines.extend(lines)
        return self._lines.popleft().removesuffix(b"\r")

    def expect(self, beginning: bytes) -> bytes:
        """The next line, which has to begin so. What says how a wait goes is counted and passed over."""
        line = self.line()
        while b" QUEUED " in line:
            self.reports += 1
            line = self.line()
        if not line.startswith(beginning):
            raise BenchmarkError(f"wrong reply: {line!r}, not {beginning!r}")
        return line

    def ask(self, request: bytes, beginning: bytes) -> bytes:
        """Sends one line and waits for its reply."""
        self._socket.sendall(request)
        return self.expect(beginning)

    def ask_all(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Sends many lines, in batches. A pair is a line and how its reply has to begin."""
        for batch in batches(pairs):
            self.send(b"".join(request for request, _ in batch))
            for _, beginning in batch:
                self.expect(beginning)

    def wait_for_all(self, requests: Iterable[bytes]) -> None:
        """Sends many lines that are to wait, and returns when the server has read them."""
        for batch in batches(requests):
            self.send(b"".join(batch))
            self.ask(b"PING\n", b"PONG")

    def arrived(self) -> bytes:
        """What has arrived behind the last line, without waiting for more."""
        try:
            return self._socket.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def figures(self) -> dict[str, int]:
        """The numbers of STATS."""
        self.send(b"STATS\n")
        figures = {}
        while (line := self.line()) != b"END":
            key, _, value = line.decode().removeprefix("STAT ").partition("=")
            if value.isdigit():
                figures[key] = int(value)
        return figures

    def close(self) -> None:
        self._socket.close()


def token(line: bytes) -> bytes:
    """The ` token=N` of a reply."""
    found, word, rest = line.partition(b" token=")
    if not word:
        raise BenchmarkError(f"wrong reply: {found!r} has no token")
    return word + rest.partition(b" ")[0]


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class Queueing:
    """How long the threads of the server and of this program were ready to run while their CPU ran another.

    On a busy machine that is most of a worst latency, and no fault of the server.
    """

    def __init__(self, running: RunningServer) -> None:
        tasks = [f"/proc/{running.process.pid}/task", "/proc/self/task"]
        self._files = [os.open(path, os.O_RDONLY) for task in tasks for path in Path(task).glob("*/schedstat")]
        self._last = dict.fromkeys(self._files, 0)

    def nanoseconds(self) -> int:
        for file in self._files:
            # A thread that has ended waits no more.
            with contextlib.suppress(ProcessLookupError):
                self._last[file] = int(os.pread(file, 100, 0).split()[1])
        return sum(self._last.values())

    def close(self) -> None:
        for file in self._files:
            os.close(file)


class Latencies:
    """How long the same operation took, again and again."""

    def __init__(self, running: RunningServer) -> None:
        self._queueing = Queueing(running)
        self._taken: list[int] = []
        self._least: list[int] = []

    def __len__(self) -> int:
        return len(self._taken)

    def add(self, operation: Callable[[], int]) -> None:
        """Does it once more. It says itself how many nanoseconds the reply took."""
        before = self._queueing.nanoseconds()
        taken = operation()
        self._taken.append(taken)
        self._least.append(taken - (self._queueing.nanoseconds() - before))

    def close(self) -> None:
        self._queueing.close()

    def figures(self) -> dict[str, float]:
        """The figures of a table, in microseconds."""
        ordered = sorted(self._taken)
        return {
            "p50 us": statistics.median(ordered) / 1000,
            "p99 us": ordered[len(ordered) * 99 // 100] / 1000,
            "worst us": ordered[-1] / 1000,
            "worst own us": max(self._least) / 1000,
            "times": len(ordered),
        }


def timed(running: RunningServer, operation: Callable[[], int], seconds: float) -> dict[str, float]:
    """Does something again and again for so long."""
    for _ in range(WARM_UP):
        operation()
    with contextlib.closing(Latencies(running)) as latencies:
        before = running.cpu_nanoseconds()
        end = time.monotonic() + seconds
        while not len(latencies) or time.monotonic() < end:
            latencies.add(operation)
        running.check_alive()
        cpu = running.cpu_nanoseconds() - before
        return {**latencies.figures(), "CPU us": cpu / len(latencies) / 1000}


def round_trips(session: Session, *pairs: tuple[bytes, bytes]) -> Callable[[], int]:
    """Lines that are sent one after the other, each when the reply to the one before is there."""

    def operation() -> int:
        start = time.perf_counter_ns()
        for request, beginning in pairs:
            session.ask(request, beginning)
        return time.perf_counter_ns() - start

    return operation

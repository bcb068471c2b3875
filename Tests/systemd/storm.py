"""Kills the daemon over and over while a crowd of clients uses it, and says what of its promises was broken.

storm.py SOCKET CRASHES SEED runs in the box; with a PROGRAM behind that it runs anywhere, and starts that as the daemon. Prints an object of JSON.
"""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from client import FOREVER, PATIENCE
from service import BareService, Service, SystemdService
from witness import account, contradictions

HERE = Path(__file__).resolve().parent


class Report(TypedDict):
    """What a member of the crowd has to tell in the end."""

    broken: list[str]
    counts: dict[str, int]
    late: list[tuple[float, float]]
    seen: list[int]


class Member:
    """A process of the crowd, as those see it who started it."""

    def __init__(self, command: list[str]) -> None:
        self.what = " ".join(command[-3:])
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def await_ready(self) -> list[str]:
        """Return when it has what it needs; says what stands in the way if it never will."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return [] if line == "ready\n" else [f"{self.what} has not begun: {line}"]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def finish(self, listing: Callable[[], list[str]]) -> Report:
        """Let it come to its end, and return what it has to tell; and what the daemon lists, if it does not."""
        try:
            output, _ = self._process.communicate(timeout=1.5 * FOREVER)
            report: Report = json.loads(output.splitlines()[-1])
        except (subprocess.TimeoutExpired, IndexError, ValueError) as problem:
            broken = [f"{self.what} ({self._process.pid}) has not come to an end: {problem!r}", *listing()]
            self.kill()
            return {"broken": broken, "counts": {}, "late": [], "seen": []}
        return report

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


class Storm:
    """A crowd and what befalls it."""

    def __init__(self, path: str, seed: int, service: Service) -> None:
        self._path = path
        self._service = service
        # Only who resumes goes on where nobody keeps connections.
        self._kinds = ["bare", "resumable"] if service.keeps_connections else ["resumable"]
        self._random = random.Random(seed)
        self._directory = Path(tempfile.mkdtemp(prefix="crowd-"))
        self._daemon = 0
        self._ready: list[float] = []
        self.broken: list[str] = []
        self.counts: dict[str, dict[str, int]] = {}
        #: In milliseconds, by the way of the crash.
        self.blackouts: dict[str, list[float]] = {}
        self._workers: list[Member] = []
        self._newcomers: list[Member] = []
        self._others: dict[str, list[Member]] = {}
        self._seen: set[int] = set()

    # The crowd

    def gather(self) -> None:
        """Start everybody, and return when all have what they need."""
        self._daemon, _ = self._first_answer(0)
        if self._service.keeps_connections:
            self._others["watches"] = [self._start("watch", "exclusive/")]
            self._others["asks once"] = [self._start("ask-once", "once")]
            self._others["binds"] = [self._start("bind", f"bound/{number}") for number in range(2)]
            self._others["does not read"] = [self._start("leave-unread", "unread")]
            self._others["is a shell script"] = [self._start_plain() for _ in range(2)]
        for kind in self._kinds:
            self._others[f"queues, {kind}"] = [self._start("queue", f"queue/{kind}", kind)]
            for state in ("awake", "stopped"):
                name = f"seat/{kind}-{state}"
                line = [self._start("sit", name, kind if place == 0 else f"{kind}-waits") for place in range(3)]
                if state == "stopped":
                    line[0].send(signal.SIGSTOP)
                self._others[f"sits {state}, {kind}"] = line
        for number in range(6):
            self._workers.append(self._start("work", self._kinds[number % len(self._kinds)]))

    def _start(self, *arguments: str, wait: bool = True) -> Member:
        member = Member(
            [sys.executable, "-S", "-E", str(HERE / "crowd.py"), self._path, str(self._directory), *arguments]
        )
        if wait:
            self.broken += member.await_ready()
        return member

    def _start_plain(self) -> Member:
        member = Member([str(HERE / "plain.sh"), self._path, str(self._directory)])
        self.broken += member.await_ready()
        return member

    def disperse(self) -> None:
        """Let everybody come to an end, and see whether all is as it should be."""
        for member in self._newcomers:
            self.broken += member.await_ready()
        self._finish("works", self._workers + self._newcomers)
        watchers = self._others.pop("watches", [])
        for role, members in self._others.items():
            for member in members:
                member.send(signal.SIGCONT)
            self._finish(role, members)
        self._finish("watches", watchers)
        tokens = account(self._directory)
        self.broken += contradictions(tokens)
        # Those of members that were killed included.
        self.counts["witnessed"] = {"grants": sum(len(its) for its in tokens.values())}
        granted = {token for name, its in tokens.items() if name.startswith("exclusive_") for token in its}
        if watchers and (missed := granted - self._seen):
            self.broken.append(f"the watcher was not told of {len(missed)} grants, among them token {min(missed)}")

    def kill(self) -> None:
        """End whoever is there still."""
        for member in (*self._workers, *self._newcomers, *(one for some in self._others.values() for one in some)):
            member.kill()

    def _finish(self, role: str, members: list[Member]) -> None:
        for member in members:
            report = member.finish(self._listing)
            self.broken += report["broken"]
            self.broken += [f"{member.what}: {problem}" for problem in self._unanswered(report["late"])]
            self._seen.update(report["seen"])
            counts = self.counts.setdefault(role, {})
            for what, number in report["counts"].items():
                counts[what] = counts.get(what, 0) + number

    def _listing(self) -> list[str]:
        """What the daemon says of all names, for whoever wants to know why something was broken."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(FOREVER)
            connection.connect(self._path)
            connection.sendall(b"LIST\nQUIT\n")
            with connection.makefile("rb") as stream:
                return [line.decode().rstrip("\n") for line in stream]

    def _unanswered(self, late: list[tuple[float, float]]) -> list[str]:
        """Requests that were not answered though a daemon was ready."""
        found = []
        for began, ended in late:
            since = max([began, *(instant for instant in self._ready if instant <= ended)])
            if ended - since > PATIENCE:
                found.append(f"an answer came {ended - since:.1f} s after it could have")
        return found

    # What befalls it

    def crash(self, number: int) -> None:
        """End the daemon in one way or another, perhaps a member of the crowd too, and return when there is another daemon."""
        # Each way is there in each ten, whatever the seed.
        ways = self._service.ways
        if number % len(ways) == 0:
            self._ways = self._random.sample(ways, len(ways))
        way = self._ways[number % len(ways)]
        time.sleep(self._random.choice([0, self._random.uniform(0, 0.4)]))
        if self._random.random() < 0.3:
            self._replace_worker()
        began = self._service.end(way, self._daemon, self._random)
        if self._random.random() < 0.3:
            self._replace_worker()
        self._daemon, ended = self._first_answer(self._daemon)
        self.blackouts.setdefault(way, []).append((ended - began) * 1000)
        ready = self._service.ready_at()
        self._ready.append(min(ready, ended))
        if ended - ready > PATIENCE:
            self.broken.append(f"the first answer came {ended - ready:.1f} s after the daemon was ready")

    def _replace_worker(self) -> None:
        """Kill one that may hold something, or wait for something, and have another one come."""
        victim = self._workers.pop(self._random.randrange(len(self._workers)))
        victim.kill()
        self._newcomers.append(self._start("work", self._random.choice(self._kinds), wait=False))
        if len(self._workers) < 3:
            for member in self._newcomers:
                self.broken += member.await_ready()
            self._workers += self._newcomers
            self._newcomers = []

    def _first_answer(self, former: int) -> tuple[int, float]:
        """The process of the daemon that answers first, besides that one, and when."""
        deadline = time.monotonic() + FOREVER
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(FOREVER)
                try:
                    connection.connect(self._path)
                    connection.sendall(b"HELLO client=storm\n")
                    words = connection.recv(4096).decode("ascii").split()
                except (ConnectionResetError, BrokenPipeError):
                    continue
                except OSError:
                    # Where nobody keeps the socket, nobody listens for a while.
                    if self._service.keeps_connections:
                        raise
                    time.sleep(0.001)
                    continue
            processes = [int(word[4:]) for word in words if word.startswith("pid=")]
            if processes and processes[0] != former:
                return processes[0], time.monotonic()
        raise TimeoutError("nobody answers")


def main() -> None:
    """Storm, and tell."""
    path, crashes, seed, *program = sys.argv[1:]
    bare = BareService(program[0], path, Path(path).parent) if program else None
    storm = Storm(path, int(seed), bare or SystemdService())
    try:
        storm.gather()
        for number in range(int(crashes)):
            if storm.broken:
                break
            storm.crash(number)
        storm.disperse()
    except (OSError, subprocess.CalledProcessError) as problem:
        storm.broken.append(f"the storm has ended early: {problem!r}")
    finally:
        # They have the output of this program, whose reader waits for its end.
        storm.kill()
    result = {"broken": storm.broken, "counts": storm.counts, "blackouts": storm.blackouts}
    print(json.dumps({**result, "log": bare.remove() if bare else ""}))


if __name__ == "__main__":
    main()

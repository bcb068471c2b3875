"""How long it takes from the end of one command to the start of the next that waits for the same lock, for lockctl.py.

The commands are queued one by one behind a holder that is this program. Each writes down when it began and ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import client_figures
import lockctl_etcd
from large_tables import Result
from lockctl_programs import Starter
from run import BenchmarkError
from sessions import Session

BENCHMARK = "hand-over"
NONE, FLOCK, RUN, LOCKCTL_FLOCK = "no lock: one after the other", "flock", "lockctl run", "lockctl flock"
ETCD = "etcdctl lock"
QUEUED = 10
PATIENCE_SECONDS = 60
PAUSE_SECONDS = 0.001


@dataclasses.dataclass(frozen=True)
class Stamp:
    """When a command that was queued with this number began and ended, by the monotonic clock, in nanoseconds."""

    number: int
    began: int
    ended: int


@dataclasses.dataclass(frozen=True)
class Queue:
    """A lock, and how commands come to wait for it."""

    case: str
    #: What stands in front of the command.
    prefix: tuple[str, ...]
    #: Has the lock while it lasts.
    held: Callable[[], AbstractContextManager[object]]
    #: How many wait.
    waiting: Callable[[], int]


def stamps(text: str) -> list[Stamp]:
    """What the commands have written, in the order in which they began."""
    written = [Stamp(*(int(word) for word in line.split())) for line in text.splitlines()]
    return sorted(written, key=lambda stamp: stamp.began)


def gaps(stamps: Sequence[Stamp]) -> list[int]:
    """From the end of each to the start of the next, in nanoseconds. Of two that ran at once, the lock is no lock."""
    between = [after.began - before.ended for before, after in itertools.pairwise(stamps)]
    if any(gap < 0 for gap in between):
        raise BenchmarkError(f"two commands had the lock at once: {stamps}")
    return between


def in_order(stamps: Sequence[Stamp]) -> int:
    """How many of them came behind one that was queued before them."""
    return sum(before.number < after.number for before, after in itertools.pairwise(stamps))


def blocked(file: Path, locks: str) -> int:
    """How many wait for the lock of a file, by what /proc/locks says."""
    status = file.stat()
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    return sum("->" in (words := line.split()) and device in words for line in locks.splitlines())


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    with file.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def leased(session: Session, name: str) -> Iterator[None]:
    session.ask(f"ACQUIRE {name}\n".encode(), b"GRANTED ")
    yield
    session.ask(f"RELEASE {name}\n".encode(), b"RELEASED ")


def queues(lockctl: str, folder: Path, session: Session, environment: Mapping[str, str]) -> list[Queue]:
    """Those that there can be here. A script that polls Redis is not among them: it does not queue."""
    file, other_file, name = folder / "queue", folder / "other-queue", "hand-over"
    all_queues = [
        Queue(
            FLOCK, ("flock", str(file)), lambda: locked(file), lambda: blocked(file, Path("/proc/locks").read_text())
        ),
        Queue(
            RUN,
            (lockctl, "run", "--quiet", name, "--"),
            lambda: leased(session, name),
            lambda: session.figures()["waiters"],
        ),
        # Its lease has the canonical path of the file as its name.
        Queue(
            LOCKCTL_FLOCK,
            (lockctl, "flock", str(other_file)),
            lambda: leased(session, str(other_file.resolve())),
            lambda: session.figures()["waiters"],
        ),
    ]
    if lockctl_etcd.ENDPOINTS in environment:
        all_queues.append(
            Queue(
                ETCD,
                ("etcdctl", "lock", name),
                lambda: lockctl_etcd.held(environment, name),
                lambda: lockctl_etcd.waiting(environment, name),
            )
        )
    return all_queues


@dataclasses.dataclass(frozen=True)
class Commands:
    """The commands that are to have the lock one after the other, and what they write."""

    stamp: Path
    file: Path
    starter: Starter

    def stamps(self, case: str, queue: Queue | None) -> list[Stamp]:
        """Has all of them run once: in a queue, or else one after the other without a lock."""
        self.file.unlink(missing_ok=True)
        commands = [(str(self.stamp), str(self.file), str(position)) for position in range(QUEUED)]
        if queue is None:
            for command in commands:
                self.starter.wait(case, self.starter.start(command))
        else:
            in_a_queue(queue, commands, self.starter)
        written = stamps(self.file.read_text())
        if sorted(stamp.number for stamp in written) != list(range(QUEUED)):
            raise BenchmarkError(f"{case}: not every command ran once: {written}")
        return written


def measure(queues: Sequence[Queue], commands: Commands, rounds: int, times: int) -> Iterator[Result]:
    """In each round, every kind of queue is there so many times."""
    cases = [(NONE, None), *((queue.case, queue) for queue in queues)]
    for number in range(rounds):
        turns: dict[str, list[list[Stamp]]] = {case: [] for case, _ in cases}
        for _ in range(times):
            for case, queue in cases:
                turns[case].append(commands.stamps(case, queue))
        for case, every in turns.items():
            figures = client_figures.latencies([gap for each in every for gap in gaps(each)])
            figures["in order %"] = 100 * sum(map(in_order, every)) / (times * (QUEUED - 1))
            yield Result(BENCHMARK, case, number, FLOCK, figures)


def in_a_queue(queue: Queue, commands: Sequence[tuple[str, ...]], starter: Starter) -> None:
    """Has all commands wait, in this order, before the first of them gets the lock, and returns when all have ended."""
    children: list[int] = []
    try:
        with queue.held():
            for position, command in enumerate(commands, 1):
                children.append(starter.start([*queue.prefix, *command]))
                wait_until_queued(queue, position)
        while children:
            starter.wait(queue.case, children.pop(0))
    finally:
        # Those of lockctl would wait for another daemon.
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def wait_until_queued(queue: Queue, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while queue.waiting() < count:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{queue.case}: there are not {count} commands that wait for the lock")
        time.sleep(PAUSE_SECONDS)

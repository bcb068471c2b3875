"""The daemon is killed again and again while threads work, and none of them notices.

RESTARTS says how often; `make restarts` has it done 200 times.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest
from conftest import PATIENCE, Daemon, wait_until

import lockd

RESTARTS = int(os.environ.get("RESTARTS", "20"))
NAMES = ("a", "b")


class Work:
    """What the threads do, each its own, until it is over."""

    def __init__(self) -> None:
        self.over = threading.Event()
        #: How often each of them has come round.
        self.rounds: dict[str, int] = {}
        self.tokens: dict[str, list[int]] = {name: [] for name in NAMES}
        self._inside = dict.fromkeys(NAMES, 0)

    def repeat(self, name: str, work: Callable[[int], None]) -> None:
        """Do it again and again."""
        self.rounds[name] = 0
        while not self.over.is_set():
            work(self.rounds[name])
            self.rounds[name] += 1

    def exclusive(self, _: int) -> None:
        """A name."""
        with lockd.Lock("a") as lease:
            self._enter(lease, "a")

    def renewed(self, _: int) -> None:
        """A name, with a ttl."""
        with lockd.Lock("b", ttl=5) as lease:
            self._enter(lease, "b")

    def both(self, _: int) -> None:
        """All names."""
        with lockd.Lock(*NAMES) as lease:
            self._enter(lease, *NAMES)

    def timed(self, number: int) -> None:
        """A name, if it is free in time, or at once."""
        lock = lockd.Lock("a")
        if lock.acquire(timeout=0.02 * (number % 5)):
            assert lock.lease is not None
            self._enter(lock.lease, "a")
            lock.release()

    def asking(self, _: int) -> None:
        """Who holds a name."""
        for line in lockd.Client().show("a"):
            assert line.pid == os.getpid()

    def _enter(self, lease: lockd.Lease, *names: str) -> None:
        for name in names:
            self._inside[name] += 1
            self.tokens[name].append(lease.token)
        time.sleep(0)
        assert [self._inside[name] for name in names] == [1] * len(names)
        for name in names:
            self._inside[name] -= 1
        assert not lease.lost


@pytest.mark.timeout(120 + 10 * RESTARTS)
def test_threads_do_not_notice(own_daemon: Daemon) -> None:
    work = Work()
    kinds = {"exclusive": work.exclusive, "renewed": work.renewed, "both": work.both, "timed": work.timed}
    with ThreadPoolExecutor(8) as pool, lockd.Lock("kept") as kept:
        working = [pool.submit(work.repeat, *each) for each in (*kinds.items(), ("asking", work.asking))]
        working.append(pool.submit(work.repeat, "exclusive too", work.exclusive))
        try:
            for number in range(RESTARTS):
                own_daemon.restart(signal.SIGTERM if number % 4 == 3 else signal.SIGKILL)
                before = dict(work.rounds)

                def all_went_on(before: dict[str, int] = before) -> bool:
                    failed = [each.exception() for each in working if each.done()]
                    assert not failed
                    return all(work.rounds[name] > count + 1 for name, count in before.items())

                wait_until(all_went_on, f"all to go on after restart {number}: {before}, {work.rounds}")
        finally:
            work.over.set()
        for each in working:
            each.result(PATIENCE)
        assert not kept.lost
    for name in NAMES:
        assert work.tokens[name] == sorted(set(work.tokens[name]))
        assert own_daemon.show(name) == []

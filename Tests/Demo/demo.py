#!/usr/bin/env python3
"""Shows what lockd is for, on the real thing: gunicorn workers that count requests in a file, without and with a lock.

Exits 0 if every figure is as it should be, and 1 otherwise, saying which is not. Whatever it starts, it stops.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import crash
import load
import processes
import stopping
from report import Report

WORKER_CLASSES = ("sync", "gevent")
WORKERS = 4
CONNECTIONS = 8
REQUESTS = 2000
#: A waiter goes on when the daemon has heard of the death. The rest is for a machine that is busy with other things.
AT_ONCE_MS = 500.0
#: Whoever takes longer than this hangs.
DEMO_SECONDS = 180


@dataclass(frozen=True)
class Stage:
    """What all parts of the demo use."""

    report: Report
    folder: Path
    socket: Path

    @property
    def counter(self) -> Path:
        """The file in which the application counts."""
        return self.folder / "counter"

    @property
    def environment(self) -> dict[str, str]:
        """What the application and lockctl are told by their environment."""
        own = {"LOCKD_SOCKET": self.socket, "COUNTER_FILE": self.counter, "CRASH_FILE": self.folder / "crash"}
        return os.environ | {name: str(path) for name, path in own.items()}


def introduce(report: Report) -> None:
    """Prints what takes part."""
    lockd = subprocess.run(
        [str(processes.LOCKD), "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    packages = [f"{package} {version(package)}" for package in ("gunicorn", "flask", "gevent")]
    system = [f"Python {platform.python_version()}", f"Linux {platform.release()}", f"{os.cpu_count()} CPUs"]
    report.line(", ".join([lockd, *packages, *system]))


def count(stage: Stage) -> None:
    """Counts requests in a file, with each class of workers, without and with the lock."""
    columns = [20, 11, 11, 10, 10, 10, 14]
    titles = ["", "requests", "answered", "counted", "lost", "time", "a second"]
    stage.report.heading(f"Each request adds 1 to a number in a file: {CONNECTIONS} connections, {WORKERS} workers")
    stage.report.row(titles, columns)
    for worker_class in WORKER_CLASSES:
        with gunicorn(stage, worker_class) as port:
            for locked in (False, True):
                count_once(stage, port, worker_class, locked, columns)


def count_once(stage: Stage, port: int, worker_class: str, locked: bool, columns: list[int]) -> None:
    """Sends `REQUESTS` requests, prints how far the workers counted, and judges it."""
    report = stage.report
    title = f"{worker_class}, {'with lock' if locked else 'no lock'}"
    stage.counter.write_text("0")
    result = load.drive(port, "/locked" if locked else "/unlocked", requests=REQUESTS, connections=CONNECTIONS)
    counted = int(stage.counter.read_text())
    lost = result.answered - counted
    right = report.judge(
        result.answered == REQUESTS,
        f"{title}: answered is {result.answered}, should be {REQUESTS}; instead of answers: {dict(result.failures)}",
    )
    if locked:
        right &= report.judge(lost == 0, f"{title}: lost is {lost}, should be 0")
    else:
        right &= report.judge(lost > 0, f"{title}: lost is {lost}, should be more than 0: nothing to see in this run")
    figures = [f"{figure:,}" for figure in (result.requests, result.answered, counted, lost)]
    rates = [f"{result.seconds:.1f} s", f"{result.requests_per_second:,.0f}"]
    report.row([title, *figures, *rates], columns, right=right)


def kill_holders(stage: Stage) -> None:
    """Kills the worker that holds the lease, with each class of workers."""
    for worker_class in WORKER_CLASSES:
        with gunicorn(stage, worker_class) as port:
            when_contended = functools.partial(list_leases, stage, worker_class)
            outcome = crash.kill_holder(stage.socket, port, waiters=WORKERS - 1, when_contended=when_contended)
        judge_crash(stage.report, worker_class, outcome)


def list_leases(stage: Stage, worker_class: str) -> None:
    """Prints what lockctl says of the lease that is waited for; once is enough."""
    if worker_class == WORKER_CLASSES[0]:
        stage.report.heading("One worker holds the lease, three others wait: lockctl ls")
        command = [str(processes.LOCKCTL), "ls"]
        listing = subprocess.run(command, env=stage.environment, capture_output=True, text=True, check=False)
        stopping.check()
        stage.report.quote(listing.stdout + listing.stderr)
        stage.report.judge(listing.returncode == 0, f"lockctl ls: exit status is {listing.returncode}, should be 0")
        stage.report.heading("SIGKILL to the worker that holds the lease")


def judge_crash(report: Report, worker_class: str, outcome: crash.Outcome) -> None:
    """Prints how soon those that waited had the lease, and judges it."""
    delays = outcome.delays_ms
    right = report.judge(
        outcome.waiters == WORKERS - 1 and len(delays) == outcome.waiters,
        f"{worker_class}: of {outcome.waiters} waiting workers {len(delays)} were granted, should be {WORKERS - 1}",
    )
    right &= report.judge(outcome.in_order, f"{worker_class}: the waiting workers were not granted in their order")
    if delays:
        first, last = delays[0], delays[-1]
        right &= report.judge(
            0 < first <= AT_ONCE_MS, f"{worker_class}: granted after {first:.1f} ms, should be at most {AT_ONCE_MS:.0f}"
        )
        text = f"next worker granted after {first:.1f} ms, all {len(delays)} in their order after {last:.1f} ms"
        report.row([f"{worker_class}:", text], [8, 0], right=right)


def gunicorn(stage: Stage, worker_class: str) -> AbstractContextManager[int]:
    """Runs gunicorn with the example application and workers of that class; gives the port."""
    return processes.gunicorn(
        worker_class,
        workers=WORKERS,
        application="measured_app:app",
        folder=stage.folder,
        environment=stage.environment,
    )


def main() -> int:
    """Runs all parts, and returns the exit status."""
    stopping.listen(signal.SIGALRM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    signal.alarm(DEMO_SECONDS)
    started = time.monotonic()
    report = Report()
    folder = Path(tempfile.mkdtemp(prefix="lockd-demo-"))
    try:
        with processes.lockd(folder) as socket:
            introduce(report)
            stage = Stage(report, folder, socket)
            count(stage)
            kill_holders(stage)
    except processes.Failed as error:
        report.judge(False, str(error))
    except stopping.Stopped as stopped:
        if stopped.number != signal.SIGALRM:
            return 128 + stopped.number
        report.judge(False, f"the demo did not end within {DEMO_SECONDS} s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report.verdict(f"Every figure is as it should be ({time.monotonic() - started:.0f} s).")


if __name__ == "__main__":
    sys.exit(main())

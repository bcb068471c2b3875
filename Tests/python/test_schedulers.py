"""The schedulers of the README, word for word, in real processes of which one runs them."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path

import pytest
from binaries import ROOT
from conftest import Daemon, Program, RunProgram, wait_until

PROLOGUE = """
import os, sys
import lockd

def write_pid():
    with open(sys.argv[1], "a") as file:
        file.write(f"{os.getpid()}\\n")
"""

# On a busy machine the interval is too short for some runs, which it would warn of.
APSCHEDULER_PROLOGUE = """
import logging

logging.getLogger("apscheduler").setLevel(logging.ERROR)
send_reports = write_pid
"""

APSCHEDULER_EPILOGUE = """
input()
task.close()
"""

# The broker is in the memory of each worker, so that the one that runs the beat also does what is due.
CELERY_PROLOGUE = """
import celery, warnings

warnings.simplefilter("ignore")
app = celery.Celery("app", broker="memory://")
app.conf.beat_schedule = {"report": {"task": "report", "schedule": 0.05}}
app.conf.beat_schedule_filename = sys.argv[1] + "-schedule"
app.task(write_pid, name="report")
"""

CELERY_EPILOGUE = """
app.worker_main(["--quiet", "worker", "--pool", "solo", "--loglevel", "CRITICAL"])
"""


def example(title: str) -> str:
    """The code of the README that follows a title."""
    text = (ROOT / "Sources" / "python" / "README.md").read_text()
    return text.split(f"**{title}**")[1].split("```python\n")[1].split("```\n")[0]


class Candidates:
    """Three processes that would run a scheduler; what is due writes its process into a file."""

    def __init__(self, run: RunProgram, daemon: Daemon, name: str, path: Path, source: str) -> None:
        self._daemon = daemon
        self._name = name
        self._path = path
        path.touch()
        self.programs: list[Program] = []
        for count in range(3):
            self.programs.append(run(source, daemon, str(path), python=()))
            if count == 0:
                daemon.await_holder(name, self.programs[0].pid)
            daemon.await_waiters(name, count)

    def await_work_of(self, number: int) -> None:
        """Return when one of them runs the scheduler, after those before it, and never two by turns."""
        program = self.programs[number]
        ours = str(program.pid)
        wait_until(lambda: self._worked().count(ours) >= 3, "what is due being done")
        assert self._daemon.holder(self._name) == program.pid
        worked = [pid for pid, _ in itertools.groupby(self._worked())]
        assert worked == [str(each.pid) for each in self.programs[: number + 1]]

    def _worked(self) -> list[str]:
        # The last line may be incomplete.
        return self._path.read_text().split("\n")[:-1]


def test_one_process_runs_apscheduler_and_another_takes_over(
    own_daemon: Daemon, run: RunProgram, tmp_path: Path
) -> None:
    """agronholm/apscheduler#160: each worker runs all jobs."""
    pytest.importorskip("apscheduler")
    daily = '"cron", hour=3'
    code = example("APScheduler")
    assert daily in code
    code = code.replace(daily, '"interval", seconds=0.05')
    source = PROLOGUE + APSCHEDULER_PROLOGUE + code + APSCHEDULER_EPILOGUE
    candidates = Candidates(run, own_daemon, "scheduler", tmp_path / "worked", source)
    first, second, third = candidates.programs
    candidates.await_work_of(0)
    first.signal(signal.SIGKILL)
    candidates.await_work_of(1)
    second.say()
    candidates.await_work_of(2)
    third.say()
    second.finish()
    third.finish()
    assert own_daemon.show("scheduler") == []


def test_one_worker_runs_celery_beat_and_another_takes_over(
    own_daemon: Daemon, run: RunProgram, tmp_path: Path
) -> None:
    pytest.importorskip("celery")
    source = PROLOGUE + CELERY_PROLOGUE + example("Celery beat") + CELERY_EPILOGUE
    candidates = Candidates(run, own_daemon, "beat", tmp_path / "worked", source)
    first, second, third = candidates.programs
    candidates.await_work_of(0)
    first.signal(signal.SIGKILL)
    candidates.await_work_of(1)
    second.signal(signal.SIGTERM)
    candidates.await_work_of(2)
    third.signal(signal.SIGTERM)
    second.finish()
    third.finish()
    assert own_daemon.show("beat") == []

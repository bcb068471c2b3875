"""The demo has to fail when what it shows is not so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import crash
import demo
import processes
import pytest
import stopping
from report import Report

IN_ORDER = crash.Outcome(waiters=3, delays_ms=[1.0, 2.0, 3.0], in_order=True)


@pytest.fixture
def report() -> Report:
    return Report()


def test_waiters_that_go_on_at_once_and_in_order_are_right(report: Report) -> None:
    demo.judge_crash(report, "sync", IN_ORDER)
    assert report.wrong == []
    assert report.verdict("") == 0


@pytest.mark.parametrize(
    ("outcome", "what"),
    [
        (crash.Outcome(3, [1.0, 2.0], in_order=False), "2 were granted, should be 3"),
        (crash.Outcome(3, [], in_order=False), "0 were granted, should be 3"),
        (crash.Outcome(2, [1.0, 2.0], in_order=True), "of 2 waiting"),
        (crash.Outcome(3, [1.0, 2.0, 3.0], in_order=False), "not granted in their order"),
        (crash.Outcome(3, [-1.0, 2.0, 3.0], in_order=True), "-1.0 ms"),
        (crash.Outcome(3, [demo.AT_ONCE_MS + 1, 900.0, 900.0], in_order=True), "should be at most"),
    ],
)
def test_anything_else_is_wrong_and_named(
    report: Report, capsys: pytest.CaptureFixture[str], outcome: crash.Outcome, what: str
) -> None:
    demo.judge_crash(report, "sync", outcome)
    assert report.verdict("all is well") == 1
    printed = capsys.readouterr().out
    assert what in printed
    assert "all is well" not in printed


BROKEN_LOCK = """
import os
from flask import Flask

app = Flask(__name__)

@app.route("/unlocked")
@app.route("/locked")
def count():
    with open(os.environ["COUNTER_FILE"], "r+") as file:
        value = int(file.read()) + 1
        file.seek(0)
        file.write(f"{value // 2:>12}")
    return str(value)
"""


def test_a_lock_that_does_not_lock_is_noticed(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.py").write_text(BROKEN_LOCK)
    monkeypatch.setattr(processes, "EXAMPLE", tmp_path)
    monkeypatch.setattr(demo, "REQUESTS", 20)
    monkeypatch.setattr(demo, "WORKER_CLASSES", ("sync",))
    demo.count(demo.Stage(report, tmp_path, tmp_path / "nobody.sock"))
    assert report.verdict("") == 1
    assert "WRONG: sync, with lock: lost is" in capsys.readouterr().out


def test_requests_that_are_not_answered_are_noticed(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "REQUESTS", 20)
    monkeypatch.setattr(demo, "WORKER_CLASSES", ("sync",))
    demo.count(demo.Stage(report, tmp_path, tmp_path / "nobody.sock"))
    assert report.verdict("") == 1
    assert (
        "WRONG: sync, with lock: answered is 0, should be 20; instead of answers: {'500': 20}"
        in capsys.readouterr().out
    )


def test_a_program_that_does_not_come_up_is_named_with_what_it_printed(tmp_path: Path) -> None:
    with (
        pytest.raises(processes.Failed, match=r"(?s)gunicorn ended with status 3.*No module named 'nothing'"),
        processes.gunicorn("sync", workers=1, application="nothing:app", folder=tmp_path, environment={}),
    ):
        pytest.fail("it has started")


def test_a_signal_ends_the_demo_and_whatever_it_started(tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, str(processes.DEMO / "demo.py")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        processes.wait_for(lambda: any(tmp_path.glob("lockd-demo-*/gunicorn-*.log")), "the start of gunicorn")
        process.terminate()
        assert process.wait(20) == 128 + 15
    assert list(tmp_path.iterdir()) == []
    assert [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path) in reading(path)] == []


def reading(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def test_nothing_is_stopped_that_no_signal_asked_for() -> None:
    stopping.check()
    assert not stopping.requested()

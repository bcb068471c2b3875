"""lockctl watch, history: what happens, and what has happened."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import re
import signal
import subprocess

import pytest
from daemon import processes

from .conftest import Daemon


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def wait_for_watcher(daemon: Daemon, count: int = 1) -> None:
    processes.wait_until(lambda: daemon.statistics()["watchers"] == str(count), f"{count} watch")


def test_watch_says_what_happens_as_it_happens(daemon: Daemon) -> None:
    watching = daemon.start("watch")
    wait_for_watcher(daemon)
    user = pwd.getpwuid(os.getuid()).pw_name
    who = rf"\S+ \(pid {os.getpid()}, user {user}(, \S+)?\)"
    time = r"\d\d:\d\d:\d\d"
    with daemon.connect() as holder, daemon.connect() as waiter:
        token = holder.ask("ACQUIRE a b note=the%20job").split("token=")[1]
        assert re.fullmatch(
            rf"{time} granted a b to {who} after 0\.0 s, token {token} \(the job\)\n", next_line(watching)
        )
        waiter.send("ACQUIRE b wait=10ms")
        assert re.fullmatch(rf"{time} queued b for {who}, #1\n", next_line(watching))
        assert re.fullmatch(rf"{time} timeout b for {who} after 0\.\d s\n", next_line(watching))
        holder.ask("RELEASE a")
        assert re.fullmatch(
            rf"{time} released a b of {who} after \d\.\d s, token {token} \(the job\)\n", next_line(watching)
        )
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=30)
    assert watching.returncode == -signal.SIGINT


def test_watch_has_json_lines_for_programs(daemon: Daemon) -> None:
    watching = daemon.start("watch", "--json", "jobs/")
    wait_for_watcher(daemon)
    with daemon.connect() as session:
        session.ask("ACQUIRE job")
        token = int(session.ask('ACQUIRE x jobs/%0A" note=%1B[2J%FF').split("token=")[1])
        granted = next_line(watching)
    ended = next_line(watching)
    watching.kill()
    watching.communicate(timeout=30)
    assert granted.isascii()
    event = json.loads(granted)
    assert event.pop("time_ms") > 1_700_000_000_000
    assert event.pop("session") > 0
    assert event.pop("unit") == json.loads(ended)["unit"]
    assert event == {
        "event": "granted", "names": ["x", 'jobs/%0A"'], "names_escaped": ["x", 'jobs/%0A"'], "pid": os.getpid(),
        "command": pathlib.Path("/proc/self/comm").read_text().strip(), "uid": os.getuid(),
        "user": pwd.getpwuid(os.getuid()).pw_name, "note": "%1B[2J%FF", "token": token, "waited_ms": 0,
    }  # fmt: skip
    assert json.loads(ended)["event"] == "ended"


def test_strangers_bytes_do_not_steer_the_terminal_of_a_watcher(daemon: Daemon) -> None:
    watching = daemon.start("watch")
    wait_for_watcher(daemon)
    with daemon.connect() as session:
        session.ask("ACQUIRE a%1B[2J%0Ab%9B note=%0D%07")
        line = next_line(watching)
    watching.kill()
    watching.communicate(timeout=30)
    assert "a%1B[2J%0Ab%9B" in line
    assert "(%0D%07)" in line
    assert not set(line[:-1]) & set(map(chr, [*range(32), *range(127, 160)]))


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_watch_goes_on_when_the_daemon_restarts(daemon: Daemon, is_forgotten: bool) -> None:
    watching, telling = daemon.start("watch"), daemon.start("watch", "--json")
    wait_for_watcher(daemon, 2)
    daemon.end(signal.SIGKILL)
    if is_forgotten:
        pathlib.Path(f"{daemon.socket}.log").unlink()
    successor = Daemon(daemon.directory)
    with successor:
        wait_for_watcher(successor, 2)
        if is_forgotten:
            assert "missed what happened while lockd restarted" in next_line(watching)
            told = json.loads(next_line(telling))
            assert (told["event"], told["count"]) == ("missed", None)
        with successor.connect() as session:
            session.ask("ACQUIRE a")
        assert "granted a to " in next_line(watching)
        assert json.loads(next_line(telling))["event"] == "granted"
        for process in (watching, telling):
            process.kill()
            process.communicate(timeout=30)


def test_history_shows_the_latest_lease_first(daemon: Daemon) -> None:
    with daemon.connect() as session:
        first = int(session.ask("ACQUIRE a note=one%1B").split("token=")[1])
        session.ask("RELEASE a")
        second = int(session.ask("ACQUIRE a").split("token=")[1])
        daemon.lockctl("revoke", "a")
    lines = daemon.lockctl("history", "a").stdout.splitlines()
    header = [word for word in lines[0].split() if word != "UNIT"]
    assert header == ["ENDED", "HOW", "PID", "COMMAND", "USER", "WAITED", "HELD", "TOKEN", "NOTE"]
    assert re.fullmatch(rf"\d\d:\d\d:\d\d +revoked +{os.getpid()} .+ {second}", lines[1])
    assert re.fullmatch(rf"\d\d:\d\d:\d\d +released +{os.getpid()} .+ {first} +one%1B", lines[2])
    assert len(lines) == 3
    told = json.loads(daemon.lockctl("history", "--json", "a").stdout)
    assert [(line["name"], line["outcome"], line["token"], line["note"]) for line in told] == [
        ("a", "revoked", second, None), ("a", "released", first, "one%1B"),
    ]  # fmt: skip
    assert {"waited_ms", "held_ms", "ago_ms", "pid", "command", "uid", "user", "unit", "session"} <= set(told[0])


def test_history_of_what_nobody_held_is_empty(daemon: Daemon) -> None:
    assert daemon.lockctl("history", "a\x1b").stdout == "no lease on a%1B is remembered\n"
    assert daemon.lockctl("history", "--json", "a").stdout == "[]\n"

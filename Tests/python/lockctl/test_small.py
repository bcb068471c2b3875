"""lockctl once, wait, stats, version."""

from __future__ import annotations

import json
import pathlib
import re
import signal
import time

from daemon.processes import wait_until

from .conftest import Daemon


def test_once_runs_what_nobody_else_does(daemon: Daemon) -> None:
    ran = daemon.lockctl("once", "a", "--", "sh", "-c", 'echo "$LOCKD_NAME"; exit 3')
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "a\n", "")


def test_once_does_nothing_while_somebody_else_does(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    with daemon.connect() as holder:
        holder.ask("ACQUIRE a note=nightly")
        quiet = daemon.lockctl("once", "a", "--", "touch", f"{tmp_path}/ran")
        told = daemon.lockctl("once", "--verbose", "a", "--", "touch", f"{tmp_path}/ran")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert told.returncode == 0
    assert told.stderr.startswith("lockctl: nothing is done, a is not free: held by ")
    assert "(nightly)" in told.stderr
    assert not (tmp_path / "ran").exists()


def test_once_does_nothing_if_somebody_is_about_to(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE b")
        waiter.send("ACQUIRE a b")
        daemon.wait_until_listed("a", 1)
        ran = daemon.lockctl("once", "-v", "a", "--", "false")
    assert (ran.returncode, ran.stderr) == (
        0,
        "lockctl: nothing is done, a is not free: somebody waits for it, 1 waiting\n",
    )


def test_once_says_that_the_run_before_did_not_end_well(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        holder.ask("ACQUIRE a note=half")
    wait_until(lambda: daemon.statistics()["leases"] == "0", "the end of the lease")
    ran = daemon.lockctl("once", "a", "--", "true")
    assert ran.returncode == 0
    assert "the holder before ended without releasing its lease" in ran.stderr


def test_once_needs_a_command(daemon: Daemon) -> None:
    ran = daemon.lockctl("once", "a")
    assert ran.returncode == 64
    assert "the command is missing: lockctl once <name>" in ran.stderr


def test_wait_returns_at_once_if_nobody_holds_the_lock(daemon: Daemon) -> None:
    ran = daemon.lockctl("wait", "a")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_wait_returns_when_the_lock_is_free(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        token = holder.acquire("a")
        other = holder.acquire("ab")
        waiting = daemon.start("wait", "a")
        wait_until(lambda: daemon.statistics()["watchers"] == "1", "lockctl watches")
        # What happens to another one that begins alike is nothing to it.
        holder.ask(f"RELEASE ab token={other}")
        assert waiting.poll() is None
        holder.ask(f"RELEASE a token={token}")
        output, errors = waiting.communicate(timeout=30)
    assert (waiting.returncode, output, errors) == (0, "", "")


def test_wait_goes_on_while_the_next_one_holds_the_lock(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as next_one:
        token = holder.acquire("a")
        next_one.send("ACQUIRE a")
        waiting = daemon.start("wait", "a")
        wait_until(lambda: daemon.statistics()["watchers"] == "1", "lockctl watches")
        holder.ask(f"RELEASE a token={token}")
        granted = next_one.receive()
        assert waiting.poll() is None
        next_one.ask(f"RELEASE a {granted.split()[2]}")
        assert waiting.wait(timeout=30) == 0
        waiting.communicate()


def test_wait_has_an_end(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        holder.ask("ACQUIRE a")
        ran = daemon.lockctl("wait", "-w", "50ms", "a")
    assert ran.returncode == 75
    assert ran.stderr.startswith("lockctl: a is held still, by ")


def test_wait_keeps_its_time_while_the_daemon_hangs(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        token = holder.acquire("a")
        waiting = daemon.start("wait", "-w", "1s", "a")
        wait_until(lambda: daemon.statistics()["watchers"] == "1", "lockctl watches")
        # Held at every moment that can be seen, so that it is looked at again and again.
        holder.send(f"RELEASE a token={token}", "ACQUIRE a")
        daemon.process.send_signal(signal.SIGSTOP)
        code = waiting.wait(timeout=30)
        waiting.communicate()
        daemon.process.send_signal(signal.SIGCONT)
    assert code == 75


def test_wait_outlives_the_daemon(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        session = holder.ask("HELLO").split("session=")[1].split()[0]
        token = holder.acquire("a")
        waiting = daemon.start("wait", "a")
        wait_until(lambda: daemon.statistics()["watchers"] == "1", "lockctl watches")
        daemon.end(signal.SIGKILL)
    with Daemon(daemon.directory) as next_one, next_one.connect() as holder:
        wait_until(lambda: next_one.statistics()["watchers"] == "1", "lockctl watches again")
        assert waiting.poll() is None
        assert f"session={session} " in holder.ask(f"HELLO resume={session}")
        while not holder.ask(f"RELEASE a token={token}").startswith("RELEASED a "):
            pass
        assert waiting.wait(timeout=30) == 0
        waiting.communicate()


def test_stats_are_those_of_the_daemon(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        holder.ask("ACQUIRE a")
        words = dict(line.split(maxsplit=1) for line in daemon.lockctl("stats").stdout.splitlines())
        statistics = json.loads(daemon.lockctl("stats", "--json").stdout)
        expected = daemon.statistics()
    assert words.keys() == expected.keys()
    times = {"uptime": "uptime_ms", "start-time": "start_time_ms"}
    assert list(statistics) == [times.get(key, key.replace("-", "_")) for key in expected]
    assert re.fullmatch(r"\d\.\d s", words["uptime"])
    assert words["start-time"] == time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(statistics["start_time_ms"] / 1000))
    assert (words["log-limit-bytes"], statistics["log_limit_bytes"]) == ("1 GiB", 1 << 30)
    assert words["leases"] == "1"
    assert statistics["leases"] == 1


def test_version_is_that_of_both(daemon: Daemon) -> None:
    pid = daemon.process.pid
    version = daemon.lockctl("--version").stdout.split()[1]
    shown = daemon.lockctl("version")
    known = json.loads(daemon.lockctl("version", "--json").stdout)
    assert shown.stdout == f"lockctl {version}\nlockd   {version} (pid {pid}) at {daemon.socket}\n"
    assert (known["lockctl"], known["lockd"], known["pid"]) == (version, version, pid)
    assert "watch" in known["features"]


def test_version_without_a_daemon_is_that_of_lockctl(daemon: Daemon) -> None:
    daemon.end(signal.SIGTERM)
    ran = daemon.lockctl("version")
    assert ran.returncode == 69
    assert ran.stdout.startswith("lockctl ")
    assert "cannot connect to lockd" in ran.stderr


def test_ping_does_not_wait_long_for_a_silent_daemon(daemon: Daemon) -> None:
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        result = daemon.lockctl("ping")
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    assert (result.returncode, result.stdout) == (69, "")
    assert "answer" in result.stderr

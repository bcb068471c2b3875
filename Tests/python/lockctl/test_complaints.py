"""What people complain of in other locks, tried with lockctl. Each test names a place where somebody does.

The complaints about locks of web servers, schedulers, multiprocessing and gevent are tried with the Python library: see its test_complaints.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
from typing import Any

from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon


def test_two_readers_that_die_at_once_wedge_nobody(daemon: Daemon) -> None:
    """https://github.com/unbit/uwsgi/issues/1202, https://github.com/unbit/uwsgi/issues/1571."""
    readers = [daemon.start("run", "-s", "--leader-only", "a", "--", "sleep", "1000") for _ in range(3)]
    daemon.wait_until_listed("a", 3)
    wait_until(lambda: all(daemon.commands(reader) for reader in readers), "all of them run")
    writer = daemon.start("run", "a", "--", "echo", "ran")
    daemon.wait_until_listed("a", 4)
    # With their commands, as the kernel does it that has no memory left.
    for reader in readers:
        for process in (reader.pid, *map(int, daemon.commands(reader).split())):
            # The command may have followed already.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    assert writer.communicate(timeout=30)[0] == "ran\n"
    for reader in readers:
        reader.communicate(timeout=30)


class Newcomers:
    """Runs that come again and again, of which no try and no short wait may get what somebody waits for; threads until `end`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._is_over = threading.Event()
        self.codes: list[int] = []
        self._threads = [
            threading.Thread(target=self._come_again, args=patience) for patience in (["-n"], ["-n"], ["-w", "20ms"])
        ]
        for thread in self._threads:
            thread.start()

    def _come_again(self, *patience: str) -> None:
        while not self._is_over.is_set():
            self.codes.append(self._daemon.lockctl("run", "-q", *patience, "a", "--", "true").returncode)

    def await_more(self) -> None:
        """Return when each has come again since."""
        enough = len(self.codes) + 3 * len(self._threads)
        wait_until(lambda: len(self.codes) >= enough, "newcomers have come again")

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=60)


def await_own_turn(daemon: Daemon, process: subprocess.Popen[str]) -> None:
    """Return when a run is listed."""
    entry = f" pid={process.pid} "
    with daemon.connect() as client:
        wait_until(lambda: any(entry in line for line in client.ask_lines("SHOW a")), "it waits")


def grants_out_of_turn(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The grants of a lock to somebody else than the oldest of those who waited then."""
    queue: list[int] = []
    wrong = []
    for event in events:
        if event["event"] == "queued":
            queue.append(event["pid"])
        elif event["event"] == "unqueued":
            queue.remove(event["pid"])
        elif event["event"] == "granted" and queue and queue.pop(0) != event["pid"]:
            wrong.append(event)
    return wrong


def test_oldest_waiter_is_not_starved_by_newcomers(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    """https://github.com/pmcfadin/cqlite/issues/3701: documents a queue, but implements a race.

    https://github.com/pmcfadin/cqlite/issues/3924, https://github.com/pmcfadin/cqlite/issues/3980: the oldest waits for hours, and newcomers
    win; https://github.com/objectstack-ai/objectstack/issues/9661, https://github.com/objectstack-ai/objectstack/pull/9921,
    https://github.com/dtzp555-max/ocp/pull/428: what people write by hand to have a queue.
    """
    out = tmp_path / "out"
    watching = daemon.start("watch", "--json", "a")
    events: list[dict[str, Any]] = []

    def take_down() -> None:
        assert watching.stdout is not None
        while (event := json.loads(watching.stdout.readline()))["names"] != ["a-end"]:
            events.append(event)

    # All the time: newcomers are more than a pipe has room for on a slow machine.
    taking_down = threading.Thread(target=take_down, daemon=True)
    taking_down.start()
    wait_until(lambda: daemon.statistics()["watchers"] == "1", "it watches")

    def job(word: str) -> subprocess.Popen[str]:
        process = daemon.start("run", "-q", "a", "-c", f"echo {word} >>{out}; cat", stdin=subprocess.PIPE)
        await_own_turn(daemon, process)
        return process

    def has_begun(number: int) -> bool:
        return len(out.read_text().split()) == number + 1

    jobs = [job(f"old{number}") for number in range(6)]
    wait_until(out.exists, "the first runs")
    newcomers = Newcomers(daemon)
    try:
        # Each hands over while newcomers are at it, and one more stands behind the others.
        for number in range(6):
            wait_until(functools.partial(has_begun, number), "the next job runs")
            newcomers.await_more()
            jobs.append(job(f"new{number}"))
            jobs[number].communicate("", timeout=60)
        newcomers.await_more()
    finally:
        newcomers.end()
    for process in jobs[6:]:
        process.communicate("", timeout=60)
    assert set(newcomers.codes) == {75}
    assert out.read_text().split() == [f"{kind}{number}" for kind in ("old", "new") for number in range(6)]
    with daemon.connect() as client:
        client.ask("ACQUIRE a-end")
        taking_down.join(timeout=60)
        assert not taking_down.is_alive()
    watching.kill()
    watching.communicate(timeout=30)
    assert sum(event["event"] == "granted" for event in events) == 12
    assert sum(event["event"] == "unqueued" for event in events) > 0
    assert grants_out_of_turn(events) == []


def test_killed_agent_leaves_nothing_that_holds_the_lock(daemon: Daemon) -> None:
    """https://github.com/Extra-Chill/homeboy/issues/13649: the agent is killed, and its orphans hold the lock for hours."""
    line = f"{binary('lockctl')} run --die-with-parent a -c 'sleep 1000 & sleep 1000'; true"
    environment = {**os.environ, "LOCKD_SOCKET": str(daemon.socket)}
    agent = subprocess.Popen(["sh", "-c", line], env=environment)
    daemon.wait_until_listed("a", 1)
    agent.kill()
    agent.wait(timeout=30)
    daemon.wait_until_listed("a", 0)


def test_killed_agent_that_waits_leaves_no_waiter(daemon: Daemon) -> None:
    """The same of one whose turn has not come."""
    with daemon.connect() as client:
        client.ask("ACQUIRE a")
        line = f"{binary('lockctl')} run --die-with-parent a -- true; true"
        agent = subprocess.Popen(
            ["sh", "-c", line], env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)}, stderr=subprocess.DEVNULL
        )
        daemon.wait_until_listed("a", 2)
        agent.kill()
        agent.wait(timeout=30)
        daemon.wait_until_listed("a", 1)


def test_orphans_are_seen_from_outside(daemon: Daemon) -> None:
    """The same issue: from outside it looks exactly like agents that hang. Here it says who, since when, and what for."""
    line = f"{binary('lockctl')} run --note 'nightly build' a -- sleep 1000; true"
    agent = subprocess.Popen(["sh", "-c", line], env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)})
    daemon.wait_until_listed("a", 1)
    agent.kill()
    agent.wait(timeout=30)
    refused = daemon.lockctl("run", "-n", "a", "--", "true")
    assert "a is not free: held by lockctl (pid " in refused.stderr
    assert "(nightly build)" in refused.stderr
    assert daemon.lockctl("revoke", "a").returncode == 0
    daemon.wait_until_listed("a", 0)


def test_wrapper_that_dies_does_not_hand_the_lock_over(daemon: Daemon) -> None:
    """https://github.com/mosamlife/wpmgr/issues/576: the wrapper dies, and the lock is given away while its build still runs.

    https://github.com/mosamlife/wpmgr/pull/575, https://github.com/appandflow/stim/issues/955, https://github.com/Agent-Field/CodeAF/issues/1297.
    """
    wrapper = daemon.start("run", "build", "--", "sh", "-c", "sleep 1000 & wait", output=False)
    wait_until(lambda: daemon.commands(wrapper), "the build runs")
    shell = int(daemon.commands(wrapper))
    wrapper.kill()
    wrapper.wait(timeout=30)
    assert daemon.lockctl("run", "-n", "build", "--", "true").returncode == 75
    # What the shell has started goes on without it, and so does the lease.
    children = pathlib.Path(f"/proc/{shell}/task/{shell}/children")
    wait_until(children.read_text, "the shell has started something")
    sleeper = int(children.read_text())
    os.kill(shell, signal.SIGKILL)
    assert daemon.lockctl("run", "-n", "build", "--", "true").returncode == 75
    os.kill(sleeper, signal.SIGKILL)
    daemon.wait_until_listed("build", 0)


def test_time_to_wait_is_not_time_to_hold(daemon: Daemon) -> None:
    """https://github.com/objectstack-ai/objectstack/issues/12538: the budget of a wait is shorter than one legitimate work."""
    started = time.monotonic()
    result = daemon.lockctl("run", "-w", "50ms", "a", "--", "sleep", "0.3")
    assert (result.returncode, result.stderr) == (0, "")
    assert time.monotonic() - started >= 0.3


def test_who_is_in_the_way_is_said_and_the_exit_code_is_75(daemon: Daemon) -> None:
    """https://github.com/Stage-11-Agentics/c11/pull/432: reporting on stderr and exit code 75, made by hand.

    https://github.com/google/capsem/pull/224.
    """
    holder = daemon.start("run", "--note", "lane 3", "a", "--", "cat", stdin=subprocess.PIPE)
    daemon.wait_until_listed("a", 1)
    result = daemon.lockctl("run", "-w", "10ms", "a", "--", "true")
    assert result.returncode == 75
    assert f"(pid {holder.pid}, user " in result.stderr
    assert "lane 3" in result.stderr
    holder.communicate("", timeout=30)


def test_long_holder_is_seen_with_what_it_costs_the_others(daemon: Daemon) -> None:
    """https://github.com/objectstack-ai/objectstack/issues/8716: one holds it for long, and nobody sees that it is the holder."""
    holder = daemon.start("run", "--note", "dependency bump", "a", "--", "cat", stdin=subprocess.PIPE)
    daemon.wait_until_listed("a", 1)
    waiters = []
    for number in range(2):
        waiters.append(daemon.start("run", "-q", "a", "--", "true"))
        daemon.wait_until_listed("a", 2 + number)
    # While it lasts: for how long it is held and since when, for what, and who waits how long for that.
    first = json.loads(daemon.lockctl("ls", "--json").stdout)
    assert [(line["state"], line["pid"]) for line in first] == [
        ("held", holder.pid),
        *(("waiting", process.pid) for process in waiters),
    ]
    assert first[0]["note"] == "dependency bump"

    def grows() -> bool:
        later = json.loads(daemon.lockctl("ls", "--json").stdout)
        keys = ["held_ms", "waited_ms", "waited_ms"]
        return all(after[key] > before[key] for after, before, key in zip(later, first, keys, strict=True))

    wait_until(grows, "all of them get older")
    said = daemon.lockctl("why", "a").stdout
    assert f"a is held by lockctl (pid {holder.pid}, " in said
    assert ": dependency bump.\n" in said
    assert f"2 requests wait for a; the first is that of lockctl (pid {waiters[0].pid}, " in said
    # Afterwards: whose long work it was, and in sums for whoever watches a machine.
    holder.communicate("", timeout=30)
    for process in waiters:
        process.communicate(timeout=30)
    *_, ended = json.loads(daemon.lockctl("history", "--json", "a").stdout)
    assert (ended["pid"], ended["note"]) == (holder.pid, "dependency bump")
    assert ended["held_ms"] > first[0]["held_ms"]
    assert 'lockd_lock_hold_seconds_count{name="a"} 3' in daemon.lockctl("metrics").stdout

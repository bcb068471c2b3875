"""What people complain of in other locks, tried with lockctl. Each test names a place where somebody does.

The complaints about locks of gunicorn, uWSGI, schedulers, multiprocessing and gevent are tried with the Python library: test_gunicorn, test_uwsgi,
test_schedulers, test_gevent.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time

import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon


def commands(process: subprocess.Popen[str]) -> str:
    return pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()


def test_two_readers_that_die_at_once_wedge_nobody(daemon: Daemon) -> None:
    """https://github.com/unbit/uwsgi/issues/1202, https://github.com/unbit/uwsgi/issues/1571."""
    readers = [daemon.start("run", "-s", "--leader-only", "a", "--", "sleep", "1000") for _ in range(3)]
    daemon.wait_until_listed("a", 3)
    wait_until(lambda: all(commands(reader) for reader in readers), "all of them run")
    writer = daemon.start("run", "a", "--", "echo", "ran")
    daemon.wait_until_listed("a", 4)
    # With their commands, as the kernel does it that has no memory left.
    for reader in readers:
        for process in (reader.pid, *map(int, commands(reader).split())):
            os.kill(process, signal.SIGKILL)
    assert writer.communicate(timeout=30)[0] == "ran\n"
    for reader in readers:
        reader.communicate(timeout=30)


def test_oldest_waiter_is_not_starved_by_newcomers(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    """https://github.com/pmcfadin/cqlite/issues/3701: documents a queue, but implements a race."""
    out = tmp_path / "out"
    first = daemon.start("run", "a", "--", "cat", stdin=subprocess.PIPE)
    daemon.wait_until_listed("a", 1)
    queued = []
    for number in range(6):
        queued.append(daemon.start("run", "a", "-c", f"echo {number} >>{out}"))
        daemon.wait_until_listed("a", 2 + number)
    # Newcomers that try, again and again, get nothing that somebody waits for.
    assert daemon.lockctl("run", "-n", "a", "--", "true").returncode == 75
    first.communicate("", timeout=30)
    for process in queued:
        process.communicate(timeout=30)
    assert out.read_text().split() == list("012345")


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
    """https://github.com/mosamlife/wpmgr/issues/576: the wrapper dies, and the lock is given away while its build still runs."""
    wrapper = daemon.start("run", "build", "--", "sh", "-c", "sleep 1000 & wait", output=False)
    wait_until(lambda: commands(wrapper), "the build runs")
    shell = int(commands(wrapper))
    wrapper.kill()
    wrapper.wait(timeout=30)
    assert daemon.lockctl("run", "-n", "build", "--", "true").returncode == 75
    # What the shell has started goes on without it, and so does the lease.
    sleeper = int(pathlib.Path(f"/proc/{shell}/task/{shell}/children").read_text())
    os.kill(shell, signal.SIGKILL)
    assert daemon.lockctl("run", "-n", "build", "--", "true").returncode == 75
    os.kill(sleeper, signal.SIGKILL)
    daemon.wait_until_listed("build", 0)


def test_time_to_wait_is_not_time_to_hold(daemon: Daemon) -> None:
    """https://github.com/objectstack-ai/objectstack/issues/12538: one budget for waiting and for the work."""
    started = time.monotonic()
    result = daemon.lockctl("run", "-w", "50ms", "a", "--", "sleep", "0.3")
    assert (result.returncode, result.stderr) == (0, "")
    assert time.monotonic() - started >= 0.3


def test_who_is_in_the_way_is_said_and_the_exit_code_is_75(daemon: Daemon) -> None:
    """https://github.com/Stage-11-Agentics/c11/pull/432: reporting on stderr and exit code 75, made by hand."""
    holder = daemon.start("run", "--note", "lane 3", "a", "--", "cat", stdin=subprocess.PIPE)
    daemon.wait_until_listed("a", 1)
    result = daemon.lockctl("run", "-w", "10ms", "a", "--", "true")
    assert result.returncode == 75
    assert f"(pid {holder.pid}, user " in result.stderr
    assert "lane 3" in result.stderr
    holder.communicate("", timeout=30)


def test_real_child_gets_the_signal_and_no_shell_is_in_between(daemon: Daemon) -> None:
    """https://github.com/hashicorp/consul/issues/2022, https://github.com/hashicorp/consul/issues/797."""
    process = daemon.start("run", "a", "--", "sleep", "1000")
    wait_until(lambda: commands(process), "the command runs")
    child = int(commands(process))
    wait_until(lambda: pathlib.Path(f"/proc/{child}/comm").read_text() == "sleep\n", "it is what was asked for")
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert not pathlib.Path(f"/proc/{child}").exists()


def test_loss_ends_the_work_in_seconds_and_not_in_minutes(daemon: Daemon) -> None:
    """https://github.com/hashicorp/consul/issues/9788: the work is killed 90 seconds late, and two are active meanwhile."""
    process = daemon.start(
        "run", "--grace", "100ms", "a", "--", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    assert daemon.lockctl("revoke", "a").returncode == 0
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGKILL
    assert time.monotonic() - started < 20


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, for a pid namespace")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_waiting", [True, False])
def test_first_process_of_a_container_ends_by_signals(daemon: Daemon, number: signal.Signals, is_waiting: bool) -> None:
    """https://github.com/etcd-io/etcd/pull/10117: Ctrl-C in a container leaves the lock there, renewed for ever."""
    with daemon.connect() as client:
        if is_waiting:
            client.ask("ACQUIRE a")
        container = subprocess.Popen(
            [
                "unshare",
                "--pid",
                "--fork",
                "--mount-proc",
                "--kill-child",
                binary("lockctl"),
                "run",
                "a",
                "--",
                "sleep",
                "1000",
            ],
            env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
            stderr=subprocess.DEVNULL,
        )
        daemon.wait_until_listed("a", 2 if is_waiting else 1)
        children = pathlib.Path(f"/proc/{container.pid}/task/{container.pid}/children")
        wait_until(children.read_text, "unshare has started lockctl")
        first = int(children.read_text())
        if not is_waiting:
            inner = pathlib.Path(f"/proc/{first}/task/{first}/children")
            wait_until(inner.read_text, "the command runs")
        os.kill(first, number)
        container.wait(timeout=30)
        daemon.wait_until_listed("a", 1 if is_waiting else 0)
    assert container.returncode == 128 + number


@pytest.mark.parametrize(
    "arguments", [["release", "a", "--token", "1"], ["renew", "a", "--token", "1"], ["revoke", "a"]]
)
def test_what_fails_does_not_exit_with_0(daemon: Daemon, arguments: list[str]) -> None:
    """https://github.com/etcd-io/etcd/issues/19261."""
    assert daemon.lockctl(*arguments).returncode == 1

"""What people complain of in other programs that run a command under a lock, tried with lockctl run. Each test names a place where somebody does."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon
from .test_tree import is_alive

CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

# How a program may be told to end; those that a terminal sends as well, and those that only a process does.
ENDING = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]


def await_sleep(child: int) -> None:
    """Return when it is no longer lockctl that is about to become it."""
    wait_until(lambda: pathlib.Path(f"/proc/{child}/comm").read_text() == "sleep\n", "it is what was asked for")


@pytest.mark.parametrize("number", ENDING)
def test_real_child_gets_the_signal_and_no_shell_is_in_between(daemon: Daemon, number: signal.Signals) -> None:
    """https://github.com/hashicorp/consul/issues/797, https://github.com/hashicorp/consul/issues/3754: TERM leaves the child running.

    https://github.com/hashicorp/consul/issues/2489: and so do all other signals, HUP for one.
    """
    process = daemon.start("run", "a", "--", "sleep", "1000")
    wait_until(lambda: daemon.commands(process), "the command runs")
    child = int(daemon.commands(process))
    await_sleep(child)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert not pathlib.Path(f"/proc/{child}").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGALRM, signal.SIGPIPE, signal.SIGXCPU])
def test_signal_that_ends_only_lockctl_leaves_the_lease_to_the_child(daemon: Daemon, number: signal.Signals) -> None:
    """https://github.com/hashicorp/consul/issues/2489: then several are at work of whom one should be."""
    process = daemon.start("run", "a", "--", "sleep", "1000", output=False)
    wait_until(lambda: daemon.commands(process), "the command runs")
    child = int(daemon.commands(process))
    await_sleep(child)
    process.send_signal(number)
    # Of some it takes no notice.
    assert daemon.lockctl("run", "-n", "a", "--", "true").returncode == 75
    os.kill(child, signal.SIGKILL)
    process.wait(timeout=30)
    daemon.wait_until_listed("a", 0)


def test_run_that_is_told_to_end_as_it_is_granted_leaves_no_child(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    """https://github.com/hashicorp/consul/issues/1155: it is told while it starts its child, says that there is none, and goes."""
    started = tmp_path / "started"
    for number in range(40):
        holder = daemon.start("run", "-q", "a", "--", "cat", stdin=subprocess.PIPE, output=False)
        daemon.wait_until_listed("a", 1)
        run = daemon.start("run", "-q", "a", "-c", f"echo $$ >>{started}; exec sleep 1000")
        daemon.wait_until_listed("a", 2)
        with daemon.connect() as watcher:
            watcher.ask("WATCH a")
            assert holder.stdin is not None
            holder.stdin.close()
            while not watcher.receive().startswith("* GRANTED a"):
                pass
            # Each time a little later, from before it has heard of its lease to when the child is there.
            told = time.monotonic() + number * 0.0002
            while time.monotonic() < told:
                pass
            run.terminate()
        holder.wait(timeout=30)
        run.communicate(timeout=30)
        # What had not begun yet ends as if nobody had told it what to do about it.
        assert run.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
        daemon.wait_until_listed("a", 0)
        for child in started.read_text().split() if started.exists() else []:
            assert not is_alive(int(child))
        # Another process may have its number later.
        started.unlink(missing_ok=True)


# Writes its number, and heeds nothing but KILL.
STUBBORN = "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(1, b'%d\\n' % os.getpid()); signal.pause()"


@pytest.fixture
def stubborn(daemon: Daemon) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A run whose job is a shell, a child of it and an orphan, of which the latter two heed nothing but KILL; and their numbers, the shell's first."""
    one = f'{sys.executable} -c "{STUBBORN}"'
    process = daemon.start("run", "--grace", "300ms", "a", "-c", f"echo $$; {one} & ({one} &); wait")
    assert process.stdout is not None
    numbers = [int(process.stdout.readline()) for _ in range(3)]
    yield process, numbers
    # A test that has failed leaves them.
    if process.poll() is None:
        for number in (process.pid, *numbers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    process.communicate(timeout=30)


def start_next(daemon: Daemon, numbers: list[int]) -> subprocess.Popen[str]:
    """A run that waits for its turn, and then says which of the processes are alive."""
    # What has ended and was not waited for yet has a number still, and is a zombie.
    alive = "; ".join(
        f"sed -n '/^State:.*Z/!s/^State:.*/{number}/p' /proc/{number}/status 2>/dev/null" for number in numbers
    )
    process = daemon.start("run", "a", "-c", f"{alive}; echo $LOCKD_TOKEN")
    daemon.wait_until_listed("a", 2)
    return process


def test_next_job_begins_when_nothing_of_the_one_before_is_alive(
    daemon: Daemon, stubborn: tuple[subprocess.Popen[str], list[int]]
) -> None:
    """https://github.com/hashicorp/consul/issues/9788: two are active at the same time, because the work is killed late.

    While it is lockctl that ends the work, the lease goes on to the end of the last of its processes.
    """
    process, numbers = stubborn
    following = start_next(daemon, numbers)
    process.terminate()
    said, _ = following.communicate(timeout=30)
    assert len(said.split()) == 1
    assert process.wait(timeout=30) == 128 + signal.SIGTERM


def test_loss_ends_the_work_in_seconds_and_not_in_minutes(
    daemon: Daemon, stubborn: tuple[subprocess.Popen[str], list[int]]
) -> None:
    """https://github.com/hashicorp/consul/issues/9788: the work is killed 90 seconds late, and two are active meanwhile.

    https://github.com/hashicorp/consul/issues/2022: what is killed is the shell, and not what it has started.

    A lease that somebody has revoked, or whose ttl is over, is lost at once, and the next one is granted then: lockd promises no more than that the
    holder is told before. lockctl promises to end all of the work, TERM at once and KILL after --grace; so what may be active besides the
    next one is what heeds no TERM, for so long and no longer, and with a token that is smaller.
    """
    process, numbers = stubborn
    held = int(daemon.wait_until_listed("a", 1)[0].split(" token=")[1].split()[0])
    following = start_next(daemon, numbers)
    started = time.monotonic()
    assert daemon.lockctl("revoke", "a").returncode == 0
    said, told = following.communicate(timeout=30)
    *alive, token = said.split()
    assert set(alive) <= {str(number) for number in numbers}
    assert int(token) > held
    assert "revoked" in told
    _, errors = process.communicate(timeout=30)
    # Much longer than it takes on a busy machine, and less than what is complained of.
    assert time.monotonic() - started < 60
    assert process.returncode == 128 + signal.SIGTERM
    assert "is lost" in errors
    assert [number for number in numbers if is_alive(number)] == []


def test_nothing_is_lost_while_the_daemon_is_out_of_reach(
    daemon: Daemon, stubborn: tuple[subprocess.Popen[str], list[int]]
) -> None:
    """https://github.com/hashicorp/consul/issues/9788: there, losing touch with the servers is losing the lock. Here it is neither lost nor given away."""
    process, numbers = stubborn
    following = start_next(daemon, numbers)
    daemon.process.send_signal(signal.SIGSTOP)
    os.kill(numbers[0], signal.SIGKILL)
    daemon.process.send_signal(signal.SIGCONT)
    for number in numbers[1:]:
        assert following.poll() is None
        os.kill(number, signal.SIGKILL)
    said, _ = following.communicate(timeout=30)
    assert len(said.split()) == 1
    process.wait(timeout=30)


def test_something_is_run_when_the_lock_is_lost(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    """https://github.com/etcd-io/etcd/pull/7983: is there a way to run a command if the lock is lost?"""
    told = tmp_path / "told"
    line = f"trap 'echo lost $LOCKD_NAME >{told}; exit 3' USR1; echo ready; while :; do read line; done"
    # What does not end is killed after the grace, and not before, however slow it is.
    process = daemon.start("run", "--on-loss", "signal:USR1", "--grace", "60s", "a", "-c", line, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert daemon.lockctl("revoke", "a").returncode == 0
    process.wait(timeout=30)
    assert (process.returncode, told.read_text()) == (3, "lost a\n")
    process.communicate(timeout=30)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, for a pid namespace")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_waiting", [True, False])
def test_first_process_of_a_container_ends_by_signals(daemon: Daemon, number: signal.Signals, is_waiting: bool) -> None:
    """https://github.com/etcd-io/etcd/pull/10117: Ctrl-C in a container leaves the lock there, renewed for ever."""
    tried = subprocess.run([*CONTAINER, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no pid namespace can be made: {tried.stderr.strip()}")
    with daemon.connect() as client:
        if is_waiting:
            client.ask("ACQUIRE a")
        container = subprocess.Popen(
            [*CONTAINER, binary("lockctl"), "run", "a", "--", "sleep", "1000"],
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

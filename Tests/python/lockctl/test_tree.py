"""lockctl run: the lease covers the command and all that it starts; the end of all of them."""

from __future__ import annotations

import contextlib
import json
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

# Leaves a process behind that lives until its standard input ends, and ends with 7.
LEAVES_ONE = "cat <&3 >/dev/null 2>&1 & exit 7"

# Writes its number, and lives until it is killed; TERM is ignored.
STUBBORN = """
import os, pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
path = pathlib.Path(sys.argv[1])
path.with_suffix(".new").write_text(str(os.getpid()))
path.with_suffix(".new").rename(path)
while True:
    signal.pause()
"""


@contextlib.contextmanager
def left_behind(daemon: Daemon, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command that has ended, and left a process behind, which ends when the descriptor is closed."""
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)
    process = subprocess.Popen(
        [binary("lockctl"), "run", *options, "a", "--", "bash", "-c", f"exec 3<&{read_end}; {LEAVES_ONE}"],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        pass_fds=[read_end],
        stderr=subprocess.PIPE,
    )
    os.close(read_end)
    try:
        yield process, write_end
    finally:
        with contextlib.suppress(OSError):
            os.close(write_end)
        process.wait(timeout=30)
        assert process.stderr is not None
        process.stderr.close()


def holders(daemon: Daemon, name: str = "a") -> list[str]:
    with daemon.connect() as client:
        return [line for line in client.ask_lines(f"SHOW {name}") if line.startswith("LEASE")]


def is_alive(process: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def number_in(path: pathlib.Path) -> int:
    wait_until(path.exists, f"{path} is written")
    return int(path.read_text())


def test_lease_is_held_until_what_the_command_left_behind_is_gone(daemon: Daemon) -> None:
    with left_behind(daemon) as (process, write_end):
        assert process.stderr is not None
        said = process.stderr.readline().decode()
        assert said.startswith("lockctl: the command has ended; a is held until this has too: cat (pid "), said
        assert len(holders(daemon)) == 1
        assert process.poll() is None
        os.close(write_end)
        assert process.wait(timeout=30) == 7
        assert holders(daemon) == []
    assert " released " in daemon.lockctl("history", "a").stdout


def test_leave_behind_ends_with_the_command_and_the_lease_later(daemon: Daemon) -> None:
    with left_behind(daemon, "--leave-behind") as (process, write_end):
        assert process.wait(timeout=30) == 7
        assert len(holders(daemon)) == 1
        os.close(write_end)
        daemon.wait_until_listed("a", 0)


def test_leader_only_ends_the_lease_with_the_command(daemon: Daemon) -> None:
    with left_behind(daemon, "--leader-only") as (process, _):
        assert process.wait(timeout=30) == 7
        assert holders(daemon) == []


def test_program_that_closes_its_descriptors_escapes(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    # As daemons do. subprocess closes them, too.
    number = tmp_path / "number"
    script = f"import subprocess; subprocess.Popen([{sys.executable!r}, '-c', {STUBBORN!r}, {str(number)!r}])"
    result = daemon.lockctl("run", "a", "--", sys.executable, "-c", script, stdin=subprocess.DEVNULL, output=False)
    assert result.returncode == 0
    assert holders(daemon) == []
    escaped = number_in(number)
    assert is_alive(escaped)
    os.kill(escaped, signal.SIGKILL)


@pytest.mark.parametrize("options", [[], ["--leader-only"]])
def test_lockctl_that_is_killed_leaves_the_lease_to_the_command(daemon: Daemon, options: list[str]) -> None:
    process = daemon.start("run", *options, "a", "--", "cat", stdin=subprocess.PIPE)
    daemon.wait_until_listed("a", 1)
    # The command is there as soon as it echoes.
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("there\n")
    process.stdin.flush()
    assert process.stdout.readline() == "there\n"
    process.kill()
    process.wait(timeout=30)
    with daemon.connect() as client:
        assert client.ask("ACQUIRE a wait=0").startswith("BUSY")
    process.stdin.close()
    daemon.wait_until_listed("a", 0)
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


def test_keeper_of_a_killed_lockctl_outlives_the_death_of_its_group(daemon: Daemon) -> None:
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [binary("lockctl"), "run", "--leader-only", "a", "--", "setsid", "cat"],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        stdin=read_end,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(read_end)
    os.write(write_end, b"there\n")
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    with daemon.connect() as client:
        assert client.ask("ACQUIRE a wait=0").startswith("BUSY")
    os.close(write_end)
    daemon.wait_until_listed("a", 0)
    process.stdout.close()


def test_tree_keeps_the_lease_when_lockctl_and_then_the_daemon_are_killed(daemon: Daemon) -> None:
    with left_behind(daemon) as (process, write_end):
        assert process.stderr is not None
        process.stderr.readline()
        process.kill()
        process.wait(timeout=30)
        daemon.end(signal.SIGKILL)
        with Daemon(daemon.directory) as successor:
            assert len(successor.wait_until_listed("a", 1)) == 1
            with successor.connect() as client:
                assert client.ask("ACQUIRE a wait=0").startswith("BUSY")
            os.close(write_end)
            successor.wait_until_listed("a", 0)


def tree(tmp_path: pathlib.Path) -> tuple[str, list[pathlib.Path]]:
    """A line for the shell that starts three stubborn processes: a child, one whose parent is gone, one in a session of its own that has closed all descriptors."""
    files = [tmp_path / name for name in ("child", "orphan", "daemon")]
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    child, orphan, escaped = (f"{sys.executable} {program} {file}" for file in files)
    close = "import os; os.closerange(3, 1000); os.setsid(); os.execvp('sh', ['sh', '-c', os.environ['LINE']])"
    return f"{child} & ({orphan} &) ; LINE='exec {escaped}' {sys.executable} -c \"{close}\" & wait", files


@pytest.mark.parametrize("way", ["termination", "loss"])
def test_all_of_the_tree_is_ended_by_kill_after_the_grace(daemon: Daemon, tmp_path: pathlib.Path, way: str) -> None:
    line, files = tree(tmp_path)
    process = daemon.start("run", "--grace", "200ms", "a", "-c", line)
    numbers = [number_in(file) for file in files]
    started = time.monotonic()
    if way == "loss":
        with daemon.connect() as client:
            client.ask("REVOKE a")
    else:
        process.terminate()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - started >= 0.2
    assert process.returncode == 128 + signal.SIGTERM
    assert [is_alive(number) for number in numbers] == [False] * 3
    assert ("is lost" in errors) == (way == "loss")
    assert holders(daemon) == []


def test_stopped_command_ends_on_term_nevertheless(daemon: Daemon) -> None:
    process = daemon.start("run", "--grace", "1h", "a", "--", "bash", "-c", "kill -STOP $$; echo on")
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(children.read_text, "the command has started")
    stat = pathlib.Path(f"/proc/{int(children.read_text())}/stat")
    wait_until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T", "the command stands still")
    process.terminate()
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (128 + signal.SIGTERM, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_left_behind_is_ended_in_the_commands_place(daemon: Daemon, number: signal.Signals) -> None:
    with left_behind(daemon) as (process, _):
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(number)
        assert process.wait(timeout=30) == 7
        assert holders(daemon) == []


def test_on_loss_signal_is_sent_to_the_command(daemon: Daemon) -> None:
    script = "trap 'exit 9' USR1; echo ready; while :; do read line; done"
    process = daemon.start("run", "--on-loss", "signal:USR1", "a", "--", "bash", "-c", script, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with daemon.connect() as client:
        client.ask("REVOKE a")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 9
    assert errors.endswith("; sending USR1 to the command\n")


def test_on_loss_ignore_lets_the_command_go_on(daemon: Daemon) -> None:
    process = daemon.start("run", "--on-loss", "ignore", "a", "--", "cat", stdin=subprocess.PIPE)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(children.read_text, "the command has started")
    with daemon.connect() as client:
        client.ask("REVOKE a")
    assert process.stderr is not None
    assert process.stderr.readline().endswith("; the command goes on\n")
    assert process.communicate("still there\n", timeout=30)[0] == "still there\n"
    assert process.returncode == 0


@pytest.mark.parametrize("value", ["", "kill", "signal:", "signal:NOPE", "signal:0", "signal:65"])
def test_on_loss_that_is_nothing_is_refused(daemon: Daemon, value: str) -> None:
    result = daemon.lockctl("run", "--on-loss", value, "a", "--", "true")
    assert result.returncode == 64
    assert f"'{value}' is invalid for '--on-loss" in result.stderr


def test_ttl_ends_the_command_unless_it_renews(daemon: Daemon) -> None:
    result = daemon.lockctl("run", "--ttl", "100ms", "a", "--", "sleep", "1000")
    assert result.returncode == 128 + signal.SIGTERM
    assert "the lease on a is lost: its ttl ran out" in result.stderr
    lockctl = binary("lockctl")
    renew = f'{lockctl} renew a --token "$LOCKD_TOKEN" --ttl 1h >/dev/null'
    assert daemon.lockctl("run", "--ttl", "20s", "a", "-c", f"{renew}; {lockctl} ls").returncode == 0


def test_other_exit_code_for_a_lease_that_is_not_acquired(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.ask("ACQUIRE a")
        assert daemon.lockctl("run", "-n", "-E", "3", "a", "--", "true").returncode == 3
        assert daemon.lockctl("run", "-w", "10ms", "-E", "0", "a", "--", "true").returncode == 0
        assert daemon.lockctl("acquire", "-n", "-E", "9", "--pid", str(os.getpid()), "a").returncode == 9
    assert daemon.lockctl("run", "-E", "256", "a", "--", "true").returncode == 64


def test_line_is_for_the_shell_and_a_command_is_not(daemon: Daemon) -> None:
    assert daemon.lockctl("run", "a", "-c", "echo $((1 + 1)) | cat; exit 3").stdout == "2\n"
    assert daemon.lockctl("run", "a", "-c", "--version 2>/dev/null || echo $?").stdout == "127\n"
    assert daemon.lockctl("run", "a", "--", "echo", "$((1 + 1))").stdout == "$((1 + 1))\n"
    assert daemon.lockctl("run", "a", "-c", "true", "--", "true").returncode == 64


def test_forgotten_terminator_is_told_with_the_line_to_write(daemon: Daemon) -> None:
    result = daemon.lockctl("run", "a", "make", "all")
    assert result.returncode == 64
    assert "the command goes behind --: lockctl run a -- make all" in result.stderr


def test_progress_is_told_in_json(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.ask("ACQUIRE a note=the%20job")
        process = daemon.start("run", "--progress", "json", "a", "--", "true")
        daemon.wait_until_listed("a", 2)
        assert process.stderr is not None
        waiting = json.loads(process.stderr.readline())
        client.close()
        _, errors = process.communicate(timeout=30)
    abandoned, granted = [json.loads(line) for line in errors.splitlines()]
    assert (waiting["event"], waiting["names"], waiting["position"], waiting["waiters"]) == ("waiting", ["a"], 1, 1)
    assert (waiting["holder"]["pid"], waiting["holder"]["note"]) == (os.getpid(), "the job")
    assert (abandoned["event"], abandoned["pid"], abandoned["ending"]) == ("abandoned", os.getpid(), "ended")
    assert (granted["event"], granted["token"] > abandoned["abandoned_token"]) == ("acquired", True)


def test_wait_that_fails_is_told_in_json(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.ask("ACQUIRE a")
        result = daemon.lockctl("run", "-n", "--progress", "json", "a", "--", "true")
    said = json.loads(result.stderr)
    assert result.returncode == 75
    assert (said["event"], said["reason"], said["holder"]["pid"]) == ("not_acquired", "busy", os.getpid())


def test_reader_that_is_gone_does_not_end_lockctl(daemon: Daemon) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.Popen(
        [binary("lockctl"), "run", "--on-loss", "ignore", "a", "--", "cat"],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        stdin=subprocess.PIPE,
        stderr=write_end,
    )
    os.close(write_end)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(children.read_text, "the command has started")
    with daemon.connect() as client:
        # lockctl wants to say so, to nobody.
        client.ask("REVOKE a")
        client.ask("ACQUIRE a")
    process.communicate(b"", timeout=30)
    assert process.returncode == 0


def test_ignored_children_of_the_parent_are_waited_for(daemon: Daemon) -> None:
    # A parent that ignores SIGCHLD leaves that to those it starts.
    line = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.run(
        [sys.executable, "-c", line, binary("lockctl"), "run", "a", "--", "sh", "-c", "exit 6"],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        timeout=30,
    )
    assert process.returncode == 6


def test_command_finds_the_daemon_that_lockctl_was_told(daemon: Daemon) -> None:
    result = subprocess.run(
        [binary("lockctl"), "run", "--socket", daemon.socket, "a", "--", binary("lockctl"), "ls", "--columns", "name"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.stdout == "NAME\na\n"

"""lockctl run: the lease around a command, its exit code, its signals."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys

import pytest
from binaries import binary

from .conftest import Daemon

# Says "ready", then exits with the number of the first signal that it gets, plus 40.
SIGNAL_REPORTER = """
import signal, sys
signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
print("ready", flush=True)
sys.exit(40 + signal.sigwait(signals))
"""


@pytest.mark.parametrize("code", [0, 1, 7, 75, 255])
def test_exit_code_of_the_command_comes_through(daemon: Daemon, code: int) -> None:
    assert daemon.lockctl("run", "a", "--", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_death_by_signal_is_128_and_its_number(daemon: Daemon, number: int) -> None:
    assert daemon.lockctl("run", "a", "--", "sh", "-c", f"kill -{int(number)} $$").returncode == 128 + number


def test_command_finds_name_and_token_in_its_environment(daemon: Daemon) -> None:
    name = "Zürich reports=%"
    result = daemon.lockctl(
        "run",
        name,
        "--",
        "sh",
        "-c",
        f'printf "%s|%s|" "$LOCKD_NAME" "$LOCKD_TOKEN"; exec {binary("lockctl")} ls --json',
    )
    found, token, listing = result.stdout.split("|")
    assert found == name
    assert f'"token":{token}' in listing
    assert '"name_escaped":"Z%C3%BCrich%20reports%3D%25"' in listing


def test_several_names_are_held_together(daemon: Daemon) -> None:
    lockctl = binary("lockctl")
    script = f'echo "$LOCKD_NAME|$LOCKD_NAMES|$LOCKD_TOKEN"; {lockctl} ls --json; {lockctl} run -n c -- echo ran'
    result = daemon.lockctl("run", "b c", "a", "c", "--", "sh", "-c", script)
    assert result.returncode == 75
    first, listing = result.stdout.splitlines()
    name, names, token = first.split("|")
    assert (name, names) == ("b c", "b%20c a c")
    assert [(line["name"], str(line["token"])) for line in json.loads(listing)] == [
        ("a", token), ("b c", token), ("c", token),
    ]  # fmt: skip
    assert daemon.lockctl("ls", "--json").stdout == "[]\n"


def test_wait_for_several_names_says_which_is_in_the_way(daemon: Daemon) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE b note=the%20job")
        process = daemon.start("run", "--progress", "plain", "a", "b", "--", "echo", "ran")
        daemon.wait_until_listed("b", 2)
        session.ask("RELEASE b")
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "ran\n")
    pattern = (
        rf"lockctl: waiting for a b, next: b is held by \S+ \(pid {os.getpid()}, user \S+\) "
        r"since \d\d:\d\d:\d\d \(the job\)\n"
    )
    assert re.fullmatch(pattern, errors), errors


def test_progress_has_a_line_for_each_change(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE a")
        waiter.send("ACQUIRE a")
        daemon.wait_until_listed("a", 2)
        process = daemon.start("run", "--progress", "plain", "a", "--", "true")
        assert process.stderr is not None
        assert process.stderr.readline().startswith("lockctl: waiting for a, #2 of 2: held by ")
        holder.ask("RELEASE a")
        assert process.stderr.readline().startswith("lockctl: waiting for a, next: held by ")
        waiter.receive()
        waiter.ask("RELEASE a")
        assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 0


@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_wait_is_told_in_lines_where_there_is_no_terminal(daemon: Daemon, options: list[str]) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        process = daemon.start("run", *options, "a", "--", "true")
        daemon.wait_until_listed("a", 2)
        session.ask("RELEASE a")
        errors = process.communicate(timeout=30)[1]
    if options:
        assert errors == ""
    else:
        assert errors.startswith("lockctl: waiting for a, next: held by ")
        assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_terminal_has_one_line_that_is_gone_in_the_end(daemon: Daemon, options: list[str]) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a note=%1B[2J")
        process_id, terminal = pty.fork()
        if process_id == 0:
            os.environ.update(LOCKD_SOCKET=str(daemon.socket), NO_COLOR="1")
            os.execv(binary("lockctl"), ["lockctl", "run", *options, "a", "--", "echo", "ran"])
        with open(terminal, "rb", buffering=0) as screen:
            daemon.wait_until_listed("a", 2)
            seen = b""
            while not options and b"waiting for a, next: held by " not in seen:
                seen += screen.read(1000)
            session.ask("RELEASE a")
            while b"ran\r\n" not in seen:
                seen += screen.read(1000)
            os.waitpid(process_id, 0)
    if options:
        assert seen == b"ran\r\n"
    else:
        assert seen.startswith(b"\r\x1b[Klockctl: waiting for a, next: ")
        assert seen.endswith(b"\r\x1b[Kran\r\n")
        assert b"\x1b[2J" not in seen
        assert max(len(line) for line in seen.split(b"\r\x1b[K")) < 80 + len("…".encode())


@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_lease_that_was_not_released_is_said(daemon: Daemon, options: list[str]) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a note=step%202%1B")
    result = daemon.lockctl("run", *options, "a", "--", "true")
    assert result.returncode == 0
    if options:
        assert result.stderr == ""
    else:
        assert result.stderr.startswith(
            "lockctl: the holder before ended without releasing its lease; it may have left something half done: "
        )
        assert f"(pid {os.getpid()}, user " in result.stderr
        assert result.stderr.endswith(": step 2%1B\n")
    assert daemon.lockctl("run", "a", "--", "true").stderr == ""


def test_lease_is_released_when_the_command_has_ended(daemon: Daemon) -> None:
    daemon.lockctl("run", "a", "--", "true")
    with daemon.connect() as session:
        assert session.ask_lines("SHOW a") == []
        assert "STAT released=1" in session.ask_lines("STATS")


def test_arguments_and_standard_streams_are_the_commands(daemon: Daemon) -> None:
    process = daemon.start(
        "run", "a", "--", "sh", "-c", 'cat; echo "$0|$1"; echo error >&2', "--", "x y", stdin=subprocess.PIPE
    )
    output, errors = process.communicate("input\n", timeout=30)
    assert (output, errors) == ("input\n--|x y\n", "error\n")


def test_only_one_command_runs_at_a_time(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    script = f"read n <{counter}; echo $((n + 1)) >{counter}"
    processes = [
        daemon.start("run", "counter", "--", "sh", "-c", f"for i in 1 2 3; do {script}; done") for _ in range(12)
    ]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 12
    assert counter.read_text() == "36\n"


def test_no_wait_says_who_holds_it_and_exits_with_75(daemon: Daemon) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        result = daemon.lockctl("run", "-n", "a", "--", "echo", "ran")
    assert (result.returncode, result.stdout) == (75, "")
    assert f"a is not free: held by {pathlib.Path(sys.executable).name[:6]}" in result.stderr
    assert f"(pid {os.getpid()}, user " in result.stderr


def test_wait_that_runs_out_exits_with_75_and_leaves_no_waiter(daemon: Daemon) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        result = daemon.lockctl("run", "-w", "50ms", "a", "--", "echo", "ran")
        assert (result.returncode, result.stdout) == (75, "")
        assert "lockctl: waited 0." in result.stderr
        assert len(session.ask_lines("SHOW a")) == 1


def test_wait_ends_with_the_grant(daemon: Daemon) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        process = daemon.start("run", "-w", "1h", "a", "--", "echo", "ran")
        daemon.wait_until_listed("a", 2)
        session.ask("RELEASE a")
        assert process.communicate(timeout=30)[0] == "ran\n"


def test_killed_while_waiting_leaves_no_waiter(daemon: Daemon) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        process = daemon.start("run", "a", "--", "true")
        daemon.wait_until_listed("a", 2)
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGTERM
        daemon.wait_until_listed("a", 1)


def test_command_that_is_not_found_is_127(daemon: Daemon) -> None:
    result = daemon.lockctl("run", "a", "--", "/nowhere/command")
    assert result.returncode == 127
    assert result.stderr == "lockctl: cannot run /nowhere/command: No such file or directory\n"


def test_command_that_cannot_be_run_is_126(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    result = daemon.lockctl("run", "a", "--", str(tmp_path))
    assert result.returncode == 126
    assert "Permission denied" in result.stderr


def test_absent_daemon_is_69_and_says_how_to_start_it(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "absent.sock"
    result = subprocess.run(
        [binary("lockctl"), "run", "--socket", path, "a", "--", "true"], capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 69
    assert f"cannot connect to lockd at {path}: No such file or directory; start it with" in result.stderr


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
)
def test_signals_reach_the_command(daemon: Daemon, number: signal.Signals) -> None:
    process = daemon.start("run", "a", "--", sys.executable, "-c", SIGNAL_REPORTER)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 40 + number


def test_command_inherits_no_blocked_signal(daemon: Daemon) -> None:
    result = daemon.lockctl("run", "a", "--", "grep", "SigBlk", "/proc/self/status")
    assert result.stdout == "SigBlk:\t0000000000000000\n"


@pytest.mark.parametrize("options", [[], ["--leader-only"]])
def test_command_inherits_nothing_but_the_pipes_of_the_lease(daemon: Daemon, options: list[str]) -> None:
    result = daemon.lockctl("run", *options, "a", "--", "ls", "/proc/self/fd", stdin=subprocess.DEVNULL)
    # The fourth is of ls itself, which reads the directory. The pipes have numbers that no script uses.
    assert sorted(map(int, result.stdout.split())) == [0, 1, 2, 3] + ([] if options else [700, 701])


def test_interrupt_from_the_terminal_reaches_the_command_once(daemon: Daemon) -> None:
    counter = """
import signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGUSR1})
print("ready", flush=True)
signal.sigwait({signal.SIGINT})
print("first", flush=True)
# A second one that was passed on would be pending before this one, which is sent last.
print(signal.sigwait({signal.SIGINT, signal.SIGUSR1}).name, flush=True)
"""
    lockctl = binary("lockctl")
    process_id, terminal = pty.fork()
    if process_id == 0:
        os.environ["LOCKD_SOCKET"] = str(daemon.socket)
        os.execv(lockctl, ["lockctl", "run", "a", "--", sys.executable, "-c", counter])
    with open(terminal, "r+b", buffering=0) as screen:
        seen = b""
        while b"ready" not in seen:
            seen += screen.read(100)
        screen.write(b"\x03")
        while b"first" not in seen:
            seen += screen.read(100)
        os.kill(process_id, signal.SIGUSR1)
        while b"SIGUSR1" not in seen:
            seen += screen.read(100)
            assert seen.count(b"SIGINT") == 0
        _, status = os.waitpid(process_id, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_lost_lease_ends_the_command(daemon: Daemon) -> None:
    process = daemon.start("run", "a", "--", sys.executable, "-c", SIGNAL_REPORTER)
    assert process.stdout is not None
    process.stdout.readline()
    with daemon.connect() as session:
        assert session.ask("REVOKE a reason=tidying%20up").startswith("REVOKED a")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 40 + signal.SIGTERM
    assert f"the lease on a is lost: revoked by a process (pid {os.getpid()}" in errors
    assert "tidying up; sending TERM" in errors


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_command_goes_on_when_the_daemon_restarts(daemon: Daemon, ending: signal.Signals) -> None:
    process = daemon.start("run", "a", "--", sys.executable, "-c", SIGNAL_REPORTER)
    assert process.stdout is not None
    process.stdout.readline()
    daemon.end(ending)
    successor = Daemon(daemon.directory)
    with successor:
        assert "token=" in successor.wait_until_listed("a", 1)[0]
        assert successor.lockctl("run", "-n", "a", "--", "echo", "ran").returncode == 75
        process.send_signal(signal.SIGUSR1)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (40 + signal.SIGUSR1, "")
        assert successor.lockctl("ls", "--json").stdout == "[]\n"


def test_command_goes_on_without_a_daemon_and_leaves_nothing(daemon: Daemon) -> None:
    process = daemon.start("run", "a", "--", sys.executable, "-c", SIGNAL_REPORTER)
    assert process.stdout is not None
    process.stdout.readline()
    daemon.end(signal.SIGKILL)
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (40 + signal.SIGUSR1, "")
    successor = Daemon(daemon.directory)
    with successor:
        assert successor.lockctl("run", "-n", "a", "--", "echo", "ran").stdout == "ran\n"


def test_wait_goes_on_when_the_daemon_restarts(daemon: Daemon) -> None:
    holder = daemon.start("run", "a", "--", "cat", stdin=subprocess.PIPE)
    daemon.wait_until_listed("a", 1)
    waiters = []
    for number in range(1, 4):
        waiters.append(daemon.start("run", "-q", "-w", "1h", "a", "--", "date", "+%s%N"))
        daemon.wait_until_listed("a", 1 + number)
    daemon.end(signal.SIGKILL)
    successor = Daemon(daemon.directory)
    with successor:
        successor.wait_until_listed("a", 4)
        holder.communicate(timeout=30)
        outputs = [waiter.communicate(timeout=30) for waiter in waiters]
    assert holder.returncode == 0
    assert [errors for _, errors in outputs] == ["", "", ""]
    instants = [int(output) for output, _ in outputs]
    assert instants == sorted(instants)


def test_wait_runs_out_without_a_daemon(daemon: Daemon) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        process = daemon.start("run", "-w", "1s", "a", "--", "echo", "ran")
        daemon.wait_until_listed("a", 2)
        daemon.end(signal.SIGKILL)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (75, "")
    assert errors.splitlines()[-1].startswith(
        f"lockctl: a is not acquired: lockd at {daemon.socket} has ended and is not back: "
    )


def test_lease_that_the_next_daemon_does_not_know_ends_the_command(daemon: Daemon) -> None:
    process = daemon.start("run", "a", "--", sys.executable, "-c", SIGNAL_REPORTER)
    assert process.stdout is not None
    process.stdout.readline()
    daemon.end(signal.SIGKILL)
    pathlib.Path(f"{daemon.socket}.log").unlink()
    with Daemon(daemon.directory):
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 40 + signal.SIGTERM
    assert "the lease on a is lost: lockd " in errors
    assert errors.endswith("; sending TERM to the command\n")


def test_note_is_the_commands_name_unless_said_otherwise(daemon: Daemon) -> None:
    listing = f"{binary('lockctl')} show a"
    assert "note     sh\n" in daemon.lockctl("run", "a", "--", "/bin/sh", "-c", listing).stdout
    assert "note     a b\n" in daemon.lockctl("run", "--note", "a b", "a", "--", "sh", "-c", listing).stdout


def test_shared_runs_run_together(daemon: Daemon) -> None:
    with daemon.connect() as other:
        other.ask("ACQUIRE a mode=shared")
        assert daemon.lockctl("run", "-n", "--shared", "a", "--", "true").returncode == 0
        refused = daemon.lockctl("run", "-n", "a", "--", "true")
        assert refused.returncode == 75
        assert "a is not free: held by " in refused.stderr
        other.ask("#2 ACQUIRE a mode=shared")
        assert " and 1 more" in daemon.lockctl("run", "-n", "a", "--", "true").stderr


def test_limit_is_a_semaphore(daemon: Daemon) -> None:
    with daemon.connect() as other:
        other.ask("ACQUIRE a limit=2")
        assert daemon.lockctl("run", "-n", "--limit", "2", "a", "--", "true").returncode == 0
        assert daemon.lockctl("run", "-n", "--limit", "1", "a", "--", "true").returncode == 75


def test_job_that_waits_already_need_not_wait_twice(daemon: Daemon) -> None:
    with daemon.connect() as other:
        other.ask("ACQUIRE a")
        other.send("#1 ACQUIRE a")
        daemon.wait_until_listed("a", 2)
        result = daemon.lockctl("run", "--max-queue", "1", "a", "--", "true")
        assert result.returncode == 75
        assert "1 waiting" in result.stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--shared", "--limit", "2"], "--shared and --limit exclude each other"),
        (["-n", "-w", "1s"], "-n and -w exclude each other"),
        (["--progress", "plain", "-q"], "--progress and --quiet exclude each other"),
    ],
)
def test_options_that_make_no_sense_are_named(daemon: Daemon, options: list[str], complaint: str) -> None:
    result = daemon.lockctl("run", *options, "a", "--", "true")
    assert result.returncode == 64
    assert complaint in result.stderr

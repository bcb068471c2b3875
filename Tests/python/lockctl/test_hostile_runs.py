"""lockctl run where things go wrong: trees that are hard to end, messages that nobody reads, a daemon that is silent, bytes that are no text."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon

READER = "import sys; print('ready', flush=True); sys.stdin.read()"


def environment(daemon: Daemon, **more: str) -> dict[str, str]:
    return {**os.environ, "LOCKD_SOCKET": str(daemon.socket), **more}


@contextlib.contextmanager
def running(daemon: Daemon, *command: str) -> Iterator[subprocess.Popen[str]]:
    """lockctl run, whose command has said that it is ready."""
    process = daemon.start("run", *command, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield process
    finally:
        process.communicate(timeout=30)


def test_all_of_the_tree_get_term_also_if_their_parent_is_gone_first(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    # The shell ends by TERM at once; its child is to clean up nevertheless.
    flag = tmp_path / "flag"
    child = f"import signal, sys, pathlib; signal.signal(15, lambda *_: (pathlib.Path({str(flag)!r}).touch(), sys.exit())); print('ready', flush=True); signal.pause()"
    script = tmp_path / "child.py"
    script.write_text(child)
    for _ in range(5):
        flag.unlink(missing_ok=True)
        with running(daemon, "--grace", "1h", "a", "-c", f"{sys.executable} {script}; true") as process:
            process.terminate()
        assert flag.exists()


def test_process_whose_first_thread_has_ended_is_ended(daemon: Daemon) -> None:
    script = (
        "import ctypes, threading, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "threading.Thread(target=lambda: (print('ready', flush=True), time.sleep(3600)), daemon=True).start()\n"
        "ctypes.CDLL(None).syscall(60, 0)\n"
    )
    with running(daemon, "--grace", "100ms", "a", "--", sys.executable, "-c", script) as process:
        process.terminate()
    assert process.returncode == 128 + signal.SIGKILL


def test_children_that_were_there_before_are_none_of_the_commands(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    log, command, script = tmp_path / "written", tmp_path / "command", tmp_path / "script"
    command.write_text("trap 'echo cleaned up; exit 0' TERM\necho started\nwhile :; do sleep 0.01; done\n")
    script.write_text(f"exec > >(exec cat >{log}) 2>&1\nexec {binary('lockctl')} run --grace 1h a -- bash {command}\n")
    process = subprocess.Popen(["bash", script], env=environment(daemon))
    wait_until(lambda: log.exists() and "started" in log.read_text(), "the command has started")
    process.terminate()
    assert process.wait(timeout=30) == 0
    wait_until(lambda: "cleaned up" in log.read_text(), "what the command has written is there")


@pytest.mark.parametrize("room", [0, 4096])
@pytest.mark.parametrize("way", ["revoke", "term"])
def test_loss_ends_the_command_though_nobody_reads_the_message(daemon: Daemon, way: str, room: int) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write_end, b"x" * 4096)
    if room:
        os.read(read_end, room)
    os.set_blocking(write_end, True)
    # With so many names that the message is longer than the room.
    names = ["a", *(f"{number}" + "\x01" * 250 for number in range(8))]
    process = subprocess.Popen(
        [binary("lockctl"), "run", "--grace", "1h", *names, "--", "sh", "-c", "exec sleep 1000 2>/dev/null"],
        env=environment(daemon),
        stderr=write_end,
    )
    os.close(write_end)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(children.read_text, "the command has started")
    if way == "revoke":
        with daemon.connect() as client:
            client.ask("REVOKE a")
    else:
        process.terminate()
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    os.close(read_end)


def test_descendants_that_were_there_before_are_none_of_the_commands(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    # The child that the shell had ends, and its own child becomes one of lockctl, by the kernel's rule.
    number, command, fifo = tmp_path / "number", tmp_path / "command", tmp_path / "fifo"
    os.mkfifo(fifo)
    command.write_text("trap 'exit 0' TERM\necho ready\nwhile :; do sleep 0.01; done\n")
    before = f"bash -c 'sleep 1000 >/dev/null & echo $! >{number}; read line <{fifo}' >/dev/null &"
    process = subprocess.Popen(
        ["bash", "-c", f"{before} while ! test -s {number}; do :; done; exec {binary('lockctl')} run a -- bash {command}"],
        env=environment(daemon), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    sleeper = int(number.read_text())
    with fifo.open("w"):
        pass
    status = pathlib.Path(f"/proc/{sleeper}/status")
    wait_until(lambda: f"PPid:\t{process.pid}\n" in status.read_text(), "it is a child of lockctl")
    process.terminate()
    assert process.wait(timeout=30) == 0
    assert "State:\tZ" not in status.read_text()
    os.kill(sleeper, signal.SIGKILL)
    process.stdout.close()


def test_closed_streams_are_not_those_of_something_else(daemon: Daemon) -> None:
    # The message that the holder before did not release went into the socket that had the number of stderr.
    for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
        with daemon.connect() as client:
            client.ask("ACQUIRE a")
        line = f"{binary('lockctl')} run a -- sh -c 'ls /proc/self/fd | wc -l >&9; exit 4' 9>{daemon.directory}/out {closed}; echo $?"
        result = subprocess.run(
            ["bash", "-c", line], env=environment(daemon), capture_output=True, text=True, timeout=30
        )
        assert result.stdout == "4\n"
    # They are closed for the command, too: of 0, 1, 2 the last one has none, but for what wc and the shell open.
    assert int((daemon.directory / "out").read_text()) < 8


def test_silent_daemon_does_not_keep_a_run_from_its_end(daemon: Daemon) -> None:
    process = daemon.start("run", "a", "--", sys.executable, "-c", READER, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        process.communicate("", timeout=30)
        assert process.returncode == 0
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    daemon.wait_until_listed("a", 0)


def test_arguments_are_bytes(daemon: Daemon) -> None:
    odd = b"\xff\xfe-\xf4\x8f\xbe\x80-\xc3"
    lockctl = os.fsencode(binary("lockctl"))
    for words in (
        [b"run", b"a", b"--"],
        [b"flock", bytes(daemon.directory) + b"/f"],
        [b"flock", b"-F", bytes(daemon.directory) + b"/f"],
    ):
        result = subprocess.run(
            [lockctl, *words, b"printf", b"%s", odd], env=environment(daemon), capture_output=True, timeout=30
        )
        assert (result.returncode, result.stdout) == (0, odd)
    line = subprocess.run(
        [lockctl, b"run", b"a", b"-c", b"printf " + odd], env=environment(daemon), capture_output=True, timeout=30
    )
    assert line.stdout == odd


def test_notes_and_reasons_are_bytes(daemon: Daemon) -> None:
    lockctl = os.fsencode(binary("lockctl"))
    note = b"caf\xe9" * 60
    for words in (
        [b"run", b"--note", note, b"a", b"--", lockctl, b"ls", b"--json"],
        [b"acquire", b"--pid", b"%d" % os.getpid(), b"--note", note, b"b"],
    ):
        assert subprocess.run([lockctl, *words], env=environment(daemon), stdout=subprocess.DEVNULL).returncode == 0
    with daemon.connect() as client, daemon.connect() as watcher:
        assert "note=" + "caf%E9" * 60 in client.ask_lines("SHOW b")[0]
        watcher.ask("WATCH")
        client.ask("ACQUIRE c")
        subprocess.run(
            [lockctl, b"revoke", b"c", b"--reason", b"\xe9"],
            env=environment(daemon),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        assert client.receive().endswith(" why=%E9")
    wrong = subprocess.run([lockctl, b"ls", b"--socket", b"/tmp/\xff"], capture_output=True)
    assert wrong.returncode == 64
    assert b"the path of a socket is UTF-8, and /tmp/%FF is not" in wrong.stderr


def test_output_that_cannot_be_written_is_74(daemon: Daemon) -> None:
    with open("/dev/full", "w") as full:
        for words in (["ls"], ["ls", "--json"], ["stats"], ["acquire", "--pid", str(os.getpid()), "x"], ["metrics"]):
            result = subprocess.run(
                [binary("lockctl"), *words], env=environment(daemon), stdout=full, stderr=subprocess.PIPE, text=True
            )
            assert (result.returncode, "cannot be written" in result.stderr) == (74, True), words
    closed = subprocess.run(
        ["sh", "-c", f"{binary('lockctl')} metrics >&-"], env=environment(daemon), capture_output=True
    )
    assert closed.returncode == 74
    # The lease whose token nobody has learnt is not there.
    daemon.wait_until_listed("x", 0)


def test_names_and_files_are_bytes(daemon: Daemon) -> None:
    lockctl = os.fsencode(binary("lockctl"))
    with daemon.connect() as client:
        client.ask("ACQUIRE %FF%FE")
        taken = subprocess.run(
            [lockctl, b"run", b"-n", b"\xff\xfe", b"--", b"true"], env=environment(daemon), capture_output=True
        )
        assert taken.returncode == 75
        assert b"%FF%FE is not free" in taken.stderr
    for name in (b"\xff", b"\xfe"):
        path = bytes(daemon.directory) + b"/" + name
        nested = [lockctl, b"flock", path, lockctl, b"flock", b"-n", path, b"true"]
        assert subprocess.run(nested, env=environment(daemon)).returncode == 1
        assert os.path.exists(path)
    both = [
        lockctl,
        b"flock",
        bytes(daemon.directory) + b"/\xff",
        lockctl,
        b"flock",
        b"-n",
        bytes(daemon.directory) + b"/\xfe",
        b"true",
    ]
    assert subprocess.run(both, env=environment(daemon)).returncode == 0


@pytest.mark.parametrize(
    "words", [["run", "a", "--"], ["run", "--leader-only", "a", "--"], ["flock", "f"], ["flock", "-o", "f"]]
)
def test_script_without_an_interpreter_is_one_for_the_shell(daemon: Daemon, words: list[str]) -> None:
    script = daemon.directory / "script"
    script.write_text('echo "$0|$1"\n')
    script.chmod(0o755)
    result = subprocess.run(
        [pathlib.Path(binary("lockctl")).resolve(), *words, script, "x y"],
        env=environment(daemon), cwd=daemon.directory, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (0, f"{script}|x y\n")


def test_few_descriptors_are_refused_or_enough(daemon: Daemon) -> None:
    """Either it is said at once that there are too few, or everything works, also the end of the command."""
    seen = set()
    for limit in range(6, 26):

        def limit_descriptors(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        process = subprocess.Popen(
            [binary("lockctl"), "run", "--grace", "1h", "a", "--", "sleep", "1000"],
            env=environment(daemon),
            stderr=subprocess.DEVNULL,
            preexec_fn=limit_descriptors,
        )
        wait_until(partial(has_ended_or_holds, process, daemon), "it has failed, or holds the lease")
        process.terminate()
        seen.add(process.wait(timeout=30))
        daemon.wait_until_listed("a", 0)
    assert 128 + signal.SIGTERM in seen or -signal.SIGTERM in seen
    assert seen <= {69, 71, 126, 127, 128 + signal.SIGTERM, -signal.SIGTERM}


def has_ended_or_holds(process: subprocess.Popen[bytes], daemon: Daemon) -> bool:
    with daemon.connect() as client:
        return process.poll() is not None or bool(client.ask_lines("SHOW a"))


def test_program_that_has_become_another_users_is_waited_for(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    """What cannot be killed keeps the lease, also if it has left the pipe."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to run lockctl as another user")
    os.chmod(daemon.socket, 0o666)
    for directory in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(OSError):
            directory.chmod(directory.stat().st_mode | 0o711)
    helper = tmp_path / "helper"
    source = tmp_path / "helper.c"
    source.write_text(
        "#define _GNU_SOURCE\n#include <unistd.h>\n#include <stdio.h>\n"
        'int main(void) { setuid(0); puts("ready"); fflush(stdout); close_range(3, ~0U, 0); char c; return read(0, &c, 1); }\n'
    )
    subprocess.run(["cc", "-o", helper, source], check=True)
    helper.chmod(0o4755)
    lockctl = tmp_path / "lockctl"
    lockctl.write_bytes(pathlib.Path(binary("lockctl")).read_bytes())
    lockctl.chmod(0o755)
    process = subprocess.Popen(
        [lockctl, "run", "--grace", "0ms", "a", "--", helper],
        env=environment(daemon), user=54321, group=54321, extra_groups=[], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.stderr.readline().endswith(" of another user, which cannot be killed\n")
    with daemon.connect() as client:
        assert client.ask("ACQUIRE a wait=0").startswith("BUSY")
    process.communicate("", timeout=30)
    assert process.returncode == 0
    daemon.wait_until_listed("a", 0)


def test_many_that_are_born_meanwhile_are_ended(daemon: Daemon) -> None:
    # Each leaves a child behind and ends, again and again, and none heeds TERM.
    script = "trap '' TERM; echo ready; " + "(while :; do (sleep 0.01 &); done) & " * 8 + "wait"
    with running(daemon, "--grace", "50ms", "a", "--", "bash", "-c", script) as process:
        started = time.monotonic()
        process.terminate()
        process.wait(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    assert time.monotonic() - started < 30


def test_lease_that_is_lost_before_the_command_begins_is_not_used(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    with path.open("w") as ours:
        fcntl.flock(ours, fcntl.LOCK_EX)
        process = daemon.start("flock", "-E", "9", "--verbose", str(path), "echo", "ran")
        assert process.stderr is not None
        assert "waiting for that, too" in process.stderr.readline()
        with daemon.connect() as client:
            client.ask(f"REVOKE {path}")
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 9
    assert "ran\n" not in output.splitlines(keepends=True)
    assert "is lost before the command has begun: revoked by" in errors


def test_command_that_is_stopped_and_continued_by_somebody_is_ended_by_itself(daemon: Daemon) -> None:
    process = daemon.start(
        "run",
        "a",
        "--",
        sys.executable,
        "-c",
        f"import os; print(os.getpid(), flush=True); {READER}",
        stdin=subprocess.PIPE,
    )
    assert process.stdout is not None
    command = int(process.stdout.readline())
    assert process.stdout.readline() == "ready\n"
    os.kill(command, signal.SIGSTOP)
    os.kill(command, signal.SIGCONT)
    process.communicate("", timeout=30)
    assert process.returncode == 0

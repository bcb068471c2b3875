"""lockctl flock: as flock(1) of util-linux, which the same tests are run with; and in order of arrival, which flock(1) is not."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon

Flock = Callable[..., subprocess.Popen[str]]


@pytest.fixture(params=["flock", "lockctl flock"])
def flock(request: pytest.FixtureRequest, daemon: Daemon) -> Flock:
    """Starts flock(1), or lockctl in its place."""
    words = ["flock"] if request.param == "flock" else [str(pathlib.Path(binary("lockctl")).resolve()), "flock"]

    def start(*arguments: str | pathlib.Path, **options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*words, *map(str, arguments)],
            env={**os.environ, "LOCKD_SOCKET": str(daemon.socket), **options},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=daemon.directory,
        )

    return start


@pytest.fixture
def file(daemon: Daemon) -> pathlib.Path:
    return daemon.directory / "lock file"


def end(process: subprocess.Popen[str], text: str = "") -> tuple[int, str, str]:
    output, errors = process.communicate(text, timeout=30)
    return process.returncode, output, errors


@contextlib.contextmanager
def holding(flock: Flock, *arguments: str | pathlib.Path) -> Iterator[subprocess.Popen[str]]:
    """Holds a lock while the body runs."""
    process = flock(*arguments, "sh", "-c", "echo locked; cat")
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    try:
        yield process
    finally:
        assert end(process)[0] == 0


@pytest.mark.parametrize(
    ("held", "wanted", "code"),
    [
        ([], ["-n"], 1),
        (["-s"], ["-n"], 1),
        (["-s"], ["--shared", "--nonblock"], 0),
        (["-s"], ["--nonblock", "--conflict-exit-code", "123"], 123),
        (["-s"], ["--no-fork", "--nonblock", "--conflict-exit-code", "123"], 123),
        (["-s"], ["--nonblock", "--exclusive", "-E123"], 123),
        (["-s"], ["-xs", "--nb"], 0),
        ([], ["-w", "0"], 1),
        ([], ["-w", "0.05", "-E", "0"], 0),
        ([], ["--timeout=.007"], 1),
        ([], ["-s", "--wait", "0.01"], 1),
        ([], ["-u"], 0),
        (["--fcntl"], ["--fcntl", "-n"], 1),
        (["--fcntl", "-s"], ["--fcntl", "-sn"], 0),
    ],
)
def test_conflicts(flock: Flock, file: pathlib.Path, held: list[str], wanted: list[str], code: int) -> None:
    if "--fcntl" in held and end(flock("--fcntl", "--version"))[0] != 0:
        pytest.skip("this flock(1) has no --fcntl")
    with holding(flock, *held, file):
        exit_code, output, errors = end(flock(*wanted, file, "echo", "ran"))
    ran = code == 0 and "-E" not in wanted
    assert (exit_code, output, errors) == (code, "ran\n" if ran else "", "")


def test_waits_until_the_lock_is_free(flock: Flock, file: pathlib.Path) -> None:
    with holding(flock, "--shared", file):
        waiting = flock("--timeout", "25", "--conflict-exit-code", "5", file, "echo", "After timeout.")
    assert end(waiting) == (0, "After timeout.\n", "")


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exit_code_is_the_commands(flock: Flock, file: pathlib.Path, code: int) -> None:
    assert end(flock(file, "sh", "-c", f"exit {code}"))[0] == code


def test_exit_code_of_a_signal(flock: Flock, file: pathlib.Path) -> None:
    assert end(flock(file, "sh", "-c", "kill -9 $$"))[0] == 128 + 9
    assert end(flock("-F", file, "sh", "-c", "kill -9 $$"))[0] == -9


def test_line_is_for_the_shell(flock: Flock, file: pathlib.Path) -> None:
    assert end(flock(file, "-c", "echo $0 $((1 + 1))", SHELL="/bin/bash"))[1] == "/bin/bash 2\n"
    assert end(flock(file, "--command", "echo $0", SHELL=""))[1] == "/bin/sh\n"
    assert end(flock(file, "-c", "true", "more"))[0] == 64


def test_options_end_at_the_file(flock: Flock, file: pathlib.Path) -> None:
    assert end(flock("-n", file, "echo", "-n", "--shared", "-c"))[1] == "--shared -c"
    assert end(flock("-n", "--", file, "echo", "--"))[1] == "--\n"


def test_directory_can_be_locked(flock: Flock, daemon: Daemon) -> None:
    with holding(flock, daemon.directory):
        assert end(flock("-n", daemon.directory, "true"))[0] == 1
    assert end(flock("-n", daemon.directory, "true"))[0] == 0


def test_file_that_is_missing_is_made(flock: Flock, file: pathlib.Path) -> None:
    assert end(flock(file, "true"))[0] == 0
    assert file.read_bytes() == b""


def test_file_that_cannot_be_made_is_66(flock: Flock, file: pathlib.Path) -> None:
    code, _, errors = end(flock(file / "x" / "y", "true"))
    assert code == 66
    assert "No such file or directory" in errors


def test_command_that_cannot_be_run_is_69(flock: Flock, file: pathlib.Path) -> None:
    code, _, errors = end(flock(file, "/nowhere/command"))
    assert code == 69
    assert "/nowhere/command: No such file or directory" in errors
    assert end(flock("-F", file, "/nowhere/command"))[0] == 69


@pytest.mark.parametrize(
    "arguments",
    [[], ["-n"], ["-Z", "f", "true"], ["-E", "256", "f", "true"], ["-E", "x", "f", "true"], ["-w", "x", "f", "true"],
     ["-o", "-F", "f", "true"], ["-w"], ["no-number"]],
)  # fmt: skip
def test_wrong_command_line_is_64(flock: Flock, arguments: list[str]) -> None:
    code, output, errors = end(flock(*arguments))
    assert (code, output) == (64, "")
    assert errors


def test_child_keeps_the_lock_unless_closed(flock: Flock, file: pathlib.Path, daemon: Daemon) -> None:
    pipe = daemon.directory / "pipe"
    os.mkfifo(pipe)
    script = f"cat {pipe} >/dev/null 2>&1 &"
    for options, code in ((["-o"], 0), ([], 1)):
        assert end(flock(*options, file, "sh", "-c", script))[0] == 0
        assert end(flock("-n", file, "true"))[0] == code
        with pipe.open("w"):
            pass
    assert end(flock("-w", "25", file, "true"))[0] == 0


def test_command_takes_the_place_of_the_process(flock: Flock, file: pathlib.Path) -> None:
    process = flock("-F", file, "sh", "-c", "echo $$; cat")
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    assert end(flock("-n", file, "true"))[0] == 1
    end(process)
    assert end(flock("-w", "25", file, "true"))[0] == 0


def test_verbose_says_what_happens(flock: Flock, file: pathlib.Path) -> None:
    code, output, _ = end(flock("--verbose", file, "echo", "ran"))
    # The real one writes its lines when it ends.
    second, first, third = sorted(output.splitlines())
    assert first.startswith("flock: getting lock took 0.")
    assert first.endswith(" seconds")
    assert (code, second, third) == (0, "flock: executing echo", "ran")
    with holding(flock, file):
        assert end(flock("--verbose", "-n", file, "true"))[2] != ""


def test_script_that_locks_itself(daemon: Daemon) -> None:
    script = daemon.directory / "script"
    script.write_text(
        '#!/bin/sh\n[ "$FLOCKER" != "$0" ] && exec env FLOCKER="$0" $FLOCK -en "$0" "$0" "$@"\necho "ran $1"; cat\n'
    )
    script.chmod(0o755)
    for words in ("flock", f"{binary('lockctl')} flock"):
        environment = {**os.environ, "LOCKD_SOCKET": str(daemon.socket), "FLOCK": words}
        first = subprocess.Popen(
            [script, "1"], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert first.stdout is not None
        assert first.stdout.readline() == "ran 1\n"
        assert subprocess.run([script, "2"], env=environment, timeout=30).returncode == 1
        assert first.communicate("", timeout=30)[0] == ""


# What follows is of lockctl alone.


def test_name_of_the_lease_is_the_canonical_path(daemon: Daemon, file: pathlib.Path) -> None:
    link = daemon.directory / "link"
    file.touch()
    link.symlink_to(file)
    lockctl = binary("lockctl")
    for path in (str(link), f"{daemon.directory}/./{file.name}"):
        listed = daemon.lockctl("flock", path, str(lockctl), "ls", "--columns", "name")
        assert listed.stdout == f"NAME\n{file}\n"
        assert daemon.lockctl("flock", path, str(lockctl), "run", "-n", str(file), "--", "true").returncode == 75


def test_scripts_with_the_real_one_are_excluded_both_ways(daemon: Daemon, file: pathlib.Path) -> None:
    assert daemon.lockctl("flock", str(file), "flock", "-n", str(file), "true").returncode == 1
    assert daemon.lockctl("flock", "-o", str(file), "flock", "-n", str(file), "true").returncode == 1
    with file.open("w") as ours:
        fcntl.flock(ours, fcntl.LOCK_EX)
        result = daemon.lockctl("flock", "--verbose", "-n", str(file), "true")
        assert (result.returncode, result.stdout) == (1, "")
        assert "is locked by somebody who has not asked lockd" in result.stderr
        started = time.monotonic()
        assert daemon.lockctl("flock", "-w", "0.2", str(file), "true").returncode == 1
        assert time.monotonic() - started >= 0.2
        assert daemon.lockctl("ls", "--json").stdout == "[]\n"
        process = daemon.start("flock", "--verbose", str(file), "echo", "ran")
        assert process.stderr is not None
        assert "waiting for that, too" in process.stderr.readline()
        assert process.poll() is None
    assert process.communicate(timeout=30)[0].endswith("ran\n")


def test_wait_for_the_real_one_ends_with_lockctl(daemon: Daemon, file: pathlib.Path) -> None:
    with file.open("w") as ours:
        fcntl.flock(ours, fcntl.LOCK_EX)
        process = daemon.start("flock", "--verbose", str(file), "echo", "ran")
        assert process.stderr is not None
        process.stderr.readline()
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(children.read_text, "a process waits for the lock")
        waiter = int(children.read_text())
        process.kill()
        process.communicate(timeout=30)
        wait_until(lambda: not pathlib.Path(f"/proc/{waiter}").exists(), "its process has ended, too")


def test_waiters_are_served_in_order_of_arrival(daemon: Daemon, file: pathlib.Path) -> None:
    out = daemon.directory / "out"
    first = daemon.start("flock", str(file), "cat", stdin=subprocess.PIPE)
    wait_until(lambda: "held" in daemon.lockctl("ls").stdout, "the first has it")
    others = []
    for number in range(8):
        others.append(daemon.start("flock", str(file), "-c", f"echo {number} >>{out}"))
        wait_until(lambda: daemon.lockctl("ls").stdout.count("waits") == len(others), "it waits")
    first.communicate("", timeout=30)
    for process in others:
        process.communicate(timeout=30)
    assert out.read_text().split() == [str(number) for number in range(8)]


def test_it_is_silent_in_scripts(daemon: Daemon, file: pathlib.Path) -> None:
    first = daemon.start("flock", str(file), "cat", stdin=subprocess.PIPE)
    wait_until(lambda: "held" in daemon.lockctl("ls").stdout, "the first has it")
    second = daemon.start("flock", str(file), "true")
    wait_until(lambda: "waits" in daemon.lockctl("ls").stdout, "the second waits")
    first.kill()
    first.communicate(timeout=30)
    assert second.communicate(timeout=30) == ("", "")


def test_descriptor_is_refused_with_the_line_to_write(daemon: Daemon, file: pathlib.Path) -> None:
    path = file.with_name("it's")
    script = f'exec 9>"{path}"; {binary("lockctl")} flock -s -w 2.5 9; echo $?; {binary("lockctl")} flock -u 9'
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
    assert result.stdout == "64\n"
    lines = result.stderr.splitlines()
    quoted = str(path).replace("'", r"'\''")
    assert lines[0].startswith("lockctl: a lease cannot be held by descriptor 9")
    assert lines[1] == f"lockctl:   token=$(lockctl acquire -s -w 2500ms --pid $$ '{quoted}') || exit 1"
    assert lines[-1] == f"lockctl:   release '{quoted}' --token \"$token\"".replace("  release", "  lockctl release")
    # The line does what it says.
    environment = {
        **os.environ,
        "LOCKD_SOCKET": str(daemon.socket),
        "PATH": f"{pathlib.Path(binary('lockctl')).resolve().parent}:{os.environ['PATH']}",
    }
    line = lines[1].removeprefix("lockctl:   ") + "; " + lines[-1].removeprefix("lockctl:   ")
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"released {path}\n", "")


def test_under_the_name_of_flock_it_is_flock(daemon: Daemon, file: pathlib.Path) -> None:
    link = daemon.directory / "flock"
    link.symlink_to(pathlib.Path(binary("lockctl")).resolve())
    environment = {**os.environ, "LOCKD_SOCKET": str(daemon.socket)}
    result = subprocess.run(
        [link, "-n", file, "echo", "ran"], env=environment, capture_output=True, text=True, timeout=30
    )
    assert result.stdout == "ran\n"
    assert "(flock" not in result.stderr
    alias = subprocess.run(
        ["bash", "-O", "expand_aliases", "-c", f"alias flock='{binary('lockctl')} flock'\nflock -n '{file}' echo ran"],
        env=environment, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert alias.stdout == "ran\n"


def test_absent_daemon_is_69(file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    environment = {**os.environ, "LOCKD_SOCKET": str(tmp_path / "absent")}
    result = subprocess.run(
        [binary("lockctl"), "flock", file, "true"], env=environment, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 69
    assert "cannot connect to lockd" in result.stderr


def test_signals_reach_the_command_as_they_do_not_with_the_real_one(daemon: Daemon, file: pathlib.Path) -> None:
    process = daemon.start(
        "flock",
        str(file),
        "bash",
        "-c",
        "trap 'exit 9' TERM; echo ready; while :; do read; done",
        stdin=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 9


def test_parts_of_a_file_are_locks_of_their_own(daemon: Daemon, file: pathlib.Path) -> None:
    lockctl = str(binary("lockctl"))
    first = ["flock", "--start", "0", "--length", "10", str(file), lockctl, "flock", "-n", "--start"]
    assert daemon.lockctl(*first, "10", "--length", "1K", str(file), "true").returncode == 0
    assert daemon.lockctl(*first, "0", "--length", "10", str(file), "true").returncode == 1
    # They overlap: that is for the file's lock to say.
    assert daemon.lockctl(*first, "5", "--length", "10", str(file), "true").returncode == 1


def test_open_descriptor_is_locked_for_a_command(daemon: Daemon, file: pathlib.Path) -> None:
    lockctl = str(pathlib.Path(binary("lockctl")).resolve())
    with file.open("w") as opened:
        number = os.dup2(opened.fileno(), 50)
        try:
            environment = {**os.environ, "LOCKD_SOCKET": str(daemon.socket)}
            listing = [lockctl, "flock", "--fd", "50", lockctl, "ls", "--columns", "name"]
            result = subprocess.run(listing, env=environment, pass_fds=[50], capture_output=True, text=True, timeout=30)
            assert result.stdout == f"NAME\n{file}\n"
            line = "test -e /proc/self/fd/50; echo $?; flock -n 'lock file' true; echo $?"
            for option, expected in (("-o", "1\n1\n"), ("-x", "0\n1\n")):
                result = subprocess.run(
                    [lockctl, "flock", option, "--fd", "50", "-c", line],
                    env=environment, pass_fds=[50], capture_output=True, text=True, timeout=30, cwd=daemon.directory,
                )  # fmt: skip
                assert result.stdout == expected
        finally:
            os.close(number)
    assert daemon.lockctl("flock", "--fd", "50", "true").returncode == 65


def test_help_names_all_options(daemon: Daemon) -> None:
    assert shutil.which("flock")
    result = daemon.lockctl("flock", "--help")
    assert result.returncode == 0
    for option in (
        "--shared",
        "--exclusive",
        "--unlock",
        "--nonblock",
        "--timeout",
        "--conflict-exit-code",
        "--close",
        "--command",
        "--no-fork",
        "--fcntl",
        "--start",
        "--length",
        "--fd",
        "--verbose",
        "--version",
    ):
        assert option in result.stdout
    assert daemon.lockctl("flock", "--version").stdout.startswith("flock from lockctl ")


def test_next_one_finds_the_file_unlocked(daemon: Daemon, file: pathlib.Path) -> None:
    holder = daemon.start("flock", str(file), "sh", "-c", "echo locked; cat", stdin=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    waiting = [daemon.start("flock", "--verbose", "--timeout", "60", str(file), "true") for _ in range(10)]
    daemon.wait_until_listed(str(file).replace(" ", "%20"), 11)
    holder.communicate("", timeout=30)
    for process in waiting:
        assert "not asked lockd" not in end(process)[2]
        assert process.returncode == 0


def test_command_that_cannot_replace_flock_leaves_nothing_half_done(daemon: Daemon, file: pathlib.Path) -> None:
    assert daemon.lockctl("flock", "--no-fork", str(file), "/nowhere/command").returncode == 69
    (lease,) = json.loads(daemon.lockctl("history", "--json", str(file)).stdout)
    assert lease["outcome"] == "released"

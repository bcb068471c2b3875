"""What shells complete the words of lockctl with."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess

import pexpect
import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon

SIGNALS = ["HUP", "INT", "QUIT", "ABRT", "KILL", "USR1", "USR2", "ALRM", "TERM", "CONT", "STOP", "TSTP", "WINCH"]

# But for those that are only the beginning of another one.
FLOCK_OPTIONS = ["shared", "exclusive", "unlock", "nonblock", "nb", "timeout", "wait", "conflict-exit-code", "command"]
FLOCK_OPTIONS += ["close", "no-fork", "verbose", "fcntl", "start", "length", "fd"]

# Completes the last of its words as an interactive bash does, and prints what there is to choose from.
IN_BASH = """
$BEFORE
lockctl() { "$LOCKCTL" "$@"; }
source <("$LOCKCTL" --generate-completion-script bash)
COMP_WORDS=(lockctl "$@")
COMP_CWORD=$#
COMP_LINE="${COMP_WORDS[*]}"
COMP_POINT=${#COMP_LINE}
_lockctl lockctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def programs(daemon: Daemon) -> pathlib.Path:
    """A directory of programs whose names begin as nothing else does that may be installed."""
    directory = daemon.directory / "programs"
    directory.mkdir()
    for name in ("sample-one", "sample-two", "single-sample"):
        (directory / name).symlink_to("/bin/true")
    return directory


def completions(daemon: Daemon, *words: str, before: str = "", programs: pathlib.Path | None = None) -> list[str]:
    """What there is to choose from, with no programs but those given."""
    bash = shutil.which("bash")
    assert bash is not None
    environment = {
        **os.environ,
        "PATH": f"{programs or daemon.directory}",
        "LOCKCTL": str(binary("lockctl")),
        "LOCKD_SOCKET": str(daemon.socket),
    }
    ran = subprocess.run(
        [bash, "-c", IN_BASH.replace("$BEFORE", before), "bash", *words],
        cwd=daemon.directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return sorted(set(filter(None, ran.stdout.splitlines())))


def completions_by_daemon(daemon: Daemon, *words: str) -> list[str]:
    """What there is to choose from, as soon as there is anything: lockctl waits half a second for a daemon, which may be too short for a busy one."""
    found: list[str] = []

    def is_answered() -> bool:
        found[:] = completions(daemon, *words)
        return bool(found)

    wait_until(is_answered, f"there is something for {words}")
    return found


def test_subcommands_are_completed(daemon: Daemon) -> None:
    assert completions(daemon, "w") == ["wait", "watch", "why"]


def test_options_are_completed(daemon: Daemon) -> None:
    assert completions(daemon, "ls", "--js") == ["--json", "--json-lines"]


@pytest.mark.parametrize("words", [["show"], ["why"], ["run", "-n"], ["release", "--token", "7"], ["ls"]])
def test_names_of_locks_that_there_are_now_are_completed(daemon: Daemon, words: list[str]) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        for name in ("reports/daily", "reports/nightly", "other", "reports/%20with%20spaces", "reports/%60id%60"):
            holder.ask(f"ACQUIRE {name}")
        waiter.send("ACQUIRE other reports/later")
        daemon.wait_until_listed("reports/later", 1)
        assert completions_by_daemon(daemon, *words, "rep") == ["reports/daily", "reports/later", "reports/nightly"]


def test_nothing_is_completed_without_a_daemon(daemon: Daemon) -> None:
    daemon.end()
    assert completions(daemon, "show", "rep") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["help", "hi"], ["history"]),
        (["ls", "--sort", ""], ["for", "name", "waiters"]),
        (["ls", "--of", "roo"], ["root"]),
        (["ls", "--columns", "na"], ["name", "names"]),
        (["ls", "--columns", "name,p"], ["name,pid"]),
        (["ls", "--columns", "name,n"], ["name,names", "name,note"]),
        (["metrics", "--format", "t"], ["text"]),
        (["run", "--progress", "p"], ["plain"]),
        (["run", "--on-loss", "ig"], ["ignore"]),
        # As bash divides it.
        (["run", "--on-loss", "signal", ":"], sorted(SIGNALS)),
        (["run", "--on-loss", "signal", ":", "US"], ["USR1", "USR2"]),
    ],
)
def test_values_are_completed(daemon: Daemon, words: list[str], expected: list[str]) -> None:
    assert completions(daemon, *words) == expected


def test_systemd_units_are_completed(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        holder.ask("ACQUIRE a")
        unit = json.loads(daemon.lockctl("ls", "--json").stdout)[0]["unit"]
        if unit and re.fullmatch("[A-Za-z0-9/._+@,][A-Za-z0-9/._+@,-]*", unit):
            assert completions_by_daemon(daemon, "ls", "--unit", "") == [unit]
        else:
            # What a shell would not take as it is, is left out.
            assert completions(daemon, "ls", "--unit", "") == []


COMMANDS = [
    ["run", "reports/nightly", "--"],
    ["run", "-w", "5s", "a", "b", "--"],
    ["once", "a", "--"],
    ["flock", "reporter.txt"],
    ["flock", "-n", "-w", "5", "reporter.txt"],
    ["flock", "--wait", "=", "5", "--", "reporter.txt"],
    ["flock", "--fd", "3"],
]


@pytest.mark.parametrize("words", COMMANDS)
def test_command_is_completed_as_if_it_stood_alone(daemon: Daemon, programs: pathlib.Path, words: list[str]) -> None:
    (daemon.directory / "reporter.txt").touch()
    (daemon.directory / "reporters").mkdir()
    with daemon.connect() as holder:
        holder.ask("ACQUIRE reports/nightly")
        assert completions(daemon, *words, "sam", programs=programs) == ["sample-one", "sample-two"]
        assert completions(daemon, *words, f"{programs}/sam") == [f"{programs}/sample-one", f"{programs}/sample-two"]
        assert completions(daemon, *words, "repo") == ["reporters"]
        assert completions(daemon, *words, "cat", "-n", "rep") == ["reporter.txt", "reporters"]
        assert completions(daemon, *words, "cat", "--js") == []


@pytest.mark.parametrize("name", ["_command_offset", "_comp_command_offset"])
@pytest.mark.parametrize("words", COMMANDS)
def test_command_is_completed_by_its_own_completion(daemon: Daemon, words: list[str], name: str) -> None:
    own = name + '() { COMPREPLY=("${COMP_WORDS[@]:$1}"); }'
    assert completions(daemon, *words, "a", "b", "c", before=own) == ["a", "b", "c"]


def test_options_and_file_of_flock_are_completed(daemon: Daemon) -> None:
    (daemon.directory / "reporter.txt").touch()
    offered = set(completions(daemon, "flock", "-"))
    assert {"-s", "-x", "-e", "-n", "-w", "-E", "-c", "-o", "-F", "-u", "-V", "-h", "--help"} <= offered
    assert {f"--{name}" for name in FLOCK_OPTIONS} <= offered
    for words in (["flock"], ["flock", "-n"], ["flock", "-w", "5"], ["flock", "--"]):
        assert completions(daemon, *words, "rep") == ["reporter.txt"]
    for words in (["flock", "-w"], ["flock", "reporter.txt", "-c"]):
        assert completions(daemon, *words, "rep") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_is_one_of_its_shell(shell: str) -> None:
    script = subprocess.run(
        [binary("lockctl"), "--generate-completion-script", shell], capture_output=True, text=True, check=True
    ).stdout
    assert "lockctl" in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    checked = subprocess.run([program, "-n"], input=script, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def script_of(shell: str, directory: pathlib.Path) -> pathlib.Path:
    path = directory / {"bash": "lockctl", "zsh": "_lockctl", "fish": "lockctl.fish"}[shell]
    with path.open("w") as script:
        subprocess.run([binary("lockctl"), "--generate-completion-script", shell], stdout=script, check=True)
    return path


def environment(daemon: Daemon) -> dict[str, str]:
    directories = [pathlib.Path(binary("lockctl")).resolve().parent, daemon.directory / "programs"]
    path = ":".join([*map(str, directories), os.environ["PATH"]])
    return {
        **os.environ,
        "LOCKD_SOCKET": str(daemon.socket),
        "PATH": path,
        "HOME": str(daemon.directory),
        "TERM": "dumb",
    }


SHELLS = {
    "bash": ("--norc", "PS1='READ''Y> '; source {directory}/lockctl"),
    "zsh": ("-f", "PS1='READ''Y> '; fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -D"),
    "fish": (
        "--no-config",
        "function fish_prompt; echo 'READ''Y> '; end; source {directory}/lockctl.fish"
        # Without its configuration it knows no completions.
        "; complete -c chown -fa root",
    ),
}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("lockctl show rep", "show reports/nightly"),
        ("lockctl hist", "lockctl history"),
        ("lockctl help hist", "help history"),
        ("lockctl run reports/nightly -- single-sa", "-- single-sample"),
        ("lockctl run reports/nightly -- programs/si", "-- programs/single-sample"),
        ("lockctl once -v reports/nightly -- cat rep", "cat reporter.txt"),
        ("lockctl flock rep", "flock reporter.txt"),
        ("lockctl flock --nonb", "flock --nonblock"),
        ("lockctl flock -w 5 reporter.txt single-sa", "reporter.txt single-sample"),
        ("lockctl flock --fd 3 cat rep", "cat reporter.txt"),
        ("lockctl ls --of roo", "--of root"),
        ("lockctl ls --columns name,pi", "--columns name,pid"),
        ("lockctl ls --sort wai", "--sort waiters"),
        ("lockctl run --on-loss signal:HU", "--on-loss signal:HUP"),
    ],
)
@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("shell", SHELLS)
def test_shell_completes(daemon: Daemon, shell: str, typed: str, expected: str) -> None:
    complete(daemon, shell, typed, expected)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize("before", ["run reports/nightly --", "flock reporter.txt"])
def test_shell_asks_the_completion_of_the_command(daemon: Daemon, shell: str, before: str) -> None:
    complete(daemon, shell, f"lockctl {before} chown roo", "chown root")
    # As it does without lockctl.
    complete(daemon, shell, "chown roo", "chown root")


def complete(daemon: Daemon, shell: str, typed: str, expected: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    script_of(shell, daemon.directory)
    (daemon.directory / "reporter.txt").touch()
    option, setup = SHELLS[shell]
    with daemon.connect() as holder:
        holder.ask("ACQUIRE reports/nightly")
        terminal = pexpect.spawn(
            shell, [option, "-i"], env=environment(daemon), cwd=daemon.directory, encoding="utf-8", timeout=60
        )
        terminal.delaybeforesend = None
        terminal.sendline(setup.format(directory=daemon.directory))
        terminal.expect_exact("READY> ")
        # The line is completed, and nothing is run.
        type_until_completed(terminal, typed, expected)
        terminal.close(force=True)


def type_until_completed(terminal: pexpect.spawn[str], typed: str, expected: str) -> None:
    """Type it again if nothing comes: lockctl waits half a second for a daemon, which may be too short for a busy one."""
    terminal.send(f"{typed}\t")
    for patience in (10, 20):
        if terminal.expect_exact([expected, pexpect.TIMEOUT], timeout=patience) == 0:
            return
        # Without the line that is there.
        terminal.send(f"\x15{typed}\t")
    terminal.expect_exact(expected)

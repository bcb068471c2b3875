"""What shells complete the words of lockctl with."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pexpect
import pytest
from binaries import binary

from .conftest import Daemon

# Completes the last of its words as an interactive bash does, and prints what there is to choose from.
IN_BASH = """
lockctl() { "$LOCKCTL" "$@"; }
source <("$LOCKCTL" --generate-completion-script bash)
COMP_WORDS=(lockctl "$@")
COMP_CWORD=$#
COMP_LINE="${COMP_WORDS[*]}"
COMP_POINT=${#COMP_LINE}
_lockctl lockctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completions(daemon: Daemon, *words: str) -> list[str]:
    directory = str(binary("lockctl").parent)
    environment = {
        **os.environ,
        "PATH": f"{directory}:{os.environ['PATH']}",
        "LOCKCTL": str(binary("lockctl")),
        "LOCKD_SOCKET": str(daemon.socket),
    }
    ran = subprocess.run(
        ["bash", "-c", IN_BASH, "bash", *words], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    return sorted(filter(None, ran.stdout.splitlines()))


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
        assert completions(daemon, *words, "rep") == ["reports/daily", "reports/later", "reports/nightly"]


def test_nothing_is_completed_without_a_daemon(daemon: Daemon) -> None:
    daemon.end()
    assert completions(daemon, "show", "rep") == []


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
    path = f"{pathlib.Path(binary('lockctl')).resolve().parent}:{os.environ['PATH']}"
    return {
        **os.environ,
        "LOCKD_SOCKET": str(daemon.socket),
        "PATH": path,
        "HOME": str(daemon.directory),
        "TERM": "dumb",
    }


SHELLS = {
    "zsh": ("-f", "PS1='READ''Y> '; fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -D"),
    "fish": ("--no-config", "function fish_prompt; echo 'READ''Y> '; end; source {directory}/lockctl.fish"),
}


@pytest.mark.parametrize(("typed", "expected"), [("lockctl show rep", "reports/nightly"), ("lockctl hist", "history")])
@pytest.mark.parametrize("shell", SHELLS)
def test_shell_completes_names_and_subcommands(daemon: Daemon, shell: str, typed: str, expected: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    script_of(shell, daemon.directory)
    option, setup = SHELLS[shell]
    with daemon.connect() as holder:
        holder.ask("ACQUIRE reports/nightly")
        terminal = pexpect.spawn(shell, [option, "-i"], env=environment(daemon), encoding="utf-8", timeout=30)
        terminal.delaybeforesend = None
        terminal.sendline(setup.format(directory=daemon.directory))
        terminal.expect_exact("READY> ")
        terminal.send(f"{typed}\t")
        # The line is completed, and nothing is run.
        terminal.expect_exact(expected)
        terminal.close(force=True)

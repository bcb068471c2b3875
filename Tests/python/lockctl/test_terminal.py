"""lockctl run on a real terminal: job control, full-screen programs and shells work as if the command ran bare."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import sys

import pexpect
import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon
from .terminal import PROMPT, Shell


def state(process: int) -> str:
    return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_job_is_stopped_and_continued_by_the_shell(shell: Shell, daemon: Daemon) -> None:
    shell.send("lockctl run a -- bash -c 'echo pid:$$:; read line; echo got:$line'\n")
    shell.terminal.expect(r"pid:(\d+):\r")
    command = int(shell.terminal.match[1])
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect(PROMPT)
    assert state(command) == "T"
    # It holds its lease nevertheless.
    with daemon.connect() as client:
        assert client.ask("ACQUIRE a wait=0").startswith("BUSY")
    assert "Running" in shell.run("bg; jobs") or "Stopped" in shell.run("jobs")
    shell.send("fg\n")
    shell.expect("lockctl run")
    wait_until(lambda: state(command) == "S", "the command goes on")
    shell.send("hello\n")
    shell.expect("got:hello")
    shell.expect(PROMPT)
    assert shell.run("echo code:$?") == "code:0\n"


def test_interrupt_ends_the_command_as_if_it_ran_bare(shell: Shell) -> None:
    shell.send("lockctl run a -- bash -c 'echo ready; sleep 1000'\n")
    shell.expect("\nready")
    shell.send("\x03")
    shell.expect(PROMPT)
    assert shell.run("echo code:$?") == "code:130\n"
    assert shell.run("lockctl run -n a -- echo free") == "free\n"


def test_command_that_ignores_the_stop_is_not_stopped(shell: Shell) -> None:
    script = shell.script(
        "import signal\nsignal.signal(signal.SIGTSTP, signal.SIG_IGN)\nprint('ready', flush=True)\nprint('got', input())"
    )
    shell.send(f"lockctl run a -- {script}\n")
    shell.expect("\nready")
    shell.send("\x1a")
    shell.send("on\n")
    shell.expect("got on")
    shell.expect(PROMPT)


def test_shell_within_has_its_own_jobs(shell: Shell) -> None:
    shell.send("PS1='INN''ER> ' lockctl run a -- bash --norc --noprofile -i\n")
    shell.expect("INNER> ")
    shell.send("sleep 1000\n")
    shell.wait_until_in_front("sleep")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect("INNER> ")
    shell.send("fg\n")
    shell.wait_until_in_front("sleep")
    shell.send("\x03")
    shell.expect("INNER> ")
    # The shell within is stopped, and continued, as a job of the shell outside.
    shell.send("suspend -f\n")
    shell.expect("Stopped")
    shell.expect(PROMPT)
    shell.send("fg\n")
    shell.expect("lockctl run")
    shell.send("\n")
    shell.expect("INNER> ")
    shell.send("echo still $((40 + 2))\n")
    shell.expect("still 42")
    shell.send("exit 4\n")
    shell.expect(PROMPT)
    assert shell.run("echo code:$?") == "code:4\n"


def test_pipelines_and_redirections_are_those_of_the_shell(shell: Shell, tmp_path: pathlib.Path) -> None:
    assert shell.run("printf 'b\\na\\n' | lockctl run a -- sort | cat -n") == "     1\ta\n     2\tb\n"
    out = tmp_path / "out"
    assert shell.run(f"lockctl run a -- cat <<<text >{out}") == ""
    assert out.read_text() == "text\n"
    assert shell.run("lockctl run a -- yes | head -n 1") == shell.run("yes | head -n 1")


def test_commands_sees_the_terminal_and_its_size(shell: Shell) -> None:
    assert re.fullmatch(r"/dev/pts/\d+\n24 80\n", shell.run("lockctl run a -- sh -c 'tty; stty size'"))
    shell.send("lockctl run a -- bash -c 'trap \"stty size; exit\" WINCH; echo ready; while :; do sleep 0.05; done'\n")
    shell.expect("\nready")
    shell.terminal.setwinsize(30, 100)
    shell.expect("30 100")
    shell.expect(PROMPT)


def test_pager_takes_the_screen_and_gives_it_back(shell: Shell) -> None:
    before = shell.modes()
    shell.send("seq 1000 | lockctl run a -- less\n")
    shell.expect("23\r\n")
    shell.send("G")
    shell.expect("1000\r\n")
    shell.send("q")
    shell.expect(PROMPT)
    assert shell.modes() == before


def test_secret_is_asked_for_on_the_terminal_itself(shell: Shell) -> None:
    # As ssh and sudo do: neither standard input nor output, and without echo.
    script = shell.script("import getpass\nprint('got', getpass.getpass('secret: '))")
    shell.send(f"lockctl run a -- {script} </dev/null | cat\n")
    shell.expect("secret: ")
    shell.send("abc\n")
    shell.expect("got abc")
    assert str(shell.terminal.before).strip() == ""


def test_editor_is_stopped_resumed_and_left(shell: Shell, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "text"
    shell.send(f"lockctl run a -- vim -u NONE -N {path}\n")
    shell.expect("[New")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect(PROMPT)
    shell.send("fg\n")
    shell.expect("lockctl run")
    shell.send("ihello\x1b:wq\r")
    shell.expect(PROMPT)
    assert path.read_text() == "hello\n"


def test_killed_command_leaves_the_terminal_as_it_was(shell: Shell, daemon: Daemon) -> None:
    script = shell.script(
        "import signal, tty\ntty.setraw(0)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('raw', flush=True)\nsignal.pause()"
    )
    # An interactive shell puts its terminal in order by itself, so lockctl is started by one that is not.
    line = shell.directory / "line.sh"
    line.write_text(f"stty -g; lockctl run --grace 0ms a -- {script}; echo code:$?; stty -g\n")
    shell.send(f"bash {line}\n")
    shell.expect("raw")
    before = str(shell.terminal.before)
    with daemon.connect() as client:
        client.ask("REVOKE a")
    shell.expect("code:137")
    shell.expect(PROMPT)
    modes = [re.findall(r"[0-9a-f]+(?::[0-9a-f]+){20,}", text) for text in (before, str(shell.terminal.before))]
    assert len(modes[0]) == 1
    assert modes[0] == modes[1]


def test_wait_can_be_interrupted_and_leaves_no_waiter(shell: Shell, daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.ask("ACQUIRE a")
        shell.send("lockctl run a -- echo ran\n")
        shell.expect("waiting for a, next: held by ")
        shell.send("\x03")
        shell.expect(PROMPT)
        assert shell.run("echo code:$?") == "code:130\n"
        daemon.wait_until_listed("a", 1)


def test_end_of_the_terminal_ends_the_command_of_a_first_process(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    # As with ssh -t: lockctl is the first process of the session, and the only one that is told.
    number = tmp_path / "number"
    terminal = pexpect.spawn(
        str(binary("lockctl")),
        [
            "run",
            "a",
            "--",
            "bash",
            "-c",
            f"trap 'exit 0' HUP; echo $$ >{number}; echo ready; while :; do sleep 0.05; done",
        ],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        encoding="utf-8",
    )
    terminal.expect_exact("ready")
    os.close(terminal.child_fd)
    daemon.wait_until_listed("a", 0)
    assert terminal.pid is not None
    os.waitpid(terminal.pid, 0)


@pytest.mark.parametrize("number", [signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP])
def test_signals_of_job_control_are_passed_on(daemon: Daemon, number: signal.Signals) -> None:
    script = (
        "import signal, sys; wanted = {signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP};"
        "signal.pthread_sigmask(signal.SIG_BLOCK, wanted); print('ready', flush=True); sys.exit(signal.sigwait(wanted))"
    )
    process = daemon.start("run", "a", "--", sys.executable, "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == number

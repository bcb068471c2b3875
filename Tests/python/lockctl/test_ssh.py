"""lockctl run with ssh, which has the terminal to itself: it turns it raw, follows its size, and has its own way to be stopped."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import termios
from collections.abc import Iterator
from functools import partial

import pytest
from daemon.processes import wait_until

from .conftest import Daemon
from .terminal import PROMPT, Shell


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    path = pathlib.Path(__file__).with_name("ssh_server.py")
    process = subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def line(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    port = int(server.stdout.readline())
    options = "-F none -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    return f"lockctl run a -- ssh {options} -p {port} somebody@127.0.0.1"


def is_sshs(shell: Shell) -> bool:
    """Whether the terminal makes no signals of keys, which bash leaves to it also while it reads a line."""
    return not shell.modes()[3] & termios.ISIG


def test_keys_sizes_and_exit_codes_go_through(shell: Shell, line: str) -> None:
    before = shell.modes()
    shell.send(line + "\n")
    shell.expect("size 80x24")
    wait_until(partial(is_sshs, shell), "ssh has the terminal")
    # Ctrl-C and Ctrl-Z are keys like others for the far side.
    for key in (3, 26, 65):
        shell.send(chr(key))
        shell.expect(f"key {key}\r\n")
    shell.terminal.setwinsize(30, 100)
    shell.expect("size 100x30")
    shell.send("q")
    shell.expect(PROMPT)
    assert shell.modes() == before
    assert shell.run("echo code:$?") == "code:7\n"


def test_ssh_is_stopped_by_its_own_keys_and_goes_on(shell: Shell, line: str, daemon: Daemon) -> None:
    before = shell.modes()
    shell.send(line + "\n")
    shell.expect("size 80x24")
    shell.send("\r~\x1a")
    shell.expect("Stopped")
    shell.expect(PROMPT)
    assert shell.modes() == before
    # The job holds its lease while it stands still.
    with daemon.connect() as client:
        assert client.ask("ACQUIRE a wait=0").startswith("BUSY")
    shell.send("fg\n")
    shell.expect("lockctl run")
    wait_until(partial(is_sshs, shell), "ssh has the terminal again")
    shell.send("B")
    shell.expect("key 66\r\n")
    shell.send("q")
    shell.expect(PROMPT)
    assert shell.modes() == before


def test_lease_ends_with_the_connection(shell: Shell, line: str, server: subprocess.Popen[str], daemon: Daemon) -> None:
    before = shell.modes()
    shell.send(line + "\n")
    shell.expect("size 80x24")
    server.kill()
    shell.expect(PROMPT)
    assert shell.run("echo code:$?") == "code:255\n"
    assert shell.modes() == before
    daemon.wait_until_listed("a", 0)

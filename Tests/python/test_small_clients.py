"""The complete small clients of docs/clients.md, as processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from binaries import ROOT
from conftest import PATIENCE, Daemon

import lockd

EXAMPLES = ROOT / "docs" / "examples"
BASH = EXAMPLES / "bash_client" / "with-lock.sh"
PERL = EXAMPLES / "perl_client" / "with-lock.pl"
CLIENTS = [pytest.param(BASH, id="bash"), pytest.param(PERL, id="perl")]
UNAVAILABLE = 69
LOST = 76

for needed in ("bash", "socat", "perl"):
    if shutil.which(needed) is None:
        pytest.skip(f"there is no {needed} here", allow_module_level=True)

#: Adds one to a file that it reads, without a lock of its own.
COUNT = 'number=$(cat "$1"); echo $((number + 1)) >"$1"'
#: Says that it runs, and ends when its input does.
SIT = 'echo "$LOCKD_TOKEN"; exec cat'


def start(client: Path, daemon: Daemon, name: str, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [client, name, *command],
        env={**os.environ, "LOCKD_SOCKET": daemon.socket},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sit(client: Path, daemon: Daemon, name: str) -> tuple[subprocess.Popen[str], int]:
    """A process that holds the lease, and the token of that."""
    process = start(client, daemon, name, "sh", "-c", SIT)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How a process has ended that is given no more input, and what it complained of."""
    _, complaints = process.communicate(timeout=PATIENCE)
    return process.returncode, complaints


def tokens(daemon: Daemon, name: str) -> list[int]:
    """Of the leases on a name, whatever bytes that has."""
    return [line.token for line in lockd.Client(socket=daemon.socket).show(name) if isinstance(line, lockd.LeaseLine)]


@pytest.mark.parametrize("client", CLIENTS)
def test_exactly_one_at_a_time(client: Path, daemon: Daemon, name: str, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0\n")
    for _ in range(5):
        processes = [start(client, daemon, name, "sh", "-c", COUNT, "sh", str(counter)) for _ in range(4)]
        assert [ended(process) for process in processes] == [(0, "")] * 4
    assert counter.read_text() == "20\n"


@pytest.mark.parametrize("client", CLIENTS)
def test_status_of_the_command_is_passed_on(client: Path, daemon: Daemon, name: str) -> None:
    assert ended(start(client, daemon, name, "sh", "-c", "exit 7")) == (7, "")
    assert tokens(daemon, name) == []


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("suffix", ["a b", "käse", "100%", "#1=2", "$\"\\'`*?[!]~", "<&>;|()"])
def test_any_name_is_that_name(client: Path, daemon: Daemon, name: str, suffix: str) -> None:
    process, token = sit(client, daemon, name + suffix)
    assert tokens(daemon, name + suffix) == [token]
    assert ended(process) == (0, "")


@pytest.mark.parametrize("client", CLIENTS)
def test_lease_ends_with_a_client_that_is_killed(client: Path, daemon: Daemon, name: str) -> None:
    process, token = sit(client, daemon, name)
    process.kill()
    ended(process)
    with lockd.Lock(name) as lease:
        assert lease.token > token


@pytest.mark.parametrize("client", CLIENTS)
def test_loss_is_told(client: Path, daemon: Daemon, name: str) -> None:
    process, token = sit(client, daemon, name)
    (answer,) = daemon.ask(f"REVOKE {name} token={token}")
    assert answer.startswith("REVOKED ")
    status, complaints = ended(process)
    assert status == LOST
    assert "the lease was lost while the command ran" in complaints


@pytest.mark.parametrize("client", CLIENTS)
def test_absent_daemon_is_named(client: Path, own_daemon: Daemon, name: str) -> None:
    own_daemon.kill()
    status, complaints = ended(start(client, own_daemon, name, "true"))
    assert status == UNAVAILABLE
    assert own_daemon.socket in complaints


def test_lease_and_wait_of_a_client_that_resumes_outlive_the_daemon(own_daemon: Daemon, name: str) -> None:
    holder, token = sit(PERL, own_daemon, name)
    waiter = start(PERL, own_daemon, name, "sh", "-c", SIT)
    own_daemon.await_waiters(name, 1)
    for _ in range(2):
        own_daemon.restart()
    assert tokens(own_daemon, name) == [token]
    assert ended(holder) == (0, "")
    assert waiter.stdout is not None
    assert int(waiter.stdout.readline()) > token
    assert ended(waiter) == (0, "")

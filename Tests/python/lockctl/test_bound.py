"""lockctl acquire, release, renew: leases that live as long as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from binaries import binary

from .conftest import Daemon


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as running:
        yield running
        running.kill()


def test_lease_lives_as_long_as_the_process(daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    result = daemon.lockctl("acquire", "--pid", str(process.pid), "--note", "the script", "a", "b")
    assert (result.returncode, result.stderr) == (0, "")
    token = int(result.stdout)
    listed = json.loads(daemon.lockctl("ls", "--json").stdout)
    assert [(line["name"], line["token"], line["pid"], line["bound"]) for line in listed] == [
        ("a", token, process.pid, "pidfd"), ("b", token, process.pid, "pidfd"),
    ]  # fmt: skip
    assert "  bound    to a process\n" in daemon.lockctl("show", "a").stdout
    header, line, _ = (re.split(" {2,}", line) for line in daemon.lockctl("ls").stdout.splitlines())
    assert line[header.index("STATE")] == "held"
    assert "process" in line
    process.kill()
    # It waits for the end of the lease, however soon that is noticed.
    later = daemon.lockctl("run", "b", "--", "true")
    assert later.returncode == 0
    assert "held b for " in later.stderr


def test_script_holds_its_lease_until_it_ends(daemon: Daemon) -> None:
    lockctl = binary("lockctl")
    script = (
        f'token=$({lockctl} acquire --pid $$ a) || exit; {lockctl} run -n a -- true; echo "$? $token"; exec sleep 1000'
    )
    environment = {**os.environ, "LOCKD_SOCKET": str(daemon.socket)}
    with subprocess.Popen(
        ["sh", "-c", script], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None
        assert re.fullmatch(r"75 \d{16}\n", shell.stdout.readline())
        shell.kill()
        shell.wait()
        assert daemon.lockctl("run", "a", "--", "true").returncode == 0


def test_token_releases_and_renews(daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    result = daemon.lockctl("acquire", "--pid", str(process.pid), "--ttl", "1h", "a", "b")
    token = result.stdout.strip()
    assert daemon.lockctl("renew", "b", "--token", token).stdout == "renewed a b for 1 h\n"
    assert daemon.lockctl("renew", "b", "--token", token, "--ttl", "2h").stdout == "renewed a b for 2 h\n"
    wrong = daemon.lockctl("release", "a", "--token", "5")
    assert wrong.returncode == 1
    assert wrong.stderr == "lockctl: there is no lease on a with token 5, or it is another user's\n"
    assert daemon.lockctl("release", "a", "--token", token).stdout == "released a b\n"
    assert daemon.lockctl("release", "a", "--token", token).returncode == 1
    assert daemon.lockctl("renew", "a", "--token", token).returncode == 1
    assert daemon.lockctl("ls", "--json").stdout == "[]\n"


def test_lease_without_ttl_needs_no_renewal(daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    token = daemon.lockctl("acquire", "--pid", str(process.pid), "a").stdout.strip()
    assert daemon.lockctl("renew", "a", "--token", token).stdout == "a needs no renewal: the lease has no ttl\n"


def test_lease_that_is_not_to_be_had_exits_with_75(daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        result = daemon.lockctl("acquire", "--pid", str(process.pid), "-n", "a")
        assert (result.returncode, result.stdout) == (75, "")
        assert "a is not free: held by " in result.stderr


def test_wait_ends_with_the_process(daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        waiting = daemon.start("acquire", "--pid", str(process.pid), "a")
        daemon.wait_until_listed("a", 2)
        process.kill()
        output, errors = waiting.communicate(timeout=30)
    assert (waiting.returncode, output) == (75, "")
    assert errors.splitlines()[-1] == "lockctl: a is not acquired: what the lease was to be bound to has ended"


def test_process_that_has_ended_exits_with_1(daemon: Daemon) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        result = daemon.lockctl("acquire", "--pid", str(ended.pid), "a")
        assert (result.returncode, result.stderr) == (1, f"lockctl: process {ended.pid} has ended\n")
    result = daemon.lockctl("acquire", "--pid", str(ended.pid), "a")
    assert (result.returncode, result.stderr) == (1, f"lockctl: there is no process {ended.pid}\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_process_of_somebody_else_exits_with_77(daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    for path in [daemon.socket.parent, *daemon.socket.parent.parents[:-2]]:
        path.chmod(0o755)
    daemon.socket.chmod(0o666)
    result = daemon.lockctl("acquire", "--pid", str(process.pid), "a", user=1, group=1)
    assert result.returncode == 77
    assert result.stderr == (
        f"lockctl: process {process.pid} is of user root, to whose processes only that user and root may bind a lease\n"
    )

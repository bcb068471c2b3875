"""A lease whose lockctl has been killed: who holds it is still to be seen, and nobody is there who would end the command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from .conftest import Daemon


class Orphan(NamedTuple):
    """A command that echoes what it is sent, and ends with its input."""

    lockctl: subprocess.Popen[str]
    command: int

    def is_there(self) -> bool:
        assert self.lockctl.stdin is not None
        assert self.lockctl.stdout is not None
        self.lockctl.stdin.write("there?\n")
        self.lockctl.stdin.flush()
        return self.lockctl.stdout.readline() == "there?\n"


@pytest.fixture(params=[[], ["--leader-only"]], ids=["tree", "leader-only"])
def orphan(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Orphan]:
    process = daemon.start("run", *request.param, "a", "--", "sh", "-c", "echo $$; exec cat", stdin=subprocess.PIPE)
    assert process.stdout is not None
    orphan = Orphan(process, int(process.stdout.readline()))
    # Before that it is a shell that says its number.
    assert orphan.is_there()
    process.kill()
    process.wait(timeout=30)
    yield orphan
    process.communicate()


def test_views_say_who_holds_it(daemon: Daemon, orphan: Orphan) -> None:
    cat = f"cat (pid {orphan.command})"
    shown = daemon.lockctl("show", "a").stdout
    assert f"  at work  {cat}\n" in shown
    assert "  gone     the process that acquired it; something that it has started holds the lease still\n" in shown
    why = daemon.lockctl("why", "a").stdout.splitlines()
    assert why[1:] == [f"lockctl is gone; something that it has started holds the lease still: {cat}."]
    assert [reason["reason"] for reason in json.loads(daemon.lockctl("why", "--json", "a").stdout)] == [
        "held",
        "orphaned",
    ]
    revocation = daemon.lockctl("revoke", "--dry-run", "a").stdout.splitlines()
    assert revocation[-1] == f"lockctl is gone; what it has started is told nothing and goes on: {cat}."


def test_revoking_does_not_end_it(daemon: Daemon, orphan: Orphan) -> None:
    assert daemon.lockctl("revoke", "--yes", "a").returncode == 0
    assert daemon.lockctl("run", "-n", "a", "--", "true").returncode == 0
    assert orphan.is_there()


def test_views_do_not_say_so_while_lockctl_is_there(daemon: Daemon) -> None:
    process = daemon.start("run", "a", "--", "sh", "-c", "echo $$; exec cat", stdin=subprocess.PIPE)
    assert process.stdout is not None
    command = int(process.stdout.readline())
    assert Orphan(process, command).is_there()
    shown = daemon.lockctl("show", "a").stdout
    assert f"  at work  cat (pid {command})\n" in shown
    assert "gone" not in shown
    assert len(daemon.lockctl("why", "a").stdout.splitlines()) == 1
    process.communicate("")


def test_ttl_of_a_killed_lockctl_runs_out(daemon: Daemon) -> None:
    # Who asks for a ttl asks for just that: an end, whoever is at work.
    process = daemon.start("run", "--ttl", "1s", "a", "--", "sh", "-c", "echo $$; exec cat", stdin=subprocess.PIPE)
    assert process.stdout is not None
    command = Orphan(process, int(process.stdout.readline()))
    process.kill()
    process.wait(timeout=30)
    assert daemon.lockctl("run", "-w", "30s", "a", "--", "true").returncode == 0
    assert command.is_there()
    process.communicate()

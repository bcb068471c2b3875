"""lockctl doctor: what is wrong, and what mends it."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import socket
from typing import Any

import pytest

from .conftest import Daemon


def findings(daemon: Daemon, *arguments: str, code: int = 0, user: int | None = None) -> dict[str, dict[str, Any]]:
    """What it finds, by subject."""
    ran = daemon.lockctl("doctor", "--json", *arguments, user=user, group=user)
    assert (ran.returncode, ran.stderr) == (code, "")
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return {finding["subject"]: finding for finding in found}


def test_all_is_well(daemon: Daemon) -> None:
    found = findings(daemon)
    assert {finding["verdict"] for finding in found.values()} == {"ok"}
    assert {"socket", "access", "daemon", "version", "sessions", "leases", "waiters"} <= found.keys()
    text = daemon.lockctl("doctor").stdout.splitlines()
    assert text[0] == f"ok       socket: {daemon.socket}"
    assert len(text) == len(found)


def test_daemon_that_was_never_started(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    found = findings(daemon, "--socket", f"{tmp_path}/none.sock", code=1)
    assert list(found) == ["socket"]
    assert found["socket"]["text"] == f"there is none at {tmp_path}/none.sock"
    assert found["socket"]["remedy"] == f"lockd --socket {tmp_path}/none.sock"


def test_file_that_is_no_socket(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    found = findings(daemon, "--socket", f"{tmp_path}/file", code=1)
    assert found["socket"]["text"] == f"{tmp_path}/file is no socket"


def test_socket_at_which_nobody_listens(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind(f"{tmp_path}/old.sock")
    ran = daemon.lockctl("doctor", "--socket", f"{tmp_path}/old.sock")
    assert ran.returncode == 1
    assert f"wrong    daemon: cannot connect to lockd at {tmp_path}/old.sock: Connection refused" in ran.stdout
    assert f"\n         do: lockd --socket {tmp_path}/old.sock\n" in ran.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_user_who_may_not_connect(daemon: Daemon) -> None:
    directory = pathlib.Path("/tmp") / f"lockd-doctor-{os.getpid()}"
    directory.mkdir(mode=0o755)
    try:
        own = Daemon(directory)
        with own:
            own.socket.chmod(0o660)
            os.chown(own.socket, 0, 1)
            access = findings(own, code=1, user=2)["access"]
    finally:
        shutil.rmtree(directory)
    assert access["verdict"] == "wrong"
    assert "may not connect: the socket is for root and the group daemon" in access["text"]
    assert access["remedy"].startswith("sudo usermod --append --groups daemon ")


def test_limit_that_is_nearly_met(tmp_path: pathlib.Path) -> None:
    daemon = Daemon(tmp_path, config="limits:\n  leases: 10\n")
    with daemon, daemon.connect() as holder:
        for number in range(9):
            holder.ask(f"ACQUIRE n{number}")
        leases = findings(daemon)["leases"]
    assert leases["verdict"] == "warning"
    assert leases["text"] == "9 of 10: what comes on top is refused"
    assert "lockd.conf(5)" in leases["remedy"]


def test_damaged_record_that_was_put_aside(daemon: Daemon) -> None:
    pathlib.Path(f"{daemon.socket}.log.damaged").touch()
    record = findings(daemon)["record"]
    assert record["verdict"] == "warning"
    assert "leases may have been lost" in record["text"]


def test_daemon_that_does_not_answer(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent.sock")
        silent.listen(1)
        found = findings(daemon, "--socket", f"{tmp_path}/silent.sock", code=1)
    assert found["daemon"]["text"] == "what listens at lockd's socket accepts connections and does not answer"

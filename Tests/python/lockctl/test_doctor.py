"""lockctl doctor: what is wrong, and what mends it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon

needs_users = pytest.mark.skipif(os.getuid() != 0, reason="needs other users")


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
    assert found["socket"]["remedy"] == f"mv {tmp_path}/file {tmp_path}/file.old && lockd --socket {tmp_path}/file"


def test_socket_at_which_nobody_listens(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind(f"{tmp_path}/old.sock")
    ran = daemon.lockctl("doctor", "--socket", f"{tmp_path}/old.sock")
    assert ran.returncode == 1
    assert f"wrong    daemon: cannot connect to lockd at {tmp_path}/old.sock: Connection refused" in ran.stdout
    assert f"\n         do: lockd --socket {tmp_path}/old.sock\n" in ran.stdout


@pytest.fixture
def open_daemon() -> Iterator[Daemon]:
    """A daemon in a directory that other users can see, which those of the tests are not."""
    directory = pathlib.Path("/tmp") / f"lockd doctor-{os.getpid()}"
    directory.mkdir(mode=0o755)
    try:
        running = Daemon(directory)
        with running:
            yield running
    finally:
        shutil.rmtree(directory)


def mend(finding: dict[str, Any]) -> None:
    """Does what a finding says, as it is said, but for the name of root's program."""
    line = finding["remedy"].replace("sudo ", "").removesuffix(", then log in again")
    subprocess.run(["sh", "-ec", line], check=True, stdout=subprocess.DEVNULL)


@needs_users
def test_user_who_is_not_in_the_group(open_daemon: Daemon) -> None:
    open_daemon.socket.chmod(0o660)
    os.chown(open_daemon.socket, 0, 1)
    access = findings(open_daemon, code=1, user=2)["access"]
    assert access["verdict"] == "wrong"
    assert access["text"] == "bin may not connect: the socket is for root and the group daemon"
    assert access["remedy"] == "sudo usermod --append --groups daemon bin, then log in again"


def doctor_of_a_login(daemon: Daemon, *, groups: str) -> dict[str, Any]:
    """What doctor says of the access of the user bin, whom /etc/group has in the group daemon, in a login with these groups only."""
    group = daemon.directory / "group"
    lines = pathlib.Path("/etc/group").read_text().splitlines()
    group.write_text("".join(f"{line}bin\n" if line.startswith("daemon:") else f"{line}\n" for line in lines))
    ran = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-ec"),
            'mount --bind "$1" /etc/group; shift; exec setpriv --reuid 2 --regid 2 --groups "$@"',
            *("sh", group, groups, binary("lockctl"), "doctor", "--json", "--socket", daemon.socket),
        ],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ran.stderr == ""
    found: dict[str, Any] = json.loads(ran.stdout)[1]
    assert found["subject"] == "access"
    return found


@needs_users
def test_login_that_is_older_than_the_membership(open_daemon: Daemon) -> None:
    open_daemon.socket.chmod(0o660)
    os.chown(open_daemon.socket, 0, 1)
    access = doctor_of_a_login(open_daemon, groups="2")
    assert access["verdict"] == "wrong"
    assert access["text"] == "bin is in the group daemon, but this login is older than that"
    assert access["remedy"] == "log out and in again, or: newgrp daemon"
    assert doctor_of_a_login(open_daemon, groups="1,2")["verdict"] == "ok"


@needs_users
@pytest.mark.parametrize(("owner", "group"), [(0, 0), (0, 1), (1, 4_000_000)])
def test_socket_that_is_for_its_owner_only(open_daemon: Daemon, owner: int, group: int) -> None:
    open_daemon.socket.chmod(0o600)
    os.chown(open_daemon.socket, owner, group)
    access = findings(open_daemon, code=1, user=2)["access"]
    name = {0: "root", 1: "daemon"}[owner]
    assert access["text"] == f"bin may not connect: the socket is of {name}, with mode 0600"
    path = f"'{open_daemon.socket}'"
    if group == 1:
        # The socket has a group that can be joined.
        assert access["remedy"] == (
            f"sudo chmod g+rw {path} && sudo usermod --append --groups daemon bin, then log in again"
        )
        return
    assert access["remedy"] == f"sudo chgrp bin {path} && sudo chmod g+rw {path}"
    mend(access)
    assert findings(open_daemon, user=2)["access"]["verdict"] == "ok"


@needs_users
def test_socket_that_is_closed_to_its_own_user(open_daemon: Daemon) -> None:
    open_daemon.socket.chmod(0o060)
    os.chown(open_daemon.socket, 2, 1)
    access = findings(open_daemon, code=1, user=2)["access"]
    assert access["text"] == "bin may not connect: the socket is of bin, with mode 0060"
    mend(access)
    assert findings(open_daemon, user=2)["access"]["verdict"] == "ok"


@needs_users
def test_directory_that_is_closed(open_daemon: Daemon) -> None:
    open_daemon.socket.chmod(0o666)
    open_daemon.directory.chmod(0o700)
    closed = findings(open_daemon, code=1, user=2)["socket"]
    assert closed["text"] == f"the directory {open_daemon.directory} is closed to bin"
    assert closed["remedy"] == f"sudo chmod a+x '{open_daemon.directory}'"
    mend(closed)
    assert findings(open_daemon, user=2)["access"]["verdict"] == "ok"


@contextlib.contextmanager
def pretending(daemon: Daemon, path: pathlib.Path, version: str) -> Iterator[None]:
    """What listens at `path`, and is the daemon but for its version."""

    def pass_on(source: socket.socket, target: socket.socket, said: bytes, instead: bytes) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece.replace(said, instead, 1))
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    with daemon.connect() as client:
        actual = client.ask("HELLO").split("lockd=")[1].split()[0]
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as behind:
        listener.bind(str(path))
        listener.listen(1)
        behind.connect(str(daemon.socket))

        def serve() -> None:
            front, _ = listener.accept()
            with front:
                back = threading.Thread(
                    target=pass_on, args=(behind, front, f"lockd={actual}".encode(), f"lockd={version}".encode())
                )
                back.start()
                pass_on(front, behind, b"", b"")
                back.join()

        server = threading.Thread(target=serve)
        server.start()
        yield
        server.join()


@pytest.mark.parametrize("is_older", [True, False])
def test_daemon_of_another_version(daemon: Daemon, tmp_path: pathlib.Path, is_older: bool) -> None:
    ours = findings(daemon)["version"]["text"].removeprefix("lockctl and lockd are both ")
    theirs = "0.0.9" if is_older else "99.0.0"
    path = tmp_path / "other.sock"
    with pretending(daemon, path, theirs):
        version = findings(daemon, "--socket", str(path))["version"]
    assert version["verdict"] == "warning"
    assert version["text"] == f"lockctl is {ours} and the daemon that runs is {theirs}"
    command = f"{binary('lockd')} --socket {daemon.socket} --state-dir {tmp_path}/state"
    if is_older:
        assert version["remedy"] == f"kill {daemon.process.pid}, then: {command}"
    else:
        assert version["remedy"] == f"{binary('lockctl').resolve()} doctor --socket {path}"


def test_limit_that_is_nearly_met(tmp_path: pathlib.Path) -> None:
    daemon = Daemon(tmp_path, config="limits:\n  leases: 10\n")
    with daemon, daemon.connect() as holder:
        for number in range(9):
            holder.ask(f"ACQUIRE n{number}")
        leases = findings(daemon)["leases"]
        assert leases["verdict"] == "warning"
        assert leases["text"] == "9 of 10: what comes on top is refused until limits.leases is raised"
        assert leases["remedy"] == f"${{EDITOR:-vi}} {tmp_path}/lockd.yaml && kill -HUP {daemon.process.pid}"
        # The editor of somebody who does what it says.
        editor = tmp_path / "editor"
        editor.write_text("#!/bin/sh\nsed -i 's/leases: 10/leases: 20/' \"$1\"\n")
        editor.chmod(0o755)
        subprocess.run(["sh", "-ec", leases["remedy"]], env={**os.environ, "EDITOR": str(editor)}, check=True)
        wait_until(lambda: findings(daemon)["leases"]["verdict"] == "ok", "lockd has read its configuration again")


def test_limit_of_a_daemon_without_a_configuration(tmp_path: pathlib.Path) -> None:
    daemon = Daemon(tmp_path, environment={"LOCKD_LIMITS_LEASES": "10", "LOCKD_LIMITS_LEASES_PER_USER": "10"})
    with daemon, daemon.connect() as holder:
        for number in range(10):
            holder.ask(f"ACQUIRE n{number}")
        leases = findings(daemon)["leases"]
        command = f"{binary('lockd')} --socket {daemon.socket} --state-dir {tmp_path}/state"
        assert leases["remedy"] == f"kill {daemon.process.pid}, then: LOCKD_LIMITS_LEASES=20 {command}"


def test_sessions_are_bounded_by_the_descriptors(tmp_path: pathlib.Path) -> None:
    """Then the configuration is not what is to be changed."""

    def have_few_descriptors() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))

    for config, is_few in ((None, True), ("limits:\n  sessions: 19\n  sessions-per-user: 19\n", False)):
        directory = tmp_path / str(is_few)
        directory.mkdir()
        daemon = Daemon(directory, config=config, preexec_fn=have_few_descriptors)
        with daemon, contextlib.ExitStack() as stack:
            for _ in range(18):
                stack.enter_context(daemon.connect())
            sessions = findings(daemon)["sessions"]
        limit = "the limit of open files" if is_few else "limits.sessions"
        assert sessions["text"].endswith(f": what comes on top is refused until {limit} is raised")
        assert sessions["remedy"].startswith("kill " if is_few else "${EDITOR:-vi} ")


def test_damaged_record_that_was_put_aside(daemon: Daemon) -> None:
    pathlib.Path(f"{daemon.socket}.log.damaged").touch()
    record = findings(daemon)["record"]
    assert record["verdict"] == "warning"
    assert "leases may have been lost" in record["text"]
    assert record["remedy"] == f"rm {daemon.socket}.log.damaged"
    mend(record)
    assert "record" not in findings(daemon)


def test_daemon_that_does_not_answer(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent.sock")
        silent.listen(1)
        found = findings(daemon, "--socket", f"{tmp_path}/silent.sock", code=1)
    assert found["daemon"]["text"] == "what listens at lockd's socket accepts connections and does not answer"


def test_daemon_that_hangs_is_ended_and_started_again(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    with daemon.connect() as holder:
        holder.ask("HELLO")
        holder.ask("ACQUIRE a")
        daemon.process.send_signal(signal.SIGSTOP)
        hanging = findings(daemon, code=1)["daemon"]
        end, start = hanging["remedy"].split(", then: ")
        assert end == f"kill -KILL {daemon.process.pid}"
        assert start == f"{binary('lockd')} --socket {daemon.socket} --state-dir {tmp_path}/state"
        subprocess.run(["sh", "-ec", end], check=True)
        daemon.process.wait(timeout=30)
        # As somebody would who does what it says, in a terminal.
        with subprocess.Popen(["sh", "-c", f"exec {start}"], stderr=subprocess.DEVNULL) as again:
            wait_until(lambda: daemon.lockctl("ping").returncode == 0, "it answers")
            assert findings(daemon)["daemon"]["verdict"] == "ok"
            assert json.loads(daemon.lockctl("ls", "--json").stdout)[0]["detached_ms"] is not None
            again.terminate()

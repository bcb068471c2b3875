"""lockctl doctor: what is wrong, and what mends it."""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import json
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon

needs_users = pytest.mark.skipif(os.getuid() != 0, reason="needs other users")

NO_ANSWER = "what listens at lockd's socket accepts connections and does not answer"


@dataclasses.dataclass
class Stranger:
    """A user who may use nothing of root, another user, and a group that neither the user nor root is in."""

    user: pwd.struct_passwd
    own_group: grp.struct_group
    other: pwd.struct_passwd
    group: grp.struct_group


@pytest.fixture
def stranger() -> Stranger:
    """Of those that there are on this machine."""
    # Whose names a shell takes as they are.
    plain = re.compile("[a-z_][a-z0-9_-]*")
    groups = {
        group.gr_gid: group
        for group in grp.getgrall()
        if group.gr_gid != 0 and group == grp.getgrgid(group.gr_gid) and plain.fullmatch(group.gr_name)
    }
    users = [
        user
        for user in pwd.getpwall()
        if user.pw_uid != 0 and user == pwd.getpwuid(user.pw_uid) and plain.fullmatch(user.pw_name)
    ]
    for user in users:
        others = [other for other in users if other.pw_uid != user.pw_uid]
        foreign = [
            group
            for group in groups.values()
            if group.gr_gid not in (user.pw_gid, *os.getgroups()) and not group.gr_mem
        ]
        if user.pw_gid in groups and others and foreign:
            found = Stranger(user, groups[user.pw_gid], others[0], foreign[0])
            break
    else:
        pytest.skip("there are too few users and groups")
    try:
        subprocess.run([binary("lockctl"), "--help"], user=user.pw_uid, group=user.pw_gid, capture_output=True)
    except PermissionError as error:
        pytest.skip(f"other users cannot run lockctl: {error}")
    return found


def findings(
    daemon: Daemon, *arguments: str, code: int = 0, user: pwd.struct_passwd | None = None, hangs: bool = False
) -> dict[str, dict[str, Any]]:
    """What it finds, by subject; of a daemon that does not hang, as soon as it has answered in time."""
    found: dict[str, dict[str, Any]] = {}
    identity = (None, None) if user is None else (user.pw_uid, user.pw_gid)

    def is_found() -> bool:
        ran = daemon.lockctl("doctor", "--json", *arguments, user=identity[0], group=identity[1])
        found.update((finding["subject"], finding) for finding in json.loads(ran.stdout))
        if found.get("daemon", {}).get("text") == NO_ANSWER and not hangs:
            found.clear()
            return False
        assert (ran.returncode, ran.stderr) == (code, "")
        return True

    wait_until(is_found, "the daemon answers in time")
    return found


def test_all_is_well(daemon: Daemon) -> None:
    found = findings(daemon)
    assert {finding["verdict"] for finding in found.values()} == {"ok"}
    assert {"socket", "access", "daemon", "version", "sessions", "leases", "waiters"} <= found.keys()
    said: list[str] = []

    def is_said() -> bool:
        said[:] = daemon.lockctl("doctor").stdout.splitlines()
        return not any(NO_ANSWER in line for line in said)

    wait_until(is_said, "the daemon answers in time")
    assert said[0] == f"ok       socket: {daemon.socket}"
    assert len(said) == len(found)


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
    directory = pathlib.Path(tempfile.mkdtemp(prefix="lockd doctor-", dir="/tmp"))
    try:
        directory.chmod(0o755)
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
def test_user_who_is_not_in_the_group(open_daemon: Daemon, stranger: Stranger) -> None:
    open_daemon.socket.chmod(0o660)
    os.chown(open_daemon.socket, 0, stranger.group.gr_gid)
    access = findings(open_daemon, code=1, user=stranger.user)["access"]
    user, group = stranger.user.pw_name, stranger.group.gr_name
    assert access["verdict"] == "wrong"
    assert access["text"] == f"{user} may not connect: the socket is for root and the group {group}"
    assert access["remedy"] == f"sudo usermod --append --groups {group} {user}, then log in again"


def doctor_of_a_login(daemon: Daemon, stranger: Stranger, *groups: int) -> dict[str, Any]:
    """What doctor says of the access of the user, whom /etc/group has in the group, in a login with these groups only."""
    group = daemon.directory / "group"
    former = pathlib.Path("/etc/group").read_text().splitlines()
    lines = [line for line in former if line.split(":")[0] != stranger.group.gr_name]
    if len(lines) == len(former):
        pytest.skip(f"the group {stranger.group.gr_name} is not in /etc/group")
    lines.append(f"{stranger.group.gr_name}:x:{stranger.group.gr_gid}:{stranger.user.pw_name}")
    group.write_text("".join(f"{line}\n" for line in lines))
    # Whoever may not be in the directory of the test has to read it as well.
    group.chmod(0o644)
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "--bind", group, "/etc/group"], capture_output=True, text=True
    )
    if tried.returncode != 0:
        pytest.skip(f"nothing can be mounted: {tried.stderr.strip()}")
    ran = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-ec"),
            'mount --bind "$1" /etc/group; shift; exec setpriv --reuid "$1" --regid "$2" --groups "$3" "$4" doctor --json --socket "$5"',
            *("sh", group, str(stranger.user.pw_uid), str(stranger.user.pw_gid), ",".join(map(str, groups))),
            *(binary("lockctl"), daemon.socket),
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
def test_login_that_is_older_than_the_membership(open_daemon: Daemon, stranger: Stranger) -> None:
    own, given = stranger.user.pw_gid, stranger.group.gr_gid
    open_daemon.socket.chmod(0o660)
    os.chown(open_daemon.socket, 0, given)
    access = doctor_of_a_login(open_daemon, stranger, own)
    name = stranger.group.gr_name
    assert access["verdict"] == "wrong"
    assert access["text"] == f"{stranger.user.pw_name} is in the group {name}, but this login is older than that"
    assert access["remedy"] == f"log out and in again, or: newgrp {name}"
    assert doctor_of_a_login(open_daemon, stranger, given, own)["verdict"] == "ok"


@needs_users
def test_socket_that_is_for_its_owner_only_and_has_a_group(open_daemon: Daemon, stranger: Stranger) -> None:
    """A group that can be joined."""
    open_daemon.socket.chmod(0o600)
    os.chown(open_daemon.socket, 0, stranger.group.gr_gid)
    access = findings(open_daemon, code=1, user=stranger.user)["access"]
    user, group = stranger.user.pw_name, stranger.group.gr_name
    assert access["text"] == f"{user} may not connect: the socket is of root, with mode 0600"
    opened = f"sudo chmod g+rw '{open_daemon.socket}'"
    assert access["remedy"] == f"{opened} && sudo usermod --append --groups {group} {user}, then log in again"


def group_without_name() -> int:
    named = {group.gr_gid for group in grp.getgrall()}
    return next(number for number in range(4_000_000, 5_000_000) if number not in named)


@needs_users
@pytest.mark.parametrize("is_roots", [True, False])
def test_socket_that_is_for_its_owner_only_and_has_no_group(
    open_daemon: Daemon, stranger: Stranger, is_roots: bool
) -> None:
    """None but that of root, or one without a name."""
    if any(group.gr_name == "lockd" for group in grp.getgrall()):
        pytest.skip("there is a group lockd, which is what the socket is given then")
    open_daemon.socket.chmod(0o600)
    if is_roots:
        os.chown(open_daemon.socket, 0, 0)
    else:
        try:
            os.chown(open_daemon.socket, stranger.other.pw_uid, group_without_name())
        except OSError as error:
            pytest.skip(f"no file can be given to any group here: {error}")
    access = findings(open_daemon, code=1, user=stranger.user)["access"]
    owner = "root" if is_roots else stranger.other.pw_name
    assert access["text"] == f"{stranger.user.pw_name} may not connect: the socket is of {owner}, with mode 0600"
    path = f"'{open_daemon.socket}'"
    assert access["remedy"] == f"sudo chgrp {stranger.own_group.gr_name} {path} && sudo chmod g+rw {path}"
    mend(access)
    assert findings(open_daemon, user=stranger.user)["access"]["verdict"] == "ok"


@needs_users
def test_socket_that_is_closed_to_its_own_user(open_daemon: Daemon, stranger: Stranger) -> None:
    name = stranger.user.pw_name
    open_daemon.socket.chmod(0o060)
    os.chown(open_daemon.socket, stranger.user.pw_uid, stranger.group.gr_gid)
    access = findings(open_daemon, code=1, user=stranger.user)["access"]
    assert access["text"] == f"{name} may not connect: the socket is of {name}, with mode 0060"
    mend(access)
    assert findings(open_daemon, user=stranger.user)["access"]["verdict"] == "ok"


@needs_users
def test_directory_that_is_closed(open_daemon: Daemon, stranger: Stranger) -> None:
    open_daemon.socket.chmod(0o666)
    open_daemon.directory.chmod(0o700)
    closed = findings(open_daemon, code=1, user=stranger.user)["socket"]
    assert closed["text"] == f"the directory {open_daemon.directory} is closed to {stranger.user.pw_name}"
    assert closed["remedy"] == f"sudo chmod a+x '{open_daemon.directory}'"
    mend(closed)
    assert findings(open_daemon, user=stranger.user)["access"]["verdict"] == "ok"


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
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def serve(front: socket.socket) -> None:
            with front, socket.socket(socket.AF_UNIX) as behind:
                behind.connect(str(daemon.socket))
                back = threading.Thread(
                    target=pass_on, args=(behind, front, f"lockd={actual}".encode(), f"lockd={version}".encode())
                )
                back.start()
                pass_on(front, behind, b"", b"")
                back.join()

        def serve_all() -> None:
            # Until nobody listens any more.
            with contextlib.suppress(OSError):
                while True:
                    front, _ = listener.accept()
                    serve(front)

        # Not waited for when the test ends with a client that does not.
        server = threading.Thread(target=serve_all, daemon=True)
        server.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join(timeout=30)


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
        assert leases["remedy"] == f"kill {daemon.process.pid}, then: env LOCKD_LIMITS_LEASES=20 {command}"


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
        raising = f"prlimit --pid $$ --nofile=524288 && kill {daemon.process.pid}, then: "
        assert sessions["remedy"].removeprefix("sudo ").startswith(raising if is_few else "${EDITOR:-vi} ")


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
        found = findings(daemon, "--socket", f"{tmp_path}/silent.sock", code=1, hangs=True)
    assert found["daemon"]["text"] == NO_ANSWER


def test_daemon_that_hangs_is_ended_and_started_again(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    with daemon.connect() as holder:
        holder.ask("HELLO")
        holder.ask("ACQUIRE a")
        daemon.process.send_signal(signal.SIGSTOP)
        hanging = findings(daemon, code=1, hangs=True)["daemon"]
        end, start = hanging["remedy"].split(", then: ")
        assert end == f"kill -KILL {daemon.process.pid}"
        assert start == f"{binary('lockd')} --socket {daemon.socket} --state-dir {tmp_path}/state"
        subprocess.run(["sh", "-ec", end], check=True)
        daemon.process.wait(timeout=30)
        # As somebody would who does what it says, in a terminal.
        with subprocess.Popen(["sh", "-c", f"exec {start}"], stderr=subprocess.DEVNULL) as again:
            try:
                wait_until(lambda: daemon.lockctl("ping").returncode == 0, "it answers")
                assert findings(daemon)["daemon"]["verdict"] == "ok"
                assert json.loads(daemon.lockctl("ls", "--json").stdout)[0]["detached_ms"] is not None
            finally:
                again.terminate()

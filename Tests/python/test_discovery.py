"""Where the daemon is looked for, and what is said when it is not there."""

from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest
from conftest import Daemon, RunProgram

import lockd
from lockd._discovery import socket_path, unavailable


def test_the_argument_goes_before_the_environment_goes_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKD_SOCKET", "/from/environment")
    assert socket_path("/from/argument", user=False) == "/from/argument"
    assert socket_path(Path("/from/path"), user=False) == "/from/path"
    assert socket_path(None, user=False) == "/from/environment"
    for empty in ("", None):
        monkeypatch.setenv("LOCKD_SOCKET", empty) if empty is not None else monkeypatch.delenv("LOCKD_SOCKET")
        assert socket_path(None, user=False) == "/run/lockd/lockd.sock"


def test_a_relative_path_is_that_of_the_directory_in_which_the_lock_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr")
    assert socket_path("lockd.sock", user=False) == "/usr/lockd.sock"


def test_the_users_daemon_is_in_its_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKD_SOCKET", "/from/environment")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert socket_path(None, user=True) == "/run/user/7/lockd/lockd.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(lockd.DaemonUnavailable, match="XDG_RUNTIME_DIR is not set"):
        lockd.Lock("x", user=True)


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/run/lockd/lockd.sock", "`systemctl start lockd`, or `lockd --socket /run/lockd/lockd.sock`"),
        ("/run/user/7/lockd/lockd.sock", "`systemctl --user start lockd`, or `lockd --user`"),
        ("/elsewhere", "Start it with `lockd --socket /elsewhere`"),
    ],
)
def test_an_absent_daemon_is_told_with_how_to_start_it(path: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    said = str(unavailable(path, FileNotFoundError(errno.ENOENT, "No such file or directory")))
    assert said.startswith(f"lockd at {path}: No such file or directory. ")
    assert advice in said


def test_no_socket_is_unavailable(tmp_path: Path) -> None:
    path = str(tmp_path / "lockd.sock")
    with pytest.raises(lockd.DaemonUnavailable, match="No such file or directory") as caught:
        lockd.Lock("x", socket=path).acquire()
    assert (caught.value.path, caught.value.errno) == (path, errno.ENOENT)
    assert isinstance(caught.value, ConnectionError)


def test_a_socket_that_nobody_listens_on_is_unavailable(tmp_path: Path) -> None:
    path = str(tmp_path / "lockd.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    with pytest.raises(lockd.DaemonUnavailable, match=r"Connection refused\. Start it with"):
        lockd.Lock("x", socket=path).locked()


def test_a_path_that_is_too_long_is_unavailable() -> None:
    with pytest.raises(lockd.DaemonUnavailable, match="too long"):
        lockd.Lock("x", socket="/" + "x" * 200).acquire()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not")
def test_a_socket_that_one_may_not_use_is_told_with_its_group(own_daemon: Daemon, run: RunProgram) -> None:
    os.chmod(own_daemon.directory, 0o755)
    os.chown(own_daemon.socket, 0, 65534)
    os.chmod(own_daemon.socket, 0o660)
    program = run(
        """
        import os
        import lockd
        os.setgroups([])
        os.setgid(12345)
        os.setuid(12345)
        try:
            lockd.Lock("x").acquire()
        except lockd.DaemonUnavailable as error:
            print(error)
        """,
        own_daemon,
    )
    said = program.finish()
    assert said.startswith(f"lockd at {own_daemon.socket}: Permission denied. ")
    assert "it is for group nogroup" in said


def test_a_daemon_that_says_nothing_is_unavailable(tmp_path: Path) -> None:
    path = str(tmp_path / "lockd.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)
        with pytest.raises(lockd.DaemonUnavailable, match="it does not answer"):
            lockd.Lock("x", socket=path, connect_timeout=0.1).acquire()


def test_something_else_than_lockd_is_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "lockd.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 mail.example.org ESMTP\r\n")
                connection.recv(1000)

        server = threading.Thread(target=greet)
        server.start()
        try:
            with pytest.raises(lockd.RemoteProtocolError, match="the reply is not"):
                lockd.Lock("x", socket=path).acquire()
        finally:
            server.join()

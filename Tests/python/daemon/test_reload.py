"""SIGHUP: the configuration is read again while the daemon serves."""

from __future__ import annotations

import pathlib
import re
import signal
from collections.abc import Iterator

import pytest

from .notify import NotifySocket, SocketUnit, await_message
from .processes import PATIENCE, Daemon


def reload(daemon: Daemon, notify: NotifySocket, config: str | None = None) -> str:
    """Has the daemon read its configuration again, perhaps another one; returns the status when it has."""
    if config is not None:
        (daemon.directory / "lockd.yaml").write_text(config)
    daemon.process.send_signal(signal.SIGHUP)
    # What is going on otherwise comes before or behind, but not in between.
    begun = notify.receive_until(lambda message: message[0] == "RELOADING=1")[-1]
    assert len(begun) == 2
    assert begun[1].startswith("MONOTONIC_USEC=")
    ready = notify.receive()
    assert len(ready) == 2
    assert ready[0] == "READY=1"
    return ready[1].removeprefix("STATUS=")


def start(directory: pathlib.Path, notify: NotifySocket, config: str | None, *arguments: str) -> Daemon:
    return Daemon(
        directory,
        "--socket",
        directory / "lockd.sock",
        "--state-dir",
        directory / "state",
        *arguments,
        config=config,
        environment=notify.environment,
    )


@pytest.fixture
def notify(tmp_path: pathlib.Path) -> Iterator[NotifySocket]:
    with NotifySocket(tmp_path) as listening:
        yield listening


def test_limits_are_in_force_at_once(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with start(tmp_path, notify, "limits:\n  leases: 1\n  leases-per-user: 1\n") as daemon, daemon.connect() as client:
        assert client.ask("ACQUIRE a").startswith("GRANTED a ")
        assert client.ask("ACQUIRE b").startswith("ERROR too-many-leases ")
        status = reload(daemon, notify, "limits:\n  leases: 2\n  leases-per-user: 1\n  sessions: 7\n")
        assert status == "serving 1 session, 1 lease, 0 waiters"
        assert client.ask("ACQUIRE b").startswith("GRANTED b ")
        assert client.ask("ACQUIRE c") == "ERROR too-many-leases limit=2 scope=daemon"
        statistics = daemon.statistics()
        assert [statistics[f"{name}-limit"] for name in ("leases", "sessions")] == ["2", "7"]


def test_limit_below_what_there_is_ends_nothing(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with start(tmp_path, notify, "limits: {}\n") as daemon, daemon.connect() as one, daemon.connect() as other:
        for name in ("a", "b"):
            assert one.ask(f"ACQUIRE {name}").startswith("GRANTED ")
        other.send("ACQUIRE a")
        daemon.wait_until_listed("a", 2)
        reload(
            daemon,
            notify,
            "limits:\n  sessions: 1\n  sessions-per-user: 1\n  reserved-sessions: 0\n  leases: 1\n  leases-per-user: 1\n"
            "  waiters: 1\n  waiters-per-user: 1\n  waiters-per-session: 1\n  bytes-per-user: 65536\n",
        )
        assert one.ask("ACQUIRE c").startswith("ERROR too-many-leases ")
        assert one.ask("RELEASE a").startswith("RELEASED a ")
        assert other.receive().startswith("GRANTED a ")
        with daemon.connect() as third:
            assert third.receive() == "ERROR too-many-sessions limit=1 scope=daemon"


def test_wrong_file_changes_nothing_and_is_told(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with start(tmp_path, notify, "limits:\n  leases: 5\n  leases-per-user: 5\n") as daemon:
        said = reload(daemon, notify, "limits:\n  leases: none\n")
        problem = f'{tmp_path}/lockd.yaml:2: limits.leases must be a whole number from 1 to 1000000, and is "none"'
        assert said == f"serving 0 sessions, 0 leases, 0 waiters; the configuration was not read again: {problem}"
        await_message(daemon, "cannot read the configuration again, keeping the former one")
        assert problem in daemon.messages()
        assert daemon.statistics()["leases-limit"] == "5"
        # What was wrong is said until it is right.
        with daemon.connect() as client:
            assert client.ask("PING") == "PONG"
            notify.await_status(
                f"serving 1 session, 0 leases, 0 waiters; the configuration was not read again: {problem}"
            )
        said = reload(daemon, notify, "limits:\n  leases: 6\n  leases-per-user: 6\n")
        assert re.fullmatch(r"serving [^;]+", said)
        assert daemon.statistics()["leases-limit"] == "6"


def test_missing_file_changes_nothing(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with start(tmp_path, notify, "limits: {}\n") as daemon:
        (tmp_path / "lockd.yaml").unlink()
        assert "cannot read" in reload(daemon, notify)
        with daemon.connect() as client:
            assert client.ask("PING") == "PONG"


def test_level_of_the_log_changes(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with start(tmp_path, notify, "limits: {}\n") as daemon:
        reload(daemon, notify, "log-level: error\n")
        with daemon.connect() as holder, daemon.connect() as client:
            for name in ("quiet", "loud"):
                assert holder.ask(f"ACQUIRE {name}").startswith("GRANTED ")
            assert client.ask("REVOKE quiet").startswith("REVOKED ")
            reload(daemon, notify, "log-level: notice\n")
            assert client.ask("REVOKE loud").startswith("REVOKED ")
        await_message(daemon, "name=loud")
        assert "name=quiet" not in daemon.messages()


def test_level_of_the_command_line_goes_before_the_file(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with start(tmp_path, notify, "limits: {}\n", "--log-level=notice") as daemon:
        reload(daemon, notify, "log-level: critical\n")
        await_message(daemon, "configuration read again")


def test_environment_goes_before_the_file_that_is_read_again(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    arguments = ("--socket", tmp_path / "lockd.sock", "--state-dir", tmp_path / "state")
    environment = {**notify.environment, "LOCKD_LIMITS_LEASES": "7", "LOCKD_LIMITS_LEASES_PER_USER": "1"}
    with Daemon(tmp_path, *arguments, config="limits: {}\n", environment=environment) as daemon:
        reload(daemon, notify, "limits:\n  leases: 9\n  waiters-per-session: 3\n")
        statistics = daemon.statistics()
        assert statistics["leases-limit"] == "7"


def test_what_needs_a_restart_is_told(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    environment = {**notify.environment, "XDG_RUNTIME_DIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    with Daemon(tmp_path, "--user", config="log-level: notice\n", environment=environment) as daemon:
        said = reload(daemon, notify, f"socket: {tmp_path}/other.sock\nstate-dir: {tmp_path}/other\n")
        assert said.endswith("; socket, state-dir changed and needs a restart")
        await_message(daemon, "needs a restart")
        assert "settings=socket, state-dir" in daemon.messages()
        assert not (tmp_path / "other.sock").exists()
        daemon.socket = tmp_path / "lockd" / "lockd.sock"
        with daemon.connect() as client:
            assert client.ask("PING") == "PONG"


def test_without_a_file_there_is_nothing_to_read(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with start(tmp_path, notify, None) as daemon:
        assert reload(daemon, notify) == "serving 0 sessions, 0 leases, 0 waiters"
        await_message(daemon, "configuration read again")


def test_time_to_end_when_idle_changes(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with (
        SocketUnit(tmp_path) as unit,
        unit.start(config="exit-when-idle: 1h\n", environment=notify.environment) as daemon,
    ):
        reload(daemon, notify, "exit-when-idle: 1s\n")
        assert daemon.process.wait(PATIENCE) == 0


def test_reload_without_systemd_is_the_same(tmp_path: pathlib.Path) -> None:
    arguments = ("--socket", tmp_path / "lockd.sock", "--state-dir", tmp_path / "state")
    with Daemon(tmp_path, *arguments, config="limits:\n  leases-per-session: 3\n") as daemon:
        daemon.process.send_signal(signal.SIGHUP)
        await_message(daemon, "configuration read again")
        with daemon.connect() as client:
            assert client.ask("PING") == "PONG"

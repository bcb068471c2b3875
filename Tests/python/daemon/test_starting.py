"""How the daemon begins and ends, and what it leaves behind."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import stat
import subprocess
import time

import pytest
from binaries import binary

from .processes import END, PATIENCE, Daemon, wait_until

CONFIGURATION_ERROR = 78


def refusal(*arguments: str | pathlib.Path, environment: dict[str, str] | None = None) -> str:
    """What lockd says when it does not start."""
    ended = subprocess.run(
        [binary("lockd"), *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == CONFIGURATION_ERROR, ended
    assert ended.stdout == ""
    assert ended.stderr.startswith("lockd: "), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr.removeprefix("lockd: ").removesuffix("\n")


def mode_of(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# One daemon


@pytest.mark.parametrize("round_", range(20))
def test_of_two_that_start_at_once_one_wins(tmp_path: pathlib.Path, round_: int) -> None:
    daemons = [Daemon(tmp_path, stderr=subprocess.PIPE) for _ in range(2)]
    try:
        wait_until(lambda: any(daemon.process.poll() is not None for daemon in daemons), "one of two has ended")
        loser, winner = sorted(daemons, key=lambda daemon: daemon.process.poll() is None)
        assert winner.process.poll() is None
        assert loser.process.returncode == CONFIGURATION_ERROR
        assert loser.process.stderr is not None
        said = loser.process.stderr.read()
        assert f"lockd with pid {winner.process.pid} is running already" in said
        assert f"{tmp_path}/state/lock" in said
        winner.wait_until_it_listens()
        with winner.connect() as client:
            assert f" pid={winner.process.pid} " in client.ask("HELLO")
    finally:
        for daemon in daemons:
            daemon.__exit__(None, None, None)


def test_second_one_with_the_same_state_is_refused(daemon: Daemon) -> None:
    said = refusal("--socket", daemon.directory / "other.sock", "--state-dir", daemon.directory / "state")
    assert f"pid {daemon.process.pid}" in said
    assert f"{daemon.directory}/state/lock" in said
    assert not (daemon.directory / "other.sock").exists()


def test_second_one_with_the_same_socket_is_refused(daemon: Daemon) -> None:
    said = refusal("--socket", daemon.socket, "--state-dir", daemon.directory / "other-state")
    assert f"pid {daemon.process.pid}" in said
    assert f"{daemon.socket}.lock" in said
    with daemon.connect() as client:
        assert client.ask("PING") == "PONG"


def test_lock_files_are_not_for_others(daemon: Daemon) -> None:
    """Who could open them could lock them, and keep the daemon from starting."""
    assert mode_of(daemon.directory / "lockd.sock.lock") == 0o600
    assert mode_of(daemon.directory / "state" / "lock") == 0o600


# The socket


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGABRT])
def test_socket_of_a_daemon_that_was_killed_is_replaced(tmp_path: pathlib.Path, with_signal: int) -> None:
    with Daemon(tmp_path, environment={"SWIFT_BACKTRACE": "enable=no"}) as daemon:
        daemon.end(with_signal)
        assert daemon.socket.exists()
    with Daemon(tmp_path) as daemon, daemon.connect() as client:
        assert client.ask("PING") == "PONG"


def test_regular_file_in_the_place_of_the_socket_is_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "lockd.sock"
    path.write_text("precious")
    said = refusal("--socket", path, "--state-dir", tmp_path / "state")
    assert said == f"{path} is there and is not a socket; move it away or choose another path"
    assert path.read_text() == "precious"


def test_path_that_is_too_long_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / ("s" * 100)
    said = refusal("--socket", path, "--state-dir", tmp_path / "state")
    assert said == f"--socket: the socket path {path} has {len(str(path))} bytes; the kernel allows 107"


def test_directory_of_a_socket_that_was_asked_for_is_not_made(tmp_path: pathlib.Path) -> None:
    said = refusal("--socket", tmp_path / "typo" / "lockd.sock", "--state-dir", tmp_path / "state")
    assert f"{tmp_path}/typo/lockd.sock.lock: No such file or directory" in said
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_socket_is_for_user_and_group(tmp_path: pathlib.Path, mask: int) -> None:
    with Daemon(tmp_path, umask=mask) as daemon:
        assert mode_of(daemon.socket) == 0o660
        assert mode_of(tmp_path / "state") == 0o700
        assert mode_of(tmp_path / "state" / "tokens") == 0o600


# --user


def test_user_daemon_uses_the_directories_of_the_user(tmp_path: pathlib.Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_STATE_HOME": str(tmp_path / "state")}
    (tmp_path / "run").mkdir()
    with Daemon(tmp_path, "--user", environment=environment) as daemon:
        path = tmp_path / "run" / "lockd" / "lockd.sock"
        assert mode_of(path) == 0o600
        assert mode_of(path.parent) == 0o700
        assert mode_of(tmp_path / "state" / "lockd") == 0o700
        daemon.socket = path
        with daemon.connect() as client:
            assert client.ask("PING") == "PONG"
        assert daemon.end() == 0
        assert not path.exists()


def test_user_daemon_without_a_state_home_uses_the_home_directory(tmp_path: pathlib.Path) -> None:
    (tmp_path / "home").mkdir()
    environment = {"XDG_RUNTIME_DIR": str(tmp_path), "XDG_STATE_HOME": "", "HOME": str(tmp_path / "home")}
    with Daemon(tmp_path, "--user", environment=environment):
        assert (tmp_path / "home" / ".local" / "state" / "lockd" / "tokens").exists()


def test_user_daemon_without_a_runtime_directory_says_what_it_needs() -> None:
    said = refusal("--user", environment={"XDG_RUNTIME_DIR": ""})
    assert said == "--user needs $XDG_RUNTIME_DIR, which is not set; set it, or name a --socket"


def test_state_directory_of_the_service_manager_is_used(tmp_path: pathlib.Path) -> None:
    environment = {"STATE_DIRECTORY": f"{tmp_path}/first:{tmp_path}/second"}
    with Daemon(tmp_path, "--socket", tmp_path / "lockd.sock", environment=environment):
        assert (tmp_path / "first" / "tokens").exists()
        assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_directories_that_are_made_are_for_the_daemon_only(tmp_path: pathlib.Path, slashes: str) -> None:
    with Daemon(tmp_path, "--socket", tmp_path / "lockd.sock", "--state-dir", f"{tmp_path}/a/b/state{slashes}"):
        assert mode_of(tmp_path / "a" / "b" / "state") == 0o700


def test_state_directory_that_is_a_file_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "state").write_text("precious")
    said = refusal("--socket", tmp_path / "lockd.sock", "--state-dir", tmp_path / "state")
    assert f"{tmp_path}/state" in said
    assert "Not a directory" in said or "not a directory" in said


# The configuration file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "socket: /x\nsokcet: /y\n",
            ':2: unknown key "sokcet" (did you mean socket?); known are socket, state-dir, log-level, exit-when-idle, limits',
        ),
        ("limits:\n  sessions: 0\n", ":2: limits.sessions must be a whole number from 1 to 1000000"),
        ("limits:\n  leases: 10\n  waiters: ten\n", ":3: limits.waiters must be a whole number from 1 to 1000000"),
        ("log-level: loud\n", ':1: log-level is "loud"; it can be '),
        ("limits: 5\n", ':1: limits must be a list of lines like "sessions: 100"'),
        ("just text\n", ':1: expected lines like "socket: /run/lockd/lockd.sock"'),
    ],
)
def test_wrong_configuration_is_refused_with_its_line(tmp_path: pathlib.Path, text: str, said: str) -> None:
    config = tmp_path / "lockd.yaml"
    config.write_text(text)
    answer = refusal("--config", config, "--socket", tmp_path / "s", "--state-dir", tmp_path / "state")
    assert answer.startswith(f"{config}{said}"), answer


def test_missing_configuration_file_is_named(tmp_path: pathlib.Path) -> None:
    said = refusal("--config", tmp_path / "none.yaml")
    assert said == f"cannot read {tmp_path}/none.yaml: No such file or directory"


def test_limits_of_the_configuration_are_in_force(tmp_path: pathlib.Path) -> None:
    config = "limits:\n  sessions: 20\n  leases: 30\n  waiters: 40\n  leases-per-session: 1\n"
    with Daemon(tmp_path, "--socket", tmp_path / "lockd.sock", "--state-dir", tmp_path / "s", config=config) as daemon:
        statistics = daemon.statistics()
        assert [statistics[f"{what}-limit"] for what in ("sessions", "leases", "waiters")] == ["20", "30", "40"]
        with daemon.connect() as client:
            client.acquire("a")
            assert client.ask("ACQUIRE b") == "ERROR too-many-leases limit=1 scope=session"


# Tokens


def token(daemon: Daemon) -> int:
    with daemon.connect() as client:
        return client.acquire("db")


def test_tokens_increase_over_every_kind_of_restart(tmp_path: pathlib.Path) -> None:
    tokens = []
    for how in ["SIGTERM", "SIGKILL", "wiped", "SIGKILL", "wiped", "end"]:
        with Daemon(tmp_path) as daemon:
            tokens += [token(daemon), token(daemon)]
            daemon.end(signal.SIGKILL if how == "SIGKILL" else signal.SIGTERM)
        if how == "wiped":
            shutil.rmtree(tmp_path / "state")
    assert tokens == sorted(set(tokens))


def test_tokens_are_not_below_the_wall_clock(daemon: Daemon) -> None:
    assert abs(token(daemon) / 1e6 - time.time()) < PATIENCE


def test_damaged_token_file_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "tokens").write_text("nonsense\n")
    said = refusal("--socket", tmp_path / "s", "--state-dir", tmp_path / "state")
    assert said.startswith(f"{tmp_path}/state/tokens is not a lockd token file; move it away")
    assert not (tmp_path / "s").exists()


# The end


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_daemon_ends_cleanly(tmp_path: pathlib.Path, with_signal: int) -> None:
    with Daemon(tmp_path) as daemon, daemon.connect() as holder, daemon.connect() as waiter:
        holder.acquire("db")
        waiter.send("ACQUIRE db")
        daemon.wait_until_listed("db", 2)
        assert daemon.end(with_signal) == 0
        assert holder.receive() == END
        assert waiter.receive() == END
        assert not daemon.socket.exists()
        assert " stopped" in daemon.messages()


def test_daemon_that_is_told_to_end_twice_ends_once(tmp_path: pathlib.Path) -> None:
    with Daemon(tmp_path) as daemon:
        daemon.process.send_signal(signal.SIGSTOP)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.send_signal(signal.SIGINT)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.send_signal(signal.SIGCONT)
        assert daemon.process.wait(timeout=PATIENCE) == 0


def test_reader_of_the_log_may_go_away(tmp_path: pathlib.Path) -> None:
    """Losing the log is no reason to lose every lease."""
    config = "limits:\n  sessions: 1\n  reserved-sessions: 0\n"
    arguments: list[str | pathlib.Path] = ["--socket", tmp_path / "lockd.sock", "--state-dir", tmp_path / "state"]
    with Daemon(tmp_path, *arguments, config=config, stderr=subprocess.PIPE) as daemon:
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()
        with daemon.connect() as client:
            client.acquire("db")
            # The refusal is worth a warning, which nobody reads.
            with daemon.connect() as refused:
                assert refused.receive() == "ERROR too-many-sessions limit=1 scope=daemon"
            assert client.ask("PING") == "PONG"
        assert daemon.end() == 0
        assert not daemon.socket.exists()


def test_idle_daemon_sleeps(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.acquire("db", "ttl=1h")
        waiter.send("ACQUIRE db wait=1h")
        daemon.wait_until_listed("db", 2)
        # The end of the session that looked is noticed at some time; then there is nothing to wake up for.
        wait_until(lambda: daemon.statistics()["sessions"] == "3", "only three sessions are left")
        switches, used = quiet_second(daemon)
        assert switches == 0
        assert used == 0


def quiet_second(daemon: Daemon) -> tuple[int, float]:
    """How often the daemon woke up in a second in which nobody wanted anything, and for how long."""
    settled = daemon.voluntary_switches()
    while True:
        time.sleep(0.05)
        switches = daemon.voluntary_switches()
        if switches == settled:
            break
        settled = switches
    used = daemon.cpu_seconds()
    time.sleep(1)
    return daemon.voluntary_switches() - settled, daemon.cpu_seconds() - used

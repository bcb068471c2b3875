"""Where settings come from, and what `lockd --check-config` says of them."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest
from binaries import binary

from .processes import PATIENCE, Daemon

CONFIGURATION_ERROR = 78


def check(
    *arguments: str | pathlib.Path, environment: dict[str, str] | None = None, user: int | None = None
) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LOCKD_")}
    return subprocess.run(
        [binary("lockd"), "--check-config", *arguments],
        env={**ours, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        user=user,
        group=user,
    )


def settings(said: str) -> dict[str, tuple[str, str]]:
    """What each line says: the value, and where it comes from."""
    lines = (line.removesuffix(")").split("   (", 1) for line in said.splitlines())
    pairs = ((text.strip().split(": ", 1), place) for text, place in lines)
    return {key: (value, place) for (key, value), place in pairs}


def test_check_says_every_setting_and_its_source(tmp_path: pathlib.Path) -> None:
    config = tmp_path / "lockd.conf"
    config.write_text("log-level: debug\nlimits:\n  sessions: 5000\n  leases: 6000\n  leases-per-user: 50\n")
    environment = {"LOCKD_LOG_LEVEL": "info", "LOCKD_LIMITS_LEASES": "7000", "STATE_DIRECTORY": f"{tmp_path}/state"}
    checked = check("--config", config, "--socket", "/tmp/s", environment=environment)
    assert (checked.returncode, checked.stderr) == (0, "")
    said = settings(checked.stdout)
    assert said == {
        "socket": ("/tmp/s", "--socket"),
        "state-dir": (f"{tmp_path}/state", "$STATE_DIRECTORY"),
        "log-level": ("info", "$LOCKD_LOG_LEVEL"),
        "exit-when-idle": ("never", "default"),
        "limits.sessions": ("5000", f"{config}:3"),
        "limits.sessions-per-user": ("4096", "default"),
        "limits.reserved-sessions": ("8", "default"),
        "limits.leases": ("7000", "$LOCKD_LIMITS_LEASES"),
        "limits.leases-per-user": ("50", f"{config}:5"),
        "limits.leases-per-session": ("10000", "default"),
        "limits.waiters": ("100000", "default"),
        "limits.waiters-per-user": ("50000", "default"),
        "limits.waiters-per-session": ("1000", "default"),
        "limits.bytes-per-user": ("67108864", "default"),
    }


def test_check_says_all_that_is_wrong(tmp_path: pathlib.Path) -> None:
    config = tmp_path / "lockd.conf"
    config.write_text("sokcet: /x\nlog-level: loud\nlimits:\n  sessions: 0\n")
    environment = {"LOCKD_LIMITS_SESIONS": "5", "LOCKD_LIMITS_WAITERS": "many"}
    checked = check("--config", config, "--exit-when-idle", "soon", environment=environment)
    assert (checked.returncode, checked.stdout) == (CONFIGURATION_ERROR, "")
    lines = checked.stderr.splitlines()
    assert all(line.startswith("lockd: ") for line in lines)
    assert [line.removeprefix("lockd: ").removeprefix(str(config)).split(": ")[0] for line in lines] == [
        ":1", "$LOCKD_LIMITS_SESIONS", "--exit-when-idle", "$LOCKD_LIMITS_WAITERS", ":2", ":4",
    ]  # fmt: skip


def test_check_changes_nothing(tmp_path: pathlib.Path) -> None:
    with Daemon(tmp_path) as daemon, daemon.connect() as client:
        client.acquire("db")
        before = sorted(tmp_path.rglob("*"))
        assert check("--socket", daemon.socket, "--state-dir", tmp_path / "state").returncode == 0
        checked = check("--user", "--state-dir", tmp_path / "other", environment={"XDG_RUNTIME_DIR": str(tmp_path)})
        assert checked.returncode == 0
        assert settings(checked.stdout)["socket"] == (f"{tmp_path}/lockd/lockd.sock", "$XDG_RUNTIME_DIR")
        assert sorted(tmp_path.rglob("*")) == before
        assert client.ask("PING") == "PONG"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_check_is_for_every_user() -> None:
    checked = check(user=65534)
    assert checked.returncode == 0
    assert settings(checked.stdout)["state-dir"] == ("/var/lib/lockd", "default")


def test_check_needs_no_socket_of_systemds(tmp_path: pathlib.Path) -> None:
    config = tmp_path / "lockd.conf"
    config.write_text("exit-when-idle: 10m\n")
    checked = check("--config", config)
    assert checked.returncode == 0
    assert settings(checked.stdout)["exit-when-idle"] == ("10m", f"{config}:1")
    assert checked.stderr.startswith(
        "lockd: note: exit-when-idle is only for a daemon that systemd starts by its socket"
    )


def test_check_without_a_file_says_that_none_was_read() -> None:
    checked = check()
    assert checked.returncode == 0
    assert (
        checked.stderr
        == "lockd: note: no file was read: --config names one, and lockd.service reads /etc/lockd/lockd.conf\n"
    )


def test_environment_is_in_force(tmp_path: pathlib.Path) -> None:
    environment = {
        "LOCKD_SOCKET": f"{tmp_path}/lockd.sock",
        "LOCKD_STATE_DIR": f"{tmp_path}/state-of-environment",
        "LOCKD_LIMITS_LEASES_PER_SESSION": "1",
    }
    with Daemon(tmp_path, "--log-level=notice", environment=environment) as daemon, daemon.connect() as client:
        client.acquire("a")
        assert client.ask("ACQUIRE b") == "ERROR too-many-leases limit=1 scope=session"
        assert (tmp_path / "state-of-environment" / "tokens").exists()


def test_mistyped_variable_is_refused(tmp_path: pathlib.Path) -> None:
    daemon = Daemon(tmp_path, environment={"LOCKD_LOG_LEVLE": "info"})
    assert daemon.process.wait(PATIENCE) == CONFIGURATION_ERROR
    assert (
        daemon.messages() == "lockd: $LOCKD_LOG_LEVLE: no setting has this variable; did you mean $LOCKD_LOG_LEVEL?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--sockt", "/x"], "unknown option '--sockt'. Did you mean '--socket'?"),
        (["--socket"], "missing value for '--socket <path>'"),
        (["\x1b[2J"], "unexpected argument '%1B[2J'"),
        (["--log-level", "loud"], "--log-level: "),
    ],
)
def test_wrong_command_line_is_told_as_everything_is(arguments: list[str], complaint: str) -> None:
    ran = subprocess.run([binary("lockd"), *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.returncode, ran.stdout) == (64, "")
    said, where = ran.stderr.splitlines()
    assert said.startswith(f"lockd: {complaint}")
    assert where == 'lockd: see "lockd --help"'


@pytest.mark.parametrize("place", ["--socket", "$LOCKD_SOCKET", "file", "$XDG_RUNTIME_DIR"])
def test_check_refuses_a_socket_path_that_is_too_long_with_the_words_of_the_daemon(
    tmp_path: pathlib.Path, place: str
) -> None:
    path = f"{tmp_path}/{'s' * 100}/lockd/lockd.sock"
    config = tmp_path / "lockd.conf"
    arguments: list[str | pathlib.Path] = ["--state-dir", tmp_path / "state"]
    environment = {"XDG_RUNTIME_DIR": path.removesuffix("/lockd/lockd.sock")}
    if place == "--socket":
        arguments += ["--socket", path]
    elif place == "$LOCKD_SOCKET":
        environment["LOCKD_SOCKET"] = path
    elif place == "file":
        config.write_text(f"log-level: info\nsocket: {path}\n")
        arguments += ["--config", config]
        place = f"{config}:2"
    else:
        arguments += ["--user"]
    checked = check(*arguments, environment=environment)
    words = f"lockd: {place}: the socket path {path} has {len(path)} bytes; the kernel allows 107\n"
    assert (checked.returncode, checked.stdout, checked.stderr) == (CONFIGURATION_ERROR, "", words)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LOCKD_")}
    started = subprocess.run(
        [binary("lockd"), *arguments],
        env={**ours, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (started.returncode, started.stderr) == (CONFIGURATION_ERROR, words)


def test_check_says_all_that_is_wrong_beside_a_key_that_is_said_twice(tmp_path: pathlib.Path) -> None:
    config = tmp_path / "lockd.conf"
    config.write_text("log-level: info\nsocet: /x\nlimits:\n  leases: 0\nlog-level: debug\n")
    checked = check("--config", config)
    assert checked.returncode == CONFIGURATION_ERROR
    unknown, *others = checked.stderr.splitlines()
    assert unknown.startswith(f'lockd: {config}:2: unknown key "socet" (did you mean socket?)')
    assert others == [
        f"lockd: {config}:5: log-level is said already, in line 1",
        f'lockd: {config}:4: limits.leases must be a whole number from 1 to 1000000, and is "0"',
    ]

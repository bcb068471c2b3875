"""A daemon of a user's own, under the systemd of that user."""

from __future__ import annotations

import json

import pytest
from box import Box


@pytest.fixture
def alice(installed: Box) -> dict[str, str]:
    """A user with a systemd of her own that runs: the environment of her processes."""
    installed.run(["useradd", "--create-home", "alice"])
    number = installed.run(["id", "--user", "alice"]).stdout.strip()
    installed.systemctl("start", f"user@{number}.service")
    return {"HOME": "/home/alice", "XDG_RUNTIME_DIR": f"/run/user/{number}"}


def test_socket_of_a_user_starts_daemon_of_the_user(installed: Box, alice: dict[str, str]) -> None:
    installed.run(["systemctl", "--user", "enable", "--now", "lockd.socket"], user="alice", environment=alice)

    said = installed.run(["lockctl", "ping", "--user"], user="alice", environment=alice).stdout

    daemon = installed.run(
        ["systemctl", "--user", "show", "--property=MainPID", "--value", "lockd.service"],
        user="alice",
        environment=alice,
    ).stdout.strip()
    assert f"(pid {daemon}) at {alice['XDG_RUNTIME_DIR']}/lockd/lockd.sock" in said
    assert installed.run(["stat", "--format=%U", f"/proc/{daemon}"]).stdout == "alice\n"
    assert installed.state("lockd.service") == "inactive"


def test_what_is_the_users_is_for_the_user_alone(installed: Box, alice: dict[str, str]) -> None:
    installed.run(["systemctl", "--user", "start", "lockd.socket"], user="alice", environment=alice)
    installed.run(["lockctl", "ping", "--user"], user="alice", environment=alice)

    paths = [
        f"{alice['XDG_RUNTIME_DIR']}/lockd",
        f"{alice['XDG_RUNTIME_DIR']}/lockd/lockd.sock",
        "/home/alice/.local/state/lockd",
    ]
    assert installed.run(["stat", "--format=%U %a", *paths]).stdout.splitlines() == [
        "alice 700",
        "alice 600",
        "alice 700",
    ]


def test_units_of_a_users_own_systemd_are_known(installed: Box, alice: dict[str, str]) -> None:
    installed.run(["systemctl", "--user", "start", "lockd.socket"], user="alice", environment=alice)
    job = ["lockctl", "run", "--user", "a", "--", "lockctl", "ls", "--user", "--json"]

    said = installed.run(
        ["systemd-run", "--user", "--quiet", "--pipe", "--wait", "--unit=job", *job], user="alice", environment=alice
    ).stdout

    assert [lease["unit"] for lease in json.loads(said)] == ["job.service"]


def test_doctor_says_what_mends_the_daemon_of_a_user(installed: Box, alice: dict[str, str]) -> None:
    def findings(code: int) -> dict[str, dict[str, str]]:
        ran = installed.run(["lockctl", "doctor", "--user", "--json"], user="alice", environment=alice, check=False)
        assert ran.returncode == code, ran.stdout
        return {finding["subject"]: finding for finding in json.loads(ran.stdout)}

    def do(line: str) -> None:
        installed.run(["sh", "-ec", line], user="alice", environment=alice)

    do(findings(1)["socket"]["remedy"])
    assert findings(0)["daemon"]["verdict"] == "ok"
    do("systemctl --user set-environment LOCKD_LIMITS_LEASES=1 LOCKD_LIMITS_LEASES_PER_USER=1")
    do("systemctl --user restart lockd.service; systemd-run --user --quiet lockctl run --user a -- sleep infinity")
    installed.wait_until(lambda: findings(0)["leases"]["verdict"] != "ok", "the lease is held")
    full = findings(0)["leases"]
    assert full["text"] == "1 of 1: what comes on top is refused until limits.leases is raised"
    do(full["remedy"])
    assert findings(0)["leases"]["text"] == "1 of 2"

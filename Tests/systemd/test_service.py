"""The daemon as systemd runs it: started by the first client, started anew, stopped, kept alive."""

from __future__ import annotations

import json
import re

import pytest
from box import Box
from visitors import SOCKET, newcomers, statistics

SERVICE = "lockd.service"


@pytest.fixture
def running(installed: Box) -> Box:
    """The machine with the daemon started."""
    installed.run(["lockctl", "ping"])
    return installed


def restarts(box: Box) -> int:
    """How often systemd has started the daemon again by itself."""
    return int(box.property(SERVICE, "NRestarts"))


def await_new_daemon(box: Box, former: int) -> None:
    """Return when another daemon than that one is there."""
    box.wait_until(
        lambda: box.state(SERVICE) == "active" and box.main_pid(SERVICE) not in (0, former), "another daemon"
    )


def test_first_connection_starts_daemon(installed: Box) -> None:
    """codingjoe/joeflow#8: nothing has to be set up, and nothing runs before somebody wants a lock."""
    assert installed.state(SERVICE) == "inactive"

    said = installed.run(["lockctl", "ping"]).stdout

    assert f"(pid {installed.main_pid(SERVICE)}) at {SOCKET} answered" in said
    assert installed.state(SERVICE) == "active"


def test_daemon_has_no_rights_and_may_have_many_descriptors(running: Box) -> None:
    daemon = running.main_pid(SERVICE)

    status = dict(line.split(":\t", 1) for line in running.read(f"/proc/{daemon}/status").splitlines() if ":\t" in line)
    assert status["CapBnd"] == "0000000000000000"
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == running.run(["id", "--user", "lockd"]).stdout.split() * 4
    # Two for each session and a bit more, of those that systemd could give.
    (limit,) = re.findall(r"Max open files +(\d+)", running.read(f"/proc/{daemon}/limits"))
    assert int(statistics(running)["sessions-limit"]) >= min(8192, int(limit) // 4)


def test_group_may_connect_and_others_may_not(running: Box) -> None:
    for user in ("alice", "bob"):
        running.run(["useradd", user])
    running.run(["usermod", "--append", "--groups", "lockd", "alice"])

    running.run(["lockctl", "ping"], user="alice")

    refused = running.run(["lockctl", "ping"], user="bob", check=False)
    assert refused.returncode == 69
    assert "Permission denied; the socket admits root and the members of its group" in refused.stderr


def test_daemon_knows_command_unit_and_user_of_others(running: Box) -> None:
    running.run(["useradd", "alice", "--groups", "lockd"])
    job = ["lockctl", "run", "a", "--", "lockctl", "ls", "--json"]

    said = running.run(["systemd-run", "--quiet", "--pipe", "--wait", "--unit=job", "--uid=alice", *job]).stdout

    (lease,) = json.loads(said)
    assert (lease["command"], lease["unit"], lease["user"]) == ("lockctl", "job.service", "alice")


def test_restarts_refuse_nobody(running: Box) -> None:
    opened = running.property("lockd.socket", "ActiveEnterTimestampMonotonic")

    with newcomers(running) as result:
        for _ in range(5):
            former = running.main_pid(SERVICE)
            running.systemctl("restart", SERVICE)
            assert running.main_pid(SERVICE) not in (0, former)

    assert result.count >= 200
    assert result.unserved == {}
    assert running.property("lockd.socket", "ActiveEnterTimestampMonotonic") == opened


def test_killed_daemon_is_started_again_and_nobody_is_refused(running: Box) -> None:
    with newcomers(running) as result:
        for _ in range(5):
            former = running.main_pid(SERVICE)
            running.run(["kill", "-KILL", str(former)])
            await_new_daemon(running, former)

    assert result.count >= 200
    assert result.unserved == {}
    assert restarts(running) == 5


def test_hanging_daemon_is_started_again(running: Box) -> None:
    running.override(SERVICE, "[Service]\nWatchdogSec=1s\n")
    running.systemctl("restart", SERVICE)
    former = running.main_pid(SERVICE)

    running.run(["kill", "-STOP", str(former)])

    await_new_daemon(running, former)
    assert running.run(["lockctl", "ping"]).stdout.startswith("lockd ")
    assert "Watchdog timeout" in running.journal(SERVICE)


def test_idle_daemon_is_not_taken_for_one_that_hangs(running: Box) -> None:
    running.override(SERVICE, "[Service]\nWatchdogSec=200ms\n")
    running.systemctl("restart", SERVICE)
    daemon = running.main_pid(SERVICE)

    def age() -> float:
        started = int(running.property(SERVICE, "ExecMainStartTimestampMonotonic")) / 1e6
        return float(running.read("/proc/uptime").split()[0]) - started

    running.wait_until(lambda: age() > 1.5, "so much of the daemon's life")

    assert running.main_pid(SERVICE) == daemon
    assert restarts(running) == 0


def test_crash_loop_leaves_socket_open_and_clients_waiting(installed: Box) -> None:
    installed.override(SERVICE, "[Service]\nExecStart=\nExecStart=/bin/false\n")
    client = installed.popen(["lockctl", "run", "a", "--", "echo", "ran"])
    # The default limit of starts is 5.
    installed.wait_until(lambda: restarts(installed) > 12, "so many starts")
    assert installed.state("lockd.socket") == "active"
    assert client.poll() is None

    installed.override(SERVICE, "")

    output, complaint = client.communicate(timeout=30)
    assert (client.returncode, output, complaint) == (0, "ran\n", "")


def test_daemon_that_ends_at_once_leaves_socket_open(installed: Box) -> None:
    # What a daemon does that ends because nobody uses it, but faster. The default limit of such starts, which is not to be in force, is made low
    # enough for a slow machine to meet it.
    installed.override("lockd.socket", "[Socket]\nTriggerLimitBurst=2\n")
    installed.systemctl("restart", "lockd.socket")
    starts = "/run/lockd/starts"
    installed.write("/opt/brief", f"#!/bin/sh\necho start >>{starts}\n")
    installed.run(["chmod", "+x", "/opt/brief"])
    installed.override(SERVICE, "[Service]\nType=exec\nExecStart=\nExecStart=/opt/brief\n")
    client = installed.popen(["lockctl", "run", "a", "--", "echo", "ran"])
    installed.wait_until(lambda: installed.exists(starts) and installed.read(starts).count("start") > 20, "many starts")
    assert installed.state("lockd.socket") == "active"

    installed.override(SERVICE, "")

    output, complaint = client.communicate(timeout=30)
    assert (client.returncode, output, complaint) == (0, "ran\n", "")


def test_stopped_service_comes_back_with_next_client(running: Box) -> None:
    former = running.main_pid(SERVICE)

    running.systemctl("stop", SERVICE)

    assert (running.state(SERVICE), running.state("lockd.socket")) == ("inactive", "active")
    running.run(["lockctl", "ping"])
    assert running.main_pid(SERVICE) not in (0, former)


def test_stopped_socket_stops_daemon_and_keeps_it_stopped(running: Box) -> None:
    running.systemctl("stop", "lockd.socket")

    refused = running.run(["lockctl", "ping"], check=False)
    assert refused.returncode == 69
    assert f"cannot connect to lockd at {SOCKET}: No such file or directory" in refused.stderr
    assert (running.state(SERVICE), running.state("lockd.socket")) == ("inactive", "inactive")

    running.systemctl("start", "lockd.socket")
    running.run(["lockctl", "ping"])


def test_reload_takes_new_limits(running: Box) -> None:
    daemon = running.main_pid(SERVICE)
    running.write("/etc/lockd/lockd.conf", "limits:\n  leases: 1234\n  leases-per-user: 1000\n")

    running.systemctl("reload", SERVICE)

    running.wait_until(lambda: statistics(running)["leases-limit"] == "1234", "the new limit")
    assert running.main_pid(SERVICE) == daemon


def test_reload_of_wrong_configuration_keeps_former_one_and_says_so(running: Box) -> None:
    daemon = running.main_pid(SERVICE)
    running.write("/etc/lockd/lockd.conf", "log-level: notice\nlimits:\n  leases: none\n")

    running.run(["systemctl", "reload", SERVICE], check=False)

    complaint = "/etc/lockd/lockd.conf:3: limits.leases must be a whole number"
    running.wait_until(lambda: complaint in running.property(SERVICE, "StatusText"), "a complaint")
    assert complaint in running.journal(SERVICE, "--output=short", "--catalog")
    assert running.main_pid(SERVICE) == daemon
    assert statistics(running)["leases-limit"] == "100000"


def test_wrong_configuration_is_said_and_clients_wait_until_it_is_right(installed: Box) -> None:
    installed.write("/etc/lockd/lockd.conf", "limits:\n  leases: none\n")
    client = installed.popen(["lockctl", "run", "a", "--", "echo", "ran"])
    complaint = "/etc/lockd/lockd.conf:2: limits.leases must be a whole number"
    installed.wait_until(lambda: complaint in installed.journal(SERVICE), "a complaint")
    # A pause between the starts, so that the machine has time for other things.
    assert "status=78" in installed.journal(SERVICE)
    assert installed.property(SERVICE, "RestartUSec") == "100ms"

    installed.write("/etc/lockd/lockd.conf", "")

    assert client.wait(30) == 0


def test_journal_explains_what_the_daemon_says(running: Box) -> None:
    running.run(["lockctl", "run", "a", "--", "lockctl", "revoke", "a"], check=False)
    running.systemctl("stop", SERVICE)

    entries = [json.loads(line) for line in running.journal(SERVICE, "--output=json").splitlines()]
    identifiers = {
        entry["MESSAGE"]: entry.get("MESSAGE_ID") for entry in entries if entry["SYSLOG_IDENTIFIER"] == "lockd"
    }

    explained = running.journal(SERVICE, "--output=short", "--catalog")
    assert identifiers.keys() >= {"started", "revoked", "stopped"}
    for message, identifier in identifiers.items():
        assert identifier is not None, message
        subject = re.search(r"^Subject: (.+)$", running.run(["journalctl", "--dump-catalog", identifier]).stdout, re.M)
        assert subject is not None, message
        # What stands between two @ is taken from the entry.
        assert re.search(re.sub("@[A-Z_]+@", ".+", subject[1]), explained), message


def test_idle_daemon_ends_and_is_started_again(installed: Box) -> None:
    installed.override(
        SERVICE, "[Service]\nExecStart=\nExecStart=/usr/sbin/lockd --config /etc/lockd/lockd.conf --exit-when-idle 1s\n"
    )
    installed.run(["lockctl", "ping"])
    former = installed.main_pid(SERVICE)

    installed.wait_until(lambda: installed.state(SERVICE) == "inactive", "the end of the daemon")

    assert installed.property(SERVICE, "Result") == "success"
    assert restarts(installed) == 0
    installed.run(["lockctl", "ping"])
    assert installed.main_pid(SERVICE) not in (0, former)


def test_directory_that_is_mounted_elsewhere_has_the_socket_that_is_opened_anew(running: Box) -> None:
    # As a container sees it that is given the directory: read-only, in a mount namespace of its own.
    script = "mkdir -p /mnt/lockd && mount --bind -o ro /run/lockd /mnt/lockd && echo mounted && read line && exec lockctl ping"
    container = running.popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        environment={"LOCKD_SOCKET": "/mnt/lockd/lockd.sock"},
    )
    assert container.stdout is not None
    assert container.stdout.readline() == "mounted\n"

    running.systemctl("restart", "lockd.socket")

    output, complaint = container.communicate("\n", timeout=30)
    assert (container.returncode, complaint) == (0, "")
    assert "at /mnt/lockd/lockd.sock answered" in output

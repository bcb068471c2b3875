"""lockctl doctor on a machine with systemd: the units, the journal, the clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from box import ROOT, Box


def findings(box: Box, code: int | None = 0) -> dict[str, dict[str, Any]]:
    """What it finds, by subject, of a daemon that has answered in time if it has answered at all."""
    by_subject: dict[str, dict[str, Any]] = {}

    def is_found() -> bool:
        ran = box.run(["lockctl", "doctor", "--json"], check=False)
        found: list[dict[str, Any]] = json.loads(ran.stdout)
        by_subject.clear()
        by_subject.update((finding["subject"], finding) for finding in found)
        if code == 0 and by_subject.get("daemon", {}).get("text", "").endswith("does not answer"):
            return False
        assert ran.stderr == ""
        assert code in (None, ran.returncode), ran.stdout
        return True

    box.wait_until(is_found, "the daemon answers in time")
    return by_subject


def await_finding(box: Box, subject: str, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    """What it finds of a subject, as soon as that is so; until then it may find anything."""
    found: dict[str, Any] = {}

    def is_so() -> bool:
        found.clear()
        found.update(findings(box, code=None).get(subject, {}))
        return bool(found) and condition(found)

    box.wait_until(is_so, what)
    return found


def await_active(box: Box) -> None:
    """Return when the daemon answers, and when systemd knows as well that it has started."""
    box.wait_until(lambda: box.run(["lockctl", "ping"], check=False).returncode == 0, "lockd answers")
    box.wait_until(lambda: box.state("lockd.service") == "active", "lockd has started")


def test_all_is_well_after_the_installation(installed: Box) -> None:
    await_active(installed)

    found = findings(installed)

    assert {finding["verdict"] for finding in found.values()} == {"ok"}
    assert found["lockd.socket"]["text"] == "is active, and enabled"
    assert found["lockd.service"]["text"] == "is active"
    assert "clock" in found
    assert found["journal"]["text"].startswith("no warning of lockd since the boot")


@pytest.mark.parametrize(
    ("commands", "subject", "text"),
    [
        ([["stop", "lockd.socket", "lockd.service"]], "lockd.socket", "is inactive"),
        ([["stop", "lockd.socket", "lockd.service"], ["mask", "lockd.socket"]], "lockd.socket", "it is masked"),
    ],
)
def test_socket_that_is_not_there_is_mended_by_the_command_that_is_said(
    installed: Box, commands: list[list[str]], subject: str, text: str
) -> None:
    for command in commands:
        installed.systemctl(*command)

    found = findings(installed, code=1)

    assert found["socket"]["verdict"] == "wrong"
    assert (found[subject]["verdict"], found[subject]["text"]) == ("wrong", text)
    for mended in (found[subject], found["socket"]):
        installed.run(["sh", "-c", mended["remedy"].replace("sudo ", "")])
    assert findings(installed)["socket"]["verdict"] == "ok"


def test_socket_that_nobody_starts_after_the_next_boot_is_a_warning(installed: Box) -> None:
    installed.systemctl("disable", "lockd.socket")

    found = findings(installed)["lockd.socket"]

    assert found["verdict"] == "warning"
    installed.run(["sh", "-c", found["remedy"].replace("sudo ", "")])
    assert findings(installed)["lockd.socket"]["verdict"] == "ok"


def await_failing_start(box: Box) -> dict[str, Any]:
    """What it finds of a service that systemd starts again and again; of one that is just starting, the exit code may not be known."""
    text = "ends as soon as it is started, with exit code 78"
    return await_finding(box, "lockd.service", lambda found: found["text"] == text, f"it {text}")


def test_service_that_does_not_start_is_found_with_what_is_wrong(installed: Box) -> None:
    installed.write("/etc/lockd/lockd.conf", "no-such-key: 1\n")
    installed.run(["systemctl", "start", "--no-block", "lockd.service"])

    found = await_failing_start(installed)

    assert found["verdict"] == "wrong"
    checked = installed.run(found["remedy"].split(", then: ")[0].split(), check=False)
    assert checked.returncode == 78
    assert "no-such-key" in checked.stdout + checked.stderr


def test_service_that_was_restarted_is_a_warning(installed: Box) -> None:
    await_active(installed)
    daemon = installed.main_pid("lockd.service")
    installed.run(["kill", "-KILL", str(daemon)])
    installed.wait_until(lambda: installed.main_pid("lockd.service") not in (0, daemon), "another daemon runs")
    await_active(installed)

    found = findings(installed)["lockd.service"]

    assert (found["verdict"], found["text"]) == ("warning", "is active, and was restarted once because it ended")


def test_warning_in_the_journal_is_said(installed: Box) -> None:
    await_active(installed)
    installed.write("/etc/lockd/lockd.conf", "no-such-key: 1\n")
    installed.run(["systemctl", "reload", "lockd.service"], check=False)
    complaint = "cannot read the configuration again"
    installed.wait_until(lambda: complaint in installed.journal("lockd.service"), "lockd complains")

    found = findings(installed)["journal"]

    assert found["verdict"] == "warning"
    assert complaint in found["text"]


def mend(box: Box, finding: dict[str, Any], environment: dict[str, str] | None = None) -> None:
    """Do what a finding says, as it is said: root needs no sudo, and an editor is somebody's own."""
    line = finding["remedy"].replace("sudoedit", "$EDITOR").replace("sudo ", "")
    box.run(["sh", "-ec", line.removesuffix(", then log in again")], environment=environment)


def access(box: Box, *login: str) -> dict[str, Any]:
    """What it says of the access of a user, in a login that ``setpriv`` makes."""
    ran = box.run(["setpriv", *login, "--", "lockctl", "doctor", "--json"], check=False)
    (found,) = (finding for finding in json.loads(ran.stdout) if finding["subject"] == "access")
    verdict: dict[str, Any] = found
    return verdict


# There is nobody of that name on the machine that the box is a copy of.
USER = "alice-of-lockd"

NEXT_LOGIN = (f"--reuid={USER}", f"--regid={USER}", "--init-groups")
OLD_LOGIN = (f"--reuid={USER}", f"--regid={USER}", "--clear-groups")


def test_user_who_is_not_in_the_group_is_after_what_is_said(installed: Box) -> None:
    installed.run(["useradd", USER])
    found = access(installed, *NEXT_LOGIN)
    assert found["text"] == f"{USER} may not connect: the socket is for root and the group lockd"

    mend(installed, found)

    assert access(installed, *NEXT_LOGIN)["verdict"] == "ok"
    old = access(installed, *OLD_LOGIN)
    assert (old["verdict"], old["text"]) == (
        "wrong",
        f"{USER} is in the group lockd, but this login is older than that",
    )
    assert old["remedy"] == "log out and in again, or: newgrp lockd"


@pytest.mark.parametrize("owner", ["root:root", "root:lockd"])
def test_socket_that_is_for_root_only_is_opened_by_what_is_said(installed: Box, owner: str) -> None:
    installed.run(["useradd", USER])
    socket = "/run/lockd/lockd.sock"
    installed.run(["sh", "-ec", f"chown {owner} {socket}; chmod 0600 {socket}"])
    found = access(installed, *NEXT_LOGIN)
    assert found["text"] == f"{USER} may not connect: the socket is of root, with mode 0600"

    mend(installed, found)

    assert access(installed, *NEXT_LOGIN)["verdict"] == "ok"
    assert installed.run(["stat", "--format=%U:%G %a", socket]).stdout == "root:lockd 660\n"


def test_directory_that_is_closed_is_opened_by_what_is_said(installed: Box) -> None:
    installed.run(["useradd", "--groups", "lockd", USER])
    installed.run(["chmod", "0700", "/run/lockd"])
    ran = installed.run(["setpriv", *NEXT_LOGIN, "--", "lockctl", "doctor", "--json"], check=False)
    found = json.loads(ran.stdout)[0]
    assert (found["subject"], found["text"]) == ("socket", f"the directory /run/lockd is closed to {USER}")

    mend(installed, found)

    assert access(installed, *NEXT_LOGIN)["verdict"] == "ok"


def test_file_in_the_place_of_the_socket_is_moved_away_by_what_is_said(installed: Box) -> None:
    await_active(installed)
    installed.run(["sh", "-ec", "rm /run/lockd/lockd.sock; touch /run/lockd/lockd.sock"])

    mend(installed, findings(installed, code=1)["socket"])

    assert findings(installed)["daemon"]["verdict"] == "ok"


def test_limit_that_is_met_is_raised_by_what_is_said(installed: Box) -> None:
    configuration = "/etc/lockd/lockd.conf"
    installed.write(configuration, "limits:\n  leases: 1\n  leases-per-user: 1\n")
    installed.systemctl("restart", "lockd.service")
    installed.run(["lockctl", "acquire", "--pid", "1", "a"])
    found = findings(installed)["leases"]
    assert found["text"] == "1 of 1: what comes on top is refused until limits.leases is raised"
    installed.write("/root/editor", "#!/bin/sh\nsed -i 's/ 1$/ 100/' \"$1\"\n")
    installed.run(["chmod", "+x", "/root/editor"])

    mend(installed, found, environment={"EDITOR": "/root/editor"})

    installed.wait_until(lambda: findings(installed)["leases"]["text"] == "1 of 100", "the limit is raised")


def test_sessions_without_descriptors_have_more_after_what_is_said(installed: Box) -> None:
    installed.override("lockd.service", "[Service]\nLimitNOFILE=80\n")
    installed.systemctl("restart", "lockd.service")
    # While the session of one that is over is still there, there may be none for another.
    watching = ["sh", "-c", "until lockctl watch; do :; done"]
    waiting = [installed.popen(watching) for _ in range(4)]
    found = await_finding(
        installed, "sessions", lambda found: found["verdict"] == "warning", "the limit of sessions is met"
    )
    assert found["text"].endswith(": what comes on top is refused until the limit of open files is raised")

    # The drop-in of the test would go before one of the same unit.
    installed.override("lockd.service", "")
    mend(installed, found)

    assert findings(installed)["sessions"]["verdict"] == "ok"
    for program in waiting:
        program.kill()


def test_service_that_does_not_start_is_mended_by_what_is_said(installed: Box) -> None:
    installed.write("/etc/lockd/lockd.conf", "no-such-key: 1\n")
    installed.run(["systemctl", "start", "--no-block", "lockd.service"])
    _, edit = await_failing_start(installed)["remedy"].split(", then: ")
    installed.write("/root/editor", '#!/bin/sh\n: >"$1"\n')
    installed.run(["chmod", "+x", "/root/editor"])

    mend(installed, {"remedy": edit}, environment={"EDITOR": "/root/editor"})

    await_active(installed)


def test_unit_that_is_not_there_comes_with_the_package(box: Box) -> None:
    installed = ["sh", "-ec", 'install -m 755 "$0" /usr/local/bin/lockctl', str(ROOT / ".build/release/lockctl")]
    box.run(installed)
    if box.property("lockd.socket", "LoadState") != "not-found":
        pytest.skip("the package is installed on this machine")

    found = findings(box, code=1)["lockd.socket"]

    assert (found["verdict"], found["remedy"]) == ("warning", "sudo apt install lockd")

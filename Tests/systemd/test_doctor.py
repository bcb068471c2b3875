"""lockctl doctor on a machine with systemd: the units, the journal, the clock."""

from __future__ import annotations

import json
from typing import Any

import pytest
from box import Box


def findings(box: Box, code: int = 0) -> dict[str, dict[str, Any]]:
    """What it finds, by subject."""
    ran = box.run(["lockctl", "doctor", "--json"], check=False)
    assert (ran.returncode, ran.stderr) == (code, ""), ran.stdout
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return {finding["subject"]: finding for finding in found}


def test_all_is_well_after_the_installation(installed: Box) -> None:
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


def test_service_that_does_not_start_is_found_with_what_is_wrong(installed: Box) -> None:
    installed.write("/etc/lockd/lockd.conf", "no-such-key: 1\n")
    installed.run(["systemctl", "start", "--no-block", "lockd.service"])
    installed.wait_until(
        lambda: installed.property("lockd.service", "NRestarts") not in ("0", ""), "it was started again"
    )

    found = findings(installed, code=1)["lockd.service"]

    assert (found["verdict"], found["text"]) == ("wrong", "ends as soon as it is started, with exit code 78")
    checked = installed.run(found["remedy"].split(), check=False)
    assert checked.returncode == 78
    assert "no-such-key" in checked.stdout + checked.stderr


def test_service_that_was_restarted_is_a_warning(installed: Box) -> None:
    installed.run(["lockctl", "ping"])
    daemon = installed.main_pid("lockd.service")
    installed.run(["kill", "-KILL", str(daemon)])
    installed.wait_until(lambda: installed.main_pid("lockd.service") not in (0, daemon), "another daemon runs")

    found = findings(installed)["lockd.service"]

    assert (found["verdict"], found["text"]) == ("warning", "is active, and was restarted once because it ended")


def test_warning_in_the_journal_is_said(installed: Box) -> None:
    installed.run(["lockctl", "ping"])
    installed.write("/etc/lockd/lockd.conf", "no-such-key: 1\n")
    installed.run(["systemctl", "reload", "lockd.service"], check=False)
    complaint = "cannot read the configuration again"
    installed.wait_until(lambda: complaint in installed.journal("lockd.service"), "lockd complains")

    found = findings(installed)["journal"]

    assert found["verdict"] == "warning"
    assert complaint in found["text"]

"""The units as they are installed."""

from __future__ import annotations

from box import Box

SYSTEM = [f"/lib/systemd/system/lockd.{kind}" for kind in ("socket", "service")]
USER = [f"/usr/lib/systemd/user/lockd.{kind}" for kind in ("socket", "service")]


def test_systemd_finds_nothing_to_complain_of(installed: Box) -> None:
    result = installed.run(["systemd-analyze", "verify", *SYSTEM])

    assert (result.stdout, result.stderr) == ("", "")


def test_systemd_finds_nothing_to_complain_of_for_users(installed: Box) -> None:
    runtime = installed.run(["mktemp", "--directory"]).stdout.strip()

    result = installed.run(["systemd-analyze", "--user", "verify", *USER], environment={"XDG_RUNTIME_DIR": runtime})

    assert (result.stdout, result.stderr) == ("", "")


def test_service_is_exposed_to_little(installed: Box) -> None:
    # Fails if the exposure is higher; the threshold is ten times what is printed.
    result = installed.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=5", SYSTEM[1]])

    assert "Overall exposure level for lockd.service: " in result.stdout

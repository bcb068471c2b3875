"""lockctl in the units of others: what it shows of them, and what they do with it."""

from __future__ import annotations

import json

from box import Box

# A service that needs a while to start, and is not to start while another one does. It writes down what it does, with the instance.
STARTS_ALONE = r"""
[Unit]
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStartPre=/bin/sh -c 'exec lockctl acquire --pid 1 --wait %j --note %n starting >/run/%n.token'
ExecStart=/bin/sh -c 'echo begins %i >>/run/order; read line </run/%i.ready; echo ready %i >>/run/order; systemd-notify --ready; exec sleep infinity'
ExecStartPost=/bin/sh -c 'exec lockctl release starting --token $$(cat /run/%n.token)'
# Whatever has gone wrong before it was released. If nothing has, there is nothing to release.
ExecStopPost=-/bin/sh -c 'test ! -s /run/%n.token || exec lockctl release starting --token $$(cat /run/%n.token)'
"""


def listed(box: Box, *arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(box.run(["lockctl", "ls", "--json", *arguments]).stdout)
    return found


def await_listed(box: Box, count: int) -> None:
    box.wait_until(lambda: len(listed(box)) == count, f"{count} have asked")


def await_active(box: Box, unit: str) -> None:
    box.wait_until(lambda: box.state(unit) == "active", f"{unit} has started")


def test_ls_shows_what_a_unit_holds_and_waits_for_and_nothing_else(installed: Box) -> None:
    for asked, (unit, name) in enumerate((("first", "a"), ("second", "b"), ("second-too", "b")), 1):
        installed.run(["systemd-run", f"--unit={unit}", "lockctl", "run", name, "--", "sleep", "infinity"])
        await_listed(installed, asked)
    outside = installed.popen(["lockctl", "run", "c", "--", "sleep", "infinity"])
    await_listed(installed, 4)

    shown = {unit: listed(installed, "--unit", f"{unit}.service") for unit in ("first", "second", "second-too")}

    expected = {"first": ("a", "held"), "second": ("b", "held"), "second-too": ("b", "waiting")}
    for unit, (name, state) in expected.items():
        (line,) = shown[unit]
        assert (line["name"], line["state"], line["unit"]) == (name, state, f"{unit}.service")
    table = installed.run(["lockctl", "ls", "--unit", "first.service"]).stdout.splitlines()
    assert [row.split()[0] for row in table] == ["NAME", "a"]
    assert listed(installed, "--unit", "third.service") == []
    outside.kill()


def order(box: Box) -> list[str]:
    return box.read("/run/order").splitlines() if box.exists("/run/order") else []


def install_services(box: Box, patience: str) -> None:
    box.write("/etc/systemd/system/alone@.service", STARTS_ALONE.replace("%j", patience))
    box.systemctl("daemon-reload")
    for instance in ("one", "two"):
        box.run(["mkfifo", f"/run/{instance}.ready"])


def test_services_start_one_after_the_other_by_a_lease_of_execstartpre(installed: Box) -> None:
    """https://github.com/etcd-io/etcd/issues/2855: a lock to be taken in ExecStartPre= and given back in ExecStartPost=."""
    install_services(installed, "60s")
    installed.systemctl("start", "--no-block", "alone@one.service")
    installed.wait_until(lambda: order(installed) == ["begins one"], "the first begins")
    installed.systemctl("start", "--no-block", "alone@two.service")
    waiting = [("alone@one.service", "held"), ("alone@two.service", "waiting")]
    installed.wait_until(
        lambda: [(line["note"], line["state"]) for line in listed(installed)] == waiting, "the second waits"
    )

    assert order(installed) == ["begins one"]
    installed.write("/run/one.ready", "\n")
    installed.wait_until(lambda: "begins two" in order(installed), "the second begins")
    assert order(installed) == ["begins one", "ready one", "begins two"]
    installed.write("/run/two.ready", "\n")
    for instance in ("one", "two"):
        await_active(installed, f"alone@{instance}.service")
    assert listed(installed) == []


def test_service_whose_turn_does_not_come_fails_and_one_that_dies_starting_leaves_nothing(installed: Box) -> None:
    """https://github.com/etcd-io/etcd/issues/2855: the lock or an error after some time; and nothing that has to be cleared by hand."""
    install_services(installed, "100ms")
    installed.systemctl("start", "--no-block", "alone@one.service")
    installed.wait_until(lambda: order(installed) == ["begins one"], "the first begins")

    started = installed.run(["systemctl", "start", "alone@two.service"], check=False)

    assert started.returncode == 1
    assert installed.state("alone@two.service") == "failed"
    assert "status=75" in installed.journal("alone@two.service")
    assert "held by systemd (pid 1, user root, init.scope) " in installed.journal("alone@two.service")
    installed.systemctl("kill", "--signal=KILL", "alone@one.service")
    installed.wait_until(lambda: installed.state("alone@one.service") == "failed", "the first has died")
    assert listed(installed) == []
    assert order(installed) == ["begins one"]

"""What clients are told when what the daemon wrote down is damaged or gone, and their connections are not."""

from __future__ import annotations

import pytest
from box import Box
from visitors import SOCKET

SERVICE = "lockd.service"
LOG = f"{SOCKET}.log"


class Plain:
    """A client that has never heard of restarts."""

    def __init__(self, box: Box) -> None:
        self._program = box.popen(["socat", "-t", "60", "-", f"UNIX-CONNECT:{SOCKET}"])

    def ask(self, line: str) -> str:
        """Say a line, and return the next one that is heard."""
        assert self._program.stdin is not None
        self._program.stdin.write(f"{line}\n")
        self._program.stdin.flush()
        return self.hear()

    def hear(self) -> str:
        """The next line."""
        assert self._program.stdout is not None
        return self._program.stdout.readline().rstrip("\n")


@pytest.fixture
def clients(installed: Box) -> tuple[Plain, Plain]:
    """Two clients, of which each holds a name: ``first``, and ``second``."""
    first, second = Plain(installed), Plain(installed)
    assert first.ask("ACQUIRE first").startswith("GRANTED first token=")
    assert second.ask("ACQUIRE second").startswith("GRANTED second token=")
    return first, second


def kill(box: Box, *, before_start: str) -> None:
    """Kill the daemon, and do something as root before the next one starts."""
    box.override(SERVICE, f"[Service]\nExecStartPre=+{before_start}\n")
    former = box.main_pid(SERVICE)
    box.run(["kill", "-KILL", str(former)])
    box.wait_until(
        lambda: box.state(SERVICE) == "active" and box.main_pid(SERVICE) not in (0, former), "another daemon"
    )


def test_all_are_told_when_the_log_is_gone(installed: Box, clients: tuple[Plain, Plain]) -> None:
    kill(installed, before_start=f"/bin/rm {LOG}")

    for client, name in zip(clients, ("first", "second")):
        assert client.hear() == "* LOST reason=log-damaged"
        assert client.ask(f"RELEASE {name}") == f"NOTHELD {name}"
        # Until those have been heard of who believe that they hold something.
        assert client.ask(f"ACQUIRE {name} wait=0").startswith(f"BUSY {name} ")
    assert "the log is gone, so all leases are lost" in installed.journal(SERVICE)


def test_those_are_told_whose_leases_were_in_the_damaged_part(installed: Box, clients: tuple[Plain, Plain]) -> None:
    kill(installed, before_start=f"/bin/sed --in-place s/second/sEcond/ {LOG}")

    first, second = clients
    restored = first.hear()
    assert restored.startswith("* RESTORED session=")
    assert restored.endswith(" leases=1 waiters=0")
    assert first.ask("PING") == "PONG"
    assert second.hear().endswith(" leases=0 waiters=0")
    assert second.hear() == "* LOST reason=log-damaged"
    assert second.ask("RELEASE second") == "NOTHELD second"
    assert "the log is damaged, going on with the part of it that is not" in installed.journal(SERVICE)
    assert installed.exists(f"{LOG}.damaged")

"""Clients for the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from box import PATIENCE, ROOT, Box

SOCKET = "/run/lockd/lockd.sock"


class Newcomers:
    """What became of the clients that connected one after the other; complete when the block that they are the subject of is over."""

    outcomes: dict[str, int]

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.outcomes.values())

    @property
    def unserved(self) -> dict[str, int]:
        """Those that were refused, or got no answer or a wrong one; without those whose connection the end of the daemon cut."""
        return {outcome: count for outcome, count in self.outcomes.items() if outcome not in ("answered", "cut")}


@contextmanager
def newcomers(box: Box, enough: int = 200) -> Iterator[Newcomers]:
    """Clients that connect for as long as the block lasts, and so many at least."""
    program = box.popen([box.python, str(ROOT / "Tests/systemd/newcomers.py"), SOCKET, str(enough)])
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    result = Newcomers()
    yield result
    output, complaint = program.communicate(timeout=PATIENCE)
    assert (program.returncode, complaint) == (0, "")
    result.outcomes = json.loads(output)["outcomes"]


def statistics(box: Box) -> dict[str, str]:
    """What STATS says."""
    lines = ask(box, "STATS")
    return dict(line.removeprefix("STAT ").split("=", 1) for line in lines if line.startswith("STAT "))


def ask(box: Box, *requests: str) -> list[str]:
    """Say requests to the daemon of the box, on a connection of their own, and return all that it says in turn."""
    lines = "".join(f"{request}\n" for request in (*requests, "QUIT"))
    replies = box.run(["socat", "-t", "30", "-", f"UNIX-CONNECT:{SOCKET}"], input=lines).stdout.splitlines()
    assert replies[-1:] == ["BYE"]
    return replies[:-1]

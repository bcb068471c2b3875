"""What is left of the daemon's promises when it is killed, again and again, while a crowd uses it."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
from typing import Any

import pytest
from box import ROOT, Box
from visitors import SOCKET

SERVICE = "lockd.service"

#: How often the daemon is killed: so often in `make test`, much more often in `make nightly`.
CRASHES = int(os.environ.get("LOCKD_CRASHES") or 40)


#: How long all of that may take, in seconds.
PATIENCE = 100 + 5 * CRASHES

STORM = str(ROOT / "Tests/systemd/storm.py")


def tell(result: dict[str, Any], seed: str) -> None:
    """Print what was measured, and what the crowd has done."""
    print(f"\n{CRASHES} crashes, SEED={seed}; from the end of the daemon to the first answer of the next, in ms:")
    for way, spans in sorted(result["blackouts"].items()):
        print(f"  {way:25} {len(spans):4} times, median {statistics.median(spans):.0f}, worst {max(spans):.0f}")
    for role, counts in result["counts"].items():
        print(f"  {role:25} {', '.join(f'{what} {count}' for what, count in sorted(counts.items()) if count)}")


def judge(result: dict[str, Any], log: str) -> None:
    """Fail if anything was broken, or the daemon complains."""
    assert result["broken"] == []
    assert sum(len(blackouts) for blackouts in result["blackouts"].values()) == CRASHES
    assert [line for line in log.splitlines() if "error" in line or "damage" in line] == []


@pytest.fixture
def seed() -> str:
    """What the random of a storm begins with; ``SEED=N`` repeats one, as far as clocks and the kernel let it be repeated."""
    return os.environ.get("SEED") or str(random.randrange(1 << 32))


@pytest.mark.timeout(PATIENCE + 60)
def test_crashes_under_systemd_take_nothing_from_anybody(
    installed: Box, seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # A daemon that hangs is to be noticed soon, and the core of it is of no use to anybody.
    installed.override(SERVICE, "[Service]\nWatchdogSec=1s\nLimitCORE=0\n")

    said = installed.run([installed.python, "-S", "-E", STORM, SOCKET, str(CRASHES), seed], timeout=PATIENCE)

    result = json.loads(said.stdout)
    with capsys.disabled():
        tell(result, seed)
    judge(result, installed.journal(SERVICE, "SYSLOG_IDENTIFIER=lockd"))


@pytest.mark.timeout(PATIENCE + 60)
def test_crashes_take_nothing_from_sessions_that_are_resumed(
    tmp_path_factory: pytest.TempPathFactory, seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path_factory.mktemp("storm") / "lockd.sock"
    command = [sys.executable, "-S", "-E", STORM, str(path), str(CRASHES), seed, str(ROOT / ".build/release/lockd")]

    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    assert (said.returncode, said.stderr) == (0, "")
    result = json.loads(said.stdout)
    with capsys.disabled():
        tell(result, seed)
    judge(result, result["log"])

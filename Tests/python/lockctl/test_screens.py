"""docs/screens.md shows what lockctl looks like."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import re

import pytest
from binaries import ROOT

from .conftest import Daemon
from .screens import document

PATH = ROOT / "docs/screens.md"


def without_what_differs(text: str) -> str:
    """Numbers, and what comes of their widths, are others each time; so may be the user, and the name of Python."""
    text = re.sub(rf"\b{re.escape(pwd.getpwuid(os.getuid()).pw_name)}\b", "root", text)
    command = re.escape(pathlib.Path("/proc/self/comm").read_text().strip())
    text = re.sub(rf"\b(python[\d.]*|{command})\b", "python", text)
    text = re.sub(r"\d+ min \d+ s|\d+ min|\d+(\.\d+)? s", "TIME", text)
    text = re.sub(r" +", " ", re.sub(r"\d+", "0", text))
    return re.sub(r"\(pid 0\).*…", "(pid 0)…", text)


def test_screens_are_what_is_seen(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.ask("ACQUIRE a")
        (lease,) = json.loads(daemon.lockctl("ls", "--json").stdout)
    if lease["unit"] is not None:
        pytest.skip("what runs in a unit of systemd looks otherwise")
    now = document(daemon)
    if "LOCKD_REWRITE_SCREENS" in os.environ:
        PATH.write_text(now)
    assert without_what_differs(now) == without_what_differs(PATH.read_text())

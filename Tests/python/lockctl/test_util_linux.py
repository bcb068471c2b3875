"""The tests that util-linux has for its flock(1), with lockctl flock in its place."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from binaries import ROOT, binary

from lockctl.conftest import Daemon

TESTS = ROOT / ".build/util-linux/tests"

# They want `flock 4` to lock the descriptor, which a lease cannot be: refused, with the line to write instead.
DESCRIPTOR_FORM = {"fd", "fcntl-fd"}

# They fail on a machine that is busy for two seconds, whatever waits.
MEASURE_TIME = {"time-check", "fcntl-time-check"}


def test_util_linux_own_tests_pass_but_for_the_descriptor_form(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    if not TESTS.is_dir():
        pytest.skip(f"there is no {TESTS}; make setup says why")
    # They write beside themselves.
    tests = shutil.copytree(TESTS, tmp_path / "tests")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "flock").symlink_to(binary("lockctl"))
    ran = subprocess.run(
        [tests / "ts/flock/flock", "--use-system-commands"],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket), "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    results = dict(re.findall(r": (\S+) +\.\.\. (OK|FAILED)", ran.stdout))
    assert len(results) == 15, ran.stdout + ran.stderr
    failed = {test for test, result in results.items() if result == "FAILED"}
    assert failed - MEASURE_TIME == DESCRIPTOR_FORM, ran.stdout
    for test in DESCRIPTOR_FORM:
        said = (tests / f"output/flock/flock-{test}").read_text() + (
            tests / f"output/flock/flock-{test}.err"
        ).read_text()
        assert "Failed [rc=64]" in said

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

# What a machine that is busy for a second or two would break, and the same with more patience. The first lock is held until all has been tried that is
# to meet it, and then for as long as before.
PATIENT = [
    ("timeout 1s bash", "timeout 60s bash"),
    ("sleep 3;", "timeout 60s bash -c 'until test -e $TS_OUTDIR/enough; do sleep 0.1; done'; sleep 3;"),
    (
        'ts_init_subtest "${subtest_prefix}timeout"\n',
        'touch $TS_OUTDIR/enough\n\tts_init_subtest "${subtest_prefix}timeout"\n',
    ),
    ("--timeout 5 ", "--timeout 60 "),
    ("\tEND=$(date '+%s')\n", "\tEND=$(date '+%s')\n\trm $TS_OUTDIR/enough\n"),
    ("$TIMEDIFF -gt 5 ", "$TIMEDIFF -gt 60 "),
]


def be_patient(script: pathlib.Path) -> None:
    text = script.read_text()
    for former, patient in PATIENT:
        # Otherwise it is another version, and somebody has to look at it.
        assert text.count(former) == 1, former
        text = text.replace(former, patient)
    script.write_text(text)


def test_util_linux_own_tests_pass_but_for_the_descriptor_form(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    if not TESTS.is_dir():
        pytest.skip(f"there is no {TESTS}; make setup says why")
    if shutil.which("pgrep") is None:
        pytest.skip("there is no pgrep, without which they do nothing")
    # They write beside themselves.
    tests = shutil.copytree(TESTS, tmp_path / "tests")
    script = tests / "ts/flock/flock"
    be_patient(script)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "flock").symlink_to(binary("lockctl"))
    ran = subprocess.run(
        [script, "--use-system-commands"],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket), "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    results = dict(re.findall(r": (\S+) +\.\.\. (OK|FAILED)", ran.stdout))
    assert len(results) == 15, ran.stdout + ran.stderr
    failed = {test for test, result in results.items() if result == "FAILED"}
    assert failed == DESCRIPTOR_FORM, ran.stdout
    for test in DESCRIPTOR_FORM:
        said = (tests / f"output/flock/flock-{test}").read_text() + (
            tests / f"output/flock/flock-{test}.err"
        ).read_text()
        assert "Failed [rc=64]" in said

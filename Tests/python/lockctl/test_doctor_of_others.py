"""lockctl doctor at the socket of somebody else, whose word is not to be run."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest
from binaries import binary
from daemon.processes import wait_until

# Listens, says which process it is, as lockd does, and answers nobody.
SILENT = """
cd "$1"
echo $$ >s.lock
exec -a "$1/evil/lockd" socat UNIX-LISTEN:s,fork,mode=666 EXEC:'sleep 1000'
"""


@pytest.fixture
def directory() -> Iterator[pathlib.Path]:
    """One that other users can see, which those of the tests are not."""
    path = pathlib.Path("/tmp") / f"lockd-doctor-of-others-{os.getpid()}"
    path.mkdir()
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def remedy(directory: pathlib.Path, user: int) -> str:
    """What doctor says, as this user, of a daemon that does not answer."""
    ran = subprocess.run(
        [binary("lockctl"), "doctor", "--json", "--socket", directory / "s"],
        capture_output=True,
        text=True,
        user=user,
        group=user,
        extra_groups=[],
        timeout=60,
    )
    assert ran.returncode == 1, ran.stderr
    (finding,) = (finding for finding in json.loads(ran.stdout) if finding["subject"] == "daemon")
    assert finding["verdict"] == "wrong"
    return str(finding["remedy"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")
def test_command_of_another_user_is_not_repeated(directory: pathlib.Path) -> None:
    os.chown(directory, 54323, 54323)
    daemon = subprocess.Popen(
        ["bash", "-c", SILENT, "bash", directory], user=54323, group=54323, extra_groups=[], start_new_session=True
    )
    try:
        wait_until((directory / "s").exists, "somebody listens")
        said = remedy(directory, 0)
        assert "evil" not in said
        assert "kill" not in said
        assert f"kill -KILL {daemon.pid}, then: {directory}/evil/lockd" in remedy(directory, 54323)
    finally:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()

"""A box for each test, with the package in it if the test wants that."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from box import ROOT, Box, NoBoxError, booted


@functools.cache
def _obstacle() -> str | None:
    """Why no box can be booted here; None if one can."""
    try:
        with booted():
            return None
    except NoBoxError as obstacle:
        return str(obstacle)


def _skip(reason: str) -> None:
    """Skip the test, or fail it where somebody has said that it must run."""
    if os.environ.get("LOCKD_TESTS_NEED_SYSTEMD", "") not in ("", "0"):
        pytest.fail(f"LOCKD_TESTS_NEED_SYSTEMD is set, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach what the box has to say to the report of a test that failed."""
    report = yield
    box = getattr(item, "funcargs", {}).get("box")
    if report.when == "call" and report.failed and isinstance(box, Box):
        report.sections.append(("box", box.report()))
    return report


@pytest.fixture
def box() -> Iterator[Box]:
    """A machine with nothing of lockd on it, and systemd as PID 1."""
    obstacle = _obstacle()
    if obstacle is not None:
        _skip(obstacle)
    with booted() as box:
        yield box


@pytest.fixture(scope="session")
def package() -> Path:
    """The Debian package of the release build."""
    if shutil.which("dh") is None:
        _skip("there is no debhelper to make the package with")
    result = subprocess.run([ROOT / "systemd/build-deb.sh"], capture_output=True, text=True)
    if result.returncode != 0:
        pytest.fail(f"no package could be made: {result.stdout}{result.stderr}", pytrace=False)
    return ROOT / result.stdout.strip()


@pytest.fixture(scope="session")
def mandoc() -> str:
    """The checker of manual pages."""
    path = shutil.which("mandoc")
    if path is None:
        _skip("there is no mandoc")
    assert path is not None
    return path


@pytest.fixture
def installed(box: Box, package: Path) -> Box:
    """The same machine after the package was installed."""
    box.install(package)
    return box

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
    if report.when == "call" and report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Box):
                report.sections.append((value.name, value.report()))
                break
    return report


@pytest.fixture(scope="session")
def containers() -> None:
    """That containers can be booted here."""
    obstacle = _obstacle()
    if obstacle is not None:
        _skip(obstacle)


@pytest.fixture
def box(containers: None) -> Iterator[Box]:
    """A machine with systemd as PID 1 and nothing of lockd."""
    with booted() as box:
        yield box


@pytest.fixture
def installed(layer_of_package: Path) -> Iterator[Box]:
    """A machine with systemd as PID 1 on which the package was installed, and which was booted since."""
    with booted(layer_of_package) as box:
        yield box


@pytest.fixture(scope="session")
def layer_of_package(containers: None, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is different on a machine on which the package was installed: to install it takes longer than to boot."""
    directory = tmp_path_factory.mktemp("layer")
    with booted() as box:
        box.install(package)
        box.save(directory)
    yield directory
    shutil.rmtree(directory)


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

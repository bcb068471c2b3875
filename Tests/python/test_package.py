"""The package as it is published: built, installed into an environment of its own, and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from binaries import ROOT
from conftest import Daemon

import lockd

pytest.importorskip("hatchling")

SOURCES = ROOT / "Sources" / "python"

#: What somebody who has only installed it can do.
USE = """
import lockd, lockd.aio, lockd.asgi, lockd.compat, lockd.gunicorn, lockd.wsgi
with lockd.Lock("from-a-wheel") as lease:
    print(lockd.__version__, lease.token > 0, lockd.__file__)
"""


def build(sources: Path, target: str, folder: Path) -> Path:
    """Build what is published, and return where it is."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder],
        cwd=sources,
        check=True,
        capture_output=True,
    )
    (built,) = folder.iterdir()
    return built


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_wheel_works_in_a_fresh_environment(daemon: Daemon, tmp_path: Path) -> None:
    """codingjoe/joeflow#8: a whole Redis for nothing but its locks. This needs the daemon, and no other package."""
    wheel = build(SOURCES, "wheel", tmp_path / "wheel")
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    # By the pip of this environment: to make another one takes longer than all the rest.
    install = [sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    ran = subprocess.run(
        [python, "-W", "error", "-c", USE],
        env={**os.environ, "LOCKD_SOCKET": daemon.socket, "PYTHONPATH": ""},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    version, is_granted, place = ran.stdout.split()
    assert (version, is_granted) == (lockd.__version__, "True")
    assert Path(place).is_relative_to(environment)


def test_wheel_has_types_and_licence_and_nothing_else_than_the_package(tmp_path: Path) -> None:
    names = contents(build(SOURCES, "wheel", tmp_path / "wheel"))
    assert "lockd/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    modules = {
        str(path.relative_to(SOURCES / "src"))
        for path in (SOURCES / "src" / "lockd").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == modules


def test_sources_that_are_published_make_the_same_wheel(tmp_path: Path) -> None:
    archive = build(SOURCES, "sdist", tmp_path / "sdist")
    with tarfile.open(archive) as sources:
        # Python 3.14 does that by itself, and 3.12 warns of it.
        sources.extraction_filter = tarfile.fully_trusted_filter
        sources.extractall(tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wheel = contents(build(unpacked, "wheel", tmp_path / "wheel"))
    assert wheel == contents(build(SOURCES, "wheel", tmp_path / "direct"))

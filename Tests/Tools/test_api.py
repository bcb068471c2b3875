"""When the interface of the Swift libraries is compared, and with what. That a difference is found takes two builds, and is `make api`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from findings import ROOT


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One that has nothing but the script and the version, and a `swift` that says how it was called."""
    for path in ("Tests/Tools/api.sh", "Sources/LockdModel/Version.swift"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    version = tmp_path / "Sources/LockdModel/Version.swift"
    version.write_text('    public static let current = "1.4.0"\n')
    swift = tmp_path / "bin" / "swift"
    swift.parent.mkdir()
    swift.write_text('#!/bin/sh\necho "swift $*"\n')
    swift.chmod(0o755)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(repository: Path, *arguments: str) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", repository, *author, *arguments], check=True)


def commit(repository: Path) -> None:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "x")


def compare(repository: Path, **environment: str) -> str:
    path = f"{repository}/bin:{os.environ['PATH']}"
    script = repository / "Tests/Tools/api.sh"
    ran = subprocess.run([script], env={**os.environ, "PATH": path, **environment}, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_before_the_first_release_there_is_nothing_to_compare_with(repository: Path) -> None:
    assert compare(repository) == "api: there is no release yet, and nothing to compare with\n"


def test_last_release_that_is_compatible_is_compared_with(repository: Path) -> None:
    for tag in ("v1.2.0", "v1.10.0", "v1.9.0", "vine"):
        git(repository, "tag", tag)
    said = compare(repository)
    assert "comparing with v1.10.0;" in said
    assert "swift package diagnose-api-breaking-changes v1.10.0 --products LockdClient " in said


@pytest.mark.parametrize(("current", "tag"), [("2.0.0", "v1.9.0"), ("0.3.0", "v0.2.7")])
def test_version_that_may_differ_is_not_compared(repository: Path, current: str, tag: str) -> None:
    version = repository / "Sources/LockdModel/Version.swift"
    version.write_text(f'    public static let current = "{current}"\n')
    git(repository, "tag", tag)
    assert compare(repository) == f"api: {current} may differ from {tag}\n"


def test_any_commit_can_be_compared_with(repository: Path) -> None:
    assert "diagnose-api-breaking-changes HEAD~0 " in compare(repository, BASELINE="HEAD~0")

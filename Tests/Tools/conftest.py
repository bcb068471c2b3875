from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Project = Callable[[dict[str, str]], Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Makes a git repository of these files, from path to text."""

    def make(files: dict[str, str]) -> Path:
        subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    return make

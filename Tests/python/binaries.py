"""Where the programs are that the tests run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def binary(name: str) -> Path:
    """The program of that name in ``$LOCKD_BINARIES``, or, if that is not set, among the release builds."""
    path = Path(os.environ.get("LOCKD_BINARIES", ROOT / ".build" / "release")) / name
    if not path.exists():
        pytest.fail(f"there is no {path}: run `make release`, or set LOCKD_BINARIES", pytrace=False)
    return path

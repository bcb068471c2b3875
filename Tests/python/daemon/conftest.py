"""A daemon of its own for every test."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from .processes import Daemon


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as running:
        yield running
        assert running.process.poll() is None, f"lockd has ended: {running.messages()}"

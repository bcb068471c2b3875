"""Runs the examples of docs/guarantees.md."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from findings import ROOT

DOCUMENT = (ROOT / "docs/guarantees.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_the_database_refuses_the_late_holder_from_the_moment_the_next_one_shows_its_token() -> None:
    create, raise_fence, write = blocks("sql")
    database = sqlite3.connect(":memory:")
    database.execute(create)
    database.execute("INSERT INTO report (name) VALUES ('nightly')")

    def changed(statement: str, token: int, body: str = "") -> bool:
        return database.execute(statement, {"name": "nightly", "token": token, "body": body}).rowcount == 1

    assert changed(raise_fence, 10)
    assert changed(write, 10, "first")
    assert changed(write, 10, "second")
    assert changed(raise_fence, 20)
    assert not changed(write, 10, "late")
    assert not changed(raise_fence, 10)
    assert changed(write, 20, "third")
    assert database.execute("SELECT body FROM report").fetchall() == [("third",)]


def test_the_file_refuses_the_late_holder_from_the_moment_the_next_one_shows_its_token(tmp_path: Path) -> None:
    example: dict[str, Any] = {}
    (source,) = blocks("python")
    exec(source, example)
    path = tmp_path / "report"

    example["show"](str(path), 10)
    example["show"](str(path), 10, b"first")
    example["show"](str(path), 20)
    with pytest.raises(example["TooLate"]):
        example["show"](str(path), 10, b"late")
    assert path.read_bytes() == b"first"
    example["show"](str(path), 20, b"second")
    assert path.read_bytes() == b"second"

"""The catalog of the journal explains the messages that lockd logs, each under its number."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from findings import ROOT

CATALOG = ROOT / "systemd" / "lockd.catalog"


def identifiers() -> dict[str, str]:
    """The number of each message, as the code has it."""
    source = (ROOT / "Sources/Systemd/JournalMessage.swift").read_text()
    return dict(re.findall(r'"([^"]+)":\s*"([0-9a-f]{32})"', source))


def entries() -> dict[str, str]:
    """What the catalog says under each number."""
    parts = re.split(r"^-- ([0-9a-f]{32})\n", CATALOG.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def logged() -> set[str]:
    """The messages of the daemon."""
    texts = set()
    for module in ("LockdServer", "lockd"):
        for path in (ROOT / "Sources" / module).glob("*.swift"):
            texts |= set(re.findall(r"\blogger\.(?:notice|warning|error|critical)\(\s*\"([^\"]+)\"", path.read_text()))
    return texts


def test_every_message_has_a_number_of_its_own() -> None:
    numbers = identifiers()
    assert set(numbers) == logged()
    assert len(set(numbers.values())) == len(numbers)


def test_the_catalog_has_the_numbers_of_the_code() -> None:
    assert set(entries()) == set(identifiers().values())


def test_every_entry_says_what_it_is_about_and_what_to_do() -> None:
    for number, entry in entries().items():
        head, _, body = entry.partition("\n\n")
        assert re.fullmatch(r"Subject: .+\nDefined-By: lockd", head), number
        assert body.strip(), number


def test_every_field_of_an_entry_is_one_that_the_code_sends() -> None:
    sources = "".join(
        path.read_text() for module in ("LockdServer", "lockd") for path in (ROOT / "Sources" / module).glob("*.swift")
    )
    keys = {re.sub(r"[^A-Z0-9]", "_", key.upper()) for key in re.findall(r'"([a-z][a-z.-]*)"\]?\s*[:=]', sources)}
    for entry in entries().values():
        for field in re.findall(r"\bLOCKD_([A-Z_]+)", entry):
            assert field in keys, field


def test_journalctl_takes_the_catalog(tmp_path: Path) -> None:
    directory = tmp_path / "usr/lib/systemd/catalog"
    directory.mkdir(parents=True)
    (directory / CATALOG.name).write_text(CATALOG.read_text())
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    journalctl = ["journalctl", f"--root={tmp_path}"]
    update = subprocess.run([*journalctl, "--update-catalog"], capture_output=True, text=True, check=True)
    assert update.stderr == ""
    listed = subprocess.run([*journalctl, "--list-catalog"], capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in listed.splitlines()} == set(entries())

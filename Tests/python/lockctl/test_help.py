"""The summaries of lockctl and its subcommands."""

from __future__ import annotations

import os
import subprocess

from binaries import binary


def summary(*words: str) -> list[str]:
    environment = {**os.environ, "COLUMNS": "80"}
    ran = subprocess.run(
        [binary("lockctl"), *words, "--help"], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def section(lines: list[str], title: str) -> list[str]:
    start = lines.index(title) + 1
    return lines[start : lines.index("", start)]


def subcommands() -> list[str]:
    # The lines that go on with what a subcommand does begin further to the right.
    lines = section(summary(), "SUBCOMMANDS:")
    return [line.split()[0] for line in lines if not line.startswith("   ")]


def test_subcommands_are_listed() -> None:
    assert {"run", "flock", "ls", "version"} <= set(subcommands())


def test_every_summary_has_examples_and_none_is_wrapped() -> None:
    for words in [[], *([name] for name in subcommands())]:
        lines = summary(*words)
        assert "Examples:" in lines, words
        examples = section(lines, "Examples:")
        assert any(" ".join(["lockctl", *words]) in line for line in examples), words
        # What is wrapped goes on at the left.
        assert [line for line in examples if not line.startswith("  ")] == [], words


def test_defaults_are_said() -> None:
    assert "(default: 10s)" in " ".join(" ".join(summary("run")).split())
    usage = next(line for line in summary("acquire") if line.startswith("USAGE:"))
    assert "[-E <code>]" in usage

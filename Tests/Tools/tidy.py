#!/usr/bin/env python3
"""Checks the rules of docs/style.md that neither compiler nor formatter knows.

Each rule is a function from a file to its findings.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from findings import ROOT, Finding, project_files, report
from swift_source import code_only

FILE_LINES = 450
FUNCTION_LINES = 70

TOP_LEVEL = {
    ".ci",
    ".gitignore",
    ".swift-format",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "Package.swift",
    "README.md",
    "Sources",
    "Tests",
    "docs",
    "systemd",
}

# Spelled in two halves, so that this file passes its own check.
_LEFTOVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "for " + "now"]) + r")\b")

_PURE_FLOORS = ("Sources/LockdModel/", "Sources/LockdCore/", "Sources/LockdWire/")
_NOT_PURE = re.compile(
    r"\b(?:(?:Continuous|Suspending)Clock|clock_gettime|gettimeofday|SystemRandomNumberGenerator|DispatchTime)\b"
    r"|\b(?:Date|UUID|time|print|getenv)\s*\("
    r"|\b\w*(?:Clock|Instant|Date)\.now\b|=\s*\.now\b"
    r"|\.random\b|\brandom\(|\b(?:Task|Thread)\s*\.\s*sleep\b|\b(?:u|nano)?sleep\s*\("
)
_DEFAULT = re.compile(r"\bdefault\s*:")
_FUNCTION = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)\n]*\))?\s+)*(?:[\w()]+ +)*?"
    r"(?:func +(\S+?)(?=[(<\s])|(init|deinit|subscript)\b[?!]?(?=[(<\s{]))",
    re.MULTILINE,
)


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def leftovers(path: str, text: str) -> Iterator[Finding]:
    """Marks of unfinished work."""
    for match in _LEFTOVER.finditer(text):
        yield Finding(
            path, _line(text, match.start()), f"{match[0]!r} marks unfinished work; finish it, or say what is"
        )


def file_length(path: str, text: str) -> Iterator[Finding]:
    """Code files that are too long to keep in mind."""
    length = text.count("\n")
    if path.endswith((".swift", ".py", ".c", ".h", ".sh")) and length > FILE_LINES:
        yield Finding(path, FILE_LINES + 1, f"{length} lines; split it, {FILE_LINES} are the most")


def swift_function_length(path: str, text: str) -> Iterator[Finding]:
    """Swift functions that are too long, from the line of `func` to that of the closing brace."""
    if not path.endswith(".swift"):
        return
    code = code_only(text)
    for match in _FUNCTION.finditer(code):
        start = match.end() - len(match[1] or match[2])
        end = _end_of_body(code, match.end())
        length = code.count("\n", start, end) + 1
        if length > FUNCTION_LINES:
            yield Finding(
                path,
                _line(code, start),
                f"{match[1] or match[2]} has {length} lines; split it, {FUNCTION_LINES} are the most",
            )


def _end_of_body(code: str, start: int) -> int:
    """The offset of the brace that closes the function whose name ends at `start`.

    For one without a body, as in a protocol, it is `start`.
    """
    depth = 0
    brackets = 0
    for offset in range(start, len(code)):
        character = code[offset]
        if character in "([":
            brackets += 1
        elif character in ")]":
            brackets -= 1
        elif brackets > 0:
            continue
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return offset
            if depth < 0:
                return start
        elif depth == 0 and _FUNCTION.match(code, offset):
            return start
    return start


def python_function_length(path: str, text: str) -> Iterator[Finding]:
    """Python functions that are too long."""
    if not path.endswith(".py"):
        return
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                yield Finding(
                    path, node.lineno, f"{node.name} has {length} lines; split it, {FUNCTION_LINES} are the most"
                )


def one_title(path: str, text: str) -> Iterator[Finding]:
    """Markdown documents without exactly one title, on their first line."""
    if not path.endswith(".md"):
        return
    titles = [number for number, line in markdown_lines(text) if line.startswith("# ")]
    if titles[:1] != [1]:
        yield Finding(path, 1, "the first line of a document is its title: '# Title'")
    for number in titles[1:]:
        yield Finding(path, number, "a second title; a document has one, and sections begin with '##'")


def markdown_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines outside of fenced blocks, numbered from 1."""
    fence = ""
    for number, line in enumerate(text.split("\n"), start=1):
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        elif not fence:
            yield number, line


def pure_floors(path: str, text: str) -> Iterator[Finding]:
    """Clocks, chance, sleep and output on floors that have none."""
    if not (path.startswith(_PURE_FLOORS) and path.endswith(".swift")):
        return
    code = code_only(text)
    for match in _NOT_PURE.finditer(code):
        yield Finding(
            path,
            _line(code, match.start()),
            f"{match[0].strip()!r} on a floor without clock, chance and I/O; pass the value in",
        )


def exhaustive_switches(path: str, text: str) -> Iterator[Finding]:
    """Switches in the core that would take a new case in silence."""
    if not (path.startswith("Sources/LockdCore/") and path.endswith(".swift")):
        return
    code = code_only(text)
    for match in _DEFAULT.finditer(code):
        is_argument = code[: match.start()].rstrip().endswith((",", "(", "["))
        if not is_argument:
            yield Finding(path, _line(code, match.start()), "'default:' takes a new case in silence; list the cases")


RULES: list[Callable[[str, str], Iterator[Finding]]] = [
    leftovers,
    file_length,
    swift_function_length,
    python_function_length,
    one_title,
    pure_floors,
    exhaustive_switches,
]


def top_level(paths: list[str]) -> Iterator[Finding]:
    """What does not belong into the top folder, and what is missing there."""
    names = {path.split("/")[0]: path for path in paths}
    for name, path in names.items():
        if name not in TOP_LEVEL:
            yield Finding(
                path, 1, f"{name} does not belong into the top folder; that holds {', '.join(sorted(TOP_LEVEL))}"
            )
    for name in ("LICENSE", "README.md", "CHANGELOG.md"):
        if name not in names:
            yield Finding(name, 1, "is missing")


def executables(paths: list[str], root: Path) -> Iterator[Finding]:
    """Executable files that do not say what runs them, and scripts that cannot be run."""
    for path in paths:
        with open(root / path, "rb") as file:
            shebang = file.read(2) == b"#!"
        runnable = os.access(root / path, os.X_OK)
        if runnable and not shebang:
            yield Finding(path, 1, "is executable without saying by what; begin it with '#!', or chmod -x")
        if shebang and not runnable:
            yield Finding(path, 1, "begins with '#!' and is not executable; chmod +x")


def check(root: Path = ROOT) -> Iterator[Finding]:
    """Everything in the project that breaks a rule."""
    paths = project_files(root)
    yield from top_level(paths)
    yield from executables(paths, root)
    for path in paths:
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for rule in RULES:
            yield from rule(path, text)


if __name__ == "__main__":
    sys.exit(report("tidy", check()))

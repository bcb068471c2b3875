#!/usr/bin/env python3
"""Checks that what one file says of another is true: links in documents, paths in back quotes, `make` targets."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from findings import ROOT, Finding, project_files, report
from tidy import markdown_lines

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:docs|Sources|Tests|systemd)/[\w./*-]*[\w*/])`")
_MAKE = re.compile(r"(?:`|\$ )make ([a-z][a-z-]*)")
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def anchors(markdown: str) -> set[str]:
    """The anchors that GitHub and GitLab give the headings of a document."""
    found: set[str] = set()
    for _, line in markdown_lines(markdown):
        if heading := re.match(r"#+ +(.*)", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            name = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            anchor, repetition = name, 0
            while anchor in found:
                repetition += 1
                anchor = f"{name}-{repetition}"
            found.add(anchor)
    return found


@cache
def _anchors_of(document: Path) -> set[str]:
    return anchors(document.read_text(encoding="utf-8"))


def links(path: str, text: str, root: Path) -> Iterator[Finding]:
    """Links to files, folders and headings that are not there. Links to the web are left alone."""
    if not path.endswith(".md"):
        return
    for number, line in markdown_lines(text):
        for match in _LINK.finditer(re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z]+:", match[1]):
                continue
            file, _, anchor = match[1].partition("#")
            target = (root / path).parent / file if file else root / path
            if not target.exists():
                yield Finding(path, number, f"link to {match[1]}: there is no {file}")
            elif anchor and anchor not in _anchors_of(target):
                yield Finding(path, number, f"link to {match[1]}: no heading there has the anchor #{anchor}")


def paths(path: str, text: str, root: Path) -> Iterator[Finding]:
    """Paths in back quotes, from the top of the repository, that are not there."""
    for number, line in enumerate(text.split("\n"), start=1):
        for match in _PATH.finditer(line):
            if not any(root.glob(match[1].rstrip("/"))):
                yield Finding(path, number, f"speaks of {match[1]}, which is not there")


def make_targets(path: str, text: str, root: Path) -> Iterator[Finding]:
    """Commands in documents that make a target that the Makefile does not have."""
    if not path.endswith(".md"):
        return
    known = set(_TARGET.findall((root / "Makefile").read_text()))
    for number, line in enumerate(text.split("\n"), start=1):
        for match in _MAKE.finditer(line):
            if match[1] not in known:
                yield Finding(path, number, f"speaks of make {match[1]}; the Makefile has no such target")


def check(root: Path = ROOT) -> Iterator[Finding]:
    """Everything in the project that speaks of something that is not there."""
    for path in project_files(root):
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        yield from links(path, text, root)
        yield from paths(path, text, root)
        yield from make_targets(path, text, root)


if __name__ == "__main__":
    sys.exit(report("links", check()))

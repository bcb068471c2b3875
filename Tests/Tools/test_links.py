from __future__ import annotations

import pytest
from conftest import Project
from links import anchors, check

FILES = {"Makefile": "test: setup\n\tswift test\n", "docs/b.md": "# B\n\n## Two words, and a `code`\n"}


def quoted(path: str) -> str:
    """The path in back quotes, which this file avoids so that it passes the check that it tests."""
    return chr(96) + path + chr(96)


def found(project: Project, text: str, path: str = "docs/a.md") -> list[str]:
    return [str(finding) for finding in check(project(FILES | {path: text}))]


@pytest.mark.parametrize(
    "text",
    [
        "[b](b.md)",
        "[b](b.md#two-words-and-a-code)",
        "[docs](../docs)",
        "# A\n\n[a](#a)",
        "[web](https://example.org/none)",
        "`[not](a-link.md)`",
        "```\n[not](a-link.md)\n```",
        f"see {quoted('docs/b.md')} and {quoted('docs/*.md')}",
        "run `make test`, and make sure",
        "    $ make test",
    ],
)
def test_what_is_there_may_be_spoken_of(project: Project, text: str) -> None:
    assert found(project, text) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("\n[c](c.md)", "there is no c.md"),
        ("\n[b](b.md#three)", "no heading there has the anchor #three"),
        ("\n[a](#nothing)", "no heading there has the anchor #nothing"),
        (f"\nsee {quoted('docs/c.md')}", "docs/c.md, which is not there"),
        (f"\nsee {quoted('Tests/*.swift')}", "Tests/*.swift, which is not there"),
        ("\nrun `make everything`", "make everything"),
        ("\n    $ make everything", "make everything"),
    ],
)
def test_what_is_not_there_is_found(project: Project, text: str, what: str) -> None:
    (finding,) = found(project, text)
    assert finding.startswith("docs/a.md:2: ")
    assert what in finding


def test_paths_in_code_are_looked_at_too(project: Project) -> None:
    (finding,) = found(project, f"/// As {quoted('docs/c.md')} says.\n", path="Sources/A.swift")
    assert finding.startswith("Sources/A.swift:1: ")


def test_headings_of_one_text_get_different_anchors() -> None:
    assert anchors("# A\n## Of [b](c.md)\n## A\n") == {"a", "of-b", "a-1"}

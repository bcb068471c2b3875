from __future__ import annotations

from pathlib import Path

import pytest
import tidy
from conftest import Project

CLEAN = {"LICENSE": "Apache\n", "README.md": "# lockd\n", "CHANGELOG.md": "# Changes\n"}


def found(root: Path) -> list[tuple[str, int]]:
    return [(finding.path, finding.line) for finding in tidy.check(root)]


def test_a_clean_project_passes(project: Project) -> None:
    assert found(project(CLEAN)) == []


@pytest.mark.parametrize("name", ["LICENSE", "README.md", "CHANGELOG.md"])
def test_a_missing_document_is_found(project: Project, name: str) -> None:
    files = {path: text for path, text in CLEAN.items() if path != name}
    assert found(project(files)) == [(name, 1)]


def test_what_does_not_belong_into_the_top_folder_is_found(project: Project) -> None:
    assert found(project(CLEAN | {"notes.txt": "", "scripts/run.py": ""})) == [("notes.txt", 1), ("scripts/run.py", 1)]


def test_what_git_ignores_is_not_looked_at(project: Project) -> None:
    assert found(project(CLEAN | {".gitignore": "*.log\n", "a.log": ""})) == []


@pytest.mark.parametrize("mark", ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "for " + "now"])
def test_a_leftover_is_found(project: Project, mark: str) -> None:
    assert found(project(CLEAN | {"Sources/a.c": f"\n/* {mark}: more */\n"})) == [("Sources/a.c", 2)]


def test_words_that_contain_a_leftover_are_not_one() -> None:
    assert list(tidy.leftovers("a.sh", "mktemp /tmp/XXXXXX; waits for nowhere")) == []


def test_a_long_file_is_found() -> None:
    assert list(tidy.file_length("a.swift", "\n" * tidy.FILE_LINES)) == []
    assert len(list(tidy.file_length("a.swift", "\n" * (tidy.FILE_LINES + 1)))) == 1
    assert list(tidy.file_length("a.md", "\n" * (tidy.FILE_LINES + 1))) == []


def swift_function(lines: int, head: str = "public static func f(a: Int = { 1 }()) throws(E) -> [Int] {") -> str:
    return (
        "struct S {\n    " + head + "\n" + "        g { h() }\n" * (lines - 2) + "    }\n\n    var next: Int { 1 }\n}\n"
    )


@pytest.mark.parametrize(
    "head",
    [
        "func f(a: Int = { 1 }()) throws(E) -> [Int] {",
        "public static func < (left: Self, right: Self) -> Bool {",
        "@inlinable func f<T>(_ t: T) where T: P {",
        "init?(a: Int) {",
        "deinit {",
        "private(set) subscript(a: Int) -> Int {",
    ],
)
def test_a_long_swift_function_is_found(head: str) -> None:
    assert list(tidy.swift_function_length("a.swift", swift_function(tidy.FUNCTION_LINES, head))) == []
    findings = list(tidy.swift_function_length("a.swift", swift_function(tidy.FUNCTION_LINES + 1, head)))
    assert [(finding.line, f"{tidy.FUNCTION_LINES + 1} lines" in finding.message) for finding in findings] == [
        (2, True)
    ]


def test_braces_in_strings_and_comments_do_not_lengthen_a_function() -> None:
    text = 'func f() {\n    print("{") // {\n}\n' + "\n" * tidy.FUNCTION_LINES + "}\n"
    assert list(tidy.swift_function_length("a.swift", text)) == []


def test_a_requirement_without_a_body_is_no_long_function() -> None:
    text = "protocol P {\n    func f()\n    func g()\n}\n" + "\n" * tidy.FUNCTION_LINES + "extension P {\n}\n"
    assert list(tidy.swift_function_length("a.swift", text)) == []


def test_a_long_python_function_is_found() -> None:
    def function(lines: int) -> str:
        return "def f():\n" + "    g()\n" * (lines - 1)

    assert list(tidy.python_function_length("a.py", function(tidy.FUNCTION_LINES))) == []
    assert len(list(tidy.python_function_length("a.py", function(tidy.FUNCTION_LINES + 1)))) == 1


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("# Title\n\n## Section\n", []),
        ("# Title\n\n```sh\n# a comment\n```\n", []),
        ("Text\n", [1]),
        ("\n# Title\n", [1, 2]),
        ("# Title\n\n# Another\n", [3]),
    ],
)
def test_a_document_has_one_title_and_begins_with_it(text: str, lines: list[int]) -> None:
    expected = [1] if text == "\n# Title\n" else lines
    assert [finding.line for finding in tidy.one_title("a.md", text)] == expected


@pytest.mark.parametrize(
    "line",
    [
        "let t = Date()",
        "let t = ContinuousClock().now",
        "let t = MonotonicInstant.now",
        "let t: Instant = .now",
        "clock_gettime(CLOCK_MONOTONIC, &t)",
        "let n = Int.random(in: 0..<4)",
        "try await Task.sleep(for: .seconds(1))",
        "print(table)",
    ],
)
def test_a_clock_on_a_pure_floor_is_found(line: str) -> None:
    text = f"// Date() in a comment\n{line}\n"
    assert [finding.line for finding in tidy.pure_floors("Sources/LockdCore/A.swift", text)] == [2]
    assert list(tidy.pure_floors("Sources/LockdServer/A.swift", text)) == []


@pytest.mark.parametrize(
    "line", ["let due = now + length", "self.now = instant", "func update(now: Int)", "lifetime(of: x)"]
)
def test_a_value_that_was_passed_in_is_no_clock(line: str) -> None:
    assert list(tidy.pure_floors("Sources/LockdCore/A.swift", line)) == []


@pytest.mark.parametrize(
    "line", ["    default:", "    @unknown default: return", "switch a { case .b: 1; default: 2 }"]
)
def test_a_default_case_in_the_core_is_found(line: str) -> None:
    assert [finding.line for finding in tidy.exhaustive_switches("Sources/LockdCore/A.swift", f"\n{line}")] == [2]
    assert list(tidy.exhaustive_switches("Sources/LockdServer/A.swift", line)) == []


@pytest.mark.parametrize(
    "line", ["counts[name, default: 0] += 1", "counts[\n    name,\n    default: 0]", "f(default: 1)", "// default:"]
)
def test_a_default_argument_is_no_default_case(line: str) -> None:
    assert list(tidy.exhaustive_switches("Sources/LockdCore/A.swift", line)) == []


def test_scripts_are_executable_and_executables_are_scripts(project: Project) -> None:
    root = project(
        CLEAN | {"Tests/a.sh": "#!/bin/sh\n", "Tests/b": "data\n", "Tests/c.sh": "#!/bin/sh\n", "Tests/d": "data\n"}
    )
    for path in ("Tests/b", "Tests/c.sh"):
        (root / path).chmod(0o755)
    assert found(root) == [("Tests/a.sh", 1), ("Tests/b", 1)]

from __future__ import annotations

import subprocess

import pytest
from conftest import Project
from findings import ROOT
from floors import MODULES, check, imports, objection


@pytest.mark.parametrize(
    "line",
    [
        "import Foundation",
        "public import Foundation",
        "@testable import Foundation",
        "@_spi(Testing) public import Foundation",
        "  @preconcurrency import Foundation",
        "/* why */ import Foundation",
    ],
)
def test_every_kind_of_import_is_seen(line: str) -> None:
    assert list(imports(f"// first\n{line}\n")) == [(2, "Foundation")]


def test_what_is_imported_alone_is_seen_by_its_name() -> None:
    assert list(imports("import struct Foundation.Date")) == [(1, "Foundation.Date")]


@pytest.mark.parametrize(
    "line", ["// import Foundation", '"import Foundation"', "/* import Foundation */", "let important = 1"]
)
def test_what_is_no_import_is_not_seen(line: str) -> None:
    assert list(imports(line)) == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("LockdCore", "LockdModel"),
        ("LockdCore", "DequeModule"),
        ("LockdWire", "Glibc.memchr"),
        ("LockdServer", "LockdCore"),
        ("LockdServer", "Glibc"),
        ("LockdClient", "CUnix"),
        ("lockd", "LockdServer"),
        ("lockd", "Foundation"),
    ],
)
def test_lower_floors_may_be_imported(importer: str, imported: str) -> None:
    assert objection(importer, imported) is None


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("LockdModel", "LockdCore"),
        ("LockdCore", "LockdWire"),
        ("LockdCore", "LockdServer"),
        ("LockdServer", "LockdClient"),
        ("LockdClient", "LockdServer"),
        ("lockctl", "lockd"),
        ("LockdModel", "Glibc"),
        ("LockdCore", "Foundation"),
        ("LockdWire", "Foundation"),
        ("LockdWire", "Glibc"),
        ("LockdWire", "Glibc.getpid"),
        ("LockdClient", "Foundation.Date"),
        ("LockdClient", "Foundation"),
        ("LockdClient", "FoundationEssentials"),
        ("LockdClient", "CLinux"),
        ("LockdClient", "Glibc"),
    ],
)
def test_the_same_floor_and_higher_ones_may_not(importer: str, imported: str) -> None:
    problem = objection(importer, imported)
    assert problem is not None
    assert importer in problem
    assert imported in problem


def test_only_one_file_of_the_client_imports_the_c_library() -> None:
    assert objection("LockdClient", "Glibc", "System.swift") is None
    assert objection("LockdClient", "Darwin", "System.swift") is None
    assert objection("LockdClient", "Darwin", "Transport.swift") is not None


@pytest.mark.parametrize("system", ["linux", "another"])
def test_what_differs_between_systems_compiles_for_others_too(system: str) -> None:
    elsewhere = [] if system == "linux" else ["-U__linux__"]
    code = ROOT / "Sources" / "CUnix"
    flags = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{code}/include", *elsewhere]
    subprocess.run(["clang", *flags, code / "CUnix.c"], check=True)


def test_a_broken_floor_is_found_with_file_and_line(project: Project) -> None:
    root = project({"Sources/LockdCore/LockTable.swift": "import LockdModel\n\nimport LockdServer\n"})
    assert [(finding.path, finding.line) for finding in check(root)] == [("Sources/LockdCore/LockTable.swift", 3)]


def test_a_module_without_a_floor_is_found(project: Project) -> None:
    root = project({"Sources/Utilities/A.swift": "", "Sources/Utilities/B.swift": ""})
    assert ["Utilities stands on no floor" in finding.message for finding in check(root)] == [True]


def test_the_architecture_document_speaks_of_every_module() -> None:
    document = (ROOT / "docs/architecture.md").read_text()
    assert [name for name in MODULES if f"`{name}`" not in document] == []

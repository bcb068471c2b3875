#!/usr/bin/env python3
"""Checks the floors of docs/architecture.md: a Swift module imports modules of ours only from the floors below it.

The lower floors and the client are also bound in what else they import.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from findings import ROOT, Finding, project_files, report
from swift_source import code_only


@dataclass(frozen=True)
class Module:
    """Where a module stands, and what it may import that is not ours (`None`: anything).

    `Glibc.memchr` is the one function, as `import func Glibc.memchr` imports it. Only `system_file`, if there is one, imports
    the system's C library, so that what the others call is there on every system.
    """

    floor: int
    foreign: frozenset[str] | None = None
    banned: frozenset[str] = frozenset()
    system_file: str | None = None


COLLECTIONS = frozenset({"DequeModule", "HeapModule"})
FOUNDATION = frozenset({"Foundation", "FoundationEssentials"})
C_LIBRARIES = frozenset({"Glibc", "Musl", "Darwin"})

MODULES = {
    "LockdModel": Module(floor=0, foreign=frozenset()),
    "CUnix": Module(floor=0, foreign=frozenset()),
    "CLinux": Module(floor=0, foreign=frozenset()),
    "CSystemd": Module(floor=0, foreign=frozenset()),
    "LockdCore": Module(floor=1, foreign=COLLECTIONS),
    "LockdWire": Module(floor=1, foreign=frozenset({f"{library}.memchr" for library in C_LIBRARIES})),
    "LockdServer": Module(floor=2),
    "LockdClient": Module(floor=2, banned=FOUNDATION | {"CLinux"}, system_file="System.swift"),
    "Systemd": Module(floor=2, banned=FOUNDATION),
    "LockdClientServiceLifecycle": Module(floor=3, foreign=frozenset({"ServiceLifecycle"})),
    "lockd": Module(floor=3),
    "lockctl": Module(floor=3),
}

CHECK = "Tests/Tools/floors.py"

_IMPORT = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)\n]*\))?[ \t]+)*"
    r"(?:(?:public|package|internal|fileprivate|private)[ \t]+)?"
    r"import[ \t]+(?:(?:struct|class|enum|protocol|typealias|func|let|var)[ \t]+)?(\w+(?:\.\w+)*)",
    re.MULTILINE,
)


def imports(source: str) -> Iterator[tuple[int, str]]:
    """The line of every import declaration, and what it imports: `Module`, or `Module.name`."""
    code = code_only(source)
    for match in _IMPORT.finditer(code):
        yield code.count("\n", 0, match.start(1)) + 1, match[1]


def objection(importer: str, imported: str, file: str = "") -> str | None:
    """Why `file` of `importer` may not import `imported`, and what would be right; `None` if it may."""
    module = MODULES[importer]
    source = imported.partition(".")[0]
    if source in module.banned:
        return f"{importer} imports {imported}, and with it every program that links {importer}; do without"
    if source in MODULES:
        floor = MODULES[source].floor
        if floor < module.floor:
            return None
        below = ", ".join(name for name, other in MODULES.items() if other.floor < module.floor) or "no module of ours"
        return f"{importer} (floor {module.floor}) imports {imported} (floor {floor}); it may import {below}"
    if module.system_file not in (None, file) and source in C_LIBRARIES:
        return f"{importer} imports {imported}, which not every system has; call it by way of {module.system_file}"
    if module.foreign is not None and not {source, imported} & module.foreign:
        allowed = ", ".join(sorted(module.foreign)) or "none"
        return f"{importer} (floor {module.floor}) imports {imported}; of what is not ours it may import {allowed}"
    return None


def check(root: Path = ROOT) -> Iterator[Finding]:
    """Everything in `Sources` that breaks the floors."""
    unplaced = set()
    for path in project_files(root):
        parts = path.split("/")
        # The code of a tutorial is that of a program that links the library.
        if parts[0] != "Sources" or not path.endswith(".swift") or ".docc/" in path:
            continue
        name = parts[1]
        if name in MODULES:
            for line, imported in imports((root / path).read_text()):
                if problem := objection(name, imported, parts[-1]):
                    yield Finding(path, line, problem)
        elif name not in unplaced:
            unplaced.add(name)
            yield Finding(path, 1, f"{name} stands on no floor; give it one in docs/architecture.md and {CHECK}")


if __name__ == "__main__":
    sys.exit(report("floors", check()))

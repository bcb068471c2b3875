"""What the checks share: what a finding is, which files there are, and how a check ends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be: where, what, and what would be right."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def project_files(root: Path = ROOT) -> list[str]:
    """The paths below `root` of all files that are there and that git knows or would add, in order."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(path for path in set(listing.split("\0")) if path and (root / path).is_file())


def report(check: str, findings: Iterable[Finding]) -> int:
    """Prints the findings, and returns the exit status: 1 if there are any."""
    found = sorted(findings, key=lambda finding: (finding.path, finding.line))
    for finding in found:
        print(finding)
    if found:
        print(f"{check}: {len(found)} to put right")
    return 1 if found else 0

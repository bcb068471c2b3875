"""How large the programs of the release are, and what they need, for lockctl.py."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import run
from large_tables import Result

BENCHMARK = "sizes"


def libraries(said: str) -> list[str]:
    """The names of the shared libraries in what ldd says, without folders."""
    return [Path(word).name for word in re.findall(r"^\s*(\S+)", said, re.MULTILINE) if ".so" in word]


def of_swift(libraries: list[str]) -> list[str]:
    return [library for library in libraries if library.startswith("libswift")]


def needed(program: Path) -> list[str]:
    completed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        raise run.failure(f"ldd {program.name}", completed.returncode, completed.stderr)
    return libraries(completed.stdout)


def stripped_bytes(program: Path) -> int | None:
    """Its size without symbols, if there is what removes them."""
    if shutil.which("strip") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="lockd-bench-") as folder:
        copy = Path(folder) / program.name
        completed = subprocess.run(["strip", "-o", copy, program], capture_output=True, text=True, check=False)
        if completed.returncode != 0:
            raise run.failure(f"strip {program.name}", completed.returncode, completed.stderr)
        return copy.stat().st_size


def measure(programs: list[Path]) -> Iterator[Result]:
    for program in programs:
        all_needed = needed(program)
        figures = {
            "bytes": float(program.stat().st_size),
            "libraries": len(all_needed),
            "of Swift": len(of_swift(all_needed)),
        }
        stripped = stripped_bytes(program)
        if stripped is not None:
            figures["stripped bytes"] = stripped
        yield Result(BENCHMARK, program.name, 0, "", figures)


def text(programs: list[Path]) -> str:
    """What they need, by name."""
    return "\n".join(f"{program.name} needs: {', '.join(needed(program))}" for program in programs)

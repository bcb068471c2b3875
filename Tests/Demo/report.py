"""What the demo prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


class Report:
    """Prints headings, tables and judgements to standard output as they come; remembers what was wrong."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def line(self, text: str = "") -> None:
        """Prints a line at once."""
        print(text, flush=True)

    def heading(self, text: str) -> None:
        """Prints a heading."""
        self.line()
        self.line(self._styled("1", text))

    def quote(self, text: str) -> None:
        """Prints what another program printed."""
        for line in text.rstrip("\n").split("\n"):
            self.line("    " + self._styled("2", line))

    def row(self, cells: Sequence[str], widths: Sequence[int], *, right: bool | None = None) -> None:
        """Prints one row of a table: the first cell to the left, the others to the right.

        `right` says whether the figures are as they should be, which colours the row.
        """
        text = cells[0].ljust(widths[0]) + "".join(
            cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)
        )
        self.line("  " + (text if right is None else self._styled("32" if right else "31", text)))

    def judge(self, right: bool, what_is_wrong: str) -> bool:
        """Remembers `what_is_wrong` unless things are `right`."""
        if not right:
            self.wrong.append(what_is_wrong)
        return right

    def verdict(self, summary: str) -> int:
        """Prints how it ended, and returns the exit status."""
        self.line()
        for problem in self.wrong:
            self.line(self._styled("1;31", f"WRONG: {problem}"))
        if not self.wrong:
            self.line(self._styled("1;32", summary))
        return 1 if self.wrong else 0

    def _styled(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colours else text

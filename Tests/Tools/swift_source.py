"""Swift source without comments and the text of string literals, so that what is left can be searched for code."""

from __future__ import annotations

import re

_STRING_START = re.compile(r'(#*)("""|")')


def code_only(source: str) -> str:
    """`source` with every character of comments and of literal text replaced by a space.

    Line ends stay where they are, so line numbers and columns do too. Code in an interpolation stays. Regex literals
    are not known.
    """
    scanner = _Scanner(source)
    scanner.code(closing=None)
    return "".join(scanner.kept)


class _Scanner:
    def __init__(self, source: str) -> None:
        self.source = source
        self.kept: list[str] = []
        self.position = 0

    def keep(self, length: int) -> None:
        self.kept.append(self.source[self.position : self.position + length])
        self.position += length

    def blank(self, length: int) -> None:
        text = self.source[self.position : self.position + length]
        self.kept.append(re.sub(r"[^\n]", " ", text))
        self.position += length

    def code(self, closing: str | None) -> None:
        """Reads code, up to the parenthesis that closes an interpolation or the end of the source."""
        depth = 0
        while self.position < len(self.source):
            character = self.source[self.position]
            if self.source.startswith("//", self.position):
                end = self.source.find("\n", self.position)
                self.blank((end if end >= 0 else len(self.source)) - self.position)
            elif self.source.startswith("/*", self.position):
                self.block_comment()
            elif start := _STRING_START.match(self.source, self.position):
                self.blank(len(start[0]))
                self.string(hashes=start[1], quote=start[2])
            elif character == closing and depth == 0:
                return
            else:
                depth += {"(": 1, ")": -1}.get(character, 0)
                self.keep(1)

    def block_comment(self) -> None:
        depth = 0
        while self.position < len(self.source):
            if self.source.startswith("/*", self.position):
                depth += 1
                self.blank(2)
            elif self.source.startswith("*/", self.position):
                depth -= 1
                self.blank(2)
                if depth == 0:
                    return
            else:
                self.blank(1)

    def string(self, hashes: str, quote: str) -> None:
        """Reads the rest of a string literal whose opening was read."""
        escape = "\\" + hashes
        while self.position < len(self.source):
            if self.source.startswith(quote + hashes, self.position):
                self.blank(len(quote + hashes))
                return
            if self.source.startswith(escape + "(", self.position):
                self.blank(len(escape) + 1)
                self.code(closing=")")
                self.blank(1)
            elif self.source.startswith(escape, self.position):
                self.blank(len(escape) + 1)
            elif quote == '"' and self.source[self.position] == "\n":
                return
            else:
                self.blank(1)

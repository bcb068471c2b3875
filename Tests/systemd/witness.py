"""What shows that nobody holds what somebody else holds: it knows nothing of the daemon."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path


class Overlap(Exception):
    """Two hold what only one of them may; says which."""


class Witness:
    """One name as one process sees it: a file whose bytes are locked while the name is held, and into which every holder writes its token.

    The locks are those of the kernel (fcntl), which end with the process. They end when its files are closed one after the other, in the order of their numbers: a witness has to
    be there before the process connects, so that its locks have gone when the daemon hears of the end. In one process nothing is seen of each other.
    """

    #: Where the locks are: behind everything that is ever written.
    _START = 1 << 40

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self._file = os.open(directory / name.replace("/", "_"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def enter(self, token: int, *, places: int = 1, shared: bool = False) -> None:
        """Note that the name is held now, by so many at the most. Raises Overlap if more hold it."""
        for place in range(places):
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            try:
                fcntl.lockf(self._file, kind | fcntl.LOCK_NB, 1, self._START + place)
                break
            except OSError:
                continue
        else:
            raise Overlap(f"{self.name}: granted to {os.getpid()} with token={token}, and {self._holders(places)}")
        os.write(self._file, f"{token}\n".encode())

    def leave(self) -> None:
        """Note that the name is held no more; to be called before it is released."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 0, self._START)

    def _holders(self, places: int) -> str:
        request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, self._START, places, 0)
        kind, _, _, _, process = struct.unpack("hhqqi4x", fcntl.fcntl(self._file, fcntl.F_GETLK, request))
        return "nobody any more" if kind == fcntl.F_UNLCK else f"held by {process}"


def account(directory: Path) -> dict[str, list[int]]:
    """The tokens under which each name was held, in the order in which the holders wrote them."""
    return {path.name: [int(token) for token in path.read_text().split()] for path in sorted(directory.iterdir())}


def contradictions(tokens: dict[str, list[int]]) -> list[str]:
    """What cannot be, of an account: a token that is not greater than the one before it; or, of names with several holders, that comes twice."""
    found: list[str] = []
    for name, its in tokens.items():
        if name.startswith(("shared", "limited")):
            if len(set(its)) != len(its):
                found.append(f"{name}: a token came twice")
            continue
        found += [
            f"{name}: token {after} behind token {before}" for before, after in zip(its, its[1:]) if after <= before
        ]
    return found

"""How a signal ends the demo: it is remembered, and looked at where the demo waits for something.

An exception out of the signal handler itself could come anywhere, also between the start of a process and the line that
sees to its end.
"""

from __future__ import annotations

import signal
from types import FrameType

_received: list[int] = []


class Stopped(Exception):
    """A signal asks for the end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.strsignal(number))
        self.number = number


def listen(*numbers: int) -> None:
    """Has these signals ask for the end, instead of what they do otherwise."""
    for number in numbers:
        signal.signal(number, _remember)


def _remember(number: int, _: FrameType | None) -> None:
    _received.append(number)


def requested() -> bool:
    """Whether a signal has asked for the end."""
    return bool(_received)


def check() -> None:
    """Raises `Stopped` if a signal has asked for the end."""
    if _received:
        raise Stopped(_received[0])

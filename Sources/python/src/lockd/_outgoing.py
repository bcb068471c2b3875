"""The bytes that are to be sent, and the descriptors that go with them. Nothing here does I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(eq=False)
class _Accompanied:
    """A line that is to be sent together with a descriptor, by where it stands in all that was ever sent."""

    start: int
    end: int
    descriptor: object


class Outgoing:
    """What is to be sent on one connection after the other.

    A line that a descriptor goes with is written by itself, so that it is beyond doubt for which line that is.
    """

    def __init__(self) -> None:
        #: What was not sent. It is the same object all the time.
        self.unsent = bytearray()
        #: How many bytes were sent so far, on all connections.
        self.sent_count = 0
        self._accompanied: deque[_Accompanied] = deque()

    def put(self, line: bytes, descriptor: object = None) -> int:
        """Put a line behind the others, and return where it ends, counted as ``sent_count`` is."""
        start = self.sent_count + len(self.unsent)
        self.unsent += line
        end = start + len(line)
        if descriptor is not None:
            self._accompanied.append(_Accompanied(start, end, descriptor))
        return end

    def data(self) -> bytes:
        """The bytes that are to be written next, in one go. There may be more behind them."""
        if not self._accompanied:
            return bytes(self.unsent)
        first = self._accompanied[0]
        end = first.end if first.start == self.sent_count else first.start
        return bytes(self.unsent[: end - self.sent_count])

    def descriptor(self) -> object:
        """What is to go with the first byte of ``data()``; ``None`` for nothing."""
        first = self._accompanied[0] if self._accompanied else None
        return first.descriptor if first is not None and first.start == self.sent_count else None

    def sent(self, count: int) -> None:
        """Forget the first ``count`` bytes, and the descriptor that went with them."""
        del self.unsent[:count]
        self.sent_count += count
        if self._accompanied and self._accompanied[0].start < self.sent_count:
            self._accompanied.popleft()

    def clear(self) -> None:
        """Forget what was not sent."""
        self.unsent.clear()
        self._accompanied.clear()

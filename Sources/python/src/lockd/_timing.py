"""Times: how long the daemon may take, and seconds in the milliseconds of the protocol."""

from __future__ import annotations

import math

from ._errors import LocalProtocolError

#: How long the daemon may take for what it answers at once, and by how much it may overrun a wait, in seconds.
ANSWER_TIMEOUT = 5.0


def milliseconds(seconds: float) -> int:
    """Seconds in milliseconds, rounded up; what is below a nanosecond is no reason to."""
    if not math.isfinite(seconds):
        raise LocalProtocolError(f"a duration is a number of seconds, not {seconds}")
    return math.ceil(round(seconds * 1000, 6))

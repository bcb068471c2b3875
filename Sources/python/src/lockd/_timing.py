"""Times: how long the daemon may take, and seconds in the milliseconds of the protocol."""

from __future__ import annotations

import math

from ._errors import LocalProtocolError

#: How long the daemon may take for what it answers at once, and by how much it may overrun a wait, in seconds.
ANSWER_TIMEOUT = 5.0
#: How long a daemon that has gone is waited for at least, before it counts as unavailable, in seconds. A restart is
#: faster, so a request that does not want to wait is no worse off for one.
RECONNECT_TIME = 2.0
#: How long the end of a lease waits for a daemon that has gone, in seconds. It has no timeout of its own and must end,
#: or the program would not; an upgrade of the daemon should not take as long.
RESTART_TIME = 60.0


def milliseconds(seconds: float) -> int:
    """Seconds in milliseconds, rounded up; what is below a nanosecond is no reason to."""
    if not math.isfinite(seconds):
        raise LocalProtocolError(f"a duration is a number of seconds, not {seconds}")
    return math.ceil(round(seconds * 1000, 6))

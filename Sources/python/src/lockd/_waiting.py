"""Waiting: for a socket, or for another thread; never by polling a state.

As everywhere, ``socket``, ``select``, ``threading`` and ``time`` are looked up when they are used, so that gevent may
patch them after this module was imported.
"""

from __future__ import annotations

import math
import select
import socket
import threading
import time

# The system's waits take only so many milliseconds. Whoever waits longer than this looks at the clock once a day.
_LONGEST_WAIT = 24 * 60 * 60.0


def yields() -> bool:
    """Whether waiting for a socket lets other greenlets run, because gevent has patched it. They count on that."""
    return bool(select.poll.__module__ != "select")


def wait_for_socket(polled: socket.socket, events: int, deadline: float | None) -> bool:
    """Waits until ``polled`` is ready for ``events``; says whether that was before ``deadline``."""
    poller = select.poll()
    poller.register(polled, events)
    while True:
        left = _time_left(deadline)
        if poller.poll(None if left is None else math.ceil(left * 1000)):
            return True
        if left == 0:
            return False


def wait_for_signal(signal: threading.Lock, deadline: float | None) -> bool:
    """Waits until ``signal`` is released, and takes it; says whether that was before ``deadline``."""
    while True:
        left = _time_left(deadline)
        if signal.acquire(timeout=-1 if left is None else left):
            return True
        if left == 0:
            return False


def _time_left(deadline: float | None) -> float | None:
    return None if deadline is None else min(max(deadline - time.monotonic(), 0.0), _LONGEST_WAIT)

"""The example's application with one more route, to see when those who wait for a holder that is killed have their turn.

gunicorn runs in the folder of the example, so `app` is the example's.
"""

from __future__ import annotations

import os
import time
from typing import Any

from app import app  # type: ignore[import-not-found]


def take_turn() -> dict[str, Any]:
    """Takes the lock, and says when (CLOCK_MONOTONIC, the same for all processes) and in which process."""
    with app.lock:
        return {"granted": time.monotonic_ns(), "process": os.getpid()}


app.add_url_rule("/next", view_func=take_turn)

"""The example's application with two more routes, to see what becomes of those who wait for a holder that is killed.

gunicorn runs in the folder of the example, so `app` is the example's.
"""

from __future__ import annotations

import os
import time
from typing import Any

from app import app
from flask import current_app


@app.get("/hold")
def hold() -> None:
    """Takes the lock and holds it until the process ends."""
    current_app.lock.acquire()
    while True:
        time.sleep(60)


@app.get("/next")
def take_turn() -> dict[str, Any]:
    """Takes the lock, and says when (CLOCK_MONOTONIC, the same for all processes) and in which process."""
    with current_app.lock:
        return {"granted": time.monotonic_ns(), "process": os.getpid()}

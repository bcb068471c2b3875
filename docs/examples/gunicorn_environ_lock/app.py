"""A Flask app that finds the workers' common lock in the WSGI environ.

The views count requests in the file that ``COUNTER_FILE`` names. Counting reads, adds one, and writes: of two processes
that do it at the same time, one is lost. ``/unlocked`` loses some, ``/locked`` does not.
"""

import os
import time

from flask import Flask, request

app = Flask(__name__)


@app.route("/unlocked")
def unlocked() -> str:
    """Count without the lock."""
    return str(count())


@app.route("/locked")
def locked() -> str:
    """Count while no other worker does."""
    lock = request.environ["HTTP_FLASK_LOCK"]
    lock.acquire()
    try:
        return str(count())
    finally:
        lock.release()


def count() -> int:
    """Add one to the number in the file."""
    with open(os.environ["COUNTER_FILE"], "r+") as file:
        value = int(file.read()) + 1
        time.sleep(0.001)  # what an application does between reading and writing
        file.seek(0)
        file.write(f"{value:>12}\n")
    return value

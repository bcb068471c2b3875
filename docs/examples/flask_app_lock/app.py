"""A lock that all workers share, injected into the Flask app.

The views count requests in a file. Counting reads, adds one, and writes: of two processes that do it at the same time,
one is lost. ``/unlocked`` loses some, ``/locked`` does not.

Environment: ``COUNTER_FILE`` is that file. ``CRASH_FILE``, for ``/crash-holding`` only, is where it says which process
holds the lock, under which token.
"""

import os
import time

from flask import Flask, current_app

import lockd

app = Flask(__name__)
# Made once, before gunicorn forks or after: it connects when it is first used, in the worker that uses it.
app.lock = lockd.Lock("counter", note="flask_app_lock")


@app.route("/unlocked")
def unlocked() -> str:
    """Count without the lock."""
    return str(count())


@app.route("/locked")
def locked() -> str:
    """Count while no other worker does."""
    current_app.lock.acquire()
    try:
        return str(count())
    finally:
        current_app.lock.release()


@app.route("/crash-holding")
def crash_holding() -> str:
    """Acquire the lock, say so, and hang until somebody kills the worker."""
    with current_app.lock as lease:
        report = os.environ["CRASH_FILE"]
        with open(f"{report}.new", "w") as file:
            file.write(f"{os.getpid()} {lease.token}\n")
        # Whoever waits for the report finds a whole one or none.
        os.replace(f"{report}.new", report)
        while True:
            time.sleep(1)


def count() -> int:
    """Add one to the number in the file."""
    with open(os.environ["COUNTER_FILE"], "r+") as file:
        value = int(file.read()) + 1
        time.sleep(0.001)  # what an application does between reading and writing
        file.seek(0)
        file.write(f"{value:>12}\n")
    return value

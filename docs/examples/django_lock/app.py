"""A Django app whose views share a lock with those of all other workers.

The views count requests in the file ``settings.COUNTER_FILE``. Counting reads, adds one, and writes: of two processes
that do it at the same time, one is lost. ``/unlocked`` loses some, ``/locked`` does not.
"""

import os
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

import lockd

settings.configure(
    ALLOWED_HOSTS=["localhost"],
    COUNTER_FILE=os.environ["COUNTER_FILE"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only this example's"),
)

# Made once, before gunicorn forks or after: it connects when it is first used, in the worker that uses it.
counter_lock = lockd.Lock("counter", note="django_lock")


def unlocked(request: HttpRequest) -> HttpResponse:
    """Count without the lock."""
    return HttpResponse(count())


def locked(request: HttpRequest) -> HttpResponse:
    """Count while no other worker does."""
    with counter_lock:
        return HttpResponse(count())


def count() -> int:
    """Add one to the number in the file."""
    with open(settings.COUNTER_FILE, "r+") as file:
        value = int(file.read()) + 1
        time.sleep(0.001)  # what an application does between reading and writing
        file.seek(0)
        file.write(f"{value:>12}\n")
    return value


urlpatterns = [path("unlocked", unlocked), path("locked", locked)]
app = get_wsgi_application()

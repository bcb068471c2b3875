"""Keeps leases alive that have a ttl."""

from __future__ import annotations

import threading
import time
from typing import Callable

from ._held import HeldLease

#: How often a lease is renewed within its ttl. With three, two renewals may be missed before it is lost: one for an
#: accident, and one for a machine that is too busy to notice.
RENEWALS_PER_TTL = 3

# How long the thread stays when there is nothing to renew, in seconds.
_IDLE_TIME = 60.0


class Renewer:
    """Renews the leases of one session, with one daemon thread that is there while it is needed.

    Thread-safe; of use only to the process that made it. A renewal is no proof that the program is well: one that hangs
    while its threads run keeps its leases.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._due: dict[HeldLease, float] = {}
        self._wakes_at = 0.0

    def watch(self, lease: HeldLease, renew: Callable[[HeldLease], None]) -> None:
        """Call ``renew`` for ``lease`` in time until it ends, if it has a ttl."""
        if lease.ttl is None:
            return
        with self._condition:
            due = self._due[lease] = time.monotonic() + _interval(lease)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, args=(renew,), name="lockd-renewal", daemon=True)
                self._thread.start()
            elif due < self._wakes_at:
                self._condition.notify()

    def forget(self, lease: HeldLease) -> None:
        """Renew ``lease`` no longer, because it is about to be released."""
        if lease.ttl is not None:
            with self._condition:
                self._due.pop(lease, None)

    def _run(self, renew: Callable[[HeldLease], None]) -> None:
        while True:
            with self._condition:
                now = time.monotonic()
                due = [lease for lease, at in self._due.items() if at <= now]
                for lease in due:
                    self._due[lease] = now + _interval(lease)
                if not due and not self._rest(now):
                    self._thread = None
                    return
            for lease in due:
                if lease.loss is None and not lease.released:
                    renew(lease)
                if lease.loss is not None or lease.released:
                    self.forget(lease)

    def _rest(self, now: float) -> bool:
        """Wait until something may be due, and say whether there is anything left to renew."""
        self._wakes_at = min(self._due.values(), default=now + _IDLE_TIME)
        self._condition.wait(self._wakes_at - now)
        self._wakes_at = 0.0
        return bool(self._due)


def _interval(lease: HeldLease) -> float:
    return (lease.ttl or 0) / 1000 / RENEWALS_PER_TTL

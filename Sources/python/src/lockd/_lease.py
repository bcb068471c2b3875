"""A lease, as users see it."""

from __future__ import annotations

import os
import threading
import time

from ._client import Client
from ._errors import DaemonUnavailable, LeaseLost, NotHeld, show_names
from ._held import BOUND_LOSS, HeldLease
from ._holders import AbandonedLease
from ._session import SharedSession


class Lease:
    """The right to a lock's name, from its grant until it is released or lost.

    A lease does not fence what it protects. Its holder can be late (stopped, swapped out, waiting for a disk) and go on
    writing after the lease was lost and another process was granted the next one. Where that matters, hand ``token`` to
    whatever is written to, and have it refuse a token smaller than the largest it has seen.
    """

    def __init__(self, session: SharedSession, held: HeldLease) -> None:
        self._session = session
        self._held = held
        self._thread = threading.get_ident()
        self._since = time.monotonic()
        # How often it is to be released. Only an RLock acquires one more than once.
        self._depth = 1

    @property
    def name(self) -> bytes:
        """The name of the lock; the first, if it has several."""
        return self._held.name

    @property
    def names(self) -> tuple[bytes, ...]:
        """All names of the lock, in the order in which they were given. They are held together, and end together."""
        return self._held.names

    @property
    def token(self) -> int:
        """The fencing token, larger than that of every lease granted before by a daemon with this state directory."""
        return self._held.token

    @property
    def ttl(self) -> float | None:
        """The seconds that it lasts without a renewal; ``None`` if there is no such bound."""
        return None if self._held.ttl is None else self._held.ttl / 1000

    @property
    def bound(self) -> bool:
        """Whether it is bound to something else than this process: see ``BindTo``."""
        return self._held.bound

    @property
    def previous(self) -> AbandonedLease | None:
        """The lease before this one, if its holder did not release it: what that was doing may be half done.

        ``None`` if it was released, if there was none, and if somebody else was told of it already.
        """
        return self._held.previous

    @property
    def since(self) -> float:
        """When this process learned of the grant, by ``time.monotonic()``. The daemon granted it a little earlier."""
        return self._since

    @property
    def lost(self) -> bool:
        """Whether the lease ended before it was released: it expired, was revoked, or a restarted daemon knows it not.

        Once true it stays so. ``False`` says that no word of a loss has arrived yet, not that none is on its way. In a
        forked child it is true, because the lease is its parent's. It does not block. That the daemon has gone is no
        loss: the lease lasts, and a thread asks for it as soon as there is a daemon.

        Of a bound lease, no word comes when what it is bound to has ended, and none once the session has.
        """
        if self._session.pid != os.getpid():
            return True
        if self._held.loss is None:
            self._session.look()
        return self._held.loss is not None

    def __repr__(self) -> str:
        return f"<lockd.Lease of {show_names(self.names)} token={self.token}>"

    def _release(self) -> None:
        try:
            self._session.release(self._held)
        except DaemonUnavailable:
            if not (self._held.bound and self._session.ended):
                raise
            self._release_anew()
        self._raise_loss()

    def _raise_loss(self) -> None:
        loss = self._held.loss
        if loss is not None:
            raise LeaseLost(self.name, self.token, loss.reason, loss.detail, self.names)

    def _release_anew(self) -> None:
        """Release a bound lease that has outlived its session, in another one."""
        try:
            Client(socket=self._session.path).release(self.name, self.token)
            self._held.released = True
        except NotHeld:
            self._held.loss = BOUND_LOSS

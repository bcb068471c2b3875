"""A lease, as users see it."""

from __future__ import annotations

import os
import threading

from ._client import Client
from ._errors import DaemonUnavailable, NotHeld, show_names
from ._granted import GrantedLease
from ._held import BOUND_LOSS, HeldLease
from ._session import SharedSession


class Lease(GrantedLease):
    """The right to a lock's name, from its grant until it is released or lost.

    A lease does not fence what it protects. Its holder can be late (stopped, swapped out, waiting for a disk) and go on
    writing after the lease was lost and another process was granted the next one. Where that matters, hand ``token`` to
    whatever is written to, and have it refuse a token smaller than the largest it has seen.
    """

    def __init__(self, session: SharedSession, held: HeldLease) -> None:
        super().__init__(held)
        self._session = session
        self._thread = threading.get_ident()

    @property
    def bound(self) -> bool:
        """Whether it is bound to something else than this process: see ``BindTo``."""
        return self._held.bound

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
        self._look()
        return self._held.loss is not None

    def __repr__(self) -> str:
        return f"<lockd.Lease of {show_names(self.names)} token={self.token}>"

    def _look(self) -> None:
        if self._held.loss is None:
            self._session.look()

    def _release(self) -> None:
        try:
            self._session.release(self._held)
        except DaemonUnavailable:
            if not (self._held.bound and self._session.ended):
                raise
            self._release_anew()
        self._raise_loss()

    def _release_anew(self) -> None:
        """Release a bound lease that has outlived its session, in another one."""
        try:
            Client(socket=self._session.path).release(self.name, self.token)
            self._held.released = True
        except NotHeld:
            self._held.loss = BOUND_LOSS

"""What is known of a lease since its grant."""

from __future__ import annotations

import time

from ._errors import LeaseLost
from ._held import HeldLease
from ._holders import AbandonedLease


class GrantedLease:
    """What the daemon said with the grant of a lease. It is the same for every kind of client."""

    def __init__(self, held: HeldLease) -> None:
        self._held = held
        self._since = time.monotonic()
        # How often it is to be released. Only a reentrant lock acquires one more than once.
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
    def previous(self) -> AbandonedLease | None:
        """The lease before this one, if its holder did not release it: what that was doing may be half done.

        ``None`` if it was released, if there was none, and if somebody else was told of it already.
        """
        return self._held.previous

    @property
    def since(self) -> float:
        """When this process learned of the grant, by ``time.monotonic()``. The daemon granted it a little earlier."""
        return self._since

    def _look(self) -> None:
        """Take note of a loss of which word has arrived."""

    def _raise_loss(self) -> None:
        loss = self._held.loss
        if loss is not None:
            raise LeaseLost(self.name, self.token, loss.reason, loss.detail, self.names)

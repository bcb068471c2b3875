"""The count of a lock that its owner may acquire again. Nothing here does I/O."""

from __future__ import annotations

from typing import Generic, TypeVar

from ._errors import NotHeld
from ._granted import GrantedLease

_AnyLease = TypeVar("_AnyLease", bound=GrantedLease)


class Reentrance(Generic[_AnyLease]):
    """How often a lock was acquired by whoever holds it: a thread, or a task."""

    def _own(self) -> _AnyLease | None:
        """The lease that may be acquired again from here."""
        raise NotImplementedError

    def _not_held(self) -> NotHeld:
        raise NotImplementedError

    def _reenter(self) -> _AnyLease | None:
        """Count that it is acquired once more, if it is held here; return its lease."""
        lease = self._own()
        if lease is not None:
            lease._look()
            lease._raise_loss()
            lease._depth += 1
        return lease

    def _leave(self, entirely: bool = False) -> _AnyLease | None:
        """Count a release, or all that are missing; return the lease if that was the last."""
        lease = self._own()
        if lease is None:
            raise self._not_held()
        if lease._depth > 1 and not entirely:
            lease._depth -= 1
            return None
        return lease

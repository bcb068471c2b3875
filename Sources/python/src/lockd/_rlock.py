"""The lock that its owner may acquire again."""

from __future__ import annotations

import threading

from ._errors import NotHeld
from ._lease import Lease
from ._lock import Lock
from ._reentrance import Reentrance


class RLock(Lock, Reentrance[Lease]):
    """A reentrant lock that works between all processes of a machine, with the API of ``threading.RLock``.

    The thread that holds it (with gevent, the greenlet) may acquire it again, which asks nothing of the daemon, and
    releases it as often as it acquired it; only then is it free. What counts is the object, as with
    ``threading.RLock``: another one of the same name waits, in the same thread too. Such a wait would be for ever, and
    is refused with ``AlreadyHeld`` if both have ``owner=lockd.thread_owner``.

    It takes the arguments of ``Lock``, and all that is said there holds for it too. With ``shared`` or ``limit``,
    several threads may hold one object, each with a lease and a count of its own.

    Safe for threads. A forked child holds nothing of what its parent held, and counts anew. A copy through pickle is
    the same lock, and holds nothing.
    """

    @property
    def lease(self) -> Lease | None:
        """The lease of the calling thread, lost or not; ``None`` if it has acquired none."""
        return self._own()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it once more, at once, if the calling thread holds it; else as ``Lock.acquire`` does.

        :raises LeaseLost: if the calling thread held it and has lost it. Nothing has changed: it is still to be
            released as often as it was acquired before.
        """
        return super().acquire(blocking, timeout)

    def release(self) -> None:
        """Release it once; the lease ends when that has been done as often as it was acquired.

        When that release returns, the lease was held until now. Whatever it raises, the lease has ended or is about to.

        :raises NotHeld: if the calling thread does not hold it. It is a ``RuntimeError``, as that of
            ``threading.RLock``.
        :raises LeaseLost: by the last release, if the lease was lost before.
        :raises DaemonUnavailable: by the last release, as by that of ``Lock``.
        """
        self._release()

    def _release(self, entirely: bool = False) -> None:
        lease = self._leave(entirely)
        if lease is not None:
            self._end(lease)

    def _acquire(self, wait: float | None) -> Lease | None:
        lease = self._reenter()
        return super()._acquire(wait) if lease is None else lease

    def _own(self) -> Lease | None:
        thread = threading.get_ident()
        own = [lease for lease in self._acquired() if lease._thread == thread]
        return own[-1] if own else None

    def _not_held(self) -> NotHeld:
        return NotHeld(self.name, who="thread")

    def _at_fork_reinit(self) -> None:
        lease = self._current()
        if lease is not None:
            self._end(lease)

    # What threading.Condition asks of a reentrant lock.

    def _is_owned(self) -> bool:
        return self._own() is not None

    def _recursion_count(self) -> int:
        lease = self._own()
        return 0 if lease is None else lease._depth

    def _release_save(self) -> int:
        depth = self._recursion_count()
        self._release(entirely=True)
        return depth

    def _acquire_restore(self, depth: int) -> None:
        self.__enter__()._depth = depth

"""The lock that the task that holds it may acquire again."""

from __future__ import annotations

from .._errors import NotHeld
from .._reentrance import Reentrance
from ._lease import Lease
from ._lock import Lock


class RLock(Lock, Reentrance[Lease]):
    """A reentrant lock that works between all processes of a machine, for the tasks of an event loop.

    The task that holds it may acquire it again, which asks nothing of the daemon, and releases it as often as it
    acquired it; only then is it free. What counts is the object, as with ``lockd.RLock``: another one of the same name
    waits, in the same task too. Such a wait would be for ever, and is refused with ``AlreadyHeld`` if both have
    ``owner=lockd.aio.task_owner``. A task that it starts is another task, and waits. So does what
    ``asyncio.wait_for(lock.acquire(), …)`` acquires, where that makes a task of its own (before Python 3.12), and then
    nobody can release it: use ``lock.acquire(timeout=…)``.

    It takes the arguments of ``Lock``, and all that is said there holds for it too. With ``shared`` or ``limit``,
    several tasks may hold one object, each with a lease and a count of its own.

    A task that ends without having released it leaves it held, as ``Lock`` says of what is not released. A forked child
    holds nothing of what its parent held, and counts anew. A copy through pickle is the same lock, and holds nothing.
    """

    @property
    def lease(self) -> Lease | None:
        """The lease of the running task, lost or not; ``None`` if it has acquired none."""
        return self._own()

    async def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it once more, at once, if the running task holds it; else as ``Lock.acquire`` does.

        :raises LeaseLost: if the running task held it and has lost it. Nothing has changed: it is still to be released
            as often as it was acquired before.
        """
        return await super().acquire(blocking, timeout)

    async def release(self) -> None:
        """Release it once; the lease ends when that has been done as often as it was acquired.

        When that release returns, the lease was held until now, and is free. Whatever it raises (``CancelledError``
        too), the lease has ended or is about to.

        :raises NotHeld: if the running task does not hold it. It is a ``RuntimeError``, as that of ``asyncio.Lock``.
        :raises LeaseLost: by the last release, if the lease was lost before.
        :raises DaemonUnavailable: by the last release, as by that of ``Lock``.
        """
        lease = self._leave()
        if lease is not None:
            self._leases.remove(lease)
            await lease._release()

    async def _acquire(self, wait: float | None) -> Lease | None:
        lease = self._reenter()
        return await super()._acquire(wait) if lease is None else lease

    def _not_held(self) -> NotHeld:
        return NotHeld(self.name, who="task")

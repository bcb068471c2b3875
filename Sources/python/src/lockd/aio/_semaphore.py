"""The lock that so many tasks may hold at once."""

from __future__ import annotations

import os
from typing import Callable

from .. import _replies as replies
from .._binding import BindTo
from .._errors import LockdError, ReleasedTooOften
from .._requests import Show
from .._terms import Owner, is_full, semaphore_wait_time
from ._client import Client, pages
from ._lease import OnLost
from ._lock import Lock


class Semaphore(Lock):
    """A semaphore that works between all processes of a machine, in the manner of ``asyncio.BoundedSemaphore``.

    Up to ``value`` leases on its name are held at once, by one process or by several; requests are granted in the order
    in which the daemon reads them. Every ``acquire()`` is a lease of its own, so one object serves any number of tasks,
    and one task may hold several. All who use the name are to say the same ``value``; where they do not, the least of
    those that are held and asked for counts. ``lockd.Semaphore`` of the same name is the same semaphore.

    It is ``Lock(name, limit=value)`` with the errors and the waits of ``lockd.Semaphore``, and all that is said of
    ``Lock`` holds for it too: the leases of a process that dies are free at once, and those of a parent are not its
    child's. Other than an ``asyncio.Semaphore`` it cannot be released by who has not acquired it, so it does not tell
    others of something: it is bounded, and every loop releases its own. A copy through pickle is the same semaphore,
    and holds nothing.
    """

    _remembers_losses = True

    def __init__(
        self,
        name: str | bytes,
        value: int = 1,
        *,
        client: Client | None = None,
        socket: str | os.PathLike[str] | None = None,
        user: bool = False,
        max_queue: int | None = None,
        ttl: float | None = None,
        owner: Owner | None = None,
        note: str | bytes | None = None,
        progress: Callable[[replies.Progress], object] | None = None,
        progress_interval: float = 1.0,
        bind_to: BindTo | None = None,
        on_lost: OnLost | None = None,
        connect_timeout: float | None = None,
    ) -> None:
        """Name a semaphore. Nothing is asked of the daemon yet.

        :param value: how many may hold it at once, 1 to 100000.

        The other parameters are those of ``Lock``. An owner can hold it only once.

        :raises LocalProtocolError: as ``Lock`` does, and if ``value`` is not one (it is a ``ValueError`` too).
        :raises ValueError: if a client is given and a socket too.
        """
        super().__init__(
            name,
            client=client,
            socket=socket,
            user=user,
            limit=value,
            max_queue=max_queue,
            ttl=ttl,
            owner=owner,
            note=note,
            progress=progress,
            progress_interval=progress_interval,
            bind_to=bind_to,
            on_lost=on_lost,
            connect_timeout=connect_timeout,
        )
        self._value = value

    @property
    def value(self) -> int:
        """How many may hold it at once, as it was given."""
        return self._value

    async def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Wait until fewer than ``value`` hold it, acquire it, and return whether that was so in time.

        :param blocking: if false, do not wait at all.
        :param timeout: the seconds to wait; ``None`` for ever, and less than 0 as 0, as ``lockd.Semaphore`` has it.
        :raises ValueError: if there is a timeout without ``blocking``.

        It raises what ``Lock.acquire`` raises besides, and then no lease comes of it either.
        """
        return await self._acquire(semaphore_wait_time(blocking, timeout)) is not None

    async def release(self, n: int = 1) -> None:
        """Release ``n`` leases that this loop has acquired: the latest of the running task, else of any.

        Whatever it raises but the first two (``CancelledError`` too), all of them have ended or are about to.

        :raises ReleasedTooOften: if this loop has acquired and not released fewer than ``n``. None was released. It is
            a ``ValueError``, as that of ``asyncio.BoundedSemaphore``.
        :raises ValueError: if ``n`` is less than 1.
        :raises LeaseLost: if one of them was lost before.
        :raises DaemonUnavailable: as ``Lock.release`` does.
        """
        if n < 1:
            raise ValueError("n must be one or more")
        if len(self._acquired()) < n:
            raise self._not_held()
        # All at once, before another task runs.
        leases = iter([self._take() for _ in range(n)])
        failure: LockdError | None = None
        for lease in leases:
            try:
                await lease._release()
            except LockdError as error:
                failure = failure or error
            except BaseException:
                for other in leases:
                    other._session.give_back(other._held)
                raise
        if failure is not None:
            raise failure

    async def locked(self) -> bool:
        """Whether ``acquire(blocking=False)`` would be false: ``value`` leases are held, or others wait already.

        The daemon is asked. It may not be so any more when this returns.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        """
        lines = [line async for line in pages(self._ask, lambda after: Show(self.name, after=after))]
        return is_full(lines, self._value)

    def _not_held(self) -> ReleasedTooOften:
        return ReleasedTooOften(self.name)

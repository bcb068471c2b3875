"""The lock that so many may hold at once."""

from __future__ import annotations

import os
from typing import Callable

from . import _replies as replies
from ._binding import BindTo
from ._client import Client
from ._errors import LockdError, ReleasedTooOften
from ._lease import Lease
from ._lock import Lock
from ._terms import Owner, is_full, semaphore_wait_time


class Semaphore(Lock):
    """A semaphore that works between all processes of a machine, with the API of ``threading.BoundedSemaphore``.

    Up to ``value`` leases on its name are held at once, by one process or by several; requests are granted in the order
    in which the daemon reads them. Every ``acquire()`` is a lease of its own, so one object serves any number of
    threads, and one thread may hold several. All who use the name are to say the same ``value``; where they do not, the
    least of those that are held and asked for counts.

    It is ``Lock(name, limit=value)`` with the errors and the waits of a semaphore, and all that is said of ``Lock``
    holds for it too: the leases of a process that dies are free at once, and those of a parent are not its child's.
    Other than a ``threading.Semaphore`` it cannot be released by who has not acquired it, so it does not tell others of
    something: it is bounded, and every process releases its own. Safe for threads. A copy through pickle is the same
    semaphore, and holds nothing.
    """

    _remembers_losses = True

    def __init__(
        self,
        name: str | bytes,
        value: int = 1,
        *,
        socket: str | os.PathLike[str] | None = None,
        user: bool = False,
        max_queue: int | None = None,
        ttl: float | None = None,
        owner: Owner | None = None,
        note: str | bytes | None = None,
        progress: Callable[[replies.Progress], object] | None = None,
        progress_interval: float = 1.0,
        bind_to: BindTo | None = None,
        connect_timeout: float = 5.0,
    ) -> None:
        """Name a semaphore. Nothing is asked of the daemon yet.

        :param value: how many may hold it at once, 1 to 100000.

        The other parameters are those of ``Lock``. An owner can hold it only once.

        :raises LocalProtocolError: as ``Lock`` does, and if ``value`` is not one (it is a ``ValueError`` too).
        """
        super().__init__(
            name,
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
            connect_timeout=connect_timeout,
        )
        self._value = value

    @property
    def value(self) -> int:
        """How many may hold it at once, as it was given."""
        return self._value

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Wait until fewer than ``value`` hold it, acquire it, and return whether that was so in time.

        :param blocking: if false, do not wait at all.
        :param timeout: the seconds to wait; ``None`` for ever, and less than 0 as 0, as ``threading.Semaphore`` has it.
        :raises ValueError: if there is a timeout without ``blocking``.

        It raises what ``Lock.acquire`` raises besides, and then no lease comes of it either.
        """
        return self._acquire(semaphore_wait_time(blocking, timeout)) is not None

    def release(self, n: int = 1) -> None:
        """Release ``n`` leases that this process has acquired: the latest of the calling thread, else of any.

        Whatever it raises but the first two, all of them have ended or are about to.

        :raises ReleasedTooOften: if this process has acquired and not released fewer than ``n``. None was released. It
            is a ``ValueError``, as that of ``threading.BoundedSemaphore``.
        :raises ValueError: if ``n`` is less than 1.
        :raises LeaseLost: if one of them was lost before.
        :raises DaemonUnavailable: as ``Lock.release`` does.
        """
        if n < 1:
            raise ValueError("n must be one or more")
        leases = iter(self._take(n))
        failure: LockdError | None = None
        for lease in leases:
            try:
                lease._release()
            except LockdError as error:
                lease._session.give_back(lease._held)
                failure = failure or error
            except BaseException:
                for other in (lease, *leases):
                    other._session.give_back(other._held)
                raise
        if failure is not None:
            raise failure

    def _take(self, n: int) -> list[Lease]:
        """``n`` leases that nobody else releases, the latest of the calling thread first.

        :raises ReleasedTooOften: if there are fewer; then none was taken.
        """
        taken: list[Lease] = []
        while len(taken) < n:
            lease = self._current()
            if lease is None:
                self._leases.extend(reversed(taken))
                raise self._not_held()
            # Another thread may have taken it meanwhile.
            if self._remove(lease):
                taken.append(lease)
        return taken

    def locked(self) -> bool:
        """Whether ``acquire(blocking=False)`` would be false: ``value`` leases are held, or others wait already.

        The daemon is asked. It may not be so any more when this returns.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        """
        client = Client(socket=self._path, connect_timeout=self._connect_timeout)
        return is_full(client.show(self.name), self._value)

    def _not_held(self) -> ReleasedTooOften:
        return ReleasedTooOften(self.name)

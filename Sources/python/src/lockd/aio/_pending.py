"""A request on its way, and the task that waits for its answer."""

from __future__ import annotations

import asyncio
import time

from .._binding import Descriptor
from .._pending import Pending, Report
from .._requests import Request


class TaskPending(Pending):
    """A request on its way. At most one task waits for its answer, in the loop of the session."""

    __slots__ = ("_waker",)

    def __init__(
        self,
        request: Request,
        *,
        answer_by: float | None = None,
        patience: float | None = None,
        report: Report | None = None,
        descriptor: Descriptor | None = None,
    ) -> None:
        super().__init__(request, answer_by=answer_by, patience=patience, report=report, descriptor=descriptor)
        self._waker: asyncio.Future[None] | None = None

    async def wait(self, limit: float | None) -> None:
        """Wait until there is reason to look again, or ``limit`` has come, by ``time.monotonic()``."""
        loop = asyncio.get_running_loop()
        waker = self._waker = loop.create_future()
        timer = None if limit is None else loop.call_later(max(limit - time.monotonic(), 0.0), self.wake)
        try:
            await waker
        finally:
            self._waker = None
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """End the wait, if there is one."""
        waker, self._waker = self._waker, None
        if waker is not None and not waker.done() and not waker.get_loop().is_closed():
            waker.set_result(None)

"""A request on its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Callable

from . import _replies as replies
from ._binding import Descriptor
from ._errors import LockdError
from ._held import HeldLease
from ._protocol import Received
from ._replies import Progress, Reply
from ._requests import Request
from ._timing import ANSWER_TIMEOUT, RECONNECT_TIME
from ._transport import Transport

#: Is told how a wait goes.
Report = Callable[[Progress], object]


class Pending:
    """A request on its way, and the thread that waits for its answer."""

    __slots__ = (
        "_report",
        "answer_by",
        "answered",
        "began",
        "descriptor",
        "failure",
        "lease",
        "patience",
        "polled",
        "progress",
        "replies",
        "reporting_time",
        "request",
        "signal",
        "tag",
        "thread",
        "unsent",
    )

    def __init__(
        self,
        request: Request,
        *,
        answer_by: float | None = None,
        patience: float | None = None,
        report: Report | None = None,
        descriptor: Descriptor | None = None,
    ) -> None:
        self.request = request
        self.began = time.monotonic()
        #: When a daemon that is there must have answered, by ``time.monotonic()``; ``None`` for never.
        self.answer_by = answer_by
        #: When it counts that there is no daemon; ``None`` for never.
        self.patience = patience
        #: What is to be sent along with the request, until it was handed over.
        self.descriptor = descriptor
        self.tag: str | None = None
        self.replies: list[Reply] = []
        #: The lease that was granted; never one that was held before.
        self.lease: HeldLease | None = None
        self.answered = False
        #: The connection had ended before the request was sent, so that another connection may be tried.
        self.unsent = False
        #: Why the wait is over though there is no answer.
        self.failure: LockdError | None = None
        #: What the thread polls.
        self.polled: Transport | None = None
        self.signal: threading.Lock | None = None
        self.thread = threading.get_ident()
        #: How the wait goes, as long as it was not reported.
        self.progress: Progress | None = None
        #: The seconds that reporting has taken. The daemon cannot be blamed for them.
        self.reporting_time = 0.0
        self._report = report

    @property
    def reply(self) -> Reply:
        """The last line of the answer."""
        return self.replies[-1]

    def limit(self, attached: bool, since: float) -> float | None:
        """When the wait is over. There has been a connection, or none, ``since`` then (by ``time.monotonic()``)."""
        patience = self.answer_by if attached else self.patience
        if patience is None:
            return None
        least = since + ANSWER_TIMEOUT if attached else max(since, self.began) + RECONNECT_TIME
        return max(patience, least) + self.reporting_time

    def wake(self) -> None:
        """End the wait for the signal, if there is one."""
        signal, self.signal = self.signal, None
        if signal is not None:
            signal.release()

    def report(self) -> bool:
        """Say how the wait goes, in the thread that waits. What was to be waited for has happened: true."""
        progress, self.progress = self.progress, None
        if progress is not None and self._report is not None:
            began = time.monotonic()
            self._report(progress)
            self.reporting_time += time.monotonic() - began
        return True


def hand_out(received: Received, waiting: Mapping[str, Pending]) -> None:
    """Give what was received to the one that waits for it, by its tag, and wake that if there is reason to."""
    if received.tag is None:
        if isinstance(received.reply, (replies.Welcome, replies.Restored)):
            # What was answered by halves is answered anew.
            for each in waiting.values():
                if not each.answered:
                    each.replies.clear()
        return
    pending = waiting.get(received.tag)
    if pending is None:
        return
    if isinstance(received.reply, Progress):
        pending.progress = received.reply
        pending.wake()
        return
    pending.replies.append(received.reply)
    # A lease that the owner held before is not this request's to give back.
    if isinstance(received.reply, replies.Granted):
        pending.lease = received.lease
    if received.final:
        pending.answered = True
        pending.wake()

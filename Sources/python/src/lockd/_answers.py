"""Which reply may answer which request. Nothing here does I/O."""

from __future__ import annotations

import dataclasses

from . import _replies as replies
from ._errors import RemoteProtocolError
from ._replies import Reply
from ._requests import (
    Acquire,
    Cancel,
    Hello,
    Histograms,
    History,
    List,
    Ping,
    Quit,
    Release,
    Renew,
    Request,
    Revoke,
    Show,
    Stats,
    Unwatch,
    Watch,
)

ANSWERS: dict[type[Request], tuple[type[Reply], ...]] = {
    Hello: (replies.Welcome,),
    Acquire: (
        replies.Progress,
        replies.Granted,
        replies.Held,
        replies.Busy,
        replies.TimedOut,
        replies.Cancelled,
        replies.DeadlockEdge,
        replies.Deadlock,
    ),
    Release: (replies.Released, replies.NotHeld),
    Renew: (replies.Renewed, replies.NotHeld),
    Cancel: (replies.WaitCancelled, replies.NotWaiting),
    Show: (replies.LeaseLine, replies.WaiterLine, replies.End),
    List: (replies.LeaseLine, replies.WaiterLine, replies.End),
    History: (replies.Hold, replies.End),
    Watch: (replies.Watching,),
    Unwatch: (replies.Unwatched,),
    Revoke: (replies.Revoked, replies.Denied, replies.NotHeld),
    Stats: (replies.Statistic, replies.End),
    Histograms: (replies.Histogram, replies.End),
    Ping: (replies.Pong,),
    Quit: (replies.Bye,),
}

#: Lines that others of the same answer follow.
INNER_LINES = (
    replies.LeaseLine,
    replies.WaiterLine,
    replies.Statistic,
    replies.Histogram,
    replies.Hold,
    replies.Progress,
    replies.DeadlockEdge,
)

#: Requests whose answer is a listing. They change nothing, so they can be asked as often as one likes.
LISTINGS = (Show, List, History, Stats, Histograms)

#: Lines that nobody asked for.
EVENTS = (replies.Lost, replies.AllLost, replies.Restored, replies.Event, replies.Missed)


def _shared_fields(request: type[Request], reply: type[Reply]) -> tuple[str, ...]:
    fields = [{field.name for field in dataclasses.fields(kind)} for kind in (request, reply)]  # type: ignore[arg-type]
    return tuple(name for name in ("name", "token", "tag", "prefix") if all(name in each for each in fields))


# Of each request and each answer to it, the fields that both may have and that then say the same.
_SHARED_FIELDS = {
    (request, reply): _shared_fields(request, reply) for request, answers in ANSWERS.items() for reply in answers
}


def check_answer(request: Request, reply: Reply) -> None:
    """Return if ``reply`` may answer ``request``, or be a line of its answer.

    :raises RemoteProtocolError: if it may not.
    """
    if isinstance(reply, replies.Refused):
        return
    shared = _SHARED_FIELDS.get((type(request), type(reply)))
    if shared is None:
        raise RemoteProtocolError(f"{reply} is no answer to {request}")
    matches = names_match(request, reply)
    for attribute in shared:
        said, asked = getattr(reply, attribute), getattr(request, attribute)
        matches = matches and (said is None or asked is None or said == asked)
    if not matches:
        raise RemoteProtocolError(f"{reply} is the answer to another request than {request}")


def names_match(request: Request, reply: Reply) -> bool:
    """Whether the names of a reply may be those that were asked for. Of others than ACQUIRE, any name will do."""
    said: tuple[bytes, ...] | None = getattr(reply, "names", None)
    if said is None:
        return True
    if not isinstance(request, Acquire):
        return getattr(request, "name", None) in said
    # The lease that an owner holds already may have more names.
    return set(request.names) <= set(said) if isinstance(reply, replies.Held) else request.names == said

"""The leases of a session, and how they are lost. Nothing here does I/O."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakValueDictionary

from . import _replies as replies
from ._holders import AbandonedLease
from ._requests import Release, Renew


@dataclass(frozen=True)
class Loss:
    """Why a lease ended that was not released."""

    #: ``expired``, ``revoked``, ``forgotten``, ``log-damaged``, ``disconnected`` or ``unknown``; a later daemon may
    #: know more words.
    reason: str
    #: Who revoked it and why, or what happened and what to do about it, for people to read.
    detail: str = ""


#: What NOTHELD says of a lease that was bound.
BOUND_LOSS = Loss("unknown", "lockd knows it no more; what it was bound to may have ended")
_UNTOLD_LOSS = Loss("unknown", "lockd said NOTHELD without having told of a loss")

_ADVICE = "Somebody else may hold the lock: acquire it again, and start the work over"
#: What it means that a daemon knows nothing of the session.
FORGOTTEN_LOSS = Loss("forgotten", f"lockd has restarted without what it had written down of this process. {_ADVICE}")


@dataclass(eq=False)
class HeldLease:
    """A lease that was granted in this session."""

    names: tuple[bytes, ...]
    token: int
    #: Milliseconds, ``None`` for no bound.
    ttl: int | None
    #: The lease before it, if that was not released.
    previous: AbandonedLease | None = None
    #: Whether it is bound to something else than the session.
    bound: bool = False
    #: Set once, when the lease is lost.
    loss: Loss | None = None
    #: Whether this side gave it back: RELEASED was received, or nobody waits for it.
    released: bool = False

    @property
    def name(self) -> bytes:
        """The first of its names, by which it is released and renewed."""
        return self.names[0]


class HeldLeases:
    """The leases of a session, by their tokens, and what replies say about them.

    A lease is marked before it is forgotten: if an exception comes between the two, it is not left without an end.
    """

    def __init__(self) -> None:
        #: The leases that are held, by token.
        self.own: dict[int, HeldLease] = {}
        #: Those that are bound. Most of them end without a word, so they are known for as long as somebody else cares.
        self.bound: WeakValueDictionary[int, HeldLease] = WeakValueDictionary()

    def find(self, token: int | None) -> HeldLease | None:
        """The lease with that token, if it is held."""
        if token is None:
            return None
        lease = self.own.get(token)
        return self.bound.get(token) if lease is None else lease

    def grant(self, reply: replies.Granted, bound: bool) -> HeldLease:
        """Take in GRANTED, and return the lease."""
        lease = HeldLease(reply.names, reply.token, reply.ttl, reply.previous, bound)
        (self.bound if bound else self.own)[reply.token] = lease
        return lease

    def renew(self, reply: replies.Renewed) -> None:
        """Take in RENEWED."""
        lease = self.find(reply.token)
        if lease is not None:
            lease.ttl = reply.ttl

    def release(self, token: int) -> None:
        """Take in RELEASED."""
        lease = self.find(token)
        if lease is not None:
            lease.released = True
            self._forget(token)

    def release_all(self) -> None:
        """Take in BYE."""
        for token in list(self.own):
            self.release(token)

    def miss(self, request: Release | Renew) -> None:
        """Take in NOTHELD.

        Nobody is told that what a lease was bound to has ended. Any other loss is told before anything else is said of
        the lease, so this is not what a lockd does; but it is plain what it means.
        """
        lease = self.find(request.token)
        if lease is not None and request.name in lease.names:
            lease.loss = BOUND_LOSS if lease.bound else _UNTOLD_LOSS
            self._forget(lease.token)

    def lose(self, event: replies.Lost) -> None:
        """Take in LOST."""
        lease = self.find(event.token)
        if lease is not None:
            lease.loss = Loss(event.reason, _blame(event))
            self._forget(event.token)

    def lose_all(self, loss: Loss) -> None:
        """All of them are lost but those that are bound, of which nothing is known, and those that were given back."""
        for lease in self.own.values():
            if not lease.released and lease.loss is None:
                lease.loss = loss
        self.own.clear()

    def _forget(self, token: int) -> None:
        if self.own.pop(token, None) is None:
            self.bound.pop(token, None)


def damage(event: replies.AllLost) -> Loss:
    """The loss of everything, of which LOST without names tells."""
    return Loss(event.reason, f"lockd has restarted, and what it had written down is damaged. {_ADVICE}")


def _blame(event: replies.Lost) -> str:
    """Who took the lease and why, for people to read."""
    said = [f"by uid {event.by_uid}"] if event.by_uid is not None else []
    if event.by_pid is not None:
        said.append(f"pid {event.by_pid}")
    if event.why is not None:
        said.append(f"because: {event.why.decode('utf-8', 'backslashreplace')}")
    return ", ".join(said)

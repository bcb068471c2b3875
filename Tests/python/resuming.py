"""A session of the protocol core whose connection breaks, for tests with bytes in and bytes out."""

from __future__ import annotations

from lockd._held import HeldLease
from lockd._protocol import Received, Session
from lockd._requests import Acquire, Request

FEATURES = "features=acquire,resume"


def drain(session: Session) -> str:
    """What the session wants sent, as if it was."""
    sent = b""
    while data := session.data_to_send():
        session.data_sent(len(data))
        sent += data
    return sent.decode()


def hear(session: Session, *lines: str) -> list[Received]:
    """Receive lines."""
    return session.receive("".join(f"{line}\n" for line in lines).encode())


def welcome(tag: str, number: int = 7, leases: int | None = None) -> str:
    """WELCOME, that of a session which goes on if it says how many leases that has."""
    rest = "" if leases is None else f" leases={leases} waiters=0"
    return f"{tag} WELCOME lockd=1 v=1 session={number} {FEATURES}{rest}"


def greeted(number: int = 7) -> Session:
    """A session that has said HELLO."""
    session = Session()
    session.greet(b"me")
    assert drain(session) == "#1 HELLO v=1 client=me\n"
    hear(session, welcome("#1", number))
    session.go_on(0)
    return session


def sent(session: Session, request: Request, now: float = 0.0) -> str:
    """Send a request, as far as the socket."""
    tag = session.send(request, None, now)
    drain(session)
    return tag


def broken(session: Session) -> Session:
    """The same session after the end of its connection."""
    assert session.detach()
    return session


def connected(session: Session, number: int = 7, *behind: str, now: float = 0.0) -> tuple[str, list[Received]]:
    """Connect again; what is sent then, and what was received with WELCOME and behind it."""
    session.greet(b"me")
    hello = drain(session)
    tag = hello.split()[0]
    assert hello == f"{tag} HELLO v=1 client=me resume={session.number}\n"
    received = hear(session, welcome(tag, number, 0 if number == session.number else None), *behind)
    assert session.welcomed
    session.go_on(now)
    assert session.attached
    return drain(session), received[1:]


def resumed(session: Session, *behind: str, now: float = 0.0) -> str:
    """Break the connection, resume the session, and return what is sent."""
    return connected(broken(session), 7, *behind, now=now)[0]


def granted(session: Session, names: str = "x", token: int = 5, bind: str | None = None) -> HeldLease:
    """Acquire a lease."""
    tag = sent(session, Acquire(tuple(name.encode() for name in names.split()), bind=bind))
    (received,) = hear(session, f"{tag} GRANTED {names} token={token}")
    assert received.lease is not None
    return received.lease

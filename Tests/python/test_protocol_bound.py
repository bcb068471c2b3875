"""The protocol core: leases that are bound, and the descriptors that go with lines.

What goes with a line goes with the first byte of a write that has nothing else in it.
"""

from __future__ import annotations

from lockd._held import BOUND_LOSS, HeldLease, Loss
from lockd._protocol import Session
from lockd._requests import PIDFD, PIPE, Acquire, Ping, Quit, Release


def drain(session: Session) -> bytes:
    """What the session wants sent next, as if it was."""
    data = session.data_to_send()
    session.data_sent(len(data))
    return data


def granted(session: Session, name: str = "x", token: int = 5, bind: str | None = PIPE) -> HeldLease:
    """Acquire a lease."""
    tag = session.send(Acquire((name.encode(),), bind=bind))
    drain(session)
    (received,) = session.receive(f"{tag} GRANTED {name} token={token}\n".encode())
    assert received.lease is not None
    return received.lease


def test_line_is_written_by_itself_and_its_descriptor_once() -> None:
    session, first, second = Session(), object(), object()
    session.send(Ping())
    session.send(Acquire((b"x",), bind=PIPE), first)
    session.send(Acquire((b"y",), bind=PIDFD), second)
    session.send(Ping())
    written = []
    while session.data_to_send():
        descriptor = session.descriptor_to_send()
        written.append((drain(session), descriptor))
    assert written == [
        (b"#1 PING\n", None),
        (b"#2 ACQUIRE x bind=pipe\n", first),
        (b"#3 ACQUIRE y bind=pidfd\n", second),
        (b"#4 PING\n", None),
    ]
    assert session.descriptor_to_send() is None


def test_rest_of_a_line_goes_without_it() -> None:
    session, descriptor = Session(), object()
    session.send(Acquire((b"x",), bind=PIPE), descriptor)
    session.data_sent(0)
    assert session.descriptor_to_send() is descriptor
    session.data_sent(1)
    assert session.descriptor_to_send() is None
    session.send(Ping())
    assert drain(session) == b"1 ACQUIRE x bind=pipe\n#2 PING\n"


def test_line_before_it_may_go_in_parts() -> None:
    session, descriptor = Session(), object()
    session.send(Ping())
    session.send(Acquire((b"x",), bind=PIPE), descriptor)
    session.data_sent(3)
    assert (session.data_to_send(), session.descriptor_to_send()) == (b"PING\n", None)


def test_it_is_kept_though_the_wait_is_given_up_and_not_behind_the_end() -> None:
    session, descriptor = Session(), object()
    session.abandon(session.send(Acquire((b"x",), bind=PIPE), descriptor))
    assert session.descriptor_to_send() is descriptor
    session.receive_end("it closed the connection")
    assert session.descriptor_to_send() is None


def test_lease_that_is_bound_is_known_as_long_as_somebody_cares() -> None:
    session = Session()
    lease = granted(session)
    assert (dict(session.bound_leases), session.leases) == ({5: lease}, {})
    session.receive(b"* LOST x token=5 reason=expired\n")
    assert lease.loss == Loss("expired")
    lease = granted(session, token=6)
    session.give_back(lease)
    assert lease.released
    del lease
    assert dict(session.bound_leases) == {}
    session.receive(b"#3 RELEASED x token=6\n")


def test_nothing_held_of_one_that_is_bound_may_be_its_end() -> None:
    session = Session()
    lease = granted(session)
    session.receive(f"{session.send(Release(b'x', 5))} NOTHELD x\n".encode())
    assert lease.loss == BOUND_LOSS


def test_bound_lease_outlives_the_connection() -> None:
    for ending in (b"", b"#3 BYE\n"):
        session = Session()
        bound, other = granted(session), granted(session, "y", 6, bind=None)
        session.send(Quit())
        session.receive(ending)
        session.receive_end("it closed the connection")
        assert (bound.loss, bound.released) == (None, False)
        assert (other.loss is None) == other.released == bool(ending)

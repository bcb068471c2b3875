"""The protocol core: leases that are bound, and the descriptors that go with lines.

What goes with a line goes with the first byte of a write that has nothing else in it.
"""

from __future__ import annotations

from lockd._protocol import BOUND_LOSS, Connection, HeldLease, Loss
from lockd._requests import PIDFD, PIPE, Acquire, Ping, Quit, Release


def drain(connection: Connection) -> bytes:
    """What the connection wants sent next, as if it was."""
    data = connection.data_to_send()
    connection.data_sent(len(data))
    return data


def granted(connection: Connection, name: str = "x", token: int = 5, bind: str | None = PIPE) -> HeldLease:
    """Acquire a lease."""
    tag = connection.send(Acquire((name.encode(),), bind=bind))
    drain(connection)
    (received,) = connection.receive(f"{tag} GRANTED {name} token={token}\n".encode())
    assert received.lease is not None
    return received.lease


def test_line_is_written_by_itself_and_its_descriptor_once() -> None:
    connection, first, second = Connection(), object(), object()
    connection.send(Ping())
    connection.send(Acquire((b"x",), bind=PIPE), first)
    connection.send(Acquire((b"y",), bind=PIDFD), second)
    connection.send(Ping())
    written = []
    while connection.data_to_send():
        descriptor = connection.descriptor_to_send()
        written.append((drain(connection), descriptor))
    assert written == [
        (b"#1 PING\n", None),
        (b"#2 ACQUIRE x bind=pipe\n", first),
        (b"#3 ACQUIRE y bind=pidfd\n", second),
        (b"#4 PING\n", None),
    ]
    assert connection.descriptor_to_send() is None


def test_rest_of_a_line_goes_without_it() -> None:
    connection, descriptor = Connection(), object()
    connection.send(Acquire((b"x",), bind=PIPE), descriptor)
    connection.data_sent(0)
    assert connection.descriptor_to_send() is descriptor
    connection.data_sent(1)
    assert connection.descriptor_to_send() is None
    connection.send(Ping())
    assert drain(connection) == b"1 ACQUIRE x bind=pipe\n#2 PING\n"


def test_line_before_it_may_go_in_parts() -> None:
    connection, descriptor = Connection(), object()
    connection.send(Ping())
    connection.send(Acquire((b"x",), bind=PIPE), descriptor)
    connection.data_sent(3)
    assert (connection.data_to_send(), connection.descriptor_to_send()) == (b"PING\n", None)


def test_it_is_kept_though_the_wait_is_given_up_and_not_behind_the_end() -> None:
    connection, descriptor = Connection(), object()
    connection.abandon(connection.send(Acquire((b"x",), bind=PIPE), descriptor))
    assert connection.descriptor_to_send() is descriptor
    connection.receive_end("it closed the connection")
    assert connection.descriptor_to_send() is None


def test_lease_that_is_bound_is_known_as_long_as_somebody_cares() -> None:
    connection = Connection()
    lease = granted(connection)
    assert (dict(connection.bound_leases), connection.leases) == ({5: lease}, {})
    connection.receive(b"* LOST x token=5 reason=expired\n")
    assert lease.loss == Loss("expired")
    lease = granted(connection, token=6)
    connection.give_back(lease)
    assert lease.released
    del lease
    assert dict(connection.bound_leases) == {}
    connection.receive(b"#3 RELEASED x token=6\n")


def test_nothing_held_of_one_that_is_bound_may_be_its_end() -> None:
    connection = Connection()
    lease = granted(connection)
    connection.receive(f"{connection.send(Release(b'x', 5))} NOTHELD x\n".encode())
    assert lease.loss == BOUND_LOSS


def test_bound_lease_outlives_the_connection() -> None:
    for ending in (b"", b"#3 BYE\n"):
        connection = Connection()
        bound, other = granted(connection), granted(connection, "y", 6, bind=None)
        connection.send(Quit())
        connection.receive(ending)
        connection.receive_end("it closed the connection")
        assert (bound.loss, bound.released) == (None, False)
        assert (other.loss is None) == other.released == bool(ending)

"""What goes with a line goes with the first byte of a write that has nothing else in it."""

from __future__ import annotations

from lockd._protocol import Connection
from lockd._requests import PIDFD, PIPE, Acquire, Ping


def drain(connection: Connection) -> bytes:
    """What the connection wants sent next, as if it was."""
    data = connection.data_to_send()
    connection.data_sent(len(data))
    return data


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

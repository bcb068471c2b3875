"""What clients send, and in what pieces; what they read, and do not read."""

from __future__ import annotations

import random
import select
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from .processes import END, PATIENCE, Client, Daemon


def test_line_byte_by_byte(daemon: Daemon) -> None:
    with daemon.connect() as client:
        for line in ["ACQUIRE db ttl=10s", "#1 PING", "RELEASE db"]:
            for byte in (line + "\n").encode():
                client.send_bytes(bytes([byte]))
        assert [client.receive().split()[0] for _ in range(3)] == ["GRANTED", "#1", "RELEASED"]


def test_half_a_line_behind_a_whole_one(daemon: Daemon) -> None:
    with daemon.connect() as client:
        for _ in range(2000):
            client.send_bytes(b"PING\nPI")
            client.send_bytes(b"NG\n")
            assert client.receive() == "PONG"
            assert client.receive() == "PONG"


@pytest.mark.parametrize("size", [1, 7, 4096, 16383, 16384, 16385, 100_000])
def test_stream_of_lines_in_pieces_of_any_size(daemon: Daemon, size: int) -> None:
    count = 2000 if size < 10 else 50_000
    stream = b"".join(b"#%d PING\n" % number for number in range(count))
    with daemon.connect() as client:
        assert converse(client, stream, size) == b"".join(b"#%d PONG\n" % number for number in range(count))


def converse(client: Client, stream: bytes, size: int = 1 << 16, before: int = 0) -> bytes:
    """Sends in pieces of that size, and reads meanwhile, until as many lines have come as were sent, those sent before included."""
    client.socket.setblocking(False)
    answers: list[bytes] = []
    sent = received = 0
    lines = before + stream.count(b"\n")
    while received < lines:
        readable, writable, _ = select.select(
            [client.socket], [client.socket] if sent < len(stream) else [], [], PATIENCE
        )
        assert readable or writable, f"{received} of {lines} lines were answered"
        if readable:
            answers.append(client.socket.recv(1 << 16))
            assert answers[-1], "the connection was closed"
            received += answers[-1].count(b"\n")
        if writable:
            sent += client.socket.send(stream[sent : sent + size])
    client.socket.settimeout(PATIENCE)
    return b"".join(answers)


def test_too_long_lines_are_dropped_alone(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.send("x" * 8193, "#tag " + "y" * 1_000_000, "PING", "#tag " + "z" * 8187)
        assert client.receive() == "ERROR line-too-long limit=8192"
        assert client.receive() == "#tag ERROR line-too-long limit=8192"
        assert client.receive() == "PONG"
        assert client.receive().startswith("#tag ERROR unknown-verb got=" + "z" * 64 + " want=")


def garbage(seed: int) -> bytes:
    chance = random.Random(seed)
    words = [b"ACQUIRE", b"RELEASE", b"LIST", b"#1", b"db", b"wait=0", b"ttl=1ms", b" ", b"\n", b"\n", b"\r\n", b"%00"]
    pieces = [
        chance.choice([chance.choice(words), b" ", chance.randbytes(chance.randrange(1, 40))])
        for _ in range(chance.randrange(2000))
    ]
    return b"".join(pieces)


@pytest.mark.parametrize("seed", range(20))
def test_garbage_harms_nobody(daemon: Daemon, seed: int) -> None:
    with daemon.connect() as other:
        other.acquire("mine")
        with daemon.connect() as client:
            client.send_bytes(garbage(seed))
            assert other.ask("PING") == "PONG"
            client.shut_down()
            for line in client.receive_to_the_end():
                assert line.isprintable()
        assert other.ask("RELEASE mine").startswith("RELEASED mine ")
        assert other.ask("SHOW mine") == "END"


def test_client_that_only_sends_is_no_burden(daemon: Daemon) -> None:
    """It is not read from once 64 KiB wait for it; its lines wait in the kernel, and the daemon sleeps."""
    with daemon.connect() as client, daemon.connect() as other:
        fill(client, b"PING\n" * 10_000)
        used = daemon.cpu_seconds()
        for _ in range(20):
            assert other.ask("ACQUIRE none wait=0").startswith(("GRANTED", "HELD"))
            assert other.ask("#1 ACQUIRE none wait=20ms").startswith("#1 TIMEOUT")
        assert daemon.cpu_seconds() - used < 0.3


def fill(client: Client, chunk: bytes) -> int:
    """Sends the chunk again and again until neither kernel nor daemon takes any more; says how many bytes that were."""
    client.socket.settimeout(0.3)
    sent = 0
    try:
        while True:
            sent += client.socket.send(chunk[sent % len(chunk) :])
    except TimeoutError:
        client.socket.settimeout(PATIENCE)
        return sent


def test_holder_that_does_not_read_loses_nothing_and_slows_nobody(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter, daemon.connect() as other:
        token = holder.acquire("db")
        waiter.send("ACQUIRE db")
        daemon.wait_until_listed("db", 2)
        line = b"#0123456789012345678901234567 PING\n"
        sent = fill(holder, line * 1000)
        began = time.monotonic()
        for _ in range(500):
            assert other.ask("ACQUIRE free wait=0").startswith("GRANTED ")
            assert other.ask("RELEASE free").startswith("RELEASED ")
        assert time.monotonic() - began < 10
        assert other.ask("ACQUIRE db wait=0").startswith("BUSY db ")
        assert not waiter.has_something_to_read()

        # What is left of its last line, and the request that ends it all, go out while the answers come in.
        rest = line[sent % len(line) :] if sent % len(line) else b""
        answers = converse(holder, rest + b"RELEASE db\n", before=-(-sent // len(line)) - bool(rest))
        *pongs, last = answers.decode().splitlines()
        assert set(pongs) == {"#0123456789012345678901234567 PONG"}
        assert last == f"RELEASED db token={token}"
        assert waiter.receive().startswith("GRANTED db ")


def test_client_that_never_reads_can_lose_a_lease_like_any_other(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.acquire("db", "ttl=300ms")
        fill(holder, b"PING\n" * 10_000)
        waiter.acquire("db", "")
        lines = []
        while "LOST" not in (line := holder.receive()):
            lines.append(line)
        assert set(lines) == {"PONG"}


def test_slow_reader_that_never_catches_up_costs_bounded_memory(daemon: Daemon) -> None:
    with daemon.connect() as client:
        for number in range(100):
            client.acquire(f"lock/{number}", "note=" + "n" * 256)
        fill(client, b"LIST\n" * 1000)
        before = resident_bytes(daemon)
        client.socket.setblocking(False)
        received = 0
        while received < 24 << 20:
            readable, writable, _ = select.select([client.socket], [client.socket], [], PATIENCE)
            if readable:
                # Never all that is there.
                received += len(client.socket.recv(4096))
            if writable:
                client.socket.send(b"LIST\n" * 100)
        assert resident_bytes(daemon) - before < 8 << 20


def resident_bytes(daemon: Daemon) -> int:
    with open(f"/proc/{daemon.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def test_lines_behind_quit_are_not_answered(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.send("ACQUIRE db", "QUIT", "PING", "RELEASE db")
        assert client.receive().startswith("GRANTED db ")
        assert client.receive() == "BYE"
        assert client.receive() == END
        assert client.receive() == END


def test_end_of_stream_comes_behind_bye_however_much_was_sent_behind_quit(daemon: Daemon) -> None:
    with daemon.connect() as client:
        daemon.process.send_signal(signal.SIGSTOP)
        client.send("QUIT", *["PING"] * 20_000)
        daemon.process.send_signal(signal.SIGCONT)
        assert client.receive() == "BYE"
        assert client.receive() == END


def test_client_that_has_closed_its_receiving_half_keeps_its_lease(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as other:
        holder.acquire("db")
        holder.socket.shutdown(socket.SHUT_RD)
        holder.send(*["PING"] * 100)
        holder.send("ACQUIRE second")
        daemon.wait_until_listed("second", 1)
        assert other.ask("ACQUIRE db wait=0").startswith("BUSY db ")


def test_descriptors_sent_along_are_not_kept(daemon: Daemon) -> None:
    """A client can attach descriptors to its bytes; they must not pile up in the daemon."""
    ours, theirs = socket.socketpair()
    with ours, theirs, daemon.connect() as client:
        socket.send_fds(client.socket, [b"PING\n"], [theirs.fileno()])
        assert client.receive() == "PONG"
        theirs.close()
        assert ours.recv(1) == b"", "the daemon has the other end"


@pytest.fixture
def many_clients(daemon: Daemon) -> Iterator[list[Client]]:
    clients = [daemon.connect() for _ in range(50)]
    yield clients
    for client in clients:
        client.close()


def test_queue_of_many_is_served_in_order(daemon: Daemon, many_clients: list[Client]) -> None:
    tokens = []
    for number, client in enumerate(many_clients):
        client.send("ACQUIRE db")
        daemon.wait_until_listed("db", number + 1)
    for client in many_clients:
        tokens.append(int(client.receive().split()[2].removeprefix("token=")))
        assert client.ask("RELEASE db") == f"RELEASED db token={tokens[-1]}"
    assert tokens == sorted(set(tokens))

"""What clients of all kinds do, each in a process of its own, while the daemon is killed over and over.

Runs where the daemon does: crowd.py SOCKET DIRECTORY ROLE ARGUMENT... . Says ``ready`` when it has what it needs, goes on until its input ends, and then says in an object of JSON what was broken, what it
has done, and which of its requests were answered late.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from client import FOREVER, PATIENCE, Broken, Client
from witness import Overlap, Witness

#: Names that workers compete for, by how they are asked for.
EXCLUSIVE = [f"exclusive/{number}" for number in range(6)]
LIMITED = [f"limited/{number}" for number in range(2)]
SHARED = [f"shared/{number}" for number in range(2)]

#: How many may hold a limited name.
PLACES = 3


def is_over() -> bool:
    """Whether the storm is."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def pause(least: float, most: float) -> None:
    """Do something else for a while."""
    time.sleep(random.uniform(least, most))


class Member:
    """One process of the crowd: what it has to tell in the end."""

    def __init__(self, path: str, directory: Path) -> None:
        self.path = path
        self.directory = directory
        self.counts: dict[str, int] = {}
        self.clients: list[Client] = []
        #: The tokens of which a watcher was told.
        self.seen: list[int] = []

    def client(self, *, resumable: bool) -> Client:
        """A session of this process."""
        client = Client(self.path, resumable=resumable)
        self.clients.append(client)
        return client

    def count(self, what: str, number: int = 1) -> None:
        """Remember that something was done."""
        self.counts[what] = self.counts.get(what, 0) + number

    def report(self, broken: list[str]) -> str:
        """Everything there is to tell."""
        for client in self.clients:
            for what, number in client.counts.items():
                self.count(what, number)
        late = [span for client in self.clients for span in client.late]
        return json.dumps({"broken": broken, "counts": self.counts, "late": late, "seen": self.seen})


def ready() -> None:
    """Tell that the member is part of the crowd."""
    print("ready", flush=True)


def work(member: Member, kind: str) -> None:
    """Take names in every mode, hold them for a moment, and give them back: as a library that resumes, or as a bare client."""
    witnesses = {name: Witness(member.directory, name) for name in (*EXCLUSIVE, *LIMITED, *SHARED)}
    client = member.client(resumable=kind == "resumable")
    client.ask("PING")
    ready()
    while not is_over():
        names, options, places, shared = _choice()
        patience = random.choice(["", "", "", " wait=0", " wait=20ms"])
        token = client.acquire(" ".join(names), f"{options}{patience}".strip())
        if token is None:
            member.count("refused")
            pause(0, 0.02)
            continue
        for name in names:
            witnesses[name].enter(token, places=places, shared=shared)
        pause(0, 0.02)
        if "ttl" in options and client.ask(f"RENEW {names[0]} token={token}").split()[0] != "RENEWED":
            raise Broken(f"{names} was not renewed")
        for name in names:
            witnesses[name].leave()
        client.release(" ".join(names), token)
        member.count("granted")
        pause(0, 0.02)


def _choice() -> tuple[list[str], str, int, bool]:
    """Names, how they are asked for, how many may hold them, and whether they are shared."""
    number = random.randrange(10)
    if number < 4:
        return [random.choice(EXCLUSIVE)], random.choice(["", "ttl=1h"]), 1, False
    if number < 6:
        return random.sample(EXCLUSIVE, random.randint(2, 4)), "", 1, False
    if number < 8:
        return [random.choice(LIMITED)], f"limit={PLACES}", PLACES, False
    shared = random.random() < 0.7
    return [random.choice(SHARED)], "mode=shared" if shared else "", 1, shared


def sit(member: Member, name: str, kind: str) -> None:
    """Hold a name from the beginning to the end, or wait for it until those in front have gone."""
    witness = Witness(member.directory, name)
    client = member.client(resumable=kind.startswith("resumable"))
    answer = client.ask(f"ACQUIRE {name} progress=1d", hears="QUEUED") if kind.endswith("-waits") else ""
    if answer:
        ready()
        token = client.token(client.hear(), "GRANTED", name)
    else:
        granted = client.acquire(name)
        if granted is None:
            raise Broken(f"{name} was not granted")
        token = granted
        ready()
    witness.enter(token)
    select.select([sys.stdin], [], [])
    witness.leave()
    client.release(name, token)
    member.count("kept")


def queue(member: Member, name: str, kind: str) -> None:
    """Wait for one name in several sessions, whose order is known, and see that it stays."""
    clients = [member.client(resumable=kind == "resumable") for _ in range(8)]
    tokens = [0]
    first, *others = clients
    token = first.acquire(name)
    for client in others:
        client.ask(f"ACQUIRE {name} progress=1d", hears="QUEUED")
    ready()
    line = others
    holder = first
    while token is not None and not is_over():
        pause(0, 0.05)
        holder.release(name, token)
        if token <= tokens[-1]:
            raise Broken(f"{name}: token {token} behind {tokens[-1]}")
        tokens.append(token)
        # Nobody else may have it: what came later is granted later.
        former, holder, line = holder, line[0], line[1:]
        token = holder.token(holder.hear(), "GRANTED", name)
        position = former.ask(f"ACQUIRE {name} progress=1d", hears="QUEUED")
        if f" position={len(line) + 1} " not in position:
            raise Broken(f"{name}: behind {len(line)} others, told {position}")
        line.append(former)
        member.count("moved")


def ask_once(member: Member, name: str) -> None:
    """Connect, ask, shut down the sending half, and read to the end: what scripts do."""
    ready()
    last = 0
    while not is_over():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(FOREVER)
            connection.connect(member.path)
            lines: list[str] = []
            # A connection that ends with bytes unread is reset; what was read before that counts.
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(f"#1 ACQUIRE {name} wait=0\n#2 PING\n".encode())
                connection.shutdown(socket.SHUT_WR)
                with connection.makefile("rb") as stream:
                    lines.extend(line.decode().rstrip("\n") for line in stream)
        answers = [line for line in dict.fromkeys(lines) if not line.startswith("* RESTORED ")]
        if not lines:
            # The daemon was killed in the instant in which it accepted.
            member.count("cut")
            continue
        if len(answers) != 2 or answers[1] != "#2 PONG":
            raise Broken(f"asked once, and told {lines}")
        token = Client.token(answers[0].removeprefix("#1 "), "GRANTED", name)
        if token <= last:
            raise Broken(f"{name}: token {token} behind {last}")
        last = token
        member.count("answered")
        pause(0, 0.02)


def bind(member: Member, name: str) -> None:
    """Bind leases to processes and pipes, hang up, and see that they end with these and not before."""
    client = member.client(resumable=False)
    client.ask("PING")
    ready()
    while not is_over():
        kind = random.choice(["pidfd", "pipe"])
        end, descriptor = _process() if kind == "pidfd" else _pipe()
        answer = _ask_with(member.path, f"ACQUIRE {name} bind={kind}", descriptor)
        if answer is None:
            # The daemon was killed in the instant in which it accepted.
            member.count("cut")
        elif answer.startswith("ERROR bad-descriptor got=none "):
            # It was killed between receiving the descriptor and taking the line: the kernel hands it out once.
            member.count("descriptor lost")
        else:
            token = Client.token(answer, "GRANTED", name)
            deadline = time.monotonic() + random.uniform(0, 0.5)
            while time.monotonic() < deadline:
                lines = client.page(f"SHOW {name}")
                if len(lines) != 1 or f" token={token} " not in lines[0] or f" bound={kind}" not in lines[0]:
                    raise Broken(f"{name}: bound to a {kind} with token {token}, and SHOW says {lines}")
                pause(0, 0.02)
            member.count(kind)
        end()
        _await_end(client, name, kind)


def _process() -> tuple[Callable[[], None], int]:
    """A process that does nothing: how to end it, and its pidfd."""
    # Without the member's output: it may outlive the member, and then nobody would see the end of that.
    process = subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end() -> None:
        process.kill()
        process.wait()

    return end, os.pidfd_open(process.pid)


def _pipe() -> tuple[Callable[[], None], int]:
    """A pipe: how to end it, and the end to read from."""
    read, write = os.pipe()
    return lambda: os.close(write), read


def _ask_with(path: str, line: str, descriptor: int) -> str | None:
    """The answer to a line that is sent with a descriptor, on a connection of its own; nothing if that ended without one."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(FOREVER)
        connection.connect(path)
        socket.send_fds(connection, [f"{line}\n".encode()], [descriptor])
        os.close(descriptor)
        with connection.makefile("rb") as stream:
            for answer in stream:
                if not answer.startswith(b"*"):
                    return answer.decode().rstrip("\n")
    return None


def _await_end(client: Client, name: str, kind: str) -> None:
    lines = client.page(f"SHOW {name}")
    deadline = time.monotonic() + PATIENCE
    while lines:
        if time.monotonic() > deadline:
            raise Broken(f"{name}: the {kind} has ended, and SHOW still says {lines}")
        pause(0, 0.01)
        lines = client.page(f"SHOW {name}")


def watch(member: Member, prefix: str) -> None:
    """Be told of whatever happens, without a gap."""
    client = member.client(resumable=False)
    client.ask(f"WATCH {prefix}")
    ready()
    tokens: set[int] = set()
    while True:
        last = is_over()
        client.ask("PING")
        for event in client.events:
            words = event.split()
            if words[1] == "MISSED":
                raise Broken(f"a watcher that reads all the time was told {event}")
            if words[1] == "GRANTED":
                tokens.add(next(int(word[6:]) for word in words if word.startswith("token=")))
        client.events.clear()
        if last:
            break
        pause(0, 0.02)
    member.seen = sorted(tokens)


def leave_unread(member: Member, name: str) -> None:
    """Hold a name, ask as much as the socket takes, and read nothing until the end; then all of it, in order."""
    witness = Witness(member.directory, name)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(FOREVER)
        connection.connect(member.path)
        connection.sendall(f"#0 ACQUIRE {name}\n".encode())
        stream = connection.makefile("rb")
        token = Client.token(stream.readline().decode().strip().removeprefix("#0 "), "GRANTED", name)
        witness.enter(token)
        count, rest = _fill(connection)
        ready()
        select.select([sys.stdin], [], [])
        expected = 1
        while expected <= count:
            answer = stream.readline().decode().strip()
            if answer == f"#{expected} PONG":
                expected += 1
            elif not answer.startswith("* RESTORED ") and not _is_repeated(answer, expected):
                raise Broken(f"#{expected} PONG was due, of {count}, and not: {answer!r}")
        witness.leave()
        connection.sendall(rest + f"#last RELEASE {name} token={token}\n".encode())
        while not (answer := stream.readline().decode().strip()).startswith("#last "):
            if not answer:
                raise Broken("the stream has ended without a last answer")
        if Client.token(answer.removeprefix("#last "), "RELEASED", name) != token:
            raise Broken(f"released another lease than token={token}: {answer}")
        member.count("unread", count)


def _fill(connection: socket.socket) -> tuple[int, bytes]:
    """Send PINGs until nobody takes them: how many were sent, and what is left of the one that was sent in part."""
    count = 0
    while select.select([], [connection], [], 0.5)[1]:
        count += 1
        line = f"#{count} PING\n".encode()
        sent = connection.send(line, socket.MSG_DONTWAIT)
        if sent < len(line):
            return count - 1, line[sent:]
    return count, b""


def _is_repeated(answer: str, expected: int) -> bool:
    """Whether an answer has come before."""
    tag, _, word = answer.partition(" ")
    return (word == "PONG" and int(tag[1:]) < expected) or answer.startswith("#0 GRANTED ")


ROLES: dict[str, Callable[..., None]] = {
    "work": work,
    "sit": sit,
    "queue": queue,
    "ask-once": ask_once,
    "bind": bind,
    "watch": watch,
    "leave-unread": leave_unread,
}


def main() -> None:
    """Play one role."""
    path, directory, role, *arguments = sys.argv[1:]
    member = Member(path, Path(directory))
    broken: list[str] = []
    try:
        ROLES[role](member, *arguments)
    except (Broken, Overlap, OSError) as problem:
        broken.append(f"{role} {' '.join(arguments)} ({os.getpid()}): {problem}")
    print(member.report(broken), flush=True)


if __name__ == "__main__":
    main()

"""A user who takes all it can get, and one who does not notice."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator

import pytest

from .processes import END, Client, Daemon, Owner, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")

GREEDY = 64001
MODEST = 64002
SESSIONS = 24
LEASES = 40
WAITERS = 30
BYTES = 1 << 20

CONFIG = f"""
limits:
  sessions-per-user: {SESSIONS}
  leases-per-user: {LEASES}
  waiters-per-user: {WAITERS}
  bytes-per-user: {BYTES}
"""


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> Iterator[Daemon]:
    with Daemon(
        tmp_path, "--socket", tmp_path / "lockd.sock", "--state-dir", tmp_path / "state", config=CONFIG
    ) as running:
        for directory in [tmp_path, *tmp_path.parents]:
            if directory == pathlib.Path("/tmp"):
                break
            directory.chmod(directory.stat().st_mode | 0o011)
        running.socket.chmod(0o666)
        yield running
        assert running.process.poll() is None, f"lockd has ended: {running.messages()}"


class Sessions(contextlib.ExitStack):
    """Sessions of one user, each of a process of its own."""

    def __init__(self, daemon: Daemon, user: int) -> None:
        super().__init__()
        self.daemon = daemon
        self.user = user
        self.owners: dict[Client, Owner] = {}

    def open(self) -> Client:
        client, owner = self.daemon.connect_from_a_process(user=self.user)
        self.enter_context(client)
        self.owners[client] = self.enter_context(owner)
        return client

    def end(self, client: Client) -> None:
        """Ends the process whose session that is."""
        self.owners[client].kill()


class Flood:
    """A session that asks and asks, and reads nothing."""

    def __init__(self, client: Client, question: bytes = b"LIST\n", count: int = 300) -> None:
        # So many long answers are more than any buffer holds, and no more than can be read in a moment.
        self.client = client
        self.question = question
        self.enough = count * len(question)
        self.sent = 0
        client.socket.setblocking(False)

    def go_on(self) -> bool:
        """Sends what fits, and says whether anything did."""
        before = self.sent
        with contextlib.suppress(BlockingIOError):
            while self.sent < self.enough:
                start = self.sent % len(self.question)
                self.sent += self.client.socket.send(self.question[start:])
        return self.sent > before

    def read(self) -> int:
        """Reads what there is, and says how many answers have ended in it."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                data += self.client.socket.recv(1 << 20)
        return data.count(b"\nEND") + data.startswith(b"END")


def resident_bytes(daemon: Daemon) -> int:
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    match = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert match
    return int(match[1]) * 1024


def work(one: Client, other: Client) -> None:
    """What a modest user does: acquires, waits, is granted, releases."""
    one.acquire("modest")
    other.send("ACQUIRE modest")
    assert one.ask("RELEASE modest").startswith("RELEASED modest ")
    assert other.receive().startswith("GRANTED modest ")
    assert other.ask("RELEASE modest").startswith("RELEASED modest ")


def take_all(sessions: list[Client]) -> None:
    """Acquires as many leases, and lets as many requests wait, as the user may."""
    note = "n" * 200
    for number in range(LEASES):
        sessions[number % len(sessions)].acquire(f"greedy/{number}", f"wait=0 note={note}")
    for session in sessions:
        assert session.ask("ACQUIRE one-more") == f"ERROR too-many-leases limit={LEASES} scope=user"
    for number in range(WAITERS):
        session = sessions[number % len(sessions)]
        session.send(f"#{number} ACQUIRE greedy/{(number + 1) % len(sessions)}")
        assert session.ask("PING") == "PONG"
    # By owners of their own, so that nobody waits for ever.
    assert sessions[0].ask("#w ACQUIRE greedy/1") == f"#w ERROR too-many-waiters limit={WAITERS} scope=user"


def test_a_modest_user_does_not_notice_a_greedy_one(daemon: Daemon) -> None:
    with Sessions(daemon, GREEDY) as greedy, Sessions(daemon, MODEST) as modest:
        sessions = [greedy.open() for _ in range(SESSIONS)]
        for session in sessions:
            assert session.ask("PING") == "PONG"
        refused = greedy.open()
        assert refused.receive() == f"ERROR too-many-sessions limit={SESSIONS} scope=user"
        assert refused.receive() == END
        one, other = modest.open(), modest.open()
        take_all(sessions)
        work(one, other)

        memory = resident_bytes(daemon)
        quiet, *loud = sessions
        leave(quiet, f"greedy/{SESSIONS}")
        floods = [Flood(client) for client in loud]

        def is_all_kept_that_may_be() -> bool:
            for flood in floods:
                flood.go_on()
            work(one, other)
            if quiet.ask("ACQUIRE fresh wait=0") == f"ERROR too-many-bytes limit={BYTES} scope=user":
                return True
            leave(quiet, "fresh")
            return False

        wait_until(is_all_kept_that_may_be, "all is kept for the user that may be")
        assert quiet.ask("ACQUIRE greedy/0 wait=0 owner=x").startswith("BUSY greedy/0 ")
        for _ in range(50):
            work(one, other)
        assert resident_bytes(daemon) - memory < 16 * BYTES
        messages = [line for line in daemon.messages().splitlines() if "as much is kept for a user as may be" in line]
        assert len(messages) == 1, messages
        assert f"uid={GREEDY}" in messages[0]
        read_everything(floods)
        for _ in range(10):
            work(one, other)
        assert quiet.ask("ACQUIRE fresh").startswith("GRANTED fresh ")

    wait_until(lambda: daemon.statistics()["sessions"] == "1", "all sessions have ended")
    statistics = daemon.statistics()
    assert [statistics[gauge] for gauge in ("leases", "waiters")] == ["0", "0"]


def leave(client: Client, name: str) -> None:
    assert client.ask(f"RELEASE {name}").startswith(f"RELEASED {name} ")


def read_everything(floods: list[Flood]) -> None:
    """Every question was answered, also those that had to lie for a while."""
    answers = dict.fromkeys(floods, 0)

    def are_answered() -> bool:
        for flood in floods:
            answers[flood] += flood.read()
        return all(answers[flood] == flood.sent // len(flood.question) for flood in floods)

    wait_until(are_answered, "every question is answered")


def test_a_session_goes_on_when_another_one_of_its_user_makes_room(daemon: Daemon) -> None:
    with Sessions(daemon, GREEDY) as greedy:
        patient, reader = greedy.open(), greedy.open()
        reader.acquire("db", "wait=0 note=" + "n" * 200)
        for number in range(LEASES - 2):
            reader.acquire(f"other/{number}", "wait=0 note=" + "n" * 200)
        others = [greedy.open() for _ in range(SESSIONS - 2)]
        floods = [Flood(client) for client in others]

        def is_all_kept_that_may_be() -> bool:
            for flood in floods:
                flood.go_on()
            answer = reader.ask("#1 ACQUIRE db/2 wait=0")
            if "GRANTED" in answer:
                leave(reader, "db/2")
            return answer == f"#1 ERROR too-many-bytes limit={BYTES} scope=user"

        wait_until(is_all_kept_that_may_be, "all is kept for the user that may be")
        # It is told little, less than what would stop it if it were alone, and is not read from any more.
        slow = Flood(patient, b"PING " + b"x" * 8000 + b"\n", 100_000)
        rounds_without_progress = 0
        while rounds_without_progress < 20:
            rounds_without_progress = 0 if slow.go_on() else rounds_without_progress + 1
            assert reader.ask("PING") == "PONG"
        for flood in floods:
            greedy.end(flood.client)
        # Nobody has read what it was told, and it goes on: more of what it asks is taken.
        wait_until(slow.go_on, "the daemon reads from it again")
        assert reader.ask("ACQUIRE db") == "HELD db token=" + token_of(reader, "db")


def token_of(client: Client, name: str) -> str:
    (line,) = client.ask_lines(f"SHOW {name}")
    return line.split()[2].removeprefix("token=")

"""What the daemon does when there is no room for its log: a file system of a few MB, which only this test and its daemons see."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from .processes import Client, Daemon

ROOM = 32 << 20
"""How large the file system is, in bytes: room for several logs, until something else takes it."""


class SmallDirectory:
    """A directory with little room, in a mount namespace of its own that lasts as long as this object."""

    def __init__(self, state: pathlib.Path) -> None:
        self._state = state
        self._place = tempfile.mkdtemp(prefix="lockd-small-")
        script = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec cat'
        self._keeper = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(ROOM), self._place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._keeper.stdout is not None
        self.is_mounted = self._keeper.stdout.readline() == b"mounted\n"

    @property
    def path(self) -> pathlib.Path:
        """The directory as it is seen from outside."""
        return pathlib.Path(f"/proc/{self._keeper.pid}/root{self._place}")

    def daemon(self) -> Daemon:
        """A daemon whose socket is in the directory; its state is elsewhere."""
        socket = f"{self._place}/lockd.sock"
        daemon = Daemon(
            self._state,
            "--socket",
            socket,
            "--state-dir",
            self._state / "state",
            wrapper=["nsenter", "--target", str(self._keeper.pid), "--mount", "--"],
        )
        daemon.socket = self.path / "lockd.sock"
        return daemon

    @property
    def log(self) -> pathlib.Path:
        """The log of the daemon."""
        return self.path / "lockd.sock.log"

    def use_up(self, *, leaving: int) -> None:
        """Takes all room but so many bytes."""
        status = os.statvfs(self.path)
        with (self.path / "something-else").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - leaving)

    def remove(self) -> None:
        """Ends it."""
        self._keeper.communicate()
        os.rmdir(self._place)


@pytest.fixture
def small(tmp_path: pathlib.Path) -> Iterator[SmallDirectory]:
    """A directory of the test's own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    directory = SmallDirectory(tmp_path)
    try:
        if not directory.is_mounted:
            pytest.skip("no file system can be mounted here")
        yield directory
    finally:
        directory.remove()


def fill(client: Client, most: int = 5000) -> dict[str, int]:
    """Acquires leases that take much room, until there is none; returns their tokens."""
    tokens: dict[str, int] = {}
    for number in range(most):
        name = f"{number:0255}"
        answer = client.ask(f"ACQUIRE {name} note={'n' * 256}")
        if not answer.startswith("GRANTED "):
            assert answer == "ERROR log-full want=space-in-the-directory-of-the-socket"
            return tokens
        tokens[name] = int(answer.rpartition("=")[2])
    raise AssertionError(f"{most} leases had room")


def test_full_directory_takes_nothing_from_anybody_and_lets_everything_be_released(small: SmallDirectory) -> None:
    with small.daemon() as daemon:
        client = daemon.connect()
        session = client.ask("HELLO").split(" session=")[1].split()[0]
        # Room for the log of the next daemon, and not for one of twice the size.
        small.use_up(leaving=small.log.stat().st_size + (256 << 10))
        tokens = fill(client)
        assert fill(client) == {}
        name, *names = tokens
        assert client.ask(f"RENEW {name}") == f"RENEWED {name} token={tokens[name]}"
        daemon.end(signal.SIGKILL)

    client.close()
    with small.daemon() as daemon, daemon.connect() as client:
        assert client.ask(f"HELLO resume={session}").endswith(f" leases={len(tokens)} waiters=0")
        client.send(f"#1 RELEASE {name}")
        while not (answer := client.receive()).startswith("#1 "):
            pass
        assert answer == f"#1 RELEASED {name} token={tokens[name]}"
        for name in names:
            assert client.ask(f"RELEASE {name}") == f"RELEASED {name} token={tokens[name]}"
        assert client.acquire("other") > max(tokens.values())
        with daemon.connect() as another:
            another.acquire("and-another")


def test_daemon_that_has_no_room_for_a_second_log_goes_on_in_the_first(small: SmallDirectory) -> None:
    with small.daemon() as daemon, daemon.connect() as client:
        session = client.ask("HELLO").split(" session=")[1].split()[0]
        token = client.acquire("a")
        small.use_up(leaving=256 << 10)
        daemon.end(signal.SIGKILL)

    for number in range(3):
        with small.daemon() as daemon:
            client = daemon.connect()
            assert client.ask(f"HELLO resume={session}").endswith(f" leases={1 + number} waiters=0")
            client.send(f"#{number} ACQUIRE b{number}")
            while not (answer := client.receive()).startswith(f"#{number} "):
                pass
            last = int(answer.rpartition("=")[2])
            assert last > token
            token = last
            daemon.end(signal.SIGKILL)
        client.close()


def test_daemon_that_has_no_room_for_its_log_says_so_and_leaves_the_former_as_it_is(small: SmallDirectory) -> None:
    with small.daemon() as daemon, daemon.connect() as client:
        client.ask("HELLO")
        client.acquire("a")
        daemon.end(signal.SIGKILL)
    # In a damaged one it does not go on.
    with small.log.open("r+b") as file:
        file.seek(48)
        file.write(bytes(8))
    content = small.log.read_bytes()
    small.use_up(leaving=256 << 10)

    daemon = small.daemon()

    assert daemon.process.wait(timeout=60) not in (0, -signal.SIGABRT, -signal.SIGILL)
    assert "lockd.sock.log.new" in daemon.messages()
    assert "No space left on device" in daemon.messages()
    assert small.log.read_bytes() == content
    assert not (small.path / "lockd.sock.log.new").exists()

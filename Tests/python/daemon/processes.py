"""The daemon, and processes that are its clients, for tests that need real ones. Nothing of the client library is used."""

from __future__ import annotations

import contextlib
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from binaries import binary

PATIENCE = 60.0
"""Seconds after which something that has not happened never will. Much longer than it takes on the busiest machine."""

END = ""
"""What `Client.receive` returns at the end of the stream."""


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Returns when the condition is true."""
    deadline = time.monotonic() + PATIENCE
    while True:
        # Before the condition: after a pause of the machine it is looked at once more.
        is_late = time.monotonic() > deadline
        if condition():
            return
        assert not is_late, f"waited in vain until {what}"
        time.sleep(0.002)


class Daemon:
    """A lockd of the test's own.

    Without arguments it has its socket and its state in `directory`. A `wrapper` is a program that becomes lockd.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        *arguments: str | pathlib.Path,
        config: str | None = None,
        environment: dict[str, str] | None = None,
        stderr: int | None = None,
        umask: int = -1,
        preexec_fn: Callable[[], None] | None = None,
        pass_fds: Sequence[int] = (),
        wrapper: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.socket = directory / "lockd.sock"
        self.log = directory / "log"
        command: list[str | pathlib.Path] = [*wrapper, binary("lockd"), *arguments]
        if not arguments:
            command += ["--socket", self.socket, "--state-dir", directory / "state"]
        if config is not None:
            (directory / "lockd.yaml").write_text(config)
            command += ["--config", directory / "lockd.yaml"]
        with self.log.open("a") as log:
            self._log_start = log.tell()
            self.process: subprocess.Popen[str] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                text=True,
                stderr=log if stderr is None else stderr,
                umask=umask,
                preexec_fn=preexec_fn,
                pass_fds=pass_fds,
            )

    def messages(self) -> str:
        """What this run has logged so far."""
        with self.log.open() as log:
            log.seek(self._log_start)
            return log.read()

    def wait_until_it_listens(self) -> Daemon:
        if self.process.stderr is not None:
            assert any(" started" in line for line in self.process.stderr), "lockd has ended"
        else:
            wait_until(lambda: " started" in self.messages() or self.process.poll() is not None, "lockd listens")
            assert self.process.poll() is None, f"lockd has ended: {self.messages()}"
        return self

    def connect(self) -> Client:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(self.socket))
        except OSError:
            client.close()
            raise
        return Client(client)

    def connect_from_a_process(self, *arguments: str, user: int | None = None) -> tuple[Client, Owner]:
        """A connection that another process has made, and that this process can use."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            owner = Owner(theirs.fileno(), str(self.socket), *arguments, user=user)
            theirs.close()
            message, descriptors, _, _ = socket.recv_fds(ours, 16, 1)
            assert message, "the process did not connect"
        owner.child = int(message)
        return Client(socket.socket(fileno=descriptors[0])), owner

    def wait_until_listed(self, name: str, lines: int) -> list[str]:
        """What SHOW says of a name, as soon as it has so many lines."""
        with self.connect() as client:
            listed: list[str] = []

            def is_listed() -> bool:
                listed[:] = client.ask_lines(f"SHOW {name}")
                return len(listed) == lines

            wait_until(is_listed, f"{name} has {lines} lines")
            return listed

    def statistics(self) -> dict[str, str]:
        with self.connect() as client:
            lines = client.ask_lines("STATS")
        return dict(line.removeprefix("STAT ").split("=") for line in lines)

    def cpu_seconds(self) -> float:
        """The processor time that it has used."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def voluntary_switches(self) -> int:
        """How often any of its threads has gone to sleep."""
        switches = 0
        for status in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            for line in status.read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    switches += int(line.split()[1])
        return switches

    def end(self, with_signal: int = signal.SIGTERM) -> int:
        """Ends it, and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.process.wait(timeout=PATIENCE)

    def __enter__(self) -> Daemon:
        return self.wait_until_it_listens()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Client:
    """One connection, line by line."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.settimeout(PATIENCE)
        self._received = b""

    def send(self, *lines: str) -> None:
        self.send_bytes("".join(line + "\n" for line in lines).encode())

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> str:
        """The next line, or END."""
        while b"\n" not in self._received:
            data = self.socket.recv(1 << 16)
            if not data:
                assert not self._received, f"the stream ends in the middle of a line: {self._received!r}"
                return END
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line.decode("ascii")

    def receive_to_the_end(self) -> list[str]:
        lines = []
        while (line := self.receive()) != END:
            lines.append(line)
        return lines

    def ask(self, line: str) -> str:
        self.send(line)
        return self.receive()

    def is_served(self) -> bool:
        """Whether it is a session, and not one too many."""
        try:
            return self.ask("PING") == "PONG"
        except (BrokenPipeError, ConnectionResetError):
            return False

    def ask_lines(self, line: str) -> list[str]:
        """The lines of one page, without END."""
        lines = [self.ask(line)]
        while not lines[-1].startswith("END"):
            lines.append(self.receive())
        return lines[:-1]

    def acquire(self, name: str, options: str = "wait=0") -> int:
        """Acquires a lease, and returns its token."""
        answer = self.ask(f"ACQUIRE {name} {options}".rstrip())
        assert answer.startswith(f"GRANTED {name} token="), answer
        return int(answer.split()[2].removeprefix("token="))

    def has_something_to_read(self) -> bool:
        return bool(self._received) or bool(select.select([self.socket], [], [], 0)[0])

    def shut_down(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Owner:
    """A process that has connected to the daemon and then does nothing."""

    def __init__(self, descriptor: int, path: str, *arguments: str, user: int | None = None) -> None:
        self.child = 0
        program = pathlib.Path(__file__).with_name("owner.py")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-S",
                "-E",
                program,
                str(descriptor),
                path,
                "-" if user is None else str(user),
                *arguments,
            ],
            pass_fds=[descriptor],
        )

    def send_signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE)

    def __enter__(self) -> Owner:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)
        self.kill()


@contextlib.contextmanager
def open_files_limit(soft: int) -> Iterator[None]:
    """Lets this process have so many descriptors, as far as that is allowed."""
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, former[0]), former[1]), former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)

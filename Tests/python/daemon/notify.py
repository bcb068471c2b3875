"""The place of systemd: the socket that a service tells how it is doing, and a socket that is passed to it."""

from __future__ import annotations

import pathlib
import socket
from collections.abc import Callable
from types import TracebackType

from .processes import PATIENCE, Daemon, wait_until


class NotifySocket:
    """What ``NOTIFY_SOCKET`` names: the messages of one daemon."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.path = directory / "notify.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE)
        self._socket.bind(str(self.path))

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path)}

    def receive(self) -> list[str]:
        """The lines of the next message."""
        return self._socket.recv(1 << 16).decode().split("\n")

    def receive_until(self, is_it: Callable[[list[str]], bool]) -> list[list[str]]:
        """All messages to the first of which that is true."""
        messages = [self.receive()]
        while not is_it(messages[-1]):
            messages.append(self.receive())
        return messages

    def await_status(self, status: str) -> None:
        """Returns when that is said to be going on."""
        self.receive_until(lambda message: f"STATUS={status}" in message)

    def __enter__(self) -> NotifySocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


class SocketUnit:
    """A socket that listens, and that is passed to one daemon after the other, as systemd does."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.path = directory / "lockd.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()

    def start(self, *arguments: str, config: str | None = None, environment: dict[str, str] | None = None) -> Daemon:
        """A daemon that has the socket; it may not have begun to serve."""
        number = self.listener.fileno()
        # The third descriptor is the first that is passed, and the variables name the process that is to take it.
        script = f'exec 3<&{number}; [ {number} -eq 3 ] || exec {number}<&-; LISTEN_PID=$$ exec "$@"'
        return Daemon(
            self.directory,
            "--state-dir",
            self.directory / "state",
            *arguments,
            config=config,
            environment={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "lockd.sock", **(environment or {})},
            pass_fds=[number],
            wrapper=["bash", "-c", script, "bash"],
        )

    def __enter__(self) -> SocketUnit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listener.close()


def await_message(daemon: Daemon, text: str) -> None:
    """Returns when the daemon has logged that."""
    wait_until(lambda: text in daemon.messages(), f"lockd says {text!r}; it says {daemon.messages()!r}")

"""What lockctl looks like, captured from real terminals: makes docs/screens.md."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator

from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon

CLEARED = "\r\x1b[K"


class Terminal:
    """A terminal with one program on it."""

    def __init__(self, daemon: Daemon, columns: int, *arguments: str) -> None:
        self.command = " ".join(["lockctl", *map(quoted, arguments)])
        self._seen = ""
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._process = subprocess.Popen(
            [binary("lockctl"), *arguments],
            env={**os.environ, "LOCKD_SOCKET": str(daemon.socket), "NO_COLOR": "1", "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def read_until(self, text: str) -> str:
        """What there is to be seen when `text` is."""
        while text not in self._seen:
            self._seen += os.read(self.ours, 65536).decode()
        return self._visible()

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def end(self) -> str:
        """What there was to be seen, once the program has ended; a line that was replaced by another one was to be seen as well."""
        # The end of a terminal is an error.
        with contextlib.suppress(OSError):
            while data := os.read(self.ours, 65536):
                self._seen += data.decode()
        self._process.wait(timeout=30)
        os.close(self.ours)
        return self._visible()

    def _visible(self) -> str:
        return f"$ {self.command}\n" + self._seen.replace(CLEARED, "\n").replace("\r", "").strip("\n")


def quoted(word: str) -> str:
    return f"'{word}'" if " " in word or not word else word


def shown(daemon: Daemon, columns: int, *arguments: str) -> str:
    return Terminal(daemon, columns, *arguments).end()


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate()


@contextlib.contextmanager
def crowd(daemon: Daemon) -> Iterator[subprocess.Popen[str]]:
    """Several that hold and wait, each for the next; yields the lockctl that holds reports/nightly."""
    with contextlib.ExitStack() as stack:

        def start(name: str, count: int, *arguments: str) -> subprocess.Popen[str]:
            process = daemon.start(*arguments, stdin=subprocess.PIPE)
            stack.callback(end, process)
            daemon.wait_until_listed(name, count)
            return process

        holder = start("reports/nightly", 1, "run", "--note", "nightly run", "reports/nightly", "--", "cat")
        start("reports/nightly", 2, "run", "reports/nightly", "--", "true")
        start("db", 1, "run", "--ttl", "1h", "--note", "schema 41", "db", "--", "cat")
        python = stack.enter_context(daemon.connect())
        python.ask("ACQUIRE cache")
        python.send("ACQUIRE db note=warm%20up")
        daemon.wait_until_listed("db", 2)
        start("cache", 2, "run", "cache", "--", "true")
        yield holder


def captures(daemon: Daemon) -> Iterator[tuple[str, str]]:
    """Headings, and what stands under them."""
    with crowd(daemon) as holder:
        yield "Who holds what, and who waits: 80 columns", shown(daemon, 80, "ls")
        yield "The same, in 40 columns", shown(daemon, 40, "ls")
        yield "The same, in 130 columns", shown(daemon, 130, "ls")
        yield "Who waits for whom", shown(daemon, 80, "tree")
        yield "Why a lock is not free, in sentences", shown(daemon, 80, "why", "cache")
        yield "One lock", shown(daemon, 80, "show", "db")
        waiting = Terminal(daemon, 80, "run", "-w", "1s", "reports/nightly", "--", "make", "report")
        yield "A wait, in one line that is gone when it is over, and what is said when it was in vain", waiting.end()
        revoking = Terminal(daemon, 80, "revoke", "reports/nightly", "--reason", "hangs since noon")
        revoking.read_until("[y/N] ")
        revoking.type("n\n")
        yield "A lease is to be taken away", revoking.end()
        holder.kill()
        holder.wait(timeout=30)
        wait_until(lambda: "gone" in shown(daemon, 80, "show", "reports/nightly"), "it is seen that lockctl is gone")
        yield "Its lockctl was killed, and the command goes on", shown(daemon, 80, "show", "reports/nightly")
    yield "What was meant", shown(daemon, 80, "lock", "reports/nightly")


def document(daemon: Daemon) -> str:
    parts = [
        "# Screens",
        "What `lockctl` looks like on a terminal, without its colours. Captured by `make screens-rewrite`; a test sees that it still looks so.",
    ]
    for heading, screen in captures(daemon):
        parts += [f"## {heading}", f"```\n{screen}\n```"]
    return "\n\n".join(parts) + "\n"

"""One session with the daemon, for programs that outlast it: it goes on over another connection if it can."""

from __future__ import annotations

import itertools
import socket
import time

#: How long an answer may take that does not have to wait for anybody, in seconds, after the daemon is ready.
PATIENCE = 5.0

#: How long anything may take, in seconds. Nothing takes that long unless it is broken.
FOREVER = 20.0

#: Requests that were answered no later than this are not worth telling of, in seconds.
QUICK = 0.25

_numbers = itertools.count(1)


class Broken(Exception):
    """The daemon has not done what the protocol says; says what."""


class Client:
    """A session, one request at a time. Not thread-safe.

    Every request has a tag, so an answer that comes twice is known and dropped. If the connection ends, a session that has said HELLO is resumed; any other
    is broken, unless it had never been answered: then the daemon was killed in the instant in which it accepted it, and it connects again.
    """

    def __init__(self, path: str, *, resumable: bool) -> None:
        self._path = path
        self._resumable = resumable
        self._session: str | None = None
        self._socket: socket.socket | None = None
        self._received = b""
        self._pending = ("", "")
        self._patience: float | None = FOREVER
        self._was_answered = False
        self._granted: set[str] = set()
        self._releases: dict[str, str] = {}
        #: Lines that were not asked for, in order, but for those that the client itself has to do with.
        self.events: list[str] = []
        #: How often it was told of a restart, came back, or had to connect anew before it was answered.
        self.counts = {"restored": 0, "resumed": 0, "cut": 0, "repeated": 0}
        #: When requests began and ended that were answered late, and had to wait for nobody.
        self.late: list[tuple[float, float]] = []
        self._connect()

    def ask(self, line: str, *, waits: bool = False, hears: str = "") -> str:
        """Send a request, and return its answer; ``waits`` if that may take as long as others hold what it asks for.

        ``hears`` is the first word of a line that comes before the answer, and that is returned in place of it; ``hear`` returns the answer then.
        """
        tag = f"#{next(_numbers)}"
        self._pending = (tag, line)
        # A wait lasts as long as others hold, and what comes before the answer does not.
        self._patience = FOREVER if not waits or hears else None
        began = time.monotonic()
        self._send()
        answer = self._await(tag, hears)
        ended = time.monotonic()
        if not waits and ended - began > QUICK:
            self.late.append((began, ended))
        return answer

    def hear(self) -> str:
        """The answer to the last request, after something came before it."""
        self._patience = None
        return self._await(self._pending[0], "")

    def page(self, line: str) -> list[str]:
        """Send a request that is answered by several lines, and return them without END."""
        while True:
            lines = [self.ask(line)]
            restarts = self._restarts
            while not lines[-1].startswith("END"):
                lines.append(self.hear())
            # With a restart in between, some of it may have come twice.
            if self._restarts == restarts:
                return lines[:-1]

    def acquire(self, names: str, options: str = "") -> int | None:
        """Acquire a lease, and return its token; nothing if it was not granted, as the options let happen."""
        answer = self.ask(f"ACQUIRE {names} {options}".rstrip(), waits=True)
        return self.token(answer, "GRANTED", names) if answer.startswith("GRANTED ") else self._refused(answer)

    def release(self, names: str, token: int) -> None:
        """Release a lease that is held, whatever has become of the daemon since."""
        answer = self.ask(f"RELEASE {names.split(maxsplit=1)[0]} token={token}")
        if self.token(answer, "RELEASED", names) != token:
            raise Broken(f"released another lease than token={token}: {answer}")

    @staticmethod
    def token(answer: str, verb: str, names: str) -> int:
        """The token of an answer, which has to be that verb on those names."""
        words = answer.split()
        count = len(names.split())
        if words[: count + 1] != [verb, *names.split()] or not words[count + 1].startswith("token="):
            raise Broken(f"{verb} {names} was due, and not: {answer}")
        return int(words[count + 1].removeprefix("token="))

    def line(self) -> str:
        """The next line, whatever it is of."""
        while b"\n" not in self._received:
            data = self._receive()
            if not data:
                raise ConnectionResetError("the stream has ended")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line.decode("ascii")

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # Inside

    @staticmethod
    def _refused(answer: str) -> None:
        if answer.split(maxsplit=1)[0] not in ("BUSY", "TIMEOUT"):
            raise Broken(f"an ACQUIRE was answered {answer}")

    @property
    def _restarts(self) -> int:
        return self.counts["restored"] + self.counts["resumed"]

    def _await(self, tag: str, hears: str) -> str:
        while True:
            try:
                line = self.line()
            except (ConnectionError, BrokenPipeError):
                self._go_on()
                continue
            if line.startswith("*"):
                self._note(line)
                continue
            its, _, answer = line.partition(" ")
            if its != tag:
                self._check_repetition(its, line)
                continue
            self._was_answered = True
            if hears and not answer.startswith(f"{hears} "):
                raise Broken(f"{hears} was due, and not: {line}")
            if not hears and answer.startswith("QUEUED "):
                continue
            if answer.startswith("GRANTED "):
                self._granted.add(tag)
            return answer

    def _check_repetition(self, tag: str, line: str) -> None:
        if self._releases.pop(tag, None) is not None:
            return
        is_old = tag == "WELCOME" or (tag.startswith("#") and int(tag[1:]) < int(self._pending[0][1:]))
        if not is_old:
            raise Broken(f"not asked for: {line}")
        if self._restarts == 0:
            raise Broken(f"came twice, without a restart: {line}")
        self.counts["repeated"] += 1
        _, verb, name, *rest = [*line.split(), "", ""]
        if verb == "GRANTED" and tag not in self._granted:
            # It was refused when it was asked for, word of that was on its way when it was asked for again, and that was a new request.
            self._granted.add(tag)
            token = next(word for word in rest if word.startswith("token="))
            self._releases[f"#again{next(_numbers)}"] = f"RELEASE {name} {token}"
            self._send_releases()

    def _note(self, line: str) -> None:
        words = line.split()
        if words[1] == "LOST":
            raise Broken(f"a lease was lost: {line}")
        if words[1] == "RESTORED":
            self.counts["restored"] += 1
        else:
            self.events.append(line)

    def _send(self) -> None:
        self._write(*self._pending)

    def _write(self, tag: str, line: str) -> None:
        try:
            if self._socket is None:
                raise ConnectionResetError
            self._socket.sendall(f"{tag} {line}\n".encode())
        except (ConnectionError, BrokenPipeError):
            # What is left is read first, and then the stream is over.
            pass

    def _receive(self) -> bytes:
        if self._socket is None:
            return b""
        try:
            self._socket.settimeout(self._patience)
            return self._socket.recv(1 << 16)
        except TimeoutError:
            raise Broken(f"no answer for {FOREVER} s to {' '.join(self._pending)}") from None

    def _go_on(self) -> None:
        self.close()
        self._received = b""
        if self._resumable and self._session is not None:
            self.counts["resumed"] += 1
        elif self._was_answered:
            raise Broken("the connection has ended, and with it all that was held")
        else:
            self.counts["cut"] += 1
        self._connect()
        self._send_releases()
        self._send()

    def _send_releases(self) -> None:
        for tag, request in self._releases.items():
            self._write(tag, request)

    def _connect(self) -> None:
        """Connect, as often as it takes; say HELLO if the session is to be resumed, should that be necessary."""
        deadline = time.monotonic() + FOREVER
        pause = 0.01
        while not self._try_to_connect():
            if time.monotonic() > deadline:
                raise Broken(f"nobody listens at {self._path}")
            time.sleep(pause)
            pause = min(0.2, pause * 2)

    def _try_to_connect(self) -> bool:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(FOREVER)
        try:
            connection.connect(self._path)
            self._socket, self._received = connection, b""
            if self._resumable:
                self._say_hello(connection)
        except OSError:
            connection.close()
            self._socket = None
            return False
        return True

    def _say_hello(self, connection: socket.socket) -> None:
        resume = "" if self._session is None else f" resume={self._session}"
        hello = f"HELLO client=crowd{resume}"
        connection.sendall(f"{hello}\n".encode())
        while (line := self.line()).startswith("*"):
            self._note(line)
        if not line.startswith("WELCOME "):
            raise Broken(f"{hello} was answered {line}")
        session = next(word for word in line.split() if word.startswith("session=")).removeprefix("session=")
        if self._session is not None and session != self._session:
            raise Broken(f"session {self._session} is gone: {line}")
        self._session = session

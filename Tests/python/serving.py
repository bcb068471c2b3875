"""An app under a real server, and real HTTP connections to it."""

from __future__ import annotations

import contextlib
import http.client
import inspect
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE, Daemon, wait_until


class Connection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Server:
    """The app of ``app.py`` in a folder, served when this is made. It answers GET on ``path``."""

    def __init__(
        self,
        app_directory: Path,
        daemon: Daemon,
        directory: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        path: str = "/",
    ) -> None:
        self.directory = directory
        self._path = path
        self._socket = str(directory / "http.sock")
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command(self._socket), *arguments, "app:app"],
                cwd=app_directory,
                stdout=log,
                stderr=log,
                env={**os.environ, "LOCKD_SOCKET": daemon.socket, **(environment or {})},
            )
        try:
            wait_until(self._serves, "an answer of the server")
        except BaseException:
            print(self.log)
            self.stop()
            raise

    def _command(self, socket: str) -> list[str]:
        """The arguments of Python that have it serve on a socket; what is served comes last."""
        raise NotImplementedError

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text()

    def get(self, path: str, *headers: tuple[str, str]) -> tuple[int, str]:
        """The status and the body of the answer."""
        with contextlib.closing(Connection(self._socket)) as connection:
            connection.putrequest("GET", path)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return response.status, response.read().decode()

    @property
    def pid(self) -> int:
        """Its master."""
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send its master a signal."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it and its workers."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()

    def _serves(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"the server ended: {self.log}")
        try:
            return self.get(self._path)[0] == http.client.OK
        except OSError:
            return False


class Gunicorn(Server):
    """gunicorn."""

    def _command(self, socket: str) -> list[str]:
        # A worker that is told to end while it starts does not hear it, and is waited for this long.
        return ["-m", "gunicorn", "--no-control-socket", "--bind", f"unix:{socket}", "--graceful-timeout", "2"]


class Uvicorn(Server):
    """uvicorn."""

    def _command(self, socket: str) -> list[str]:
        uvicorn = pytest.importorskip("uvicorn")
        command = ["-m", "uvicorn", "--uds", socket]
        if "timeout_worker_healthcheck" in inspect.signature(uvicorn.Config).parameters:
            # It kills a worker that is silent for so long, 5 s by default. While it waits it does not hear that it is to end.
            command += ["--timeout-worker-healthcheck", str(int(PATIENCE / 2))]
        return command


class Uwsgi(Server):
    """uWSGI, which imports the app in its master and then forks."""

    def _command(self, socket: str) -> list[str]:
        run = [
            "-c",
            "import pyuwsgi; pyuwsgi.run()",
            "--http-socket",
            socket,
            "--master",
            "--die-on-term",
            "--no-orphans",
        ]
        # A worker that is told to end while it starts does not hear it, and is waited for so many seconds.
        mercy = ["--worker-reload-mercy", "2", "--reload-mercy", "2"]
        return [*run, *mercy, "--need-app", "--enable-threads", "--module"]

    def _serves(self) -> bool:
        # Its master ignores SIGTERM until it has forked, and by then a worker may serve.
        return super()._serves() and catches(self.pid, signal.SIGTERM)


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (caught,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught >> (number - 1) & 1)

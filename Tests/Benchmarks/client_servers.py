"""The servers of clients.py, all at one place, and which there are."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import run
from client_locks import POSTGRES, POSTGRES_PORT
from run import BenchmarkError, RunningServer

# PostgreSQL refuses to be root.
UNPRIVILEGED_USER = "nobody"
SETTINGS = {
    "listen_addresses": "",
    "port": str(POSTGRES_PORT),
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "fsync": "off",
}


@contextlib.contextmanager
def running(folder: Path, cpu: int | None, with_postgres: bool) -> Iterator[dict[str, str]]:
    """Starts every server that is installed, all on one CPU, and says which version each has."""
    known = run.known_servers()
    if "lockd" not in known:
        raise BenchmarkError("lockd is not built: swift build -c release --product lockd")
    # Who runs PostgreSQL may come as far as its own folder.
    folder.chmod(0o711)
    with contextlib.ExitStack() as stack:
        versions: dict[str, str] = {}
        for name in ("lockd", "redis"):
            if name in known:
                process = stack.enter_context(known[name].running(folder, cpu)).process
                (folder / f"{name}.pid").write_text(str(process.pid))
                versions[name] = known[name].version
        programs = postgres_programs() if with_postgres else None
        if programs is not None:
            stack.enter_context(postgres(programs, folder / POSTGRES, cpu))
            versions["postgres"] = run.first_line(programs / "postgres", "--version")
        yield versions


def postgres_programs() -> Path | None:
    """Where PostgreSQL's programs are. Debian keeps them out of PATH, a folder for each version."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


@contextlib.contextmanager
def postgres(programs: Path, folder: Path, cpu: int | None) -> Iterator[None]:
    """A cluster of its own, with its socket in its folder, as a user that is not root."""
    folder.mkdir(mode=0o700)
    user = pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None
    uid, gid, groups = (None, None, None) if user is None else (user.pw_uid, user.pw_gid, list[int]())
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    data, log_path = folder / "data", folder.with_suffix(".log")
    made = subprocess.run(
        [programs / "initdb", "--pgdata", data, "--username=postgres", "--auth=trust", "--no-sync"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        user=uid,
        group=gid,
        extra_groups=groups,
    )
    if made.returncode != 0:
        raise run.failure("initdb", made.returncode, made.stderr)
    settings = [f"-c{key}={value}" for key, value in {**SETTINGS, "unix_socket_directories": str(folder)}.items()]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, *settings],
            stdout=log,
            stderr=log,
            cwd=folder,
            preexec_fn=run.pinning(cpu),
            user=uid,
            group=gid,
            extra_groups=groups,
        )
    try:
        server = run.Server("postgres", programs / "postgres", [], "")
        run.wait_for_server(RunningServer(server, folder / f".s.PGSQL.{POSTGRES_PORT}", process, log_path))
        wait_until_ready(programs, folder)
        yield
    finally:
        run.stop(process)


def wait_until_ready(programs: Path, folder: Path) -> None:
    deadline = time.monotonic() + run.START_SECONDS
    ask: list[str | Path] = [programs / "pg_isready", "--quiet", "--host", folder, "--port", str(POSTGRES_PORT)]
    while subprocess.run(ask, check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise BenchmarkError("postgres does not accept connections")

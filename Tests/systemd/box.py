"""A container with a real systemd as PID 1, over a copy of this machine that is thrown away with it."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: How long anything may take that is awaited, in seconds. Nothing takes that long unless it is broken.
PATIENCE = 60.0

_BOOT = str(ROOT / "Tests/systemd/boot.sh")
_PREFIX = "lockd-box"
_PROGRAMS = ("systemd-nspawn", "nsenter", "unshare", "setpriv")
_ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class NoBoxError(Exception):
    """No container can be booted on this machine; says why."""


class CommandError(Exception):
    """A command in a box has failed; says which, how, and what it said."""


class Box:
    """A machine of the test's own, booted when it is made. Thread-safe, except for ``remove``.

    Commands run in all of its namespaces but in none of its units; ``systemd-run`` runs them in one.
    """

    _numbers = itertools.count(1)

    def __init__(self, layer: Path | None = None) -> None:
        self.name = f"{_PREFIX}-{os.getpid()}-{next(self._numbers)}"
        self._group = _control_groups() / self.name
        self._console = tempfile.TemporaryFile()  # noqa: SIM115 - closed by remove
        self._programs: list[subprocess.Popen[str]] = []
        self._group.mkdir()
        # If this process is killed, so is the one that watches over the container; the container itself is ended by whoever boots one next.
        self._watcher = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "--",
                _BOOT,
                self.name,
                str(self._group),
                str(layer or ""),
                *_directories(),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self.pid = self._await_boot()
        except BaseException:
            self.remove()
            raise

    @property
    def python(self) -> str:
        """The Python that runs this, in the box: with the package ``lockd`` and what else the tests have."""
        return sys.executable

    def run(
        self,
        command: Sequence[str],
        *,
        user: str | None = None,
        environment: dict[str, str] | None = None,
        input: str = "",
        check: bool = True,
        timeout: float = PATIENCE,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the box, as root or as another user with all of its groups; return its exit code and output.

        Raises CommandError if it fails and ``check`` is not False, subprocess.TimeoutExpired if it takes too long.
        """
        result = subprocess.run(
            self._entering(command, user),
            env={**_ENVIRONMENT, **(environment or {})},
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and result.returncode != 0:
            raise CommandError(
                f"{shlex.join(command)} exited with {result.returncode}\n{result.stdout}{result.stderr}".rstrip()
            )
        return result

    def popen(
        self,
        command: Sequence[str],
        *,
        user: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command in the box, with pipes for its input, output and errors. It ends with the box at the latest.

        Its ``kill`` kills the command; for other signals and for what lockd says of it, ``pid_of`` has its number in the box.
        """
        program = subprocess.Popen(
            self._entering(command, user),
            env={**_ENVIRONMENT, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._programs.append(program)
        return program

    def pid_of(self, program: subprocess.Popen[str]) -> int:
        """The number that a program of ``popen`` has in the box."""
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children")

        def started() -> bool:
            return program.poll() is not None or bool(children.read_text())

        self.wait_until(started, "the start of a program")
        (child,) = children.read_text().split()
        return _numbers(child)[-1]

    def systemctl(self, *arguments: str) -> str:
        """What ``systemctl`` prints. Raises CommandError if it fails."""
        return self.run(["systemctl", *arguments]).stdout.strip()

    def property(self, unit: str, name: str) -> str:
        """A property of a unit, as ``systemctl show`` tells it."""
        return self.systemctl("show", "--property", name, "--value", unit)

    def state(self, unit: str) -> str:
        """Whether a unit is ``active``, ``inactive``, ``failed``, or on its way from one to another."""
        return self.property(unit, "ActiveState")

    def main_pid(self, unit: str) -> int:
        """The process of a service by its number in the box; 0 if there is none."""
        return int(self.property(unit, "MainPID"))

    def journal(self, unit: str, *options: str) -> str:
        """What a unit, and systemd about it, has logged so far."""
        self.run(["journalctl", "--sync"])
        return self.run(["journalctl", "--no-pager", "--quiet", "--output=cat", f"--unit={unit}", *options]).stdout

    def write(self, path: str, text: str) -> None:
        """Write a file in the box, and the directories above it."""
        self.run(["sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path], input=text)

    def read(self, path: str) -> str:
        """The text of a file in the box."""
        return self.run(["cat", path]).stdout

    def exists(self, path: str) -> bool:
        """Whether there is something at a path in the box."""
        return self.run(["test", "-e", path], check=False).returncode == 0

    def override(self, unit: str, text: str) -> None:
        """Change a unit as ``systemctl edit`` does; an empty text takes the change back."""
        path = f"/etc/systemd/system/{unit}.d/test.conf"
        if text:
            self.write(path, text)
        else:
            self.run(["rm", "-f", path])
        self.systemctl("daemon-reload")

    def install(self, package: Path) -> str:
        """Install a Debian package, or upgrade to it; return what ``dpkg`` said."""
        return self.run(["dpkg", "--install", str(package)]).stdout

    def save(self, directory: Path) -> None:
        """Copy all that is different from this machine into a directory, without the journal, for boxes that begin with it."""
        changes = f"/proc/{self._watcher.pid}/root/run/layer/changes/."
        subprocess.run(["cp", "--archive", changes, directory], check=True)
        shutil.rmtree(directory / "var/log/journal", ignore_errors=True)

    def wait_until(self, condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Return as soon as ``condition()`` is true. Raises TimeoutError, which says ``what`` was waited for."""
        deadline = time.monotonic() + patience
        while True:
            # Before the condition: after a pause of the machine it is looked at once more.
            is_late = time.monotonic() > deadline
            if condition():
                return
            if is_late:
                raise TimeoutError(f"in vain for {patience} s: {what}")
            time.sleep(0.01)

    def report(self) -> str:
        """What is worth knowing when a test has failed: what the box said as it booted, and the end of its journal."""
        self._console.seek(0)
        console = self._console.read().decode(errors="replace")
        try:
            journal = self.run(["journalctl", "--no-pager", "--lines=200", "--output=short-precise"]).stdout
        except (CommandError, subprocess.TimeoutExpired) as error:
            journal = f"there is no journal: {error}"
        return f"console of {self.name}:\n{console}\njournal of {self.name}:\n{journal}"

    def remove(self) -> None:
        """End everything in the box, and leave nothing of it behind."""
        leader = _leader(self._group)
        if leader is not None:
            # The end of PID 1 is the end of every process of the container.
            os.kill(leader, signal.SIGKILL)
        try:
            self._watcher.wait(10)
        except subprocess.TimeoutExpired:
            self._watcher.kill()
            self._watcher.wait()
        for program in self._programs:
            program.kill()
            program.wait()
            for stream in (program.stdin, program.stdout, program.stderr):
                if stream is not None:
                    stream.close()
        self._console.close()
        _remove_group(self._group)

    def _entering(self, command: Sequence[str], user: str | None) -> list[str]:
        identity: list[str] = []
        if user is not None:
            group = self.run(["id", "--group", user]).stdout.strip()
            identity = [f"--reuid={user}", f"--regid={group}", "--init-groups"]
        # nsenter has a child that runs the command, and does not pass on what kills it.
        entered = ["nsenter", "--target", str(self.pid), "--all", "--"]
        return [*entered, "setpriv", "--pdeathsig", "KILL", *identity, "--", *command]

    def _await_boot(self) -> int:
        deadline = time.monotonic() + PATIENCE
        state = "not there"
        is_late = False
        while not is_late and self._watcher.poll() is None:
            # Before the state: after a pause of the machine it is looked at once more.
            is_late = time.monotonic() > deadline
            leader = _leader(self._group)
            if leader is not None:
                self.pid = leader
                state = self.run(["systemctl", "is-system-running"], check=False).stdout.strip()
                if state in ("running", "degraded"):
                    return leader
            time.sleep(0.02)
        self._console.seek(0)
        console = self._console.read().decode(errors="replace").strip()
        raise NoBoxError(f"systemd does not boot in a container (state: {state}): {console}")


@contextmanager
def booted(layer: Path | None = None) -> Iterator[Box]:
    """A box, for as long as the block lasts, if wanted with what another one has saved.

    Raises NoBoxError if this machine cannot have one.
    """
    require()
    _sweep()
    box = Box(layer)
    try:
        yield box
    finally:
        box.remove()


def require() -> None:
    """Raise NoBoxError if something is missing that every container needs."""
    if not sys.platform.startswith("linux"):
        raise NoBoxError("this is not Linux")
    if os.geteuid() != 0:
        raise NoBoxError("only root can boot a container")
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise NoBoxError(f"there is no {program}")
    _control_groups()
    trial = subprocess.run(["unshare", "--mount", "--propagation", "private", "true"], capture_output=True, text=True)
    if trial.returncode != 0:
        raise NoBoxError(f"no mount namespace can be made: {trial.stderr.strip()}")


def _numbers(process: str) -> list[int]:
    """The numbers of a process in the namespaces that it is in, from the outermost."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return [int(number) for number in line.split()[1:]]
    raise OSError(f"process {process} has no number")


def _directories() -> list[str]:
    """What the box has to see besides the host's /: this repository, and its Python if that is where the box has nothing."""
    interpreter = Path(os.path.realpath(sys.executable)).parents[1]
    return [str(path) for path in (ROOT, interpreter) if path == ROOT or path.is_relative_to("/tmp")]


def _control_groups() -> Path:
    """Where the hierarchy of cgroup v2 is."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.split()[0] == "cgroup2":
            return Path(fields.split()[4])
    raise NoBoxError("no cgroup v2 is mounted")


def _leader(group: Path) -> int | None:
    """The host's number of a box's PID 1."""
    try:
        for process in (group / "payload/init.scope/cgroup.procs").read_text().split():
            if _numbers(process)[-1] == 1:
                return int(process)
    except OSError:
        # It is not there yet, or has just ended.
        pass
    return None


def _sweep() -> None:
    """End the boxes whose test was killed, and remove their control groups."""
    for group in _control_groups().glob(f"{_PREFIX}-*-*"):
        owner = group.name.split("-")[-2]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            leader = _leader(group)
            if leader is not None:
                os.kill(leader, signal.SIGKILL)
            _remove_group(group)


def _remove_group(group: Path) -> None:
    """Remove a control group and those in it. What has ended can still be counted in for a moment."""
    deadline = time.monotonic() + 10
    while group.exists():
        for directory, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                pass
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)

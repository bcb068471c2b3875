"""The programs that lockctl.py starts, each as a process of its own, with nothing of Python between it and the system."""

from __future__ import annotations

import dataclasses
import functools
import os
import resource
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import run

#: What it takes to have a program that may be missing.
PACKAGES = {
    "etcd": "etcd-server",
    "etcdctl": "etcd-client",
    "flock": "util-linux",
    "redis-cli": "redis-tools",
    "redis-server": "redis-server",
}


@functools.cache
def located(name: str) -> str:
    """Where a program is. It is looked for once only, so that this is no part of what is measured."""
    path = shutil.which(name)
    if path is None:
        raise run.BenchmarkError(f"there is no {name}")
    return path


@dataclasses.dataclass(frozen=True)
class Program:
    """One case: a command line, and what has to be installed for it."""

    case: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()

    def why_not(self) -> str:
        """Why it cannot be measured; nothing if it can."""
        missing = [name for name in self.needs if shutil.which(name) is None]
        return ", ".join(f"{name} is not installed (Debian: {PACKAGES[name]})" for name in missing)


@dataclasses.dataclass(frozen=True)
class Starter:
    """Starts programs, and waits for them. What they say is kept, to be told if one fails."""

    environment: Mapping[str, str]
    said: Path

    def start(self, command: Sequence[str]) -> int:
        """Starts a program that reads nothing, and whose output nobody reads."""
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(self.said), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
        ]
        return os.posix_spawn(located(command[0]), list(command), self.environment, file_actions=files)

    def fork(self, work: Callable[[], object]) -> int:
        """Does something in a process that is a copy of this one."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work()
                status = 0
            except Exception:
                with self.said.open("a") as said:
                    traceback.print_exc(file=said)
            finally:
                os._exit(status)
        return child

    def wait(self, case: str, child: int) -> float:
        """Waits until it has ended, and returns for how many nanoseconds it had a CPU, with those that it waited for."""
        _, status, usage = os.wait4(child, 0)
        return self.judge(case, status, usage)

    def judge(self, case: str, status: int, usage: resource.struct_rusage) -> float:
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            raise run.failure(case, code, self.said.read_text(errors="replace") if self.said.exists() else "")
        return (usage.ru_utime + usage.ru_stime) * 1e9

"""How long a command takes from its fork to its end under a lock that is free, for lockctl.py."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence

import client_figures
from large_tables import Result
from lockctl_programs import Program, Starter

BENCHMARK = "processes"
FLOCK = "flock FILE true"
RUN = "lockctl run NAME -- true"
LOCKCTL_FLOCK = "lockctl flock FILE true"
ETCD = "etcdctl lock NAME true"
REDIS = "Redis script"
PEERS = [FLOCK, ETCD, REDIS]


def programs(lockctl: str, script: str, folder: str) -> list[Program]:
    """All of them, in the order in which they take turns."""
    return [
        Program("true", ("true",)),
        Program(FLOCK, ("flock", f"{folder}/file", "true"), ("flock",)),
        Program(RUN, (lockctl, "run", "processes", "--", "true")),
        Program(LOCKCTL_FLOCK, (lockctl, "flock", f"{folder}/other-file", "true")),
        Program("lockctl ping", (lockctl, "ping")),
        Program("lockctl --version", (lockctl, "--version")),
        Program(ETCD, ("etcdctl", "lock", "processes", "true"), ("etcd", "etcdctl")),
        Program(REDIS, (script, f"{folder}/redis.sock", "processes", "true"), ("redis-server", "redis-cli")),
    ]


def measure(programs: Sequence[Program], starter: Starter, rounds: int, runs: int) -> Iterator[Result]:
    """In each round every program runs so many times, one after the other."""
    for program in programs:
        one(program, starter)
    for number in range(rounds):
        turns: dict[str, list[tuple[int, float]]] = {program.case: [] for program in programs}
        for _ in range(runs):
            for program in programs:
                turns[program.case].append(one(program, starter))
        for case, measured in turns.items():
            figures = client_figures.latencies([taken for taken, _ in measured])
            figures["CPU us"] = statistics.median(cpu for _, cpu in measured) / 1000
            yield Result(BENCHMARK, case, number, FLOCK, figures)


def one(program: Program, starter: Starter) -> tuple[int, float]:
    """How many nanoseconds it took, and for how many it had a CPU."""
    began = time.perf_counter_ns()
    cpu = starter.wait(program.case, starter.start(program.command))
    return time.perf_counter_ns() - began, cpu

#!/usr/bin/env python3
"""Measure lockd beside the limit of the machine and beside Redis, in one run.

Only what is measured in the same minute can be compared, so the servers take turns: each round measures all of them,
one after the other. The table shows medians over the rounds; a ratio is the median of the ratios within each round.
docs/benchmarks.md says what the figures mean.

The exit status is 0 unless a reply was wrong or something did not run: how fast it was is for the reader to judge.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent.parent
PROGRAMS = BENCHMARKS / ".build" / "release"

START_SECONDS = 10
STOP_SECONDS = 10
# How long a server may take to be gone after its connections are.
DEATH_SECONDS = 1
LAST_LINES = 20


class BenchmarkError(Exception):
    """Why there is no result."""


def names_among(known: Sequence[str]) -> Callable[[str], list[str]]:
    """What reads an option of names with commas between them, each of which is one of those known."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of: {', '.join(known)}")
        return names

    return read


@dataclasses.dataclass(frozen=True)
class Shape:
    """What one run of the load generator does."""

    connections: int
    depth: int = 1
    contended: bool = False
    untagged: bool = False

    def __str__(self) -> str:
        if self.contended:
            return f"{self.connections} for one lock"
        return f"{self.connections}x{self.depth}" + (" untagged" if self.untagged else "")

    @property
    def arguments(self) -> list[str]:
        flags = ["--contended"] * self.contended + ["--untagged"] * self.untagged
        return ["--connections", str(self.connections), "--depth", str(self.depth), *flags]

    def suits(self, server: Server) -> bool:
        return server.keeps_a_table or not (self.contended or self.untagged)

    @classmethod
    def parse(cls, text: str) -> Shape:
        try:
            connections, depth = (int(number) for number in text.split("x"))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not CONNECTIONSxDEPTH, like 50x16") from None
        return cls(connections, depth)


SHAPES = [Shape(1), Shape(8), Shape(50), Shape(50, 16), Shape(8, 64), Shape(8, contended=True)]
QUICK_SHAPES = [Shape(1), Shape(3, 5), Shape(3, 5, untagged=True), Shape(3, contended=True)]


# What lockd is meant to reach: at a shape, beside another one, at least so many times its throughput.
GOALS = [
    ("50x1", "limit", 0.85),
    ("50x1", "redis", 1.0),
    ("50x16", "redis", 2.0),
    ("1x1", "no log", 0.95),
    ("8x1", "no log", 0.95),
    ("50x1", "no log", 0.95),
    ("50x16", "no log", 0.8),
]


@dataclasses.dataclass(frozen=True)
class Server:
    """A server of the comparison, with what starts it."""

    name: str
    program: Path
    arguments: list[str]
    version: str
    dialect: str = "lockd"
    keeps_a_table: bool = True

    @contextlib.contextmanager
    def running(self, folder: Path, cpu: int | None) -> Iterator[RunningServer]:
        path = folder / f"{self.name}.sock"
        arguments = [argument.format(socket=path, folder=folder) for argument in self.arguments]
        log_path = folder / f"{self.name}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen([self.program, *arguments], stdout=log, stderr=log, preexec_fn=pinning(cpu))
        try:
            running = RunningServer(self, path, process, log_path)
            wait_for_server(running)
            yield running
        finally:
            stop(process)


@dataclasses.dataclass(frozen=True)
class RunningServer:
    server: Server
    path: Path
    process: subprocess.Popen[bytes]
    log: Path

    def check_alive(self, patience: float = 0) -> None:
        """Raises `BenchmarkError` if the server has ended, or does within `patience` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise failure(self.server.name, self.process.wait(patience), self.log.read_text(errors="replace"))

    def cpu_nanoseconds(self) -> int:
        """How long the server's threads have been on a CPU."""
        return sum(
            int(path.read_text().split()[0]) for path in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        )


@dataclasses.dataclass(frozen=True)
class Result:
    """One run of the load generator against one server."""

    shape: str
    round: int
    server: str
    operations_per_second: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    server_cpu_ns_per_operation: float
    loadgen_cpu: float


def failure(name: str, status: int, printed: str) -> BenchmarkError:
    """What to say of a program that should not have ended so."""
    fate = f"ended with status {status}"
    if status < 0:
        fate = f"was ended by signal {-status} ({signal.strsignal(-status)})"
    last = printed.splitlines()[-LAST_LINES:]
    said = "; it said last:" if last else " and said nothing"
    return BenchmarkError("\n".join([f"{name} {fate}{said}", *last]))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Has a server end, by force if it does not do so in time."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def pinning(cpu: int | None) -> Callable[[], None] | None:
    """What a child does before it becomes a program: it stays on `cpu`, if that is one."""
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


def wait_for_server(running: RunningServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(running.path))
                return
            except (FileNotFoundError, ConnectionRefusedError):
                pass
        running.check_alive()
        if time.monotonic() > deadline:
            said = running.log.read_text(errors="replace")
            raise BenchmarkError(f"{running.server.name} does not listen at {running.path}:\n{said}")
        time.sleep(0.001)


def first_line(*command: str | Path) -> str:
    try:
        completed = subprocess.run(command, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return completed.stdout.partition("\n")[0].strip()


def known_servers() -> dict[str, Server]:
    """The servers that can run here, in the order in which they take turns."""
    lockd = ROOT / ".build" / "release" / "lockd"
    version = first_line(lockd, "--version")
    candidates = [
        Server("limit", PROGRAMS / "echo-limit", ["{socket}"], "echo-limit", keeps_a_table=False),
        Server("lockd", lockd, ["--socket", "{socket}", "--state-dir", "{folder}/state"], version),
        Server("no log", lockd, ["--socket", "{socket}", "--state-dir", "{folder}/state-2", "--no-log"], version),
        Server("nio", PROGRAMS / "nio-lockd", ["{socket}"], "lockd's table on SwiftNIO"),
    ]
    redis = shutil.which("redis-server")
    if redis is not None:
        arguments = ["--unixsocket", "{socket}", "--port", "0", "--save", "", "--appendonly", "no", "--dir", "{folder}"]
        version = first_line(redis, "--version")
        candidates.append(Server("redis", Path(redis), arguments, version, dialect="redis", keeps_a_table=False))
    return {server.name: server for server in candidates if server.program.exists()}


def chosen_servers(names: Sequence[str] | None) -> list[Server]:
    known = known_servers()
    if not (PROGRAMS / "loadgen").exists():
        raise BenchmarkError("the load generator is not built: swift build -c release --package-path Tests/Benchmarks")
    if names is None and "lockd" not in known:
        raise BenchmarkError("lockd is not built: swift build -c release (or leave it out: --servers limit,redis)")
    for name in names or []:
        if name not in known:
            raise BenchmarkError(f"there is no server {name!r} here, only: {', '.join(known)}")
    return [known[name] for name in names] if names is not None else list(known.values())


def measure(running: RunningServer, shape: Shape, round_number: int, seconds: float, cpu: int | None) -> Result:
    cpu_before = running.cpu_nanoseconds()
    command = [str(PROGRAMS / "loadgen"), str(running.path), "--protocol", running.server.dialect, *shape.arguments]
    command += ["--seconds", str(seconds), "--warm-up", str(seconds / 5), "--json"]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=pinning(cpu))
    if completed.returncode != 0:
        running.check_alive(DEATH_SECONDS)
        raise failure(f"loadgen ({running.server.name}, {shape})", completed.returncode, completed.stderr)
    cpu_nanoseconds = running.cpu_nanoseconds() - cpu_before
    running.check_alive()
    figures = json.loads(completed.stdout)
    latency = {key: nanoseconds / 1000 for key, nanoseconds in figures["latency"].items()}
    return Result(
        shape=str(shape),
        round=round_number,
        server=running.server.name,
        operations_per_second=figures["operations_per_second"],
        p50_us=latency["p50"],
        p99_us=latency["p99"],
        p999_us=latency["p999"],
        max_us=latency["max"],
        server_cpu_ns_per_operation=cpu_nanoseconds / figures["answered"],
        loadgen_cpu=figures["loadgen_cpu"],
    )


def measure_all(servers: Sequence[Server], shapes: Sequence[Shape], rounds: int, seconds: float) -> Iterator[Result]:
    """Measures every server with every shape. All servers run all the time; those whose turn it is not are asleep."""
    server_cpu, loadgen_cpu = cpus()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lockd-bench-", dir=memory())))
        running = [stack.enter_context(server.running(folder, server_cpu)) for server in servers]
        for shape in shapes:
            turns = [one for one in running if shape.suits(one.server)]
            for round_number in range(rounds):
                for one in turns:
                    yield measure(one, shape, round_number, seconds, loadgen_cpu)


def memory() -> str | None:
    """A directory in memory, as /run is, where lockd's log belongs; the usual one for such files, if there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None


def cpus() -> tuple[int | None, int | None]:
    """The CPUs of the server and of the load generator, if there are two."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


class Summary:
    """Medians over the rounds."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = results

    def shapes(self) -> list[str]:
        return list(dict.fromkeys(result.shape for result in self.results))

    def servers(self, shape: str) -> list[str]:
        return list(dict.fromkeys(result.server for result in self.results if result.shape == shape))

    def median(self, shape: str, server: str, figure: str) -> float:
        return float(statistics.median(getattr(result, figure) for result in self._rounds(shape, server)))

    def ratio(self, shape: str, server: str, other: str) -> float | None:
        """How many times the throughput of `other` the server reached, as the median of the rounds."""
        pairs = zip(self._rounds(shape, server), self._rounds(shape, other))
        ratios = [one.operations_per_second / another.operations_per_second for one, another in pairs]
        return statistics.median(ratios) if ratios else None

    def _rounds(self, shape: str, server: str) -> list[Result]:
        return [result for result in self.results if (result.shape, result.server) == (shape, server)]

    def table(self) -> str:
        lines = []
        for shape in self.shapes():
            lines.append("")
            lines.append(
                f"{shape:<16}{'ops/s':>12}{'of limit':>10}{'of no log':>11}{'of redis':>10}"
                f"{'p50 us':>10}{'p99 us':>10}{'CPU ns/op':>11}{'loadgen CPU':>13}"
            )
            lines += [self._row(shape, server) for server in self.servers(shape)]
        return "\n".join(lines)

    def _row(self, shape: str, server: str) -> str:
        def ratio(other: str) -> str:
            value = self.ratio(shape, server, other)
            return "-" if value is None else f"{value:.2f}"

        def median(figure: str) -> float:
            return self.median(shape, server, figure)

        return (
            f"  {server:<14}{median('operations_per_second'):>12,.0f}{ratio('limit'):>10}"
            f"{ratio('no log'):>11}{ratio('redis'):>10}"
            f"{median('p50_us'):>10.1f}{median('p99_us'):>10.1f}"
            f"{median('server_cpu_ns_per_operation'):>11,.0f}{median('loadgen_cpu'):>13.0%}"
        )

    def goals(self) -> str:
        """What lockd is meant to reach, and whether it did."""
        lines = []
        for shape, other, least in GOALS:
            ratio = self.ratio(shape, "lockd", other)
            if ratio is not None:
                verdict = "met" if ratio >= least else "missed"
                lines.append(f"goal at {shape}: at least {least:.2f} of {other}: {ratio:.2f}, {verdict}")
        return "\n".join(lines)


def conditions(servers: Sequence[Server], rounds: int, seconds: float) -> dict[str, object]:
    server_cpu, loadgen_cpu = cpus()
    return {
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "server on CPU": server_cpu,
        "load generator on CPU": loadgen_cpu,
        "swift": first_line("swift", "--version"),
        "servers": {server.name: server.version for server in servers},
        "rounds": rounds,
        "seconds per measurement": seconds,
    }


def text_of_conditions(values: dict[str, object]) -> str:
    def text(value: object) -> str:
        if isinstance(value, dict):
            return "".join(f"\n  {key}: {text(item)}" for key, item in value.items())
        return "any" if value is None else str(value)

    return "\n".join(f"{key}: {text(value)}" for key, value in values.items())


def parsed_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure lockd beside the limit of the machine and beside Redis.")
    parser.add_argument("--rounds", type=int, default=5, help="how many times every server has its turn (default: 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long one measurement takes (default: 1)")
    parser.add_argument(
        "--shapes",
        type=lambda text: [Shape.parse(shape) for shape in text.split(",")],
        default=SHAPES,
        help="CONNECTIONSxDEPTH,… instead of the usual ones",
    )
    parser.add_argument(
        "--servers",
        type=lambda text: text.split(","),
        help="which of limit, lockd, nio, redis (default: all that are there)",
    )
    parser.add_argument("--quick", action="store_true", help="check in a second that every reply is right")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single result there")
    parsed = parser.parse_args(arguments)
    if parsed.quick:
        parsed.rounds, parsed.seconds, parsed.shapes = 1, 0.05, QUICK_SHAPES
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed_arguments(arguments)
    try:
        servers = chosen_servers(options.servers)
        values = conditions(servers, options.rounds, options.seconds)
        print(text_of_conditions(values))
        results = list(measure_all(servers, options.shapes, options.rounds, options.seconds))
    except BenchmarkError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    summary = Summary(results)
    print(summary.table())
    print(f"\n{summary.goals()}")
    if options.json is not None:
        document = {"conditions": values, "results": [dataclasses.asdict(result) for result in results]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

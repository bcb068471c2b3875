"""How long `lockctl ls` takes with very many leases, and whether the daemon answers others meanwhile, for lockctl.py."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from large_tables import LEASES_OF_A_SESSION, PING, Bench, Result, acquired, set_keys
from lockctl_programs import Starter
from run import BenchmarkError, RunningServer, Server
from sessions import Latencies, Session, round_trips

BENCHMARK = "listing"
NOTHING = "nothing is listed"
LIMIT = "raw socket, lines not looked at"
LS, JSON, WC = "lockctl ls", "lockctl ls --json", "lockctl ls | wc -l"
SCAN, KEYS = "redis-cli --scan", "redis-cli KEYS '*'"
PEERS = [SCAN, KEYS]
#: So that the names do not come in their order: odd, and no multiple of 5.
STRIDE = 61_681
NANOSECONDS_OF_A_MILLISECOND = 1_000_000


@dataclasses.dataclass(frozen=True)
class Listing:
    """One way to list everything that a server has, by a process of its own."""

    case: str
    running: RunningServer
    start: Callable[[], int]
    #: A round trip of somebody else.
    operation: Callable[[], int]


def names(count: int) -> list[bytes]:
    """So many names, each once, in an order that is none."""
    return [b"held/%06d" % (number * STRIDE % count) for number in range(count)]


def read_all_pages(path: Path) -> int:
    """Lists everything over a plain socket, and returns how many lines that were, the last of each page among them."""
    with contextlib.closing(Session(path)) as session:
        count, request = 0, b"LIST\n"
        while request:
            session.send(request)
            while not (line := session.line()).startswith(b"END"):
                count += 1
            count += 1
            _, more, cursor = line.partition(b" next=")
            request = b"LIST after=" + cursor + b"\n" if more else b""
    return count


def listings(bench: Bench, lockctl: str, lockd: Server, redis: Server | None, starter: Starter) -> list[Listing]:
    """With a server of each kind that has all the names."""
    held = names(bench.scale.leases)
    running = bench.start(lockd)
    for start in range(0, len(held), LEASES_OF_A_SESSION):
        bench.session(running).ask_all(acquired(held[start : start + LEASES_OF_A_SESSION]))
    figures = bench.session(running).figures()
    if figures["leases"] != len(held):
        raise BenchmarkError(f"{figures['leases']} leases are held, not {len(held)}")
    operation = round_trips(bench.session(running), PING)
    socket = str(running.path)
    commands = {
        LS: [lockctl, "ls", "--socket", socket],
        JSON: [lockctl, "ls", "--socket", socket, "--json"],
        "lockctl ls --json-lines": [lockctl, "ls", "--socket", socket, "--json-lines"],
        WC: ["sh", "-c", '"$0" ls --socket "$1" | wc -l', lockctl, socket],
    }
    all_listings = [
        Listing(NOTHING, running, lambda: starter.start(["true"]), operation),
        Listing(LIMIT, running, lambda: starter.fork(lambda: read_all_pages(running.path)), operation),
        *(Listing(case, running, starting(starter, command), operation) for case, command in commands.items()),
    ]
    if redis is not None:
        other = bench.start(redis)
        bench.session(other).ask_all(set_keys(held))
        ping = round_trips(bench.session(other), (b"PING\r\n", b"+PONG"))
        all_listings += [
            Listing(case, other, starting(starter, ["redis-cli", "-s", str(other.path), *arguments]), ping)
            for case, arguments in [(SCAN, ["--scan"]), (KEYS, ["KEYS", "*"])]
        ]
    return all_listings


def starting(starter: Starter, command: list[str]) -> Callable[[], int]:
    return lambda: starter.start(command)


def measure(listings: list[Listing], starter: Starter, rounds: int, least_seconds: float) -> Iterator[Result]:
    """Each round lists everything in every way twice: undisturbed, to see how long it takes, and with somebody else asking."""
    for number in range(rounds):
        for listing in listings:
            figures = {} if listing.case == NOTHING else undisturbed(listing, starter)
            yield Result(BENCHMARK, listing.case, number, "", figures | disturbed(listing, starter, least_seconds))


def undisturbed(listing: Listing, starter: Starter) -> dict[str, float]:
    server = listing.running.cpu_nanoseconds()
    began = time.perf_counter_ns()
    cpu = starter.wait(listing.case, listing.start())
    taken = time.perf_counter_ns() - began
    return {
        "wall ms": taken / NANOSECONDS_OF_A_MILLISECOND,
        "CPU ms": cpu / NANOSECONDS_OF_A_MILLISECOND,
        "server CPU ms": (listing.running.cpu_nanoseconds() - server) / NANOSECONDS_OF_A_MILLISECOND,
    }


class Busyness:
    """How much of its CPU a server uses between two moments."""

    def __init__(self, running: RunningServer) -> None:
        paths = Path(f"/proc/{running.process.pid}/task").glob("*/schedstat")
        self._files = [os.open(path, os.O_RDONLY) for path in paths]

    def nanoseconds(self) -> int:
        total = 0
        for file in self._files:
            # Of a thread that has ended meanwhile there is nothing to read.
            with contextlib.suppress(ProcessLookupError):
                total += int(os.pread(file, 100, 0).split()[0])
        return total

    def close(self) -> None:
        for file in self._files:
            os.close(file)


def disturbed(listing: Listing, starter: Starter, least_seconds: float) -> dict[str, float]:
    """The round trips of somebody else while it is listed; for `least_seconds`, if that is nothing."""
    busiest = 0
    with (
        contextlib.closing(Latencies(listing.running)) as latencies,
        contextlib.closing(Busyness(listing.running)) as busyness,
    ):
        child = listing.start()
        end = time.monotonic() + (least_seconds if listing.case == NOTHING else 0)
        status = None
        while status is None or time.monotonic() < end:
            before = busyness.nanoseconds()
            latencies.add(listing.operation)
            busiest = max(busiest, busyness.nanoseconds() - before)
            if status is None:
                ended, code, usage = os.wait4(child, os.WNOHANG)
                if ended:
                    status = code
                    starter.judge(listing.case, status, usage)
        listing.running.check_alive()
        figures = latencies.figures()
    return {
        "PING p50 us": figures["p50 us"],
        "longest ms": figures["worst us"] / 1000,
        "longest own ms": figures["worst own us"] / 1000,
        "worst busy ms": busiest / NANOSECONDS_OF_A_MILLISECOND,
        "times": figures["times"],
    }

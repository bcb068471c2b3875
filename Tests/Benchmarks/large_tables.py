"""The benchmarks of scale.py: long queues, many names, chains of owners, and many leases that end at once."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from place import Place
from run import BenchmarkError, RunningServer, Server
from sessions import Latencies, Session, batches, round_trips, timed, token

# At most 1000 waits and 10,000 leases a session: see "Limits" in docs/protocol.md.
WAITS_OF_A_SESSION = 1000
LEASES_OF_A_SESSION = 10_000
MOST_EDGES = 500
# Enough for 10,000 waiters and their holder, and as many for a queue of 10, so that all queues are made alike.
QUEUE_SESSIONS = 11
# How long it may take until all leases are there of which none may have ended by then.
LEASES_A_SECOND = 20_000
SECONDS_TO_SPARE = 1

PING = (b"PING\n", b"PONG")


@dataclasses.dataclass(frozen=True)
class Scale:
    """How large, how often, how long."""

    queues: Sequence[int] = (10, 100, 1000, 10_000)
    chains: Sequence[int] = (2, 10, 100, 1000)
    searched_queues: Sequence[int] = (10_000, 99_990)
    names: int = 99_999
    leases: int = 100_000
    rounds: int = 5
    seconds: float = 0.5


QUICK = Scale(queues=(2, 20), chains=(2, 20), searched_queues=(20,), names=2000, leases=2000, rounds=1, seconds=0.02)


@dataclasses.dataclass(frozen=True)
class Result:
    """What one case did in one round. A ratio is that to the case `beside` in the same round."""

    benchmark: str
    case: str
    round: int
    beside: str
    figures: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    running: RunningServer
    operation: Callable[[], int]
    beside: str = ""
    more: Callable[[int], dict[str, float]] | None = None


class Bench:
    """Starts servers and sessions for one benchmark, and ends them behind it."""

    def __init__(self, scale: Scale, folder: Path, cpu: int | None) -> None:
        self.scale = scale
        self._folder = folder
        self._cpu = cpu
        self._numbers = itertools.count()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def another(self) -> Bench:
        """One with a folder of its own, for servers that are to end before this one's."""
        return Bench(self.scale, self._folder / str(next(self._numbers)), self._cpu)

    def place(self, server: Server) -> Place:
        """One with a folder of its own, for daemons that start there one after the other."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(parents=True)
        return Place(server, folder, self._cpu)

    def start(self, server: Server) -> RunningServer:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(parents=True)
        return self._stack.enter_context(server.running(folder, self._cpu))

    def session(self, running: RunningServer) -> Session:
        return self._stack.enter_context(contextlib.closing(Session(running.path)))

    def sessions(self, running: RunningServer, count: int) -> list[Session]:
        return [self.session(running) for _ in range(count)]

    def take_turns(self, benchmark: str, cases: Sequence[Case]) -> Iterator[Result]:
        for number in range(self.scale.rounds):
            for case in cases:
                more = case.more
                figures = timed(case.running, case.operation, self.scale.seconds)
                if more is not None:
                    figures |= more(int(figures["times"]))
                yield Result(benchmark, case.name, number, case.beside, figures)


class Queue:
    """One name with so many waiters behind its holder. Who releases it queues again, so the queue stays as long."""

    def __init__(self, sessions: Sequence[Session], waiters: int, options: bytes) -> None:
        self._sessions = sessions
        self._count = waiters + 1
        self._acquires = [b"#%d ACQUIRE queue%b\n" % (number, options) for number in range(self._count)]
        self._holder = 0
        for number, acquire in enumerate(self._acquires):
            session = self._session(number)
            session.send(acquire)
            if number == 0:
                self._token = token(session.expect(b"#0 GRANTED queue token="))
            session.ask(*PING)
        self._reports_told = self._reports()

    def hand_over(self) -> int:
        """From the write of the release to the grant that the next holder has read."""
        following = (self._holder + 1) % self._count
        before, after = self._session(self._holder), self._session(following)
        start = time.perf_counter_ns()
        before.send(b"RELEASE queue\n" + self._acquires[self._holder])
        if before is after:
            raise BenchmarkError("a queue needs the next waiter in another session")
        grant = after.expect(b"#%d GRANTED queue token=" % following)
        taken = time.perf_counter_ns() - start
        before.expect(b"RELEASED queue" + self._token)
        self._holder, self._token = following, token(grant)
        return taken

    def reports(self, times: int) -> dict[str, float]:
        """How many reports of progress there were for each hand-over since this was asked last."""
        told, self._reports_told = self._reports_told, self._reports()
        return {"reports": (self._reports_told - told) / times}

    def _session(self, number: int) -> Session:
        return self._sessions[number % len(self._sessions)]

    def _reports(self) -> int:
        return sum(session.reports for session in self._sessions)


def hand_over(bench: Bench, lockd: Server) -> Iterator[Result]:
    cases = []
    for options, suffix in [(b"", ""), (b" progress=1s", ", progress=1s")]:
        first = f"{bench.scale.queues[0]:,} waiters{suffix}"
        for waiters in bench.scale.queues:
            running = bench.start(lockd)
            queue = Queue(bench.sessions(running, min(QUEUE_SESSIONS, waiters + 1)), waiters, options)
            cases.append(
                Case(
                    f"{waiters:,} waiters{suffix}", running, queue.hand_over, first, queue.reports if options else None
                )
            )
            if not cases[1:]:
                cases.append(Case("PING", running, round_trips(bench.session(running), PING)))
    return bench.take_turns("hand-over", cases)


def resident_bytes(running: RunningServer) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


def acquired(names: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return ((b"ACQUIRE " + name + b"\n", b"GRANTED " + name + b" token=") for name in names)


def set_keys(names: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return ((b"SET " + name + b" 1 NX\r\n", b"+OK") for name in names)


def held_names(bench: Bench, lockd: Server, redis: Server | None) -> Iterator[Result]:
    """Two servers of a kind, one empty and one full, whose turns are next to each other."""
    names = [b"held/%06d" % number for number in range(bench.scale.names)]
    shares = [names[start : start + LEASES_OF_A_SESSION] for start in range(0, len(names), LEASES_OF_A_SESSION)]
    acquire = ((b"ACQUIRE free\n", b"GRANTED free token="), (b"RELEASE free\n", b"RELEASED free token="))
    set_key = ((b"SET free 1 NX\r\n", b"+OK"), (b"DEL free\r\n", b":1"))
    cases = []
    for server, fill, pair in [(lockd, acquired, acquire), (redis, set_keys, set_key)]:
        if server is None:
            continue
        empty, full = bench.start(server), bench.start(server)
        before = resident_bytes(full)
        for share in shares:
            bench.session(full).ask_all(fill(share))
        each = (resident_bytes(full) - before) / len(names)
        ping = PING if server is lockd else (b"PING\r\n", b"+PONG")
        none = f"{server.name}, none held"

        def memory(_: int, each: float = each) -> dict[str, float]:
            return {"bytes a name": each}

        cases += [
            Case(f"{server.name}, PING twice", empty, round_trips(bench.session(empty), ping, ping)),
            Case(none, empty, round_trips(bench.session(empty), *pair), none),
            Case(f"{server.name}, {len(names):,} held", full, round_trips(bench.session(full), *pair), none, memory),
        ]
    return bench.take_turns("names held", cases)


def closing_request(session: Session, chain: int) -> Callable[[], int]:
    """Each owner holds one name and waits for the next one's; the last asks for the first's."""
    session.ask_all(
        (b"#%d ACQUIRE chain/%d owner=o%d\n" % (number, number, number), b"#%d GRANTED chain/" % number)
        for number in range(chain)
    )
    session.wait_for_all(
        b"#%d ACQUIRE chain/%d owner=o%d\n" % (number, number + 1, number) for number in range(chain - 1)
    )
    edges = min(chain, MOST_EDGES)
    request = b"#last ACQUIRE chain/0 owner=o%d\n" % (chain - 1)

    def operation() -> int:
        start = time.perf_counter_ns()
        session.send(request)
        for _ in range(edges):
            session.expect(b"#last EDGE chain/")
        session.expect(b"#last DEADLOCK chain/0 edges=%d" % edges)
        return time.perf_counter_ns() - start

    return operation


def queueing_request(session: Session, owner: bytes) -> Callable[[], int]:
    """A request that waits at the end of the long queue. PONG says when it has been handled; then it is cancelled."""
    request = b"#last ACQUIRE long owner=" + owner + b"\nPING\n"

    def operation() -> int:
        start = time.perf_counter_ns()
        session.ask(request, b"PONG")
        taken = time.perf_counter_ns() - start
        session.ask(b"CANCEL #last\n", b"#last CANCELLED long waited=")
        session.expect(b"CANCELLED #last")
        return taken

    return operation


def long_queue(bench: Bench, lockd: Server, waiters: int, holding: bool) -> tuple[RunningServer, Session]:
    """A queue in front of a session whose owner `holder` holds what somebody waits for. So may each of the waiters hold a name."""
    running = bench.start(lockd)
    session, other = bench.sessions(running, 2)
    other.ask(b"ACQUIRE long\n", b"GRANTED long token=")
    for start in range(0, waiters, WAITS_OF_A_SESSION):
        numbers = range(start, min(waiters, start + WAITS_OF_A_SESSION))
        waiting = bench.session(running)
        if holding:
            names = [(number, b"own/%d" % number) for number in numbers]
            waiting.ask_all(
                (b"#%d ACQUIRE %b owner=o%d\n" % (number, name, number), b"#%d GRANTED %b token=" % (number, name))
                for number, name in names
            )
            waiting.wait_for_all(b"#%d ACQUIRE long owner=o%d\n" % (number, number) for number in numbers)
        else:
            waiting.wait_for_all(b"#%d ACQUIRE long\n" % number for number in numbers)
    session.ask(b"#0 ACQUIRE wanted owner=holder\n", b"#0 GRANTED wanted token=")
    other.wait_for_all([b"#0 ACQUIRE wanted\n"])
    return running, session


def deadlocks(bench: Bench, lockd: Server) -> Iterator[Result]:
    cases: list[Case] = []
    first = f"cycle of {bench.scale.chains[0]:,} owners"
    for chain in bench.scale.chains:
        running = bench.start(lockd)
        session = bench.session(running)
        operation = closing_request(session, chain)
        if not cases:
            attempt = (b"#try ACQUIRE chain/0 owner=o1 wait=0\n", b"#try BUSY chain/0 ")
            cases.append(Case("PING", running, round_trips(session, PING)))
            cases.append(Case("a try instead: BUSY", running, round_trips(session, attempt)))
        cases.append(Case(f"cycle of {chain:,} owners", running, operation, first))
    for waiters in bench.scale.searched_queues:
        running, session = long_queue(bench, lockd, waiters, holding=False)
        none = f"behind {waiters:,}, no search"
        cases.append(Case(none, running, queueing_request(session, b"newcomer"), none))
        cases.append(Case(f"behind {waiters:,}, search", running, queueing_request(session, b"holder"), none))
        running, session = long_queue(bench, lockd, waiters, holding=True)
        cases.append(Case(f"behind {waiters:,} holders, search", running, queueing_request(session, b"holder"), none))
    return bench.take_turns("deadlocks", cases)


class Storm:
    """Many leases whose ttl ends within `spread` seconds, on a server of its own."""

    def __init__(self, bench: Bench, lockd: Server, spread: float) -> None:
        self.running = bench.start(lockd)
        self._names = bench.scale.names
        self._probe = bench.session(self.running)
        self.operation = round_trips(
            self._probe, (b"ACQUIRE free\n", b"GRANTED free token="), (b"RELEASE free\n", b"RELEASED free token=")
        )
        self._begin = time.monotonic() + self._names / LEASES_A_SECOND + SECONDS_TO_SPARE + bench.scale.seconds
        sessions = -(-self._names // LEASES_OF_A_SESSION)
        self._losers = bench.sessions(self.running, sessions)
        for number, batch in enumerate(batches(range(self._names))):
            self._losers[number % sessions].ask_all(self._acquires(batch, spread))
        if time.monotonic() > self._begin - bench.scale.seconds:
            raise BenchmarkError("this machine is too busy: the leases would end before all are there")

    def _acquires(self, numbers: Sequence[int], spread: float) -> Iterator[tuple[bytes, bytes]]:
        left = self._begin - time.monotonic()
        for number in numbers:
            ttl = max(1, round((left + spread * number / self._names) * 1000))
            yield b"ACQUIRE storm/%d ttl=%dms\n" % (number, ttl), b"GRANTED storm/%d token=" % number

    def measure(self) -> tuple[dict[str, float], dict[str, float]]:
        """Round trips of another session, before the storm and in it, and how long it took.

        Who loses its leases reads that between the round trips, so that its reading is not measured.
        """
        read: list[list[bytes]] = [[] for _ in self._losers]
        missing = self._names
        with (
            contextlib.closing(Latencies(self.running)) as before,
            contextlib.closing(Latencies(self.running)) as during,
        ):
            cpu = [self.running.cpu_nanoseconds()]
            while time.monotonic() < self._begin:
                before.add(self.operation)
            cpu.append(self.running.cpu_nanoseconds())
            while missing > 0:
                during.add(self.operation)
                for number, loser in enumerate(self._losers):
                    arrived = loser.arrived()
                    read[number].append(arrived)
                    missing -= arrived.count(b"\n")
            ended = time.monotonic() - self._begin
            cpu.append(self.running.cpu_nanoseconds())
            self._check(b"".join(itertools.chain(*read)).splitlines())
            quiet = {"CPU us": (cpu[1] - cpu[0]) / len(before) / 1000}
            storm = {"CPU ms in all": (cpu[2] - cpu[1]) / 1e6, "ended ms": ended * 1000}
            return before.figures() | quiet, during.figures() | storm

    def _check(self, losses: Sequence[bytes]) -> None:
        wrong = [line for line in losses if not (line.startswith(b"* LOST storm/") and b" reason=expired" in line)]
        figures = self._probe.figures()
        if wrong or (len(losses), figures["expired"], figures["leases"]) != (self._names, self._names, 0):
            raise BenchmarkError(f"not every lease has expired once: {wrong[:1]}, {len(losses)} losses, {figures}")


def storms(bench: Bench, lockd: Server) -> Iterator[Result]:
    for number in range(bench.scale.rounds):
        for case, spread in [("within a second", 1.0), ("all at once", 0.0)]:
            with bench.another() as own:
                storm = Storm(own, lockd, spread)
                if spread > 0:
                    ping = timed(
                        storm.running, round_trips(own.session(storm.running), PING, PING), own.scale.seconds / 2
                    )
                    yield Result("expiries", "before, PING twice", number, "", ping)
                before, during = storm.measure()
            yield Result("expiries", f"before: {case}", number, "", before)
            yield Result("expiries", case, number, "", during)

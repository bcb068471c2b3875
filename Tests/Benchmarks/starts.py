"""How long lockd takes to start: with nothing, and going on with many leases."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
from collections.abc import Iterator

from large_tables import LEASES_OF_A_SESSION, Bench, Result, acquired, resident_bytes
from place import Place
from run import BenchmarkError, RunningServer, Server
from sessions import Session

MEBIBYTE = 1 << 20
#: A start is short, and there is nothing to wait for in between.
STARTS_A_ROUND = 5


def starts(bench: Bench, lockd: Server) -> Iterator[Result]:
    """Starts without anything to go on with, and after daemons that were killed or stopped while leases were held."""
    without_log = dataclasses.replace(lockd, arguments=[*lockd.arguments, "--no-log"])
    for number in range(bench.scale.rounds):
        for _ in range(STARTS_A_ROUND):
            for case, server in [("the first", lockd), ("the first, --no-log", without_log)]:
                yield from measured(bench.place(server), case, number, leases=0)
        place = bench.place(lockd)
        names = [b"held/%06d" % index for index in range(bench.scale.leases)]
        with contextlib.ExitStack() as stack, place.started() as (running, _):
            for start in range(0, len(names), LEASES_OF_A_SESSION):
                session = stack.enter_context(contextlib.closing(Session(running.path)))
                session.ask(b"HELLO\n", b"WELCOME ")
                session.ask_all(acquired(names[start : start + LEASES_OF_A_SESSION]))
            end(running, signal.SIGKILL)
            case = f"with {len(names):,} leases, after"
            yield from measured(place, f"{case} kill -9", number, leases=len(names), ending=signal.SIGTERM)
            yield from measured(place, f"{case} a stop", number, leases=len(names))


def measured(
    place: Place, case: str, number: int, leases: int, ending: signal.Signals | None = None
) -> Iterator[Result]:
    with place.started() as (running, seconds), contextlib.closing(Session(running.path)) as session:
        held = session.figures()["leases"]
        if held != leases:
            raise BenchmarkError(f"{case}: {held} leases are held, not {leases}")
        figures = {
            "start ms": seconds * 1000,
            "worst ms": seconds * 1000,
            "resident MiB": resident_bytes(running) / MEBIBYTE,
            "log MiB": place.log_bytes() / MEBIBYTE,
        }
        yield Result("starts", case, number, "", figures)
        if ending is not None:
            end(running, ending)


def end(running: RunningServer, how: signal.Signals) -> None:
    os.kill(running.process.pid, how)
    running.process.wait()

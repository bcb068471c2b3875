"""What clients that do nothing cost in memory, for clients.py."""

from __future__ import annotations

import asyncio
import importlib
import re
from pathlib import Path
from types import ModuleType

import client_figures
from client_figures import Figures
from client_locks import LOCKD, REDIS

CLIENTS = 1000


def kibibytes(pid: int | str) -> int:
    """What a process has for itself alone, and its part of what it shares (PSS)."""
    found = re.search(r"^Pss: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


async def clients(place: Path, daemon: int) -> Figures:
    aio: ModuleType = importlib.import_module("lockd.aio")
    kept = []

    async def use(number: int) -> None:
        kept.append(aio.Client(socket=place / LOCKD))
        async with aio.Lock(f"memory/{number}", client=kept[-1]):
            pass

    await use(-1)
    before = kibibytes("self"), kibibytes(daemon)
    for number in range(CLIENTS):
        await use(number)
    behind = kibibytes("self"), kibibytes(daemon)
    for client in kept:
        await client.close()
    return {
        "KiB a client": (behind[0] - before[0]) / CLIENTS,
        "worst server KiB": (behind[1] - before[1]) / CLIENTS,
    }


def redis_clients(place: Path, server: int) -> Figures:
    redis: ModuleType = importlib.import_module("redis")
    kept = []

    def use() -> None:
        kept.append(redis.Redis(unix_socket_path=str(place / REDIS)))
        kept[-1].ping()

    use()
    before = kibibytes("self"), kibibytes(server)
    for _ in range(CLIENTS):
        use()
    behind = kibibytes("self"), kibibytes(server)
    return {
        "KiB a client": (behind[0] - before[0]) / CLIENTS,
        "worst server KiB": (behind[1] - before[1]) / CLIENTS,
    }


def imported(module: str) -> Figures:
    before = kibibytes("self")
    importlib.import_module(module)
    return {"import KiB": kibibytes("self") - before}


def measure(case: str, place: Path, seconds: float) -> Figures:
    if case.startswith("import "):
        return imported(case.removeprefix("import "))
    name = case.partition(",")[0]
    server = int((place / f"{'redis' if name == 'redis-py' else 'lockd'}.pid").read_text())
    return redis_clients(place, server) if name == "redis-py" else asyncio.run(clients(place, server))


if __name__ == "__main__":
    client_figures.main(measure)

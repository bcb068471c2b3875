"""A FastAPI app whose requests share a lock with those of all other processes.

They count in the file that ``COUNTER_FILE`` names. Counting reads, adds one, and writes: of two requests that do it at
the same time, in one process or in two, one is lost. ``/unlocked`` loses some, ``/locked`` does not.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request

from lockd import aio


class State(TypedDict):
    """What every request finds in ``request.state``."""

    counter_lock: aio.Lock


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    """Connect when the process starts, so that it does not start without lockd, and close when it ends."""
    async with aio.Client() as client:
        yield {"counter_lock": aio.Lock("counter", client=client, note="fastapi_lock")}


app = FastAPI(lifespan=lifespan)


@app.get("/unlocked")
async def unlocked() -> int:
    """Count without the lock."""
    return await count()


@app.get("/locked")
async def locked(request: Request) -> int:
    """Count while no other request does. The loop serves others meanwhile."""
    async with request.state.counter_lock:
        return await count()


async def count() -> int:
    """Add one to the number in the file."""
    with open(os.environ["COUNTER_FILE"], "r+") as file:
        value = int(file.read()) + 1
        await asyncio.sleep(0.001)  # what an application does between reading and writing
        file.seek(0)
        file.write(f"{value:>12}\n")
    return value

"""Tests that run an event loop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine
from typing import Any, Callable, TypeVar

import pytest
from conftest import PATIENCE, Daemon

from lockd.aio._endpoint import _common
from lockd.aio._session import LoopSession

_Result = TypeVar("_Result")


def run_loop(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine in a loop of its own. No exception of a callback goes unnoticed, and nothing takes for ever."""

    async def watched() -> _Result:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        result = await asyncio.wait_for(main, 2 * PATIENCE)
        assert complaints == []
        return result

    return asyncio.run(watched())


async def until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as ``condition()`` is true. The loop runs meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"in vain for {PATIENCE} s: {what}")
        await asyncio.sleep(0.005)


async def waiters(daemon: Daemon, name: str, count: int) -> None:
    """Return when so many requests wait for a lock. The loop runs meanwhile."""
    await asyncio.to_thread(daemon.await_waiters, name, count)


async def free(daemon: Daemon, name: str) -> None:
    """Return when nobody holds a lock or waits for it. The loop runs meanwhile."""
    await asyncio.to_thread(daemon.await_holder, name, None)
    await waiters(daemon, name, 0)


def held_by_us(daemon: Daemon, name: str) -> bool:
    """Whether this process holds a lock."""
    return daemon.holder(name) == os.getpid()


def common_session(daemon: Daemon) -> LoopSession:
    """The session of the running loop."""
    session = _common[asyncio.get_running_loop()][daemon.socket]._session
    assert session is not None
    return session

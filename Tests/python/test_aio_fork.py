"""Forks under a running loop: what the parent holds is no affair of the child's."""

from __future__ import annotations

import pytest
from conftest import Daemon, RunProgram

# A child ends without raising what it is not meant to; its parent finds out.
PREAMBLE = """
import asyncio, gc, os, sys, threading, warnings
import lockd
from lockd import aio
from lockd._requests import Ping
from lockd.aio._pending import TaskPending
warnings.simplefilter("ignore", DeprecationWarning)

def in_child(work):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            print("child:", repr(error))
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0

def refused(coroutine):
    try:
        asyncio.run(coroutine)
    except lockd.DaemonUnavailable as error:
        assert "of which this one is a fork" in str(error), error
    else:
        raise AssertionError("not refused")
"""


def test_a_child_that_uses_its_parents_client_is_told(own_daemon: Daemon, run: RunProgram) -> None:
    program = run(
        PREAMBLE
        + """
async def main():
    client = aio.Client()
    watch = client.watch("name")
    async with client, watch:
        lock = aio.Lock("name", client=client)
        async with lock as lease:
            def child():
                assert lease.lost
                assert lock.lease is None
                refused(client.ping())
                refused(lock.acquire())
                refused(watch.__anext__())
                session = client._endpoint._session
                refused(session.ask(TaskPending(Ping())))
                session.end("not the child's to end")
                async def wait_for_loss():
                    assert "is a fork" in str(await lease.lost)
                    try:
                        await lock.release()
                    except lockd.NotHeld:
                        pass
                    await watch.close()
                    await client.close()
                asyncio.run(wait_for_loss())
            in_child(child)
            assert not lease.lost
            await client.ping()
            print("held")
            await asyncio.to_thread(input)
    print("released")
asyncio.run(main())
""",
        own_daemon,
    )
    assert program.hear() == "held"
    assert own_daemon.holder("name") == program.pid
    program.say()
    assert program.hear() == "released"
    program.finish()
    assert own_daemon.holder("name") is None


def test_a_lock_without_a_client_works_in_the_child(own_daemon: Daemon, run: RunProgram) -> None:
    program = run(
        PREAMBLE
        + """
async def main():
    lock = aio.Lock("name")
    async with lock as lease:
        def child():
            async def work():
                assert lock.lease is None
                assert not await lock.acquire(False)
                async with aio.Lock("other"):
                    print(os.getpid())
                    await asyncio.to_thread(input)
            asyncio.run(work())
        in_child(child)
        assert not lease.lost
        assert await aio.Lock("other").acquire(timeout=30)
        print("held")
        await asyncio.to_thread(input)
asyncio.run(main())
""",
        own_daemon,
    )
    child = int(program.hear())
    assert own_daemon.holder("name") == program.pid
    assert own_daemon.holder("other") == child
    program.say()
    assert program.hear() == "held"
    assert own_daemon.holder("name") == program.pid
    program.say()
    program.finish()


@pytest.mark.parametrize("leave", ["pass", "gc.collect()", "asyncio.run(aio.Client().ping())"])
def test_the_end_of_a_child_takes_nothing_from_its_parent(own_daemon: Daemon, run: RunProgram, leave: str) -> None:
    program = run(
        PREAMBLE
        + f"""
async def main():
    loop = asyncio.get_running_loop()
    async with aio.Client() as client:
        lock = aio.Lock("name", client=client)
        common = aio.Lock("common")
        async with lock as lease, common:
            pid = os.fork()
            if pid == 0:
                del client, lock, common
                {leave}
                os._exit(0)
            assert (await asyncio.to_thread(os.waitpid, pid, 0))[1] == 0
            assert not lease.lost
            print("held")
            # The loop still hears what the daemon says, and others in its process.
            waiting = asyncio.create_task(aio.Lock("theirs").acquire())
            await asyncio.to_thread(input)
            assert await waiting
            print(lease.lost)
            await asyncio.to_thread(input)
asyncio.run(main())
""",
        own_daemon,
    )
    assert program.hear() == "held"
    assert own_daemon.holder("name") == program.pid
    assert own_daemon.holder("common") == program.pid
    program.say()
    assert program.hear() == "<lockd.aio.LossEvent unset>"
    program.say()
    program.finish()

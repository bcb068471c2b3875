"""What asyncio tasks ask of the daemon besides locks, and their connection."""

from __future__ import annotations

import asyncio

import pytest
from conftest import Daemon
from looping import free, run_loop, until, waiters

import lockd
from lockd import aio


class TestClient:
    def test_it_shows_what_is_held(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Client() as client:
                await client.ping()
                assert await client.show(name) == []
                async with aio.Lock(name, client=client) as lease:
                    (line,) = await client.show(name)
                    assert isinstance(line, lockd.LeaseLine)
                    assert line.token == lease.token
                    (listed,) = [each async for each in client.list(name)]
                assert isinstance(listed, lockd.LeaseLine)
                assert listed.token == lease.token
                (hold,) = await client.history(name)
                assert hold.token == lease.token

        run_loop(main())

    def test_a_long_queue_is_shown_to_its_end(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Client() as client, aio.Lock(name):
                tasks = [asyncio.create_task(aio.Lock(name).acquire()) for _ in range(600)]
                while len(await client.show(name)) < 601:
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
            await free(daemon, name)

        run_loop(main())

    def test_it_releases_and_renews_by_token(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Client() as client:
                lock = aio.Lock(name, client=client)
                await lock.acquire()
                lease = lock.lease
                assert lease is not None
                await client.renew(name, lease.token, ttl=60)
                assert lease.ttl == 60
                await client.release(name, lease.token)
                assert not lease.lost
                with pytest.raises(lockd.NotHeld):
                    await lock.release()
                for ask in (client.release, client.renew):
                    with pytest.raises(lockd.NotHeld):
                        await ask(name, lease.token)

        run_loop(main())

    def test_its_end_ends_what_it_holds(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Client() as client:
                lock, waiting_lock = aio.Lock(name, client=client), aio.Lock(name, client=client)
                await lock.acquire()
                lease = lock.lease
                assert lease is not None
                waiting = asyncio.create_task(waiting_lock.acquire())
                await waiters(daemon, name, 1)
            assert (await lease.lost).reason == "disconnected"
            with pytest.raises(lockd.DaemonUnavailable, match="the client was closed"):
                await waiting
            for ask in (client.ping, lock.acquire, client.__aenter__):
                with pytest.raises(lockd.DaemonUnavailable, match="the client was closed"):
                    await ask()
            with pytest.raises(lockd.LeaseLost):
                await lock.release()
            await client.close()
            await free(daemon, name)

        run_loop(main())

    def test_it_is_of_use_to_one_loop(self, daemon: Daemon) -> None:
        client = aio.Client()

        async def main() -> None:
            async with client:
                with pytest.raises(RuntimeError, match="different event loop"):
                    await asyncio.to_thread(lambda: asyncio.run(client.ping()))

        run_loop(main())

    def test_requests_for_which_the_socket_has_no_room_are_sent_later(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            async with aio.Client() as client:
                lock = aio.Lock("x" * 255, client=client, note="y" * 256)
                async with lock:
                    own_daemon.stop()
                    tasks = [asyncio.create_task(lock.acquire()) for _ in range(900)]
                    await asyncio.sleep(0)
                    session = client._here()._session
                    assert session is not None
                    assert session._core.data_to_send()
                    own_daemon.go_on()
                    # Nothing is answered to them, so nothing but the room itself tells that there is some.
                    await until(lambda: len(lockd.Client().show(lock.name)) == 901, "all requests")
                    for task in tasks:
                        task.cancel()
                assert not await lock.locked()

        run_loop(main())


class TestWatch:
    def test_what_happens_is_told_in_its_order(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Client() as client, client.watch(name) as watch:
                async with aio.Lock(name):
                    waiting = asyncio.create_task(aio.Lock(name).acquire())
                    await waiters(daemon, name, 1)
                await waiting
                kinds = []
                async for event in watch:
                    assert isinstance(event, lockd.Event)
                    kinds.append(event.kind)
                    if len(kinds) == 4:
                        break
                assert kinds == ["granted", "queued", "released", "granted"]

        run_loop(main())

    def test_the_end_of_the_client_ends_it(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Client() as client:
                watch = client.watch(name)
                await watch.__aenter__()

                async def follow() -> list[object]:
                    return [event async for event in watch]

                task = asyncio.create_task(follow())
                await asyncio.sleep(0)
            assert await task == []

        run_loop(main())

    def test_what_nobody_reads_is_kept_in_order(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            async with aio.Client() as client, client.watch(name) as watch:
                lock = aio.Lock(name)
                for _ in range(1500):
                    async with lock:
                        pass
                # The rest is still with the daemon.
                assert len(watch._events) < 1500
                kinds = []
                async for event in watch:
                    kinds.append(event.kind if isinstance(event, lockd.Event) else "missed")
                    if len(kinds) == 3000:
                        break
                assert kinds == ["granted", "released"] * 1500

        run_loop(main())

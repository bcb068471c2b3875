"""The daemon is killed, started again, or not there at all, under a running loop."""

from __future__ import annotations

import asyncio
import errno
import functools
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from conftest import PATIENCE, Daemon
from looping import common_session, free, held_by_us, run_loop, until, waiters

import lockd
from lockd import aio

HOW = pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])


class TestRestarts:
    @HOW
    def test_what_is_held_and_awaited_survives(self, own_daemon: Daemon, how: signal.Signals) -> None:
        async def main() -> None:
            told: list[lockd.LeaseLost] = []
            holder = aio.Lock("name", on_lost=told.append)
            await holder.acquire()
            lease = holder.lease
            assert lease is not None
            came: list[int] = []

            async def work(number: int) -> None:
                async with aio.Lock("name"):
                    came.append(number)

            tasks = []
            for number in range(3):
                tasks.append(asyncio.create_task(work(number)))
                await waiters(own_daemon, "name", number + 1)
            for _ in range(3):
                await asyncio.to_thread(own_daemon.restart, how)
                # The loop connects again though nobody calls anything.
                await until(lambda: "detached=" not in own_daemon.show("name")[0], "the session to be resumed")
            assert len(own_daemon.show("name")) == 4
            assert not lease.lost
            assert held_by_us(own_daemon, "name")
            await holder.release()
            await asyncio.gather(*tasks)
            assert came == [0, 1, 2]
            assert told == []
            assert own_daemon.session_count() == 1

        run_loop(main())

    def test_a_lease_is_renewed_by_itself(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            async with aio.Lock("name", ttl=1) as lease:
                own_daemon.restart()
                assert not await aio.Lock("name").acquire(timeout=3)
                assert not lease.lost

        run_loop(main())

    def test_work_goes_on_over_many_restarts(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            inside, most, rounds = 0, 0, 0
            over = False

            async def work() -> None:
                nonlocal inside, most, rounds
                lock = aio.Lock("name")
                while not over:
                    async with lock:
                        inside += 1
                        most = max(most, inside)
                        await asyncio.sleep(0)
                        inside -= 1
                        rounds += 1

            tasks = [asyncio.create_task(work()) for _ in range(20)]
            await until(lambda: rounds > 20, "the first rounds")
            for _ in range(4):
                before = rounds
                await asyncio.to_thread(own_daemon.restart)
                await until(functools.partial(lambda before: rounds > before + 20, before), "more rounds")
            over = True
            await asyncio.gather(*tasks)
            assert most == 1
            await free(own_daemon, "name")

        run_loop(main())

    def test_a_wait_that_is_cancelled_without_a_daemon_comes_to_nothing(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            lock = aio.Lock("name")
            async with aio.Lock("name"):
                waiting = asyncio.create_task(lock.acquire())
                await waiters(own_daemon, "name", 1)
                own_daemon.kill()
                await until(lambda: common_session(own_daemon).detached, "word of the end")
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                await asyncio.to_thread(own_daemon.start)
                await waiters(own_daemon, "name", 0)
            await free(own_daemon, "name")

        run_loop(main())

    def test_a_release_waits_for_the_next_daemon(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            lock = aio.Lock("name")
            await lock.acquire()
            own_daemon.kill()
            releasing = asyncio.create_task(lock.release())
            await asyncio.to_thread(own_daemon.start)
            await releasing
            assert own_daemon.holder("name") is None

        run_loop(main())

    def test_a_lease_that_the_next_daemon_knows_not_is_lost(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            lock = aio.Lock("name")
            await lock.acquire()
            lease = lock.lease
            assert lease is not None
            own_daemon.kill()
            (log,) = own_daemon.directory.glob("*.log")
            log.unlink()
            await asyncio.to_thread(own_daemon.start)
            assert (await lease.lost).reason == "forgotten"
            with pytest.raises(lockd.LeaseLost, match="forgotten"):
                await lock.release()

        run_loop(main())

    def test_a_watch_goes_on(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            async with aio.Client() as client, client.watch("name") as watch:
                async with aio.Lock("name"):
                    await asyncio.to_thread(own_daemon.restart)
                kinds: list[str] = []
                while "released" not in kinds:
                    event = await watch.__anext__()
                    assert isinstance(event, lockd.Event)
                    kinds.append(event.kind)
                assert kinds[0] == "granted"

        run_loop(main())

    def test_a_client_that_is_closed_without_a_daemon_leaves_nothing(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            async with aio.Client() as client:
                lock = aio.Lock("name", client=client)
                await lock.acquire()
                await asyncio.to_thread(own_daemon.kill)
                endpoint = client._here()
                await until(lambda: endpoint._session is not None and endpoint._session.detached, "word of the end")
                # It is back, and this client has not connected again.
                own_daemon.start()
            await free(own_daemon, "name")

        run_loop(main())

    def test_an_idle_client_does_not_connect_again_by_itself(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            async with aio.Client() as client:
                own_daemon.kill()
                endpoint = client._here()
                await until(lambda: endpoint._session is not None and endpoint._session.detached, "word of the end")
                await asyncio.to_thread(own_daemon.start)
                assert endpoint._session is not None
                assert endpoint._session._reconnection is None
                await client.ping()

        run_loop(main())


class TestAbsence:
    def test_no_daemon_is_told_with_how_to_start_it(self, tmp_path: Path) -> None:
        path = str(tmp_path / "lockd.sock")

        async def main() -> None:
            with pytest.raises(lockd.DaemonUnavailable, match=f"Start it with `lockd --socket {path}`") as caught:
                await aio.Lock("x", socket=path).acquire()
            assert (caught.value.path, caught.value.errno) == (path, errno.ENOENT)
            with pytest.raises(lockd.DaemonUnavailable):
                await aio.Client(path).__aenter__()
            # Each of many is told, too.
            results = await asyncio.gather(
                *(aio.Lock("x", socket=path).acquire() for _ in range(50)), return_exceptions=True
            )
            assert {type(result) for result in results} == {lockd.DaemonUnavailable}

        run_loop(main())

    def test_one_that_has_gone_is_waited_for_as_long_as_the_timeout_says(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            lock = aio.Lock("name")
            async with lock:
                pass
            own_daemon.kill()
            for blocking, timeout, least in ((False, -1.0, 2), (True, 3.0, 3)):
                began = time.monotonic()
                with pytest.raises(lockd.DaemonUnavailable, match=r"Connection refused\. Start it with"):
                    await lock.acquire(blocking, timeout)
                assert least <= time.monotonic() - began < least + 3
            trying = asyncio.create_task(lock.acquire(False))
            await asyncio.to_thread(own_daemon.start)
            assert await trying

        run_loop(main())

    def test_one_that_does_not_answer_is_unavailable(self, tmp_path: Path) -> None:
        path = str(tmp_path / "lockd.sock")

        async def main() -> None:
            turns = 0

            async def turn() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0.01)

            turning = asyncio.create_task(turn())
            with pytest.raises(lockd.DaemonUnavailable, match="it does not answer"):
                await aio.Lock("x", socket=path, connect_timeout=0.3).acquire()
            turning.cancel()
            # The loop was not blocked meanwhile.
            assert turns > 3
            began = time.monotonic()
            locks = [aio.Lock("x", socket=path, connect_timeout=1) for _ in range(20)]
            results = await asyncio.gather(*(lock.acquire() for lock in locks), return_exceptions=True)
            assert {type(result) for result in results} == {lockd.DaemonUnavailable}
            # They have waited together, not one after the other.
            assert time.monotonic() - began < 10

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(8)
            run_loop(main())

    def test_a_full_queue_of_connections_is_waited_for(self, tmp_path: Path) -> None:
        path = str(tmp_path / "lockd.sock")

        async def main() -> None:
            began = time.monotonic()
            with pytest.raises(lockd.DaemonUnavailable, match="its queue of new connections stays full"):
                await aio.Lock("x", socket=path, connect_timeout=0.2).acquire()
            assert 0.1 < time.monotonic() - began < 10

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(0)
            with socket.socket(socket.AF_UNIX) as first:
                first.connect(path)
                run_loop(main())

    def test_a_queue_of_connections_that_has_room_again_lets_it_in(self, own_daemon: Daemon) -> None:
        async def main() -> None:
            own_daemon.stop()
            filling = []
            try:
                while True:
                    filler = socket.socket(socket.AF_UNIX)
                    filling.append(filler)
                    filler.setblocking(False)
                    filler.connect(own_daemon.socket)
            except BlockingIOError:
                pass
            acquiring = asyncio.create_task(aio.Lock("name", connect_timeout=PATIENCE).acquire())
            await asyncio.sleep(0)
            assert not acquiring.done()
            own_daemon.go_on()
            assert await acquiring
            for filler in filling:
                filler.close()

        run_loop(main())

    def test_something_else_than_lockd_is_an_error(self, tmp_path: Path) -> None:
        path = str(tmp_path / "lockd.sock")

        def greet(listener: socket.socket) -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 mail.example.org ESMTP\r\n")
                connection.recv(1000)

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(8)
            server = threading.Thread(target=greet, args=(listener,))
            server.start()
            try:
                with pytest.raises(lockd.RemoteProtocolError, match="the reply is not"):
                    run_loop(aio.Lock("x", socket=path).acquire())
            finally:
                server.join()

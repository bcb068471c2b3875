"""Locks around requests, and for them: ASGI."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import PATIENCE, Daemon
from looping import free, run_loop, until, waiters
from serving import Uvicorn

import lockd
import lockd.asgi
import lockd.wsgi
from lockd import aio
from lockd.asgi import Receive, Scope, Send

Messages = list[dict[str, Any]]
Application = Callable[..., Coroutine[Any, Any, None]]

REQUEST = {"type": "http.request", "body": b"", "more_body": False}
DISCONNECT = {"type": "http.disconnect"}


class Client:
    """What a server says for a client: the messages of its request, one by one, and that it has gone."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.heard: Messages = []
        self._messages = asyncio.Queue[dict[str, Any]]()
        self.say(*messages or (REQUEST,))

    def say(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            self._messages.put_nowait(message)

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()

    async def send(self, message: dict[str, Any]) -> None:
        self.heard.append(message)

    async def ask(self, app: Application, kind: str = "http", **scope: object) -> Messages:
        await app({"type": kind, "path": "/", **scope}, self.receive, self.send)
        return self.heard


async def request(app: Application, kind: str = "http", **scope: object) -> Messages:
    """What an app says to a request."""
    return await Client().ask(app, kind, **scope)


class Served:
    """An app of which the test says when it answers."""

    def __init__(self) -> None:
        self.entered = 0
        self.leave = asyncio.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered += 1
        await self.leave.acquire()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})


async def reads(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that says what it is told, up to the end of its client."""
    while (message := await receive())["type"] != "http.disconnect":
        await send(message)


class TestSerialize:
    def test_requests_are_served_one_at_a_time_and_the_loop_goes_on(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            app = Served()
            serialized = lockd.asgi.Serialize(app, name)
            asking = [asyncio.create_task(request(serialized)) for _ in range(2)]
            # The daemon may know of both before the loop hears of the first one's grant.
            await until(lambda: app.entered > 0, "a request being served")
            await waiters(daemon, name, 1)
            assert app.entered == 1
            app.leave.release()
            app.leave.release()
            for messages in await asyncio.gather(*asking):
                assert messages[-1]["body"] == b"served"
            assert app.entered == 2

        run_loop(main())
        assert daemon.show(name) == []

    def test_waiting_requests_take_no_thread(self, daemon: Daemon, name: str) -> None:
        count = 60

        async def main() -> None:
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
            await asyncio.to_thread(daemon.show, name)
            before = threading.active_count()
            app = Served()
            serialized = lockd.asgi.Serialize(app, name)
            asking = [asyncio.create_task(request(serialized)) for _ in range(count)]
            await waiters(daemon, name, count - 1)
            assert threading.active_count() <= before
            for _ in range(count):
                app.leave.release()
            await asyncio.gather(*asking)

        run_loop(main())
        assert daemon.show(name) == []

    def test_a_request_that_is_cancelled_while_it_waits_leaves_the_queue(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            app = Served()
            asking = asyncio.create_task(request(lockd.asgi.Serialize(app, name)))
            await waiters(daemon, name, 1)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await waiters(daemon, name, 0)
            assert app.entered == 0

        with lockd.Lock(name) as lease:
            run_loop(main())
            assert f" token={lease.token} " in daemon.show(name)[0]
        assert daemon.show(name) == []

    def test_a_request_whose_client_goes_while_it_waits_leaves_the_queue(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            app, client = Served(), Client()
            asking = asyncio.create_task(client.ask(lockd.asgi.Serialize(app, name)))
            await waiters(daemon, name, 1)
            client.say(DISCONNECT)
            assert await asking == []
            await waiters(daemon, name, 0)
            assert app.entered == 0

        with lockd.Lock(name) as lease:
            run_loop(main())
            assert f" token={lease.token} " in daemon.show(name)[0]
        assert daemon.show(name) == []

    @pytest.mark.parametrize("turns", range(5))
    def test_a_request_that_is_cancelled_as_its_client_goes_is_cancelled(
        self, daemon: Daemon, name: str, turns: int
    ) -> None:
        async def main() -> None:
            client = Client()
            asking = asyncio.create_task(client.ask(lockd.asgi.Serialize(Served(), name)))
            await waiters(daemon, name, 1)
            client.say(DISCONNECT)
            for _ in range(turns):
                await asyncio.sleep(0)
            is_early = asking.cancel()
            await asyncio.wait([asking])
            # Tasks of older Pythons do not know how often they were cancelled, and this one has nothing left to do.
            assert asking.cancelled() == is_early or (is_early and sys.version_info < (3, 11))
            await waiters(daemon, name, 0)

        with lockd.Lock(name):
            run_loop(main())

    def test_a_grant_that_comes_as_the_client_goes_is_given_back(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            app, client = Served(), Client()
            asking = asyncio.create_task(client.ask(lockd.asgi.Serialize(app, name)))
            await waiters(daemon, name, 1)
            # The loop stands still, so the request hears of both at once, if it hears of the grant at all.
            lock.release()
            daemon.await_holder(name, os.getpid())
            client.say(DISCONNECT)
            app.leave.release()
            await asking
            await free(daemon, name)

        lock = lockd.Lock(name)
        lock.acquire()
        run_loop(main())

    def test_the_app_is_told_all_that_was_said_while_it_waited(self, daemon: Daemon, name: str) -> None:
        parts = [{**REQUEST, "body": part, "more_body": part != b"end"} for part in (b"a", b"b", b"c", b"end")]

        async def main(first: int) -> None:
            client = Client(*parts[:first])
            asking = asyncio.create_task(client.ask(lockd.asgi.Serialize(reads, name)))
            await waiters(daemon, name, 1)
            lock.release()
            await asyncio.to_thread(daemon.await_waiters, name, 0)
            client.say(*parts[first:], DISCONNECT)
            assert await asking == parts

        lock = lockd.Lock(name)
        for first in (1, 2, 4):
            lock.acquire()
            run_loop(main(first))
        assert daemon.show(name) == []

    def test_so_much_of_a_body_is_read_ahead_and_no_more(self, daemon: Daemon, name: str) -> None:
        part = {**REQUEST, "body": b"x" * 20000, "more_body": True}

        async def main() -> None:
            client = Client(*[part] * 9)
            asking = asyncio.create_task(client.ask(lockd.asgi.Serialize(reads, name)))
            await waiters(daemon, name, 1)
            await until(lambda: client._messages.qsize() <= 5, "some of it being read")
            await asyncio.to_thread(daemon.show, name)
            assert client._messages.qsize() == 5
            lock.release()
            client.say(REQUEST, DISCONNECT)
            assert await asking == [*[part] * 9, REQUEST]

        lock = lockd.Lock(name)
        lock.acquire()
        run_loop(main())

    def test_what_the_server_raises_comes_to_the_app(self, daemon: Daemon, name: str) -> None:
        class Broken(Client):
            async def receive(self) -> dict[str, Any]:
                raise ZeroDivisionError

        async def main() -> None:
            with pytest.raises(ZeroDivisionError):
                await Broken().ask(lockd.asgi.Serialize(reads, name))
            app = Served()
            app.leave.release()
            assert (await Broken().ask(lockd.asgi.Serialize(app, name)))[-1]["body"] == b"served"

        run_loop(main())
        assert daemon.show(name) == []

    def test_a_grant_that_comes_too_late_for_a_cancelled_request_is_given_back(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            app = Served()
            asking = asyncio.create_task(request(lockd.asgi.Serialize(app, name)))
            await waiters(daemon, name, 1)
            lock.release()
            # The loop stands still, so the request cannot hear of it.
            daemon.await_holder(name, os.getpid())
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert app.entered == 0
            await free(daemon, name)

        lock = lockd.Lock(name)
        lock.acquire()
        run_loop(main())

    @pytest.mark.parametrize("loses", [False, True])
    def test_an_app_that_raises_keeps_no_lease(self, daemon: Daemon, name: str, loses: bool) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if loses:
                daemon.ask(f"REVOKE {name}")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run_loop(request(lockd.asgi.Serialize(app, name)))
        assert daemon.show(name) == []

    def test_an_app_that_is_cancelled_keeps_no_lease(self, daemon: Daemon, name: str) -> None:
        async def main() -> None:
            app = Served()
            asking = asyncio.create_task(request(lockd.asgi.Serialize(app, name)))
            await until(lambda: app.entered == 1, "the request being served")
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await free(daemon, name)

        run_loop(main())

    def test_a_loss_is_told(self, daemon: Daemon, name: str) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            daemon.ask(f"REVOKE {name}")

        with pytest.raises(lockd.LeaseLost):
            run_loop(request(lockd.asgi.Serialize(app, name)))

    def test_who_waits_too_long_is_told_to_try_again(self, daemon: Daemon, name: str) -> None:
        with lockd.Lock(name):
            for options in ({"timeout": 0.01}, {"timeout": 0}):
                start, body = run_loop(request(lockd.asgi.Serialize(reads, name, **options)))
                assert start["status"] == 503
                assert (b"content-length", str(len(body["body"])).encode()) in start["headers"]
                assert body["body"] == lockd.wsgi.BUSY_BODY

    def test_no_daemon_is_an_error_of_the_request(self, tmp_path: Path) -> None:
        with pytest.raises(lockd.DaemonUnavailable):
            run_loop(request(lockd.asgi.Serialize(reads, "a", socket=f"{tmp_path}/none")))

    def test_a_scope_names_its_lock_and_only_requests_have_one(self, daemon: Daemon, name: str) -> None:
        shown: list[list[str]] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            shown.append(daemon.show(name))

        async def main() -> None:
            serialized = lockd.asgi.Serialize(app, lambda scope: scope.get("lock"))
            await request(serialized, lock=name)
            assert len(shown.pop()) == 1
            for kind, scope in (("http", {}), ("websocket", {"lock": name}), ("lifespan", {"lock": name})):
                await request(serialized, kind, **scope)
                assert shown.pop() == []

        run_loop(main())

    def test_the_task_of_the_request_is_the_owner(self, daemon: Daemon, name: str) -> None:
        """So a lock that the app waits for in vain is found out."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            with pytest.raises(lockd.AlreadyHeld):
                await aio.Lock(name, owner=aio.task_owner).acquire()

        run_loop(request(lockd.asgi.Serialize(app, name, owner=aio.task_owner)))

    def test_what_is_wrong_is_said_at_once(self) -> None:
        with pytest.raises(lockd.LocalProtocolError):
            lockd.asgi.Serialize(reads, "")
        with pytest.raises(lockd.LocalProtocolError):
            lockd.asgi.Serialize(reads, "a", ttl=-1)


@pytest.mark.parametrize("options", [{}, {"key": "a.key"}])
def test_the_scope_has_a_factory(daemon: Daemon, name: str, options: dict[str, str]) -> None:
    shown: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        make_lock = scope[options.get("key", "lockd.lock")]
        async with make_lock(name, "more", limit=2) as lease:
            shown.extend(daemon.show(name))
            assert lease.names == (name.encode(), b"more")
        lock = make_lock(name)
        assert isinstance(lock, aio.Lock)
        assert await lock.acquire(timeout=PATIENCE)
        await lock.release()

    run_loop(request(lockd.asgi.Locks(app, note="made", **options)))  # type: ignore[arg-type]
    assert "note=made" in shown[0]
    assert "limit=2" in shown[0]
    assert daemon.show(name) == []


APP = """
import os
import lockd.asgi

async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})

name = os.environ["NAME"]
app = lockd.asgi.Serialize(answer, lambda scope: name if scope["path"] == "/locked" else None)
"""


@pytest.mark.parametrize("body", ["", "Content-Length: 5\r\n"])
def test_under_uvicorn_a_client_that_hangs_up_leaves_the_queue(
    daemon: Daemon, name: str, tmp_path: Path, body: str
) -> None:
    pytest.importorskip("uvicorn")
    (tmp_path / "app.py").write_text(APP)
    server = Uvicorn(tmp_path, daemon, tmp_path, "--lifespan", "off", environment={"NAME": name})
    try:
        with lockd.Lock(name) as lease:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "http.sock"))
                client.sendall(f"POST /locked HTTP/1.1\r\nHost: localhost\r\n{body}\r\n".encode())
                daemon.await_waiters(name, 1)
            daemon.await_waiters(name, 0)
            assert f" token={lease.token} " in daemon.show(name)[0]
        assert server.get("/locked") == (200, "served")
    finally:
        server.stop()
    assert "Traceback" not in server.log

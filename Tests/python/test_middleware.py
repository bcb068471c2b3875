"""Locks around requests, and for them: WSGI and ASGI."""

from __future__ import annotations

import asyncio
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any, Callable
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from conftest import PATIENCE, Daemon, wait_until

import lockd
import lockd.asgi
import lockd.wsgi
from lockd.asgi import Receive, Scope, Send

# WSGI.


class Body:
    """A response that knows whether it was closed."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"a", b"b"])

    def close(self) -> None:
        self.closed = True


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """A thread for each request."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def served(app: Callable[..., Iterable[bytes]]) -> Iterator[str]:
    """The address of an app, checked against PEP 3333, that a server with threads serves."""
    with make_server("127.0.0.1", 0, validator(app), ThreadingServer, Quiet) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        serving.join()


def ask(app: Callable[..., Iterable[bytes]], **environ: str) -> tuple[str, Any]:
    """The status and the response of one request, not closed yet."""
    setup_testing_defaults(environ)
    said: list[str] = []
    response = app(environ, lambda status, headers: said.append(status))
    return said[0], response


def plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Body()


def failing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
    raise ZeroDivisionError


def test_requests_are_served_one_at_a_time(daemon: Daemon, name: str) -> None:
    entered, leave = threading.Semaphore(0), threading.Semaphore(0)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        entered.release()
        assert leave.acquire(timeout=PATIENCE)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"served"]

    with served(lockd.wsgi.Serialize(app, name)) as address, ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(lambda: urllib.request.urlopen(address).read()) for _ in range(2)]
        assert entered.acquire(timeout=PATIENCE)
        daemon.await_waiters(name, 1)
        assert not entered.acquire(timeout=0)
        leave.release()
        assert entered.acquire(timeout=PATIENCE)
        leave.release()
        assert [each.result() for each in asking] == [b"served"] * 2
    daemon.await_holder(name, None)


def test_the_lease_is_held_until_the_response_is_closed(daemon: Daemon, name: str) -> None:
    status, response = ask(lockd.wsgi.Serialize(plain, name, note="request"))
    assert status == "200 OK"
    assert list(response) == [b"a", b"b"]
    assert daemon.holder(name) == os.getpid()
    assert "note=request" in daemon.show(name)[0]
    # Any thread may close it, and twice.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(response.close).result()
    response.close()
    assert response._body.closed
    assert daemon.show(name) == []


def test_an_app_that_raises_keeps_no_lease(daemon: Daemon, name: str) -> None:
    with pytest.raises(ZeroDivisionError):
        ask(lockd.wsgi.Serialize(failing, name))
    assert daemon.show(name) == []


def test_who_waits_too_long_is_told_to_try_again(daemon: Daemon, name: str) -> None:
    with lockd.Lock(name):
        for options in ({"timeout": 0.01}, {"timeout": 0}):
            with served(lockd.wsgi.Serialize(plain, name, **options)) as address:
                with pytest.raises(urllib.error.HTTPError, match="503") as raised:
                    urllib.request.urlopen(address)
                assert raised.value.read() == lockd.wsgi.BUSY_BODY
                raised.value.close()


def test_a_request_names_its_lock(daemon: Daemon, name: str) -> None:
    app = lockd.wsgi.Serialize(plain, lambda environ: environ.get("LOCK"))
    _, response = ask(app, LOCK=name)
    assert daemon.holder(name) == os.getpid()
    response.close()
    _, response = ask(app)
    assert isinstance(response, Body)


def test_a_loss_is_told_when_the_response_is_closed(daemon: Daemon, name: str) -> None:
    _, response = ask(lockd.wsgi.Serialize(plain, name))
    daemon.ask(f"REVOKE {name}")
    with pytest.raises(lockd.LeaseLost):
        response.close()
    assert response._body.closed


def test_shared_requests_are_served_together(daemon: Daemon, name: str) -> None:
    app = lockd.wsgi.Serialize(plain, name, shared=True)
    responses = [ask(app)[1] for _ in range(2)]
    assert len(daemon.show(name)) == 2
    for response in responses:
        response.close()
    assert daemon.show(name) == []


@pytest.mark.parametrize("options", [{}, {"key": "a.key"}])
def test_the_environ_has_a_factory(daemon: Daemon, name: str, options: dict[str, str]) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        with environ[options.get("key", "lockd.lock")](name, shared=True):
            return [line.encode() for line in daemon.show(name)]

    with served(lockd.wsgi.Locks(app, note="made", **options)) as address:  # type: ignore[arg-type]
        shown = urllib.request.urlopen(address).read()
    assert b"note=made" in shown
    assert b"mode=shared" in shown


@pytest.mark.parametrize("middleware", [lockd.wsgi.Serialize, lockd.asgi.Serialize])
def test_what_is_wrong_is_said_at_once(middleware: Callable[..., object]) -> None:
    with pytest.raises(lockd.LocalProtocolError):
        middleware(plain, "")
    with pytest.raises(lockd.LocalProtocolError):
        middleware(plain, "a", ttl=-1)


# ASGI.

Messages = list[dict[str, Any]]
Application = Callable[..., Coroutine[Any, Any, None]]


async def request(app: Application, kind: str = "http", **scope: object) -> Messages:
    """What an app says to a request."""
    said: Messages = []

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.request", "body": b"", "more_body": False}

    await app({"type": kind, "path": "/", **scope}, receive, send)
    return said


async def in_executor(call: Callable[..., object], *arguments: object) -> None:
    """Wait for something in a thread, so that it does not happen unless the event loop goes on."""
    await asyncio.to_thread(call, *arguments)


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


def test_coroutines_are_served_one_at_a_time_and_the_loop_goes_on(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        app = Served()
        serialized = lockd.asgi.Serialize(app, name)
        asking = [asyncio.create_task(request(serialized)) for _ in range(2)]
        await in_executor(daemon.await_waiters, name, 1)
        assert app.entered == 1
        app.leave.release()
        app.leave.release()
        for messages in await asyncio.gather(*asking):
            assert messages[-1]["body"] == b"served"
        assert app.entered == 2

    asyncio.run(main())
    assert daemon.show(name) == []


def test_waiting_requests_leave_a_thread_for_the_release(daemon: Daemon, name: str) -> None:
    count = 60  # more than the executor of any event loop has threads

    async def main() -> None:
        app = Served()
        serialized = lockd.asgi.Serialize(app, name)
        asking = [asyncio.create_task(request(serialized)) for _ in range(count)]
        await in_executor(daemon.await_waiters, name, count - 1)
        for _ in range(count):
            app.leave.release()
        await asyncio.gather(*asking)

    asyncio.run(main())
    assert daemon.show(name) == []


def test_a_request_that_is_cancelled_while_it_waits_gets_no_lease(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        app = Served()
        asking = asyncio.create_task(request(lockd.asgi.Serialize(app, name)))
        await in_executor(daemon.await_waiters, name, 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert app.entered == 0

    with lockd.Lock(name):
        asyncio.run(main())
    await_end_of_turn(daemon, name)


def test_a_grant_that_comes_too_late_for_a_cancelled_request_is_given_back(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        app = Served()
        asking = asyncio.create_task(request(lockd.asgi.Serialize(app, name)))
        await asyncio.sleep(0)
        # The loop stands still, so the request cannot hear of it.
        daemon.await_holder(name, os.getpid())
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert app.entered == 0

    asyncio.run(main())
    daemon.await_holder(name, None)


def test_a_grant_that_comes_after_the_end_of_the_loop_is_given_back(daemon: Daemon, name: str) -> None:
    loop = asyncio.new_event_loop()
    with lockd.Lock(name):
        coroutine = lockd.asgi.ThreadedLock(name).acquire()
        task = loop.create_task(coroutine)
        loop.call_soon(loop.stop)
        loop.run_forever()
        daemon.await_waiters(name, 1)
        loop.close()
    await_end_of_turn(daemon, name)
    # It would complain otherwise that nobody waits for it any more.
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def await_end_of_turn(daemon: Daemon, name: str) -> None:
    """Return when the lease of the test and another one are over."""
    wait_until(lambda: len(lockd.Client().history(name)) == 2, "the end of a second lease")
    assert daemon.show(name) == []


@pytest.mark.parametrize("loses", [False, True])
def test_a_coroutine_that_raises_keeps_no_lease(daemon: Daemon, name: str, loses: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if loses:
            daemon.ask(f"REVOKE {name}")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(request(lockd.asgi.Serialize(app, name)))
    assert daemon.show(name) == []


def test_a_coroutine_is_told_of_a_loss(daemon: Daemon, name: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        daemon.ask(f"REVOKE {name}")

    with pytest.raises(lockd.LeaseLost):
        asyncio.run(request(lockd.asgi.Serialize(app, name)))


def test_a_coroutine_that_waits_too_long_is_told_to_try_again(daemon: Daemon, name: str) -> None:
    with lockd.Lock(name):
        start, body = asyncio.run(request(lockd.asgi.Serialize(Served(), name, timeout=0.01)))
    assert start["status"] == 503
    assert (b"content-length", str(len(body["body"])).encode()) in start["headers"]
    assert body["body"] == lockd.wsgi.BUSY_BODY


def test_no_daemon_is_an_error_of_the_request(tmp_path: object) -> None:
    with pytest.raises(lockd.DaemonUnavailable):
        asyncio.run(request(lockd.asgi.Serialize(Served(), "a", socket=f"{tmp_path}/none")))


def test_a_scope_names_its_lock_and_only_requests_have_one(daemon: Daemon, name: str) -> None:
    shown: list[list[str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        shown.append(daemon.show(name))

    serialized = lockd.asgi.Serialize(app, lambda scope: scope.get("lock"))
    asyncio.run(request(serialized, lock=name))
    assert len(shown.pop()) == 1
    for kind, scope in (("http", {}), ("websocket", {"lock": name}), ("lifespan", {"lock": name})):
        asyncio.run(request(serialized, kind, **scope))
        assert shown.pop() == []


@pytest.mark.parametrize("options", [{}, {"key": "a.key"}])
def test_the_scope_has_a_factory(daemon: Daemon, name: str, options: dict[str, str]) -> None:
    shown: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        make_lock = scope[options.get("key", "lockd.lock")]
        async with make_lock(name, "more", limit=2) as lease:
            shown.extend(daemon.show(name))
            assert lease.names == (name.encode(), b"more")
        lock = make_lock(name)
        assert await lock.acquire(timeout=PATIENCE)
        await lock.release()
        with pytest.raises(lockd.NotHeld):
            await lock.release()

    asyncio.run(request(lockd.asgi.Locks(app, note="made", **options)))  # type: ignore[arg-type]
    assert "note=made" in shown[0]
    assert "limit=2" in shown[0]
    assert daemon.show(name) == []


def test_a_coroutine_that_finds_the_queue_full_is_told(daemon: Daemon, name: str) -> None:
    async def main() -> None:
        async with lockd.asgi.ThreadedLock(name, max_queue=0):
            pytest.fail("it was acquired twice")

    with lockd.Lock(name), pytest.raises(lockd.QueueFull):
        asyncio.run(main())


def test_a_block_of_a_coroutine_tells_of_a_loss(daemon: Daemon, name: str) -> None:
    async def main(raises: bool) -> None:
        async with lockd.asgi.ThreadedLock(name):
            daemon.ask(f"REVOKE {name}")
            if raises:
                raise ZeroDivisionError

    with pytest.raises(lockd.LeaseLost):
        asyncio.run(main(raises=False))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(main(raises=True))

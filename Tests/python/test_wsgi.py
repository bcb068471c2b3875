"""Locks around requests, and for them: WSGI."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any, Callable
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from conftest import PATIENCE, Daemon

import lockd
import lockd.wsgi


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


def test_what_is_wrong_is_said_at_once() -> None:
    with pytest.raises(lockd.LocalProtocolError):
        lockd.wsgi.Serialize(plain, "")
    with pytest.raises(lockd.LocalProtocolError):
        lockd.wsgi.Serialize(plain, "a", ttl=-1)

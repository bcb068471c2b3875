"""The Flask extension, with Flask's test client and under a real gunicorn."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Daemon
from serving import Gunicorn

import lockd

for needed in ("gunicorn", "gevent", "flask"):
    pytest.importorskip(needed)

from flask import Flask, current_app  # noqa: E402

from lockd.flask import Lockd, add_lock  # noqa: E402

REQUEST_COUNT = 60

APP = """
import os
from flask import Flask, current_app
from lockd.flask import Lockd, add_lock

app = Flask(__name__)
app.config.from_prefixed_env()
extension = Lockd(app)
add_lock(app, "injected")

def count():
    with open("counter", "r+") as file:
        value = int(file.read()) + 1
        file.seek(0)
        file.write(str(value))
    return str(value)

@app.route("/")
def root():
    return ""

@app.route("/extension")
def by_extension():
    with extension.lock("made"):
        return count()

@app.route("/injected")
def by_injected():
    with current_app.lock:
        return count()
"""


@pytest.fixture
def app(daemon: Daemon, name: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An app whose locks begin with the name of the test; nothing but its configuration says where the daemon is."""
    monkeypatch.setenv("LOCKD_SOCKET", "/nowhere")
    app = Flask("test")
    app.config.update(LOCKD_SOCKET=daemon.socket, LOCKD_PREFIX=f"{name}/", LOCKD_NOTE="by the app")
    return app


def test_a_view_holds_its_lock(app: Flask, daemon: Daemon, name: str) -> None:
    extension = Lockd(app)

    @app.get("/<which>")
    def view(which: str) -> list[str]:
        with extension.lock(which, "more", ttl=100):
            return daemon.show(f"{name}/{which}")

    (line,) = app.test_client().get("/a").get_json()
    assert line.startswith(f"LEASE {name}/a ")
    assert "ttl=100s" in line
    assert "note=by%20the%20app" in line
    assert daemon.show(f"{name}/more") == []
    assert app.extensions["lockd"] is extension


def test_one_extension_serves_several_apps(app: Flask, daemon: Daemon, name: str) -> None:
    extension = Lockd()
    other = Flask("other")
    other.config["LOCKD_SOCKET"] = daemon.socket
    for each in (app, other):
        extension.init_app(each)
    with app.app_context():
        assert extension.lock("a", "b").names == (f"{name}/a".encode(), f"{name}/b".encode())
    with other.app_context():
        assert extension.lock("a").name == b"a"
    with pytest.raises(RuntimeError, match="app_context"):
        extension.lock("a")
    # With the app that it was made with, there need be no context; and an active app has precedence.
    made = Lockd(app)
    assert made.lock("a").name == f"{name}/a".encode()
    with other.app_context():
        assert made.lock("a").name == b"a"


def test_options_have_precedence_over_the_configuration(app: Flask, tmp_path: Path) -> None:
    extension = Lockd(app)
    app.config.update(LOCKD_SOCKET=str(tmp_path / "none"), LOCKD_CONNECT_TIMEOUT=None, LOCKD_TTL=0)
    with pytest.raises(lockd.LocalProtocolError):
        extension.lock("a")
    lock = extension.lock("a", ttl=None, shared=True)
    with pytest.raises(lockd.DaemonUnavailable, match="none"):
        lock.acquire()


def test_an_app_has_its_lock(app: Flask, daemon: Daemon, name: str) -> None:
    lock = add_lock(app, "counter")

    @app.get("/")
    def view() -> list[str]:
        with current_app.lock:  # type: ignore[attr-defined]
            return daemon.show(f"{name}/counter")

    (line,) = app.test_client().get("/").get_json()
    assert line.startswith(f"LEASE {name}/counter ")
    assert app.lock is lock  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="'lock'"):
        add_lock(app, "counter")
    add_lock(app, "counter", attribute="another_lock")


KINDS = [
    pytest.param(("--worker-class", kind, *preload), id="".join([kind, *preload]))
    for kind in ("sync", "gthread", "gevent")
    for preload in ([], ["--preload"])
]


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, common_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gunicorn]:
    directory = tmp_path_factory.mktemp("flask")
    (directory / "app.py").write_text(APP)
    server = Gunicorn(
        directory,
        common_daemon,
        directory,
        *("--workers", "3", "--threads", "2", *request.param),
        environment={"LOCKD_SOCKET": "/nowhere", "FLASK_LOCKD_SOCKET": common_daemon.socket},
    )
    yield server
    server.stop()


@pytest.mark.parametrize("server", KINDS, indirect=True)
@pytest.mark.parametrize("path", ["/extension", "/injected"])
def test_the_workers_exclude_each_other(server: Gunicorn, path: str) -> None:
    (server.directory / "counter").write_text("0")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(server.get, [path] * REQUEST_COUNT))
    assert {status for status, _ in answers} == {http.client.OK}
    assert sorted(int(body) for _, body in answers) == list(range(1, REQUEST_COUNT + 1))

"""Locks for Flask apps. Needs Flask."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import Flask, current_app

from ._lock import Lock

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import LockOptions

__all__ = ["Lockd", "add_lock"]

# The keys of an app's configuration, and the options of Lock that they stand for.
_KEYS = {
    "LOCKD_SOCKET": "socket",
    "LOCKD_USER": "user",
    "LOCKD_TTL": "ttl",
    "LOCKD_NOTE": "note",
    "LOCKD_CONNECT_TIMEOUT": "connect_timeout",
}


class Lockd:
    """A Flask extension that makes locks as the configuration of the app says.

    ::

        lockd = Lockd(app)  # or Lockd(), and lockd.init_app(app) later

        @app.post("/accounts/<int:number>")
        def change(number):
            with lockd.lock(f"accounts/{number}"):
                ...

    The configuration is read whenever a lock is made: ``LOCKD_SOCKET``, ``LOCKD_USER``, ``LOCKD_TTL`` (seconds),
    ``LOCKD_NOTE`` and ``LOCKD_CONNECT_TIMEOUT`` (seconds) are options of ``lockd.Lock``, and ``LOCKD_PREFIX`` is put
    before every name. A key that is missing or ``None`` is as an option that is not given.

    It has no state besides the app, so it is safe in threads and before a fork. It is ``app.extensions["lockd"]``.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._app = app
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Make this the extension ``lockd`` of an app; it may be that of several."""
        app.extensions["lockd"] = self

    def lock(self, name: str, *more_names: str, **options: Unpack[LockOptions]) -> Lock:
        """A new lock, as ``lockd.Lock(name, *more_names, **options)``, with what the configuration says besides.

        That is the configuration of the app that is active, or else of the app that this was made with.

        :raises LocalProtocolError: if a name or an option is not one (it is a ``ValueError`` too).
        :raises RuntimeError: if there is no such app.
        """
        app = current_app if current_app else self._app
        if app is None:
            raise RuntimeError(
                "lock() outside of an application context, of an extension that was made without an app: "
                "use `with app.app_context():`, or make it with Lockd(app)"
            )
        return _make_lock(app, (name, *more_names), options)


def add_lock(app: Flask, name: str, *more_names: str, attribute: str = "lock", **options: Unpack[LockOptions]) -> Lock:
    """Hang a lock on an app, for its views to use as ``current_app.lock``, and return it.

    ::

        lockd.flask.add_lock(app, "counter")

    It is common to all workers, safe to make before gunicorn forks, and made as by ``Lockd.lock``, with the
    configuration as it is now.

    :param attribute: its name on the app. One that the app has already is not replaced.
    :raises LocalProtocolError: if a name or an option is not one (it is a ``ValueError`` too).
    :raises AttributeError: if the app has such an attribute already.
    """
    if hasattr(app, attribute):
        raise AttributeError(f"the app has a {attribute!r} already; give the lock another attribute")
    lock = _make_lock(app, (name, *more_names), options)
    setattr(app, attribute, lock)
    return lock


def _make_lock(app: Flask, names: tuple[str, ...], options: LockOptions) -> Lock:
    configured = {option: app.config[key] for key, option in _KEYS.items() if app.config.get(key) is not None}
    prefix = app.config.get("LOCKD_PREFIX") or ""
    first, *more = (prefix + name for name in names)
    return Lock(first, *more, **cast("LockOptions", {**configured, **options}))

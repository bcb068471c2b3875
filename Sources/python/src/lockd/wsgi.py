"""WSGI middleware: locks around requests, and for them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Callable, TypeVar, Union

from ._lock import Lock

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import LockOptions

__all__ = ["Locks", "Serialize"]

_Lock = TypeVar("_Lock")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

#: The name of a request's lock, or a function from its environ to that; ``None`` for none.
Name = Union[str, bytes, "Callable[[MutableMapping[str, Any]], str | bytes | None]"]


class Serialize:
    """Serves one request at a time, of all that have the same lock, in all processes of the machine.

    ::

        app = lockd.wsgi.Serialize(app, "reports")
        app = lockd.wsgi.Serialize(app, lambda environ: f"user/{environ['REMOTE_USER']}", timeout=10)

    The lease is acquired before the app is called, and released when the server closes the response, or the app
    raises. A lease that is lost meanwhile is told then, by ``LeaseLost``. With ``shared=True`` or ``limit=`` several
    requests are served at once.

    Thread-safe, and safe to make before a fork.
    """

    def __init__(self, app: Application, name: Name, *, timeout: float = -1, **options: Unpack[LockOptions]) -> None:
        """Put it around an app.

        :param name: the name of the lock, or a function that returns that of a request, given its environ. A request
            for which it returns ``None`` is served without.
        :param timeout: the seconds that a request waits; -1 for ever. After that the answer is 503, and so it is if
            there are too many waiters for ``max_queue``.
        :param options: as for ``Lock``.
        :raises LocalProtocolError: if the name or an option is not one (it is a ``ValueError`` too).
        """
        self._app = app
        self._timeout = timeout
        self._make_lock = lock_maker(name, options, Lock)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        :raises LockdError: whatever else ``Lock.acquire`` raises.
        """
        lock = self._make_lock(environ)
        if lock is None:
            return self._app(environ, start_response)
        if not lock.acquire(timeout=self._timeout):
            start_response(BUSY_STATUS, [("Content-Type", "text/plain"), ("Content-Length", str(len(BUSY_BODY)))])
            return [BUSY_BODY]
        try:
            return _Response(self._app(environ, start_response), lock)
        except BaseException as error:
            lock.__exit__(type(error), error, None)
            raise


class Locks:
    """Puts a factory of locks into the environ of every request.

    ::

        app = lockd.wsgi.Locks(app, socket="/run/lockd/lockd.sock")

    In the app::

        with environ["lockd.lock"]("accounts/1", "accounts/2"):
            ...

    The factory takes the arguments of ``Lock``; ``options`` are those that it is not given.

    Thread-safe, and safe to make before a fork.
    """

    def __init__(self, app: Application, *, key: str = "lockd.lock", **options: Unpack[LockOptions]) -> None:
        """Put it around an app.

        :param key: the key of the environ. What was there is replaced.
        """
        self._app = app
        self._key = key
        self._factory = functools.partial(Lock, **options)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        environ[self._key] = self._factory
        return self._app(environ, start_response)


class _Response:
    """What an app returned, with a lock that is released when it is closed."""

    def __init__(self, body: Iterable[bytes], lock: Lock) -> None:
        self._body = body
        self._lock: Lock | None = lock

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        lock, self._lock = self._lock, None
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            if lock is not None:
                lock.release()


#: What is answered if the wait for the lock is over without a lease.
BUSY_STATUS = "503 Service Unavailable"
BUSY_BODY = b"Busy: others wait for the same lock. Try again later.\n"


def lock_maker(
    name: Name, options: LockOptions, make_lock: Callable[..., _Lock]
) -> Callable[[MutableMapping[str, Any]], _Lock | None]:
    """A function from an environ (or a scope) to a lock of the request's own, so that any thread may release it."""
    if callable(name):
        name_of = name

        def make(environ: MutableMapping[str, Any]) -> _Lock | None:
            found = name_of(environ)
            return None if found is None else make_lock(found, **options)

        return make
    make_lock(name, **options)  # It would raise later what it raises now.
    return lambda environ: make_lock(name, **options)

"""ASGI middleware: locks around requests, and for them.

No wait blocks the event loop: each is in a thread of its own. Not in the loop's executor, whose threads could all be
taken by requests that wait, so that none is left to release what they wait for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from ._errors import LockdError
from ._lease import Lease
from ._lock import Lock
from ._terms import wait_time
from .wsgi import BUSY_BODY, Name, lock_maker

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import LockOptions

__all__ = ["Locks", "Serialize", "ThreadedLock"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_Result = TypeVar("_Result")


class ThreadedLock:
    """A ``Lock`` for coroutines: it waits in threads, and its lease is the process's, whichever thread releases it.

    ::

        async with ThreadedLock("reports") as lease:
            ...

    Like ``Lock`` it is not reentrant, and tasks exclude each other. Use one object in one task at a time. An option
    ``owner`` must not be ``thread_owner``, whose threads are not those of the task.

    A task that is cancelled while it waits gets no lease: its place in the queue is kept by a thread until its turn
    comes, and then given up.
    """

    def __init__(self, name: str | bytes, *more_names: str | bytes, **options: Unpack[LockOptions]) -> None:
        """Name a lock, as ``Lock`` does.

        :raises LocalProtocolError: if a name or an option is not one (it is a ``ValueError`` too).
        """
        self._lock = Lock(name, *more_names, **options)

    async def acquire(self, timeout: float = -1) -> bool:
        """Wait until the lock is free and acquire it, and return whether that was so in time.

        :param timeout: the seconds to wait; -1 for ever.
        :raises LockdError: whatever ``Lock.acquire`` raises.
        """
        return await self._acquire(timeout) is not None

    async def release(self) -> None:
        """Release the lock. A task that is cancelled meanwhile has released it nonetheless.

        :raises NotHeld: if this process holds no lease of it.
        :raises LeaseLost: if the lease was lost before.
        """
        await _in_thread(self._lock.release)

    async def __aenter__(self) -> Lease:
        lease = await self._acquire(-1)
        if lease is None:
            raise self._lock._terms.not_waited_for()
        return lease

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the lock. A loss raises ``LeaseLost``, unless an exception is on its way already."""
        try:
            await self.release()
        except LockdError:
            if error is None:
                raise

    async def _acquire(self, timeout: float) -> Lease | None:
        wait = wait_time(True, timeout)
        return await _in_thread(lambda: self._lock._acquire(wait), self._give_back)

    def _give_back(self, lease: Lease | None) -> None:
        """Release a lease that nobody has heard of. Does not block."""
        if lease is not None:
            self._lock._remove(lease)
            lease._session.give_back(lease._held)


class Serialize:
    """Serves one HTTP request at a time, of all that have the same lock, in all processes of the machine.

    ::

        app = lockd.asgi.Serialize(app, "reports")
        app = lockd.asgi.Serialize(app, lambda scope: scope["path"], timeout=10)

    The lease is acquired before the app is called, and released when the app returns or raises. A lease that is lost
    meanwhile is told then, by ``LeaseLost``. What is no HTTP request (a WebSocket, the lifespan) is handed on. Waiting
    requests do not hold up others of the same event loop, and each of them takes a thread.

    Safe to make before a fork.
    """

    def __init__(self, app: Application, name: Name, *, timeout: float = -1, **options: Unpack[LockOptions]) -> None:
        """Put it around an app.

        :param name: the name of the lock, or a function that returns that of a request, given its scope. A request for
            which it returns ``None`` is served without.
        :param timeout: the seconds that a request waits; -1 for ever. After that the answer is 503, and so it is if
            there are too many waiters for ``max_queue``.
        :param options: as for ``Lock``.
        :raises LocalProtocolError: if the name or an option is not one (it is a ``ValueError`` too).
        """
        self._app = app
        self._timeout = timeout
        self._make_lock = lock_maker(name, options, ThreadedLock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        :raises LockdError: whatever else ``Lock.acquire`` raises.
        """
        lock = self._make_lock(scope) if scope["type"] == "http" else None
        if lock is None:
            await self._app(scope, receive, send)
            return
        if not await lock.acquire(self._timeout):
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BUSY_BODY))]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": BUSY_BODY})
            return
        try:
            await self._app(scope, receive, send)
        except BaseException as error:
            await lock.__aexit__(type(error), error, None)
            raise
        await lock.release()


class Locks:
    """Puts a factory of locks into the scope of every request and WebSocket.

    ::

        app = lockd.asgi.Locks(app, socket="/run/lockd/lockd.sock")

    In the app::

        async with scope["lockd.lock"]("accounts/1", "accounts/2"):
            ...

    It makes ``ThreadedLock`` objects, and takes their arguments; ``options`` are those that it is not given.

    Safe to make before a fork.
    """

    def __init__(self, app: Application, *, key: str = "lockd.lock", **options: Unpack[LockOptions]) -> None:
        """Put it around an app.

        :param key: the key of the scope.
        """
        self._app = app
        self._key = key
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. The scope that the server made is left as it is."""
        await self._app({**scope, self._key: self._make_lock}, receive, send)

    def _make_lock(self, name: str | bytes, *more_names: str | bytes, **options: Unpack[LockOptions]) -> ThreadedLock:
        merged: LockOptions = {**self._options, **options}
        return ThreadedLock(name, *more_names, **merged)


async def _in_thread(call: Callable[[], _Result], undo: Callable[[_Result], object] = lambda _: None) -> _Result:
    """What ``call`` returns or raises, in a thread of its own.

    :param undo: is called with what it returned, if nobody waits for that any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Result] = loop.create_future()
    # Taken by the first to come: the thread when it has a result, or the task when it goes. The other one undoes.
    decided = threading.Lock()
    results: list[_Result] = []

    def settle(error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(results[0])
        else:
            future.set_exception(error)

    def work() -> None:
        error = None
        try:
            results.append(call())
        except BaseException as raised:
            error = raised
        else:
            if not decided.acquire(blocking=False):
                undo(results[0])
                return
        try:
            loop.call_soon_threadsafe(settle, error)
        except RuntimeError:
            # The loop is closed, and nobody waits.
            if error is None:
                undo(results[0])

    threading.Thread(target=work, name="lockd-asgi", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        if not decided.acquire(blocking=False):
            undo(results[0])
        raise

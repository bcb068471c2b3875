"""ASGI middleware: locks around requests, and for them.

They are locks of ``lockd.aio``, in the event loop that serves the request: no wait blocks it, and none takes a thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, MutableMapping
from typing import TYPE_CHECKING, Any, Callable

from .aio import Lock
from .wsgi import BUSY_BODY, Name, lock_maker

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import TaskLockOptions

__all__ = ["Locks", "Serialize"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# So many bytes of the body of a request that waits are kept here, to hear of the end of its client behind them. What
# comes then the server keeps, or the client; it is what a server reads at a time.
_READ_AHEAD = 65536


class Serialize:
    """Serves one HTTP request at a time, of all that have the same lock, in all processes of the machine.

    ::

        app = lockd.asgi.Serialize(app, "reports")
        app = lockd.asgi.Serialize(app, lambda scope: scope["path"], timeout=10)

    The lease is acquired before the app is called, and released when the app returns or raises. A lease that is lost
    meanwhile is told then, by ``LeaseLost``. What is no HTTP request (a WebSocket, the lifespan) is handed on. Waiting
    requests hold up no others of the same event loop.

    A request that waits leaves the queue at once when its task is cancelled, or when its client is gone and the server
    says so (``http.disconnect``; behind more than 64 KiB of a body that is not heard). The app is not called for it.

    Safe to make before a fork, and to use in several loops.
    """

    def __init__(
        self, app: Application, name: Name, *, timeout: float = -1, **options: Unpack[TaskLockOptions]
    ) -> None:
        """Put it around an app.

        :param name: the name of the lock, or a function that returns that of a request, given its scope. A request for
            which it returns ``None`` is served without.
        :param timeout: the seconds that a request waits; -1 for ever. After that the answer is 503, and so it is if
            there are too many waiters for ``max_queue``.
        :param options: as for ``lockd.aio.Lock``.
        :raises LocalProtocolError: if the name or an option is not one (it is a ``ValueError`` too).
        """
        self._app = app
        self._timeout = timeout
        self._make_lock = lock_maker(name, options, Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request.

        :raises DaemonUnavailable: if the daemon cannot be reached or does not answer.
        :raises LockdError: whatever else ``lockd.aio.Lock.acquire`` raises.
        """
        lock = self._make_lock(scope) if scope["type"] == "http" else None
        if lock is None:
            await self._app(scope, receive, send)
            return
        inbox = _Inbox(receive)
        try:
            acquired = await self._acquire(lock, inbox)
            if acquired:
                await self._serve(lock, scope, inbox.receive, send)
            elif not inbox.is_over:
                headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BUSY_BODY))]
                await send({"type": "http.response.start", "status": 503, "headers": headers})
                await send({"type": "http.response.body", "body": BUSY_BODY})
        finally:
            inbox.close()

    async def _acquire(self, lock: Lock, inbox: _Inbox) -> bool:
        """Whether the lock was acquired; not if the client has gone meanwhile."""
        task = asyncio.current_task()
        if task is None:
            return await lock.acquire(timeout=self._timeout)
        # Not in a task of its own, which would be another owner. Before Python 3.11 tasks do not count who cancels.
        others = task.cancelling() if hasattr(task, "cancelling") else 0
        inbox.listen(task.cancel)
        try:
            return await lock.acquire(timeout=self._timeout)
        except asyncio.CancelledError:
            if not inbox.is_over or (hasattr(task, "uncancel") and task.uncancel() > others):
                raise
            return False
        finally:
            inbox.stop_listening()

    async def _serve(self, lock: Lock, scope: Scope, receive: Receive, send: Send) -> None:
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

    It makes ``lockd.aio.Lock`` objects, and takes their arguments; ``options`` are those that it is not given.

    Safe to make before a fork, and to use in several loops.
    """

    def __init__(self, app: Application, *, key: str = "lockd.lock", **options: Unpack[TaskLockOptions]) -> None:
        """Put it around an app.

        :param key: the key of the scope.
        """
        self._app = app
        self._key = key
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. The scope that the server made is left as it is."""
        await self._app({**scope, self._key: self._make_lock}, receive, send)

    def _make_lock(self, name: str | bytes, *more_names: str | bytes, **options: Unpack[TaskLockOptions]) -> Lock:
        merged: TaskLockOptions = {**self._options, **options}
        return Lock(name, *more_names, **merged)


class _Inbox:
    """What the server says of a request: read ahead while it waits, and then read by the app."""

    def __init__(self, receive: Receive) -> None:
        #: Whether the client has gone while somebody listened.
        self.is_over = False
        self._receive = receive
        self._read: deque[Message] = deque()
        self._size = 0
        self._is_complete = False
        # A message that was asked for. It is never given up, because the server may have handed it out.
        self._coming: asyncio.Future[Message] | None = None
        self._tell: Callable[[], object] | None = None

    def listen(self, tell: Callable[[], object]) -> None:
        """Read on from now, and call ``tell`` once if the client has gone."""
        self._tell = tell
        self._read_on()

    def stop_listening(self) -> None:
        """Leave the rest to the app."""
        self._tell = None

    async def receive(self) -> Message:
        """The next message: what the app calls."""
        if self._read:
            return self._read.popleft()
        if self._coming is None:
            return await self._receive()
        message = await asyncio.shield(self._coming)
        self._coming = None
        return message

    def close(self) -> None:
        """Want nothing any more."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.cancel()
            coming.add_done_callback(_failed)

    def _read_on(self) -> None:
        self._coming = asyncio.ensure_future(self._receive())
        self._coming.add_done_callback(self._came)

    def _came(self, coming: asyncio.Future[Message]) -> None:
        # What failed, fails again when the app asks.
        if self._tell is None or self._coming is not coming or _failed(coming):
            return
        self._coming = None
        message = coming.result()
        self._read.append(message)
        self._size += len(message.get("body", b""))
        if message["type"] == "http.disconnect":
            self.is_over = True
            self._tell()
        elif self._size < _READ_AHEAD and not self._is_complete:
            # Behind the end of the request the end of the client comes next, and nothing else.
            self._is_complete = not message.get("more_body", False)
            self._read_on()


def _failed(future: asyncio.Future[Message]) -> bool:
    """Whether there is no message; nobody is warned of why."""
    return future.cancelled() or future.exception() is not None

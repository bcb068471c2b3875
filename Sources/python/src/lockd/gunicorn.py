"""Settings for ``gunicorn.conf.py``, in a line each.

::

    import lockd.gunicorn

    pre_request = lockd.gunicorn.environ_lock("counter")
    post_worker_init, worker_exit = lockd.gunicorn.run_once("scheduler", start, stop)

Nothing of gunicorn is imported. They work for its sync, gthread and gevent workers, with and without ``--preload``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Callable, NamedTuple, Protocol

from ._lock import Lock
from ._once import HostTask

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import DaemonOptions, LockOptions

__all__ = ["PreRequest", "RunOnce", "environ_lock", "environ_locks", "run_once"]


class Request(Protocol):
    """What is needed of a request of gunicorn's."""

    headers: list[tuple[str, object]]


#: A ``pre_request`` of gunicorn's: is called with the worker and the request.
PreRequest = Callable[[object, Request], None]


class RunOnce(NamedTuple):
    """Two hooks of gunicorn's. The methods of a file that has hooks of its own may call them."""

    #: Is called with the worker.
    post_worker_init: Callable[[object], None]
    #: Is called with the master and the worker.
    worker_exit: Callable[[object, object], None]


def environ_lock(
    name: str | bytes, *more_names: str | bytes, header: str = "FLASK-LOCK", **options: Unpack[LockOptions]
) -> PreRequest:
    """A ``pre_request`` that puts one lock, common to all workers, into the WSGI environ of every request.

    ::

        pre_request = lockd.gunicorn.environ_lock("counter")

    A view finds it as ``request.environ["HTTP_FLASK_LOCK"]``. What a client sends under that name is dropped.

    gunicorn makes the environ from the headers of a request; so the lock is among those too, as a value that is no
    text. Where something reads all of them, use ``lockd.wsgi.Locks``.

    :param header: the header that becomes the key of the environ: ``"A-B"`` becomes ``"HTTP_A_B"``.
    :param options: as for ``Lock``.
    :raises LocalProtocolError: if a name or an option is not one (it is a ``ValueError`` too).
    """
    return _put(header, Lock(name, *more_names, **options))


def environ_locks(*, header: str = "LOCKD-LOCK", **options: Unpack[LockOptions]) -> PreRequest:
    """A ``pre_request`` that puts a factory of locks into the WSGI environ of every request.

    ::

        pre_request = lockd.gunicorn.environ_locks(socket="/run/lockd/lockd.sock")

    In a view::

        with request.environ["HTTP_LOCKD_LOCK"]("accounts/1", "accounts/2"):
            ...

    The factory takes the arguments of ``Lock``; ``options`` are those that it is not given. Otherwise it is as
    ``environ_lock``.
    """
    return _put(header, functools.partial(Lock, **options))


def run_once(
    name: str | bytes,
    start: Callable[[], object],
    stop: Callable[[], object] | None = None,
    **options: Unpack[DaemonOptions],
) -> RunOnce:
    """Two hooks that have one worker of the machine run something, and another if that one dies.

    ::

        def start():
            import jobs  # here, and not in the master

            jobs.start()

        def stop():
            import jobs

            jobs.stop()

        post_worker_init, worker_exit = lockd.gunicorn.run_once("scheduler", start, stop)

    A worker that ends stops it and hands over, also on HUP, when the workers of the new configuration wait already:
    ``stop`` has returned before another worker's ``start`` is called, as long as no lease is lost. That begins when the
    worker has finished its requests; one that gunicorn has to kill hands over when it is dead. ``stop`` has to return
    within ``graceful_timeout``.

    See ``lockd.run_once_per_host`` for the parameters, what is raised, and what is guaranteed.
    """
    task = HostTask(name, start, stop, **options)

    def post_worker_init(worker: object) -> None:
        task.start()

    def worker_exit(server: object, worker: object) -> None:
        # gunicorn calls this in its master too, where nothing was started.
        task.stop()

    return RunOnce(post_worker_init, worker_exit)


def _put(header: str, value: object) -> PreRequest:
    # gunicorn joins headers that become the same key of the environ with a comma, which a lock does not survive. And
    # what a client says must not pass for the lock. `A-B` becomes that key, and so does `A_B`, if `header_map` lets it.
    key = header.upper().replace("_", "-")

    def pre_request(worker: object, req: Request) -> None:
        sent = [each for each in req.headers if each[0].upper().replace("_", "-") != key]
        req.headers = [*sent, (key, value)]

    return pre_request

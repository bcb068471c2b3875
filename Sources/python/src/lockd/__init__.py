"""Named leases between the processes of a machine, granted by lockd.

::

    import lockd

    lock = lockd.Lock("reports/nightly")

    with lock as lease:
        write(report, fencing_token=lease.token)

``Lock``, ``RLock`` and ``Semaphore`` have the APIs of their namesakes in ``threading``. See the documentation of
``Lock`` for what they do not guarantee. ``lockd.compat`` has classes for programs that use ``filelock`` or the locks of
``multiprocessing``. ``lockd.aio`` is the same for asyncio, and imported by itself.
"""

from ._binding import BindTo
from ._client import Client
from ._errors import (
    AlreadyHeld,
    BindingEnded,
    DaemonUnavailable,
    DeadlockError,
    LeaseLost,
    LimitReached,
    LocalProtocolError,
    LockdError,
    NotHeld,
    ProtocolError,
    QueueFull,
    ReleasedTooOften,
    RemoteProtocolError,
    RequestRefused,
)
from ._holders import AbandonedLease, Holder
from ._lease import Lease
from ._lock import Lock, thread_owner
from ._once import HostTask, HostWork, run_once_per_host
from ._replies import DeadlockEdge, Event, Hold, LeaseLine, Missed, Progress, WaiterLine
from ._rlock import RLock
from ._semaphore import Semaphore
from ._version import __version__
from ._watch import Watch

__all__ = [
    "AbandonedLease",
    "AlreadyHeld",
    "BindTo",
    "BindingEnded",
    "Client",
    "DaemonUnavailable",
    "DeadlockEdge",
    "DeadlockError",
    "Event",
    "Hold",
    "Holder",
    "HostTask",
    "HostWork",
    "Lease",
    "LeaseLine",
    "LeaseLost",
    "LimitReached",
    "LocalProtocolError",
    "Lock",
    "LockdError",
    "Missed",
    "NotHeld",
    "Progress",
    "ProtocolError",
    "QueueFull",
    "RLock",
    "ReleasedTooOften",
    "RemoteProtocolError",
    "RequestRefused",
    "Semaphore",
    "WaiterLine",
    "Watch",
    "__version__",
    "run_once_per_host",
    "thread_owner",
]

# Tracebacks and pickles name these by where users find them, not by the private module that has them today.
for _name in __all__:
    if hasattr(globals()[_name], "__module__"):
        globals()[_name].__module__ = __name__
del _name

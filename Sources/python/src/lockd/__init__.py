"""Named leases between the processes of a machine, granted by lockd.

::

    import lockd

    lock = lockd.Lock("reports/nightly")

    with lock as lease:
        write(report, fencing_token=lease.token)

``Lock`` has the API of ``threading.Lock``. See its documentation for what it does not guarantee. ``lockd.aio`` is the
same for asyncio, and imported by itself.
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
    RemoteProtocolError,
    RequestRefused,
)
from ._holders import AbandonedLease, Holder
from ._lease import Lease
from ._lock import Lock, thread_owner
from ._replies import DeadlockEdge, Event, Hold, LeaseLine, Missed, Progress, WaiterLine
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
    "RemoteProtocolError",
    "RequestRefused",
    "WaiterLine",
    "Watch",
    "__version__",
    "thread_owner",
]

# Tracebacks and pickles name these by where users find them, not by the private module that has them today.
for _name in __all__:
    if hasattr(globals()[_name], "__module__"):
        globals()[_name].__module__ = __name__
del _name

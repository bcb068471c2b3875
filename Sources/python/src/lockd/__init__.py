"""Named leases between the processes of a machine, granted by lockd.

::

    import lockd

    lock = lockd.Lock("reports/nightly")

    with lock as lease:
        write(report, fencing_token=lease.token)

``Lock`` has the API of ``threading.Lock``. See its documentation for what it does not guarantee.
"""

from ._client import Client
from ._errors import (
    DaemonUnavailable,
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
from ._holders import AbandonedLease
from ._lock import Lease, Lock
from ._replies import LeaseLine, WaiterLine
from ._version import __version__

__all__ = [
    "AbandonedLease",
    "Client",
    "DaemonUnavailable",
    "Lease",
    "LeaseLine",
    "LeaseLost",
    "LimitReached",
    "LocalProtocolError",
    "Lock",
    "LockdError",
    "NotHeld",
    "ProtocolError",
    "QueueFull",
    "RemoteProtocolError",
    "RequestRefused",
    "WaiterLine",
    "__version__",
]

# Tracebacks and pickles name these by where users find them, not by the private module that has them today.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
del _name

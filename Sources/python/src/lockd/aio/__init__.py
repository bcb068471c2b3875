"""lockd for asyncio: named leases between the processes of a machine, for the tasks of an event loop.

::

    from lockd import aio

    lock = aio.Lock("reports/nightly")

    async with lock as lease:
        await write(report, fencing_token=lease.token)

``Lock`` is in the manner of ``asyncio.Lock``, ``Semaphore`` in that of ``asyncio.BoundedSemaphore``; ``RLock`` is a
``Lock`` that the task that holds it may acquire again. Errors, and what clients are told, are those of ``lockd``.
"""

from ._client import Client
from ._lease import Lease, LossEvent
from ._lock import Lock, task_owner
from ._rlock import RLock
from ._semaphore import Semaphore
from ._watch import Watch

__all__ = ["Client", "Lease", "Lock", "LossEvent", "RLock", "Semaphore", "Watch", "task_owner"]

# Tracebacks name these by where users find them, not by the private module that has them today.
for _name in __all__:
    globals()[_name].__module__ = __name__
del _name

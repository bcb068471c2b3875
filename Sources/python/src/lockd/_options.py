"""The options that a lock takes, for those who hand them on to ``Lock``."""

from __future__ import annotations

import os
from typing import Callable, TypedDict, Union

from ._binding import BindTo
from ._replies import Progress
from ._terms import Owner
from .aio import Client
from .aio._lease import OnLost

_Path = Union[str, "os.PathLike[str]"]


class DaemonOptions(TypedDict, total=False):
    """Options of ``Lock`` that make sense for every lock."""

    socket: _Path | None
    user: bool
    ttl: float | None
    note: str | bytes | None
    connect_timeout: float


class LockOptions(DaemonOptions, total=False):
    """All options of ``Lock``."""

    shared: bool
    limit: int | None
    max_queue: int | None
    owner: Owner | None
    progress: Callable[[Progress], object] | None
    progress_interval: float
    bind_to: BindTo | None


class TaskLockOptions(LockOptions, total=False):
    """All options of ``lockd.aio.Lock``."""

    client: Client | None
    on_lost: OnLost | None

"""What a lease can be bound to, and the descriptors that say so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Union

from . import _requests as requests
from ._errors import LocalProtocolError


class HasDescriptor(Protocol):
    """Whatever has a descriptor: files, ``multiprocessing`` connections."""

    def fileno(self) -> int:
        """The descriptor."""


AnyDescriptor = Union[int, HasDescriptor]


class BindTo:
    """What a lease lives as long as, in place of this process and its session: a process, or a pipe.

    Make one with ``BindTo.process``, ``BindTo.pidfd`` or ``BindTo.pipe``, and give it to ``Lock(bind_to=…)``.
    """

    __slots__ = ("_descriptor", "_pid", "kind")

    def __init__(self, kind: str, *, pid: int = 0, descriptor: AnyDescriptor | None = None) -> None:
        #: ``pidfd`` or ``pipe``, as the protocol calls it.
        self.kind = kind
        self._pid = pid
        self._descriptor = descriptor

    @classmethod
    def process(cls, pid: int) -> BindTo:
        """Bind to a process of this user, by its number. The lease ends when that process has ended.

        The number is looked up by each ``acquire()``. It is sure to be that of the process that is meant only if that
        is this process, or a child of it that was not waited for; for any other, have a pidfd.

        :raises LocalProtocolError: if it is not the number of one process.
        """
        if pid <= 0:
            raise LocalProtocolError(f"the number of a process is positive, not {pid}")
        return cls(requests.PIDFD, pid=pid)

    @classmethod
    def pidfd(cls, descriptor: AnyDescriptor) -> BindTo:
        """Bind to a process of this user, by a pidfd (``os.pidfd_open``). The lease ends when that process has ended.

        The descriptor stays yours. It must be open whenever ``acquire()`` is called, and need not be after that.
        """
        return cls(requests.PIDFD, descriptor=descriptor)

    @classmethod
    def pipe(cls, read_end: AnyDescriptor) -> BindTo:
        """Bind to a pipe, by its read end. The lease ends when the last descriptor of its write end is closed.

        So it lives as long as any process that inherited the write end: a whole tree of them, if none closes it. The
        descriptor stays yours. It must be open whenever ``acquire()`` is called, and need not be after that.
        """
        return cls(requests.PIPE, descriptor=read_end)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The descriptor to send, open for as long as the ``with`` block lasts.

        :raises ProcessLookupError: if there is no such process.
        """
        if self._descriptor is not None:
            yield self._descriptor if isinstance(self._descriptor, int) else self._descriptor.fileno()
            return
        descriptor = os.pidfd_open(self._pid)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def __repr__(self) -> str:
        if self._descriptor is None:
            return f"lockd.BindTo.process({self._pid})"
        return f"lockd.BindTo.{self.kind}({self._descriptor!r})"

    def __reduce__(self) -> tuple[object, ...]:
        if self._descriptor is not None:
            raise TypeError(f"{self!r} cannot be pickled: a descriptor is that of one process")
        return BindTo.process, (self._pid,)


class Descriptor:
    """A duplicate of a descriptor, closed when nobody refers to it any more. So it can be sent at any later time."""

    #: Below zero, if there is none.
    number = -1

    def __init__(self, original: int) -> None:
        self._pid = os.getpid()
        self.number = os.dup(original)

    def __del__(self) -> None:
        # A child that closed all it inherited may have another file under this number by now.
        if self.number >= 0 and self._pid == os.getpid():
            os.close(self.number)

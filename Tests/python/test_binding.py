"""What a lease can be bound to, without a daemon."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest

import lockd
from lockd._binding import Descriptor


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_process_is_opened_for_as_long_as_it_is_needed() -> None:
    with lockd.BindTo.process(os.getpid())._opened() as descriptor:
        assert f"Pid:\t{os.getpid()}\n" in Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    assert not is_open(descriptor)


def test_process_that_is_none_is_refused() -> None:
    for pid in (0, -1):
        with pytest.raises(lockd.LocalProtocolError, match=f"the number of a process is positive, not {pid}"):
            lockd.BindTo.process(pid)


def test_descriptors_of_others_stay_open() -> None:
    with open(os.devnull) as file:
        for bind_to, kind in (
            (lockd.BindTo.pipe(file), "pipe"),
            (lockd.BindTo.pipe(file.fileno()), "pipe"),
            (lockd.BindTo.pidfd(file), "pidfd"),
        ):
            assert bind_to.kind == kind
            with bind_to._opened() as descriptor:
                assert descriptor == file.fileno()
            assert is_open(file.fileno())


def test_number_of_a_process_can_be_pickled_and_a_descriptor_cannot() -> None:
    bind_to = pickle.loads(pickle.dumps(lockd.Lock("x", bind_to=lockd.BindTo.process(7))))._bind_to
    assert repr(bind_to) == "lockd.BindTo.process(7)"
    with pytest.raises(TypeError, match=r"lockd.BindTo.pipe\(0\) cannot be pickled"):
        pickle.dumps(lockd.Lock("x", bind_to=lockd.BindTo.pipe(0)))


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="closed at once only where references are counted")
def test_duplicate_is_closed_when_nobody_refers_to_it() -> None:
    with open(os.devnull) as file:
        duplicate = Descriptor(file.fileno())
    number = duplicate.number
    assert is_open(number)
    del duplicate
    assert not is_open(number)


def test_what_is_not_open_is_said() -> None:
    with open(os.devnull) as file:
        number = file.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        Descriptor(number)

"""CPython's own tests of its locks, run against those of lockd."""

from __future__ import annotations

import itertools
import unittest

import pytest
from conftest import Daemon

import lockd

# Debian has it in a package of its own.
lock_tests = pytest.importorskip("test.lock_tests", reason="this Python has no test.lock_tests")


def _cases(suite: type[unittest.TestCase]) -> list[str]:
    return list(unittest.defaultTestLoader.getTestCaseNames(suite))


def _run(suite: type[unittest.TestCase], locktype: type[lockd.Lock], case: str, name: str) -> None:
    numbers = itertools.count()
    options = {"locktype": staticmethod(lambda: locktype(f"{name}/{next(numbers)}"))}
    result = unittest.TestResult()
    type(suite.__name__, (suite,), options)(case).run(result)
    assert [trace for _, trace in result.errors + result.failures] == []
    assert result.testsRun == 1
    assert [reason for _, reason in result.skipped] == []


@pytest.mark.parametrize("case", _cases(lock_tests.LockTests))
def test_lock_passes_what_threading_lock_does(daemon: Daemon, name: str, case: str) -> None:
    _run(lock_tests.LockTests, lockd.Lock, case, name)


@pytest.mark.parametrize("case", _cases(lock_tests.RLockTests))
def test_rlock_passes_what_threading_rlock_does(daemon: Daemon, name: str, case: str) -> None:
    _run(lock_tests.RLockTests, lockd.RLock, case, name)


def test_there_are_as_many_cases_as_in_the_oldest_python() -> None:
    assert len(_cases(lock_tests.LockTests)) >= 15
    assert len(_cases(lock_tests.RLockTests)) >= 15

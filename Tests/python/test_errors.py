"""The tree of errors, and what they say."""

from __future__ import annotations

import copy
import pickle

import pytest

import lockd

ERRORS: list[tuple[lockd.LockdError, str]] = [
    (lockd.LocalProtocolError("a name"), "a name"),
    (lockd.RemoteProtocolError("a reply"), "a reply"),
    (lockd.DaemonUnavailable("/s", "gone"), "lockd at /s: gone"),
    (
        lockd.DaemonUnavailable("/s", "No such file or directory", "Start it", 2),
        "lockd at /s: No such file or directory. Start it",
    ),
    (lockd.LeaseLost(b"x", 5, "expired"), "the lease on 'x' (token 5) was lost: expired"),
    (
        lockd.LeaseLost("é".encode(), 5, "revoked", "by uid 0"),
        "the lease on 'é' (token 5) was lost: revoked, by uid 0",
    ),
    (lockd.NotHeld(b"\xff"), r"release of '\\xff', of which this process holds no lease"),
    (lockd.QueueFull(b"x", 1), "'x' is not free, and 1 or more wait for it already"),
    (lockd.RequestRefused("unknown-verb", {"got": "x"}), "lockd refused the request: unknown-verb got=x"),
    (
        lockd.LimitReached("too-many-waiters", {"limit": "5", "scope": "session"}),
        "lockd refused the request: too-many-waiters limit=5 scope=session",
    ),
]


@pytest.mark.parametrize(("error", "sentence"), ERRORS)
def test_errors_say_what_happened(error: lockd.LockdError, sentence: str) -> None:
    assert str(error) == sentence


@pytest.mark.parametrize("error", [error for error, _ in ERRORS])
@pytest.mark.parametrize("duplicate", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_errors_survive_pickle_and_copy(error: lockd.LockdError, duplicate: type) -> None:
    again = duplicate(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (lockd.LocalProtocolError, (lockd.ProtocolError, ValueError)),
        (lockd.RemoteProtocolError, (lockd.ProtocolError,)),
        (lockd.DaemonUnavailable, (lockd.LockdError, ConnectionError)),
        (lockd.LeaseLost, (lockd.LockdError,)),
        (lockd.NotHeld, (lockd.LockdError, RuntimeError)),
        (lockd.RequestRefused, (lockd.LockdError,)),
        (lockd.LimitReached, (lockd.RequestRefused,)),
    ],
)
def test_errors_can_be_caught_by_their_bases(
    error: type[lockd.LockdError], bases: tuple[type[BaseException], ...]
) -> None:
    assert all(issubclass(error, base) for base in bases)
    assert issubclass(error, lockd.LockdError)


def test_public_names_are_named_where_users_find_them() -> None:
    for name in lockd.__all__:
        value = getattr(lockd, name)
        assert not isinstance(value, type) or value.__module__ == "lockd"

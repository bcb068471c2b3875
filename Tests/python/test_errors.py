"""The tree of errors, and what they say."""

from __future__ import annotations

import copy
import pickle

import pytest

import lockd
from lockd._link import refusal
from lockd._replies import Refused

EDGES = (
    lockd.DeadlockEdge(b"b", 12, b"one", 3, 13, 0, b"my app", None, b"two", 4, held=5, token=6),
    lockd.DeadlockEdge(b"a", 13, b"two", 4, 14, 0, holder_session=5, waited=7),
    lockd.DeadlockEdge(b"a"),
)

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
    (lockd.NotHeld(b"x", who="thread"), "release of 'x', of which this thread holds no lease"),
    (lockd.ReleasedTooOften(b"x"), "release of 'x', of which this process holds no lease"),
    (lockd.QueueFull(b"x", 1), "'x' is not free, and 1 or more wait for it already"),
    (
        lockd.LeaseLost(b"a", 5, "expired", names=(b"a", b"b")),
        "the lease on 'a', 'b' (token 5) was lost: expired",
    ),
    (lockd.NotHeld(b"x", 5), "there is no lease on 'x' with token 5 that is yours to release or renew"),
    (lockd.QueueFull(b"a", 2, (b"a", b"b")), "'a', 'b' are not free, and 2 or more wait for them already"),
    (lockd.AlreadyHeld((b"a", b"b"), 5), "the owner holds 'a', 'b' already, with token 5"),
    (lockd.BindingEnded((b"x",)), "what a lease on 'x' was to be bound to has ended"),
    (lockd.DeadlockError((b"b",)), "waiting for 'b' would be a deadlock"),
    (
        lockd.DeadlockError((b"b", b"c"), EDGES),
        "waiting for 'b', 'c' would be a deadlock: process 12 (owner 'one', session 3) waits for 'b', held for 5 ms by"
        " process 13 (my app, owner 'two', session 4); process 13 (owner 'two', session 4) waits for 'a' behind"
        " process 14 (session 5), which has waited for 7 ms; a process waits for 'a', held by a process",
    ),
    (
        lockd.DeadlockError((b"a",), EDGES[2:] * 9),
        "waiting for 'a' would be a deadlock: " + "a process waits for 'a', held by a process; " * 8 + "and 1 more",
    ),
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
        (lockd.ReleasedTooOften, (lockd.NotHeld, ValueError)),
        (lockd.AlreadyHeld, (lockd.LockdError, RuntimeError)),
        (lockd.DeadlockError, (lockd.LockdError,)),
        (lockd.BindingEnded, (lockd.LockdError,)),
        (lockd.RequestRefused, (lockd.LockdError,)),
        (lockd.LimitReached, (lockd.RequestRefused,)),
    ],
)
def test_errors_can_be_caught_by_their_bases(
    error: type[lockd.LockdError], bases: tuple[type[BaseException], ...]
) -> None:
    assert all(issubclass(error, base) for base in bases)
    assert issubclass(error, lockd.LockdError)


@pytest.mark.parametrize(
    ("code", "is_limit"),
    [("too-many-leases", True), ("too-many-watchers", True), ("too-many-names", False), ("partly-held", False)],
)
def test_limits_that_are_reached_are_told_from_what_is_wrong_for_good(code: str, is_limit: bool) -> None:
    error = refusal(Refused(code, {"limit": "16"}))
    assert isinstance(error, lockd.LimitReached) == is_limit
    assert (error.code, error.fields) == (code, {"limit": "16"})


def test_public_names_are_named_where_users_find_them() -> None:
    for name in lockd.__all__:
        value = getattr(lockd, name)
        assert not isinstance(value, type) or value.__module__ == "lockd"

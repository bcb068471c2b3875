"""Leases that have ended."""

from __future__ import annotations

import os

import pytest
from conftest import Daemon, RunProgram, wait_until

import lockd


def test_leases_that_have_ended_are_told_the_latest_first(daemon: Daemon, name: str, run: RunProgram) -> None:
    client = lockd.Client()
    assert client.history(name) == ()
    lock = lockd.Lock(name, note="nightly run")
    with lock as lease:
        assert client.history(name) == ()
    (hold,) = client.history(name)
    assert (hold.name, hold.token, hold.outcome) == (name.encode(), lease.token, "released")
    assert (hold.pid, hold.uid, hold.note) == (os.getpid(), os.getuid(), b"nightly run")
    assert None not in (hold.session, hold.waited, hold.held, hold.ago)

    with pytest.raises(lockd.LeaseLost), lock:
        daemon.ask(f"REVOKE {name}")
    program = run("import lockd, sys; lockd.Lock(sys.argv[1]).acquire()", daemon, name)
    program.finish()
    daemon.await_holder(name, None)
    with pytest.raises(lockd.LeaseLost), lock as lease:  # noqa: PT012
        client.renew(name, lease.token, 0.05)
        wait_until(lambda: lease.lost, "the end of its ttl")
    holds = client.history(name)
    assert [hold.outcome for hold in holds] == ["expired", "ended", "revoked", "released"]
    assert holds[1].pid == program.pid
    tokens = [hold.token for hold in holds]
    assert tokens == sorted(tokens, reverse=True)


def test_each_name_of_a_lease_remembers_it(daemon: Daemon, name: str) -> None:
    with lockd.Lock(f"{name}/a", f"{name}/b") as lease:
        pass
    for each in lease.names:
        (hold,) = lockd.Client().history(each)
        assert (hold.name, hold.token) == (each, lease.token)

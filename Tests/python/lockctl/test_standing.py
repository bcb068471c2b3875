"""lockctl why and tree: who is in the way of whom."""

from __future__ import annotations

import contextlib
import json
import os
import re

from daemon.processes import wait_until

from .conftest import Daemon


def lines(daemon: Daemon, *arguments: str) -> list[str]:
    """What lockctl prints, without what differs from run to run."""
    ran = daemon.lockctl(*arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    text = re.sub(r"\S+ \(pid \d+, [^)]*\)", "PROCESS", ran.stdout)
    return re.sub(r"\d+\.\d s", "TIME", text).splitlines()


def test_why_of_a_free_lock(daemon: Daemon) -> None:
    assert lines(daemon, "why", "a") == ["a is free."]


def test_why_names_the_holder_and_those_who_wait(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE a ttl=1h note=nightly%20run")
        waiter.send("#1 ACQUIRE a", "#2 ACQUIRE a")
        daemon.wait_until_listed("a", 3)
        first, second = lines(daemon, "why", "a")
    assert re.fullmatch(r"a is held by PROCESS for TIME: nightly run\. It ends in .*, unless it is renewed\.", first)
    assert second == "2 requests wait for a; the first is that of PROCESS, which has waited for TIME."


def test_why_goes_on_with_what_the_holder_waits_for(daemon: Daemon) -> None:
    with daemon.connect() as first, daemon.connect() as second, daemon.connect() as third:
        first.ask("ACQUIRE c")
        second.ask("ACQUIRE b")
        second.send("#1 ACQUIRE c")
        third.ask("ACQUIRE a")
        third.send("#1 ACQUIRE b")
        daemon.wait_until_listed("b", 2)
        daemon.wait_until_listed("c", 2)
        said = lines(daemon, "why", "a")
        reasons = json.loads(daemon.lockctl("why", "--json", "a").stdout)
    assert said == [
        "a is held by PROCESS for TIME.",
        "PROCESS, which holds a, waits for b itself, for TIME.",
        "b is held by PROCESS for TIME.",
        "One request waits for b, that of PROCESS, which has waited for TIME.",
        "PROCESS, which holds b, waits for c itself, for TIME.",
        "c is held by PROCESS for TIME.",
        "One request waits for c, that of PROCESS, which has waited for TIME.",
    ]
    assert [(reason["reason"], reason["name"]) for reason in reasons] == [
        ("held", "a"), ("chained", "b"), ("held", "b"), ("waiting", "b"), ("chained", "c"), ("held", "c"), ("waiting", "c"),
    ]  # fmt: skip
    assert {reason["pid"] for reason in reasons} == {os.getpid()}


def test_why_of_a_lock_that_nobody_holds_and_that_is_not_free(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE a")
        waiter.send("ACQUIRE a b")
        daemon.wait_until_listed("b", 1)
        said = lines(daemon, "why", "b")
    assert said == [
        "Nobody holds b, but it is not free:",
        "One request waits for b, that of PROCESS, which has waited for all 2 names of its request for TIME.",
    ]


def test_why_says_of_many_holders_how_many_they_are(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        for number in range(5):
            holder.send(f"#{number} ACQUIRE a mode=shared")
        daemon.wait_until_listed("a", 5)
        said = lines(daemon, "why", "a")
    assert said == ["a is held by PROCESS for TIME, shared."] * 3 + ["So do 2 more."]


def test_tree_shows_what_hangs_on_what(daemon: Daemon) -> None:
    with daemon.connect() as first, daemon.connect() as second, daemon.connect() as third:
        first.ask("ACQUIRE c note=migration")
        second.ask("ACQUIRE b")
        second.send("#1 ACQUIRE c")
        third.send("#1 ACQUIRE b", "#2 ACQUIRE c")
        third.ask("ACQUIRE free")
        daemon.wait_until_listed("b", 2)
        daemon.wait_until_listed("c", 3)
        assert lines(daemon, "tree") == [
            "c",
            "├─ held by PROCESS for TIME: migration",
            "├─ #1 PROCESS waits for TIME",
            "│  └─ b",
            "│     ├─ held by PROCESS for TIME",
            "│     └─ #1 PROCESS waits for TIME",
            "└─ #2 PROCESS waits for TIME",
        ]
        assert lines(daemon, "tree", "--all", "free") == ["free", "└─ held by PROCESS for TIME"]
        assert lines(daemon, "tree", "none") == ["nobody waits for anything"]


def test_tree_of_those_who_wait_for_each_other_ends(daemon: Daemon) -> None:
    with daemon.connect() as first, daemon.connect() as second:
        first.ask("ACQUIRE a")
        second.ask("ACQUIRE b")
        # Without owners nobody can say that this is a deadlock.
        first.send("#1 ACQUIRE b")
        second.send("#1 ACQUIRE a")
        daemon.wait_until_listed("a", 2)
        daemon.wait_until_listed("b", 2)
        assert lines(daemon, "tree") == [
            "a",
            "├─ held by PROCESS for TIME",
            "└─ #1 PROCESS waits for TIME",
            "   └─ b",
            "      ├─ held by PROCESS for TIME",
            "      └─ #1 PROCESS waits for TIME",
        ]


def test_tree_is_no_deeper_than_it_can_be_read(daemon: Daemon) -> None:
    depth = 100
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(depth)]
        for number, client in enumerate(clients):
            client.ask(f"ACQUIRE n{number:03}")
        for number, client in enumerate(clients):
            client.send(f"#1 ACQUIRE n{number + 1:03}")
        wait_until(lambda: daemon.statistics()["waiters"] == f"{depth - 1}", "all wait")
        drawn = lines(daemon, "tree")
    # Each lock with its queue is there once, in trees that have an end.
    names = [line.strip("│├└─ ") for line in drawn if re.search(r"n\d{3}$", line)]
    assert sorted(names) == sorted(f"n{number:03}" for number in range(1, depth))
    assert max(line.index(line.strip("│├└─ ")) for line in drawn) <= 6 * 21


def test_tree_for_programs_hangs_together_like_the_drawn_one(daemon: Daemon) -> None:
    with daemon.connect() as first, daemon.connect() as second, daemon.connect() as third:
        first.ask("ACQUIRE a")
        second.ask("ACQUIRE b")
        second.send("ACQUIRE a")
        third.send("ACQUIRE b")
        daemon.wait_until_listed("a", 2)
        daemon.wait_until_listed("b", 2)
        (lock,) = json.loads(daemon.lockctl("tree", "--json").stdout)
        assert json.loads(daemon.lockctl("tree", "--json", "none").stdout) == []
    assert (lock["name"], len(lock["leases"]), lock["leases"][0]["name"]) == ("a", 1, "a")
    (waiter,) = lock["waiters"]
    assert (waiter["name"], waiter["position"]) == ("a", 1)
    (held,) = waiter["holds"]
    assert (held["name"], [below["holds"] for below in held["waiters"]]) == ("b", [[]])
    assert held["leases"][0]["session"] == waiter["session"]

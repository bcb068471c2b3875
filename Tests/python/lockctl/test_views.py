"""lockctl ls, show, revoke, ping: what people and programs see."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import re
import signal
import subprocess

import pytest
from binaries import binary

from .conftest import Daemon


def test_ls_shows_leases_and_waiters_by_name(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE b note=nightly%20run")
        holder.ask("ACQUIRE a")
        waiter.send("#1 ACQUIRE b", "#2 ACQUIRE b")
        daemon.wait_until_listed("b", 3)
        lines = daemon.lockctl("ls").stdout.splitlines()
    user = pwd.getpwuid(os.getuid()).pw_name
    # There is one more where the test itself runs in a unit.
    header = [word for word in lines[0].split() if word != "UNIT"]
    assert header == ["NAME", "STATE", "PID", "COMMAND", "USER", "FOR", "WAITERS", "TOKEN", "NOTE"]
    assert re.fullmatch(rf"a +held +{os.getpid()} +\S+ +{user} +(\S+ +)?\d\.\d s +0 +\d{{16}}", lines[1])
    assert re.fullmatch(rf"b +held +{os.getpid()} +\S+ +{user} +(\S+ +)?\d\.\d s +2 +\d{{16}} +nightly run", lines[2])
    assert re.fullmatch(rf"b +waits #1 +{os.getpid()} +\S+ +{user} +(\S+ +)?\d\.\d s", lines[3])
    assert re.fullmatch(rf"b +waits #2 +{os.getpid()} +\S+ +{user} +(\S+ +)?\d\.\d s", lines[4])
    assert len(lines) == 5


def test_views_say_how_many_may_hold(daemon: Daemon) -> None:
    with daemon.connect() as reader, daemon.connect() as worker:
        reader.ask("ACQUIRE a mode=shared")
        reader.send("#1 ACQUIRE a", "#2 ACQUIRE a mode=shared")
        worker.ask("ACQUIRE b limit=2")
        daemon.wait_until_listed("a", 3)
        table = daemon.lockctl("ls").stdout.splitlines()
        listed = json.loads(daemon.lockctl("ls", "--json").stdout)
        shown = daemon.lockctl("show", "b").stdout
    assert [re.split(" {2,}", line)[1] for line in table] == [
        "STATE", "held, shared", "waits #1", "waits #2, shared", "held, limit 2",
    ]  # fmt: skip
    assert [(line["mode"], line["limit"]) for line in listed] == [
        ("shared", None), ("exclusive", 1), ("shared", None), ("limit", 2),
    ]  # fmt: skip
    assert "  mode     limit 2\n" in shown


def test_views_say_what_belongs_together(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE a b")
        waiter.send("ACQUIRE b c d")
        daemon.wait_until_listed("b", 2)
        header, *rows = (re.split(" {2,}", line) for line in daemon.lockctl("ls").stdout.splitlines())
        listed = json.loads(daemon.lockctl("ls", "--json").stdout)
        shown = daemon.lockctl("show", "b").stdout
    column = header.index("NAMES")
    assert [(row[0], row[column]) for row in rows if row[1] == "held"] == [("a", "2"), ("b", "2")]
    assert [(line["name"], line["names"]) for line in listed] == [("a", 2), ("b", 2), ("b", 3), ("c", 3), ("d", 3)]
    assert "  names    2, held together\n" in shown
    assert re.search(r"  #1 .+ waits for \d\.\d s, with 2 other names\n", shown)


def test_ls_takes_a_prefix(daemon: Daemon) -> None:
    with daemon.connect() as session:
        for name in ["reports/a", "reports/b", "backup"]:
            session.ask(f"ACQUIRE {name}")
        listed = json.loads(daemon.lockctl("ls", "--json", "reports/").stdout)
    assert [line["name"] for line in listed] == ["reports/a", "reports/b"]


def test_json_says_what_the_table_says_exactly(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.send("HELLO client=test/1")
        assert holder.receive().startswith("WELCOME")
        token = int(holder.ask("ACQUIRE a ttl=1h note=n owner=o").split("token=")[1].split()[0])
        waiter.send("ACQUIRE a wait=2h ttl=3s")
        daemon.wait_until_listed("a", 2)
        held, waiting = json.loads(daemon.lockctl("show", "--json", "a").stdout)
    assert 0 <= held.pop("held_ms") <= 3_600_000 - held.pop("left_ms") + 1
    assert waiting.pop("waited_ms") <= 7_200_000 - waiting.pop("left_ms") + 1
    command = pathlib.Path("/proc/self/comm").read_text().strip()
    peer = {"pid": os.getpid(), "command": command, "uid": os.getuid(), "user": pwd.getpwuid(os.getuid()).pw_name}
    names = {"name": "a", "name_escaped": "a", "names": 1, "detached_ms": None}
    assert held.pop("unit") == waiting.pop("unit")
    assert waiting.pop("session") == held.pop("session") + 1
    assert held == {
        **names, **peer, "state": "held", "mode": "exclusive", "limit": 1, "client": "test/1", "waiters": 1, "token": token, "ttl_ms": 3_600_000,
        "owner": "o", "note": "n", "bound": None,
    }  # fmt: skip
    assert waiting == {
        **names, **peer, "state": "waiting", "mode": "exclusive", "limit": 1, "position": 1, "client": None, "ttl_ms": 3000, "owner": None, "note": None,
    }  # fmt: skip


def test_long_listings_are_whole(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.send(*(f"#h{i} ACQUIRE lock{i:04}" for i in range(700)))
        for _ in range(700):
            assert "GRANTED" in holder.receive()
        waiter.send(*(f"#w{i} ACQUIRE lock0350" for i in range(900)), "#p PING")
        assert waiter.receive() == "#p PONG"
        listed = json.loads(daemon.lockctl("ls", "--json").stdout)
    assert [line["name"] for line in listed if line["state"] == "held"] == [f"lock{i:04}" for i in range(700)]
    assert [line["position"] for line in listed if line["state"] == "waiting"] == list(range(1, 901))


def test_listings_of_several_pages_are_in_order_in_every_form(daemon: Daemon) -> None:
    names = [f"lock{number * 611 % 1200:04}" for number in range(1200)]
    with daemon.connect() as holder:
        holder.send(*(f"#h{number} ACQUIRE {name}" for number, name in enumerate(names)))
        for _ in names:
            assert "GRANTED" in holder.receive()
        table = daemon.lockctl("ls").stdout.splitlines()
        array = json.loads(daemon.lockctl("ls", "--json").stdout)
        lines = [json.loads(line) for line in daemon.lockctl("ls", "--json-lines").stdout.splitlines()]
    assert [line.split()[0] for line in table] == ["NAME", *sorted(names)]
    assert [line["name"] for line in array] == [line["name"] for line in lines] == sorted(names)


def test_strangers_bytes_do_not_steer_the_terminal(daemon: Daemon) -> None:
    with daemon.connect() as session:
        session.ask("ACQUIRE a%1B[2Jb note=%0Aevil%07")
        for arguments in (["ls"], ["show", "a\x1b[2Jb"]):
            output = daemon.lockctl(*arguments).stdout
            assert "a%1B[2Jb" in output
            assert "%0Aevil%07" in output
            assert not set(output) & set(map(chr, [*range(9), *range(11, 32), 127]))


def test_show_says_that_a_lock_is_free(daemon: Daemon) -> None:
    result = daemon.lockctl("show", "a")
    assert (result.returncode, result.stdout) == (0, "a is free\n")
    assert daemon.lockctl("show", "--json", "a").stdout == "[]\n"


def test_show_describes_holder_and_waiters(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE a ttl=1h")
        waiter.send("ACQUIRE a wait=1h note=me")
        daemon.wait_until_listed("a", 2)
        lines = daemon.lockctl("show", "a").stdout.splitlines()
    assert re.fullmatch(rf"a is held by .+ \(pid {os.getpid()}, user .+\) for \d\.\d s", lines[0])
    assert re.fullmatch(r"  token    \d{16}", lines[1])
    assert re.fullmatch(r"  ttl      1 h, (59 min 5\d s|1 h) left", lines[2])
    assert lines[3] == "  waiters  1"
    assert re.fullmatch(
        rf"  #1 .+ \(pid {os.getpid()}, user .+\) waits for \d\.\d s, (59 min 5\d s|1 h) left: me", lines[4]
    )


def test_revoke_takes_the_lease_and_tells_the_holder(daemon: Daemon) -> None:
    with daemon.connect() as session:
        token = session.ask("ACQUIRE a").split("token=")[1]
        result = daemon.lockctl("revoke", "a", "--reason", "stuck since noon")
        assert (result.returncode, result.stdout) == (0, f"revoked the lease on a, token {token}\n")
        assert re.fullmatch(
            rf"\* LOST a token={token} reason=revoked by-uid=\d+ by-pid=\d+ why=stuck%20since%20noon", session.receive()
        )


def test_revoke_of_what_nobody_holds_exits_with_1(daemon: Daemon) -> None:
    result = daemon.lockctl("revoke", "a")
    assert (result.returncode, result.stderr) == (1, "lockctl: nobody holds a\n")
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        result = daemon.lockctl("revoke", "a", "--token", "5")
        assert (result.returncode, result.stderr) == (1, "lockctl: nobody holds a with token 5\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_revoke_of_somebody_elses_lease_exits_with_77(daemon: Daemon) -> None:
    for path in [daemon.socket.parent, *daemon.socket.parent.parents[:-2]]:
        path.chmod(0o755)
    daemon.socket.chmod(0o666)
    with daemon.connect() as session:
        session.ask("ACQUIRE a")
        result = daemon.lockctl("revoke", "a", user=1, group=1)
        assert result.returncode == 77
        assert result.stderr == "lockctl: a is held by user root; only that user and root may revoke it\n"
        assert len(session.ask_lines("SHOW a")) == 1


def test_ping_says_who_answered(daemon: Daemon) -> None:
    result = daemon.lockctl("ping")
    assert result.returncode == 0
    expected = (
        rf"lockd \d+\.\d+\.\d+ \(pid {daemon.process.pid}\) at {re.escape(str(daemon.socket))} answered in \d+ µs\n"
    )
    assert re.fullmatch(expected, result.stdout)


def test_ping_of_an_absent_daemon_exits_with_69(daemon: Daemon) -> None:
    daemon.end()
    result = daemon.lockctl("ping")
    assert result.returncode == 69
    assert f'start it with "lockd --socket {daemon.socket}"' in result.stderr


def test_ls_leaves_what_is_asked_for(daemon: Daemon) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    with daemon.connect() as holder:
        holder.ask("ACQUIRE a")
        for of in (user, str(os.getuid())):
            assert len(json.loads(daemon.lockctl("ls", "--json", "--of", of).stdout)) == 1
        assert json.loads(daemon.lockctl("ls", "--json", "--of", "4242").stdout) == []
        # What is of a unit is shown in Tests/systemd/test_locks_in_units.py.
        assert json.loads(daemon.lockctl("ls", "--json", "--unit", "no.service").stdout) == []


def test_ls_sorts_by_what_is_asked_for(daemon: Daemon) -> None:
    def names(*arguments: str) -> list[str]:
        return [line.split()[0] for line in daemon.lockctl("ls", *arguments).stdout.splitlines()[1:]]

    with daemon.connect() as holder, daemon.connect() as waiter:
        for name in "bca":
            holder.ask(f"ACQUIRE {name}")
        waiter.send("#1 ACQUIRE c", "#2 ACQUIRE c", "#3 ACQUIRE a")
        daemon.wait_until_listed("a", 2)
        assert names() == ["a", "a", "b", "c", "c", "c"]
        assert names("--sort", "waiters") == ["c", "a", "b", "a", "c", "c"]
        longest_first = json.loads(daemon.lockctl("ls", "--json", "--sort", "for").stdout)
    times = [line.get("held_ms", line.get("waited_ms")) for line in longest_first]
    assert times == sorted(times, reverse=True)


def test_ls_has_the_columns_that_are_asked_for(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        token = holder.acquire("a", "note=n")
        ran = daemon.lockctl("ls", "--columns", "token,name,note")
    assert ran.stdout == f"TOKEN             NAME  NOTE\n{token}  a     n\n"


def test_ls_has_an_object_on_each_line(daemon: Daemon) -> None:
    with daemon.connect() as holder:
        for name in ("a", "b"):
            holder.ask(f"ACQUIRE {name}")
        lines = daemon.lockctl("ls", "--json-lines").stdout.splitlines()
        listed = json.loads(daemon.lockctl("ls", "--json").stdout)
    assert [json.loads(line)["name"] for line in lines] == ["a", "b"]
    assert [json.loads(line).keys() for line in lines] == [line.keys() for line in listed]


@pytest.mark.parametrize("form", [[], ["--json"], ["--json-lines"]])
def test_listing_that_cannot_be_written_is_an_error(daemon: Daemon, form: list[str]) -> None:
    with daemon.connect() as holder, open("/dev/full", "w") as full:
        holder.ask("ACQUIRE a")
        ran = subprocess.run(
            [binary("lockctl"), "ls", *form],
            env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ran.returncode == 74
    assert "cannot be written: No space left on device" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--columns", "name,nothing"], 'there is no column "nothing"; there are name, state, pid, '),
        (["--of", "nobody-at-all"], 'there is no user "nobody-at-all"'),
        (["--sort", "size"], "'size'"),
        (["--json", "--json-lines"], "--json and --json-lines exclude each other"),
    ],
)
def test_ls_names_what_it_does_not_know(daemon: Daemon, arguments: list[str], expected: str) -> None:
    ran = daemon.lockctl("ls", *arguments)
    assert ran.returncode == 64
    assert expected in ran.stderr


def test_show_says_of_what_is_waited_for_that_nobody_holds_it(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask("ACQUIRE b")
        waiter.send("ACQUIRE a b")
        daemon.wait_until_listed("a", 1)
        first, second = daemon.lockctl("show", "a").stdout.splitlines()
    assert first == "a is held by nobody, and waited for"
    assert second.endswith(", with another name")


def test_views_say_what_is_detached(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        for client in (holder, waiter):
            client.ask("HELLO")
        holder.ask("ACQUIRE a")
        waiter.send("ACQUIRE a")
        daemon.wait_until_listed("a", 2)
        before = json.loads(daemon.lockctl("ls", "--json").stdout)
        daemon.end(signal.SIGKILL)
        # Neither comes back, and their process is there still.
        next_one = Daemon(daemon.directory)
        with next_one:
            table = next_one.lockctl("ls").stdout.splitlines()
            after = json.loads(next_one.lockctl("ls", "--json").stdout)
            shown = next_one.lockctl("show", "a").stdout
            why = next_one.lockctl("why", "a").stdout
    assert [line["detached_ms"] for line in before] == [None, None]
    assert all(line["detached_ms"] >= 0 for line in after)
    states = [re.split(" {2,}", line)[1] for line in table[1:]]
    assert [re.sub(r"\d+\.\d s", "TIME", state) for state in states] == [
        "held, detached for TIME", "waits #1, detached for TIME",
    ]  # fmt: skip
    assert "it has no connection, and holds the lease still" in shown
    assert ", detached for " in why.splitlines()[0]

"""Every key that lockctl says to programs is in docs/json.md, and every key there is said."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from daemon.processes import Client, wait_until

from .conftest import Daemon

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "json.md"

NOT_EVERYWHERE = {("a process", "unit")}
"""What is null all the time on a machine whose tests do not run in a unit."""


class Type(NamedTuple):
    """What a value is: `string`, `integer`, one of some words; of an array, what its elements are."""

    name: str
    words: frozenset[str] = frozenset()
    is_array: bool = False
    is_null: bool = False

    @classmethod
    def parse(cls, text: str) -> Type:
        text, or_null = re.subn(r" or null$", "", text)
        text, of_array = re.subn(r"^array of ", "", text)
        if text.startswith("one of "):
            return cls("word", frozenset(re.findall(r"`([^`]+)`", text)), bool(of_array), bool(or_null))
        link = re.fullmatch(r"\[([^]]+)\]\(#([^)]+)\)", text)
        if link:
            assert link[2] == link[1].replace(" ", "-")
            return cls(link[1], is_array=bool(of_array), is_null=bool(or_null))
        assert text in ("string", "integer"), text
        return cls(text, is_array=bool(of_array), is_null=bool(or_null))


class Document:
    """The tables of the document, and what was found of what they say."""

    def __init__(self, text: str) -> None:
        self.tables: dict[str, dict[str, Type]] = {}
        self.examples: dict[str, list[str]] = defaultdict(list)
        self.seen: set[tuple[str, str]] = set()
        self.words_seen: dict[tuple[str, str], set[str]] = defaultdict(set)
        included: list[tuple[str, str]] = []
        section = table = ""
        for line in text.splitlines():
            if line.startswith("## "):
                section = line.removeprefix("## ")
            elif line.startswith("### "):
                table = line.removeprefix("### ").lower()
                self.tables[table] = {}
            elif line.startswith("| `"):
                key, type_, _ = (cell.strip() for cell in line.strip("|").split(" | ", 2))
                assert key.strip("`") not in self.tables[table], f"{table} has {key} twice"
                self.tables[table][key.strip("`")] = Type.parse(type_)
            elif line.startswith("| … |"):
                included.append((table, Type.parse(line.split(" | ")[1]).name))
        for table, other in included:
            self.tables[table] |= self.tables[other]
        for found in re.finditer(r"^## (.+?)$(.*?)(?=^## |\Z)", text, re.M | re.S):
            section, body = found.groups()
            self.examples[section] += re.findall(r"^```json\n(.*?)^```$", body, re.M | re.S)

    def check(self, table: str, value: dict[str, Any]) -> None:
        """Whether the object is as the table says."""
        types = self.tables[table]
        assert value.keys() == types.keys(), f"{table}: {value.keys() ^ types.keys()}"
        for key, type_ in types.items():
            if value[key] is None:
                assert type_.is_null, f"{table}: {key} is null"
                continue
            assert isinstance(value[key], list) == type_.is_array, f"{table}: {key} is {value[key]}"
            for one in value[key] if type_.is_array else [value[key]]:
                self.seen.add((table, key))
                self._check_one(table, key, type_, one)

    def _check_one(self, table: str, key: str, type_: Type, value: object) -> None:
        if type_.name in self.tables:
            assert isinstance(value, dict), f"{table}: {key} is {value!r}"
            self.check(type_.name, value)
        elif type_.name == "integer":
            assert isinstance(value, int), f"{table}: {key} is {value!r}"
            assert not isinstance(value, bool)
            assert 0 <= value < 2**64
        else:
            assert isinstance(value, str), f"{table}: {key} is {value!r}"
            if type_.name == "word":
                assert value in type_.words, f"{table}: {key} is {value}"
                self.words_seen[(table, key)].add(value)

    def never_seen(self) -> set[tuple[str, str]]:
        """The keys that were never there, or never anything but null.

        What a process has may have been seen of any process.
        """
        process = self.tables["a process"].keys()
        seen = self.seen | {("a process", key) for _, key in self.seen if key in process}
        keys = {
            ("a process" if key in process and "session" in types else table, key)
            for table, types in self.tables.items()
            for key in types
        }
        return keys - seen

    def check_listed(self, value: list[dict[str, Any]]) -> None:
        for line in value:
            self.check("a lease" if line["state"] == "held" else "a waiting request", line)

    def check_event(self, value: dict[str, Any]) -> None:
        tables = [name for name, types in self.tables.items() if value["event"] in types.get("event", Type("")).words]
        assert len(tables) == 1, value
        self.check(tables[0], value)

    def check_all(self, section: str, text: str) -> None:
        """Whether what a subcommand has printed is what its section says."""
        assert text.isascii()
        if section in ("watch", "run"):
            decoder = json.JSONDecoder()
            while text := text.lstrip():
                event, end = decoder.raw_decode(text)
                self.check_event(event)
                text = text[end:]
            return
        value = json.loads(text)
        tables = {
            "tree": "a lock", "why": "a reason", "history": "an ended lease", "stats": "statistics", "ping": "an answer",
            "version": "versions", "doctor": "a finding",
        }  # fmt: skip
        if section == "ls and show":
            self.check_listed(value)
        elif isinstance(value, list):
            for one in value:
                self.check(tables[section], one)
        else:
            self.check(tables[section], value)


@pytest.fixture
def document() -> Document:
    return Document(DOCUMENT.read_text())


def printed(daemon: Daemon, *arguments: str, code: int = 0) -> str:
    ran = daemon.lockctl(*arguments)
    assert (ran.returncode, ran.stderr) == (code, "")
    return ran.stdout


def test_examples_are_what_the_tables_say(document: Document) -> None:
    sections = [section for section, examples in document.examples.items() if examples]
    assert sections == ["ls and show", "tree", "why", "history", "watch", "stats", "ping", "version", "doctor", "run"]
    for section, examples in document.examples.items():
        for example in examples:
            document.check_all(section, example)


def test_subcommands_with_json_are_those_of_the_document(daemon: Daemon, document: Document) -> None:
    commands = re.findall(r"^  ([a-z]+) +\S", printed(daemon, "--help").split("SUBCOMMANDS:")[1], re.M)
    with_json = {command for command in commands if "--json" in printed(daemon, command, "--help")}
    assert with_json == set(re.findall(r"^`lockctl (\w+) --json", DOCUMENT.read_text(), re.M)) | {"show"}


@pytest.fixture
def clients(daemon: Daemon) -> Iterator[list[Client]]:
    clients = [daemon.connect() for _ in range(5)]
    yield clients
    for client in clients:
        client.close()


def test_every_key_is_documented_and_every_documented_key_is_said(
    daemon: Daemon, document: Document, clients: list[Client]
) -> None:
    watching = daemon.start("watch", "--json")
    wait_until(lambda: daemon.statistics()["watchers"] == "1", "lockctl watches")
    make_everything_happen(daemon, clients)
    for arguments in (["ls"], ["show", "held"], ["show", "shared"]):
        document.check_all("ls and show", printed(daemon, *arguments, "--json"))
    listed = [json.loads(line) for line in printed(daemon, "ls", "--json-lines").splitlines()]
    document.check_listed(listed)
    document.check_all("tree", printed(daemon, "tree", "--json", "--all"))
    orphan = daemon.start("run", "orphaned", "--", "sh", "-c", "echo; exec cat", stdin=subprocess.PIPE)
    assert orphan.stdout is not None
    orphan.stdout.readline()
    orphan.kill()
    orphan.wait(timeout=30)
    for name in ("held", "shared", "reserved", "free", "elsewhere", "orphaned"):
        document.check_all("why", printed(daemon, "why", "--json", name))
    orphan.communicate()
    document.check_all("history", printed(daemon, "history", "--json", "past"))
    for section in ("stats", "ping", "version", "doctor"):
        document.check_all(section, printed(daemon, section, "--json"))
    document.check_all("doctor", printed(daemon, "doctor", "--json", "--socket", "/nowhere/lockd.sock", code=1))
    pathlib.Path(f"{daemon.socket}.log.damaged").touch()
    document.check_all("doctor", printed(daemon, "doctor", "--json"))
    for errors in what_run_says(daemon, clients):
        document.check_all("run", errors)
    make_the_watcher_miss_something(daemon, watching, clients[0], document)
    daemon.end(signal.SIGKILL)
    next_one = Daemon(daemon.directory)
    with next_one:
        document.check_all("ls and show", printed(next_one, "ls", "--json"))
        document.check_all("tree", printed(next_one, "tree", "--json"))
    watching.kill()
    assert watching.stdout is not None
    # By the same way as before: lines that have been read ahead would be lost by any other. The last one may be cut.
    rest = watching.stdout.read()
    document.check_all("watch", rest[: rest.rfind("\n") + 1])
    watching.communicate()
    assert document.never_seen() <= NOT_EVERYWHERE
    assert document.words_seen[("a reason", "reason")] == document.tables["a reason"]["reason"].words
    assert document.words_seen[("a lease has ended", "event")] == document.tables["a lease has ended"]["event"].words
    assert document.words_seen[("an ended lease", "outcome")] == document.tables["an ended lease"]["outcome"].words
    assert document.words_seen[("a lease", "mode")] == document.tables["a lease"]["mode"].words
    assert document.words_seen[("a finding", "verdict")] == document.tables["a finding"]["verdict"].words


def make_everything_happen(daemon: Daemon, clients: list[Client]) -> None:
    holder, waiter, sharing, other, past = clients
    for client in (holder, waiter):
        client.ask("HELLO client=json/1")
    holder.acquire("held", "ttl=1h note=nightly%20run owner=me")
    waiter.acquire("elsewhere")
    waiter.send("#1 ACQUIRE held wait=1h ttl=1m note=later owner=you", "#2 ACQUIRE held reserved")
    sharing.send(*(f"#{number} ACQUIRE shared mode=shared" for number in range(5)))
    other.acquire("limited", "limit=2")
    other.send("#1 ACQUIRE elsewhere")
    holder.send("#1 ACQUIRE limited wait=1ms")
    assert "TIMEOUT" in holder.receive()
    daemon.wait_until_listed("held", 3)
    daemon.wait_until_listed("shared", 5)
    daemon.wait_until_listed("elsewhere", 2)
    past.ask("ACQUIRE past note=done")
    past.ask("RELEASE past")
    past.ask("ACQUIRE past ttl=1ms")
    wait_until(lambda: daemon.statistics()["expired"] == "1", "a lease has expired")
    assert past.receive().startswith("* LOST past")
    past.ask("ACQUIRE past")
    printed(daemon, "revoke", "past")
    assert past.receive().startswith("* LOST past")
    with daemon.connect() as ended:
        ended.ask("ACQUIRE past")
    wait_until(lambda: daemon.statistics()["ended"] == "1", "a lease has ended with its session")
    printed(daemon, "acquire", "--pid", str(os.getpid()), "bound")


def what_run_says(daemon: Daemon, clients: list[Client]) -> Iterator[str]:
    """What lockctl run says to programs, of everything that can happen but a deadlock, which a command cannot have by itself."""

    def run(*arguments: str) -> str:
        return daemon.lockctl("run", "--progress", "json", *arguments).stderr

    # Seen of the history: its last holder ended without releasing.
    yield run("--note", "x", "past", "free", "--", "true")
    yield run("-n", "elsewhere", "--", "true")
    yield run("-w", "1ms", "held", "shared", "--", "true")
    yield run("--ttl", "50ms", "mine", "--", "sleep", "1000")
    clients[4].ask("ACQUIRE past note=half%20done ttl=1ms")
    assert clients[4].receive().startswith("* LOST past")
    yield run("past", "-c", "sleep 1000 >/dev/null 2>&1 & (sleep 2; kill $!) >/dev/null 2>&1 &")


def make_the_watcher_miss_something(
    daemon: Daemon, watching: subprocess.Popen[str], client: Client, document: Document
) -> None:
    """Has lockctl read nothing while more happens than the daemon keeps for it."""
    assert watching.stdout is not None
    watching.send_signal(signal.SIGSTOP)
    names = [f"many{number}" for number in range(500)]
    for _ in range(20):
        client.send(*(f"ACQUIRE {name} note={'n' * 200}" for name in names))
        client.send(*(f"RELEASE {name}" for name in names))
        for _ in range(2 * len(names)):
            client.receive()
    watching.send_signal(signal.SIGCONT)
    for line in watching.stdout:
        event = json.loads(line)
        document.check_event(event)
        if event["event"] == "missed":
            assert event["count"] > 0
            return

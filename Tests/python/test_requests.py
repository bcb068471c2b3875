"""Requests and their lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

import pytest

from lockd import LocalProtocolError
from lockd._request_parsing import parse_request
from lockd._requests import (
    EXCLUSIVE,
    FOREVER,
    PIDFD,
    PIPE,
    SHARED,
    Acquire,
    Cancel,
    Hello,
    Histograms,
    History,
    List,
    Ping,
    Quit,
    Release,
    Renew,
    Request,
    Revoke,
    Show,
    Stats,
    Unwatch,
    Watch,
)

LONG_NAMES = tuple(bytes([0xA0 + number]) * 255 for number in range(16))

CANONICAL: list[tuple[str, Request]] = [
    ("HELLO", Hello()),
    ("HELLO v=1 client=lockd-python/0.1.0", Hello(version=1, client=b"lockd-python/0.1.0")),
    ("HELLO v=1 client=c resume=7", Hello(version=1, client=b"c", resume=7)),
    ("ACQUIRE reports/nightly", Acquire((b"reports/nightly",))),
    ("ACQUIRE x wait=0", Acquire((b"x",), wait=0)),
    ("ACQUIRE x wait=forever", Acquire((b"x",), wait=FOREVER)),
    (
        "ACQUIRE %C3%A9%20%23 wait=1500ms ttl=2m owner=a=b#c note=why%20not",
        Acquire(("é #".encode(),), wait=1500, ttl=120_000, owner=b"a=b#c", note=b"why not"),
    ),
    ("ACQUIRE x mode=shared", Acquire((b"x",), mode=SHARED)),
    ("ACQUIRE x mode=exclusive owner=me", Acquire((b"x",), mode=EXCLUSIVE, owner=b"me")),
    ("ACQUIRE x wait=1s max-queue=0 limit=100000", Acquire((b"x",), wait=1000, max_queue=0, limit=100_000)),
    ("ACQUIRE b a %C3%A9 ttl=1s", Acquire((b"b", b"a", "é".encode()), ttl=1000)),
    (
        "ACQUIRE x note=n progress=100ms bind=pidfd",
        Acquire((b"x",), note=b"n", progress=100, bind=PIDFD),
    ),
    ("ACQUIRE x y bind=pipe", Acquire((b"x", b"y"), bind=PIPE)),
    ("RELEASE x", Release(b"x")),
    ("RELEASE x token=18446744073709551615", Release(b"x", token=2**64 - 1)),
    ("RENEW x", Renew(b"x")),
    ("RENEW x token=7 ttl=30s", Renew(b"x", token=7, ttl=30_000)),
    ("CANCEL #7", Cancel("#7")),
    ("SHOW x", Show(b"x")),
    ("SHOW x after=1.2 limit=500", Show(b"x", after="1.2", limit=500)),
    ("LIST", List()),
    ("LIST limit=1", List(limit=1)),
    ("LIST re after=1.2 limit=10", List(b"re", after="1.2", limit=10)),
    ("HISTORY x", History(b"x")),
    ("WATCH", Watch()),
    ("WATCH reports/", Watch(b"reports/")),
    ("UNWATCH", Unwatch()),
    ("REVOKE x", Revoke(b"x")),
    ("REVOKE x token=7 reason=too%20slow", Revoke(b"x", token=7, reason=b"too slow")),
    ("STATS", Stats()),
    ("HISTOGRAMS", Histograms()),
    ("HISTOGRAMS after=1.2 limit=10", Histograms(after="1.2", limit=10)),
    ("PING", Ping()),
    ("QUIT", Quit()),
]


@pytest.mark.parametrize(("line", "request_"), CANONICAL, ids=[line for line, _ in CANONICAL])
@pytest.mark.parametrize("tag", [None, "#a.7"])
def test_canonical_lines_come_back_byte_for_byte(line: str, request_: Request, tag: str | None) -> None:
    whole = line if tag is None else f"{tag} {line}"
    assert parse_request(whole.encode()) == (tag, request_)
    assert request_.to_line(tag) == whole.encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "canonical"),
    [
        (b"acquire x ttl=60s wait=1000ms", b"ACQUIRE x wait=1s ttl=1m\n"),
        (b"Acquire \xc3\xa9", b"ACQUIRE %C3%A9\n"),
        (b"Acquire %61%2f", b"ACQUIRE a/\n"),
        (b"ACQUIRE x wait=0s", b"ACQUIRE x wait=0\n"),
    ],
)
def test_other_spellings_become_canonical(line: bytes, canonical: bytes) -> None:
    tag, request = parse_request(line)
    assert request.to_line(tag) == canonical


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" PING",
        b"PING ",
        b"PING  x",
        b"#1",
        b"# PING",
        b"#\xe4 PING",
        b"LOCK x",
        b"ACQUIRE",
        b"ACQUIRE wait=0",
        b"RELEASE x y",
        b"ACQUIRE x wait=0 y",
        b"RENEW x ttl",
        b"ACQUIRE x x",
        b"ACQUIRE " + b" ".join(b"%d" % number for number in range(17)),
        b"ACQUIRE x y#",
        b"ACQUIRE x progress=99ms",
        b"ACQUIRE x bind=socket",
        b"HISTORY",
        b"WATCH x y",
        b"UNWATCH x",
        b"ACQUIRE x wait=5",
        b"ACQUIRE x wait=0 wait=0",
        b"ACQUIRE x colour=red",
        b"ACQUIRE x# wait=0",
        b"ACQUIRE x note=",
        b"ACQUIRE x mode=both",
        b"ACQUIRE x limit=0",
        b"ACQUIRE x mode=shared limit=2",
        b"ACQUIRE x max-queue=100001",
        b"ACQUIRE x ttl=0s",
        b"ACQUIRE x ttl=367d",
        b"RELEASE x token=seven",
        b"RELEASE x token=18446744073709551616",
        b"CANCEL",
        b"CANCEL x",
        b"SHOW x after=1",
        b"SHOW x limit=0",
        b"PING x",
        b"PING x=y",
        b"GRANTED x token=1",
    ],
)
def test_what_is_no_request(line: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        parse_request(line)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Hello(client=b"c" * 65), "a client has 1 to 64 bytes, not 65"),
        (lambda: Acquire((b"",)), "a lock name has 1 to 255 bytes, not 0"),
        (lambda: Acquire((b"x",), wait=-1), "a wait is 0 ms to 366 days, not -1 ms"),
        (lambda: Acquire((b"x",), ttl=0), "a ttl is 1 ms to 366 days, not 0 ms"),
        (lambda: Acquire((b"x",), owner=b""), "an owner has 1 to 64 bytes, not 0"),
        (lambda: Acquire((b"x",), note=b"n" * 257), "a note has 1 to 256 bytes, not 257"),
        (lambda: Acquire((b"x",), limit=0), "limit is 1 to 100000, not 0"),
        (lambda: Acquire((b"x",), limit=2, mode=SHARED), "shared or has a limit, not both"),
        (lambda: Acquire((b"x",), max_queue=-1), "max_queue is 0 to 100000, not -1"),
        (lambda: Acquire(()), "a lock has 1 to 16 names, not 0"),
        (lambda: Acquire(tuple(b"%d" % number for number in range(17))), "a lock has 1 to 16 names, not 17"),
        (lambda: Acquire((b"x", b"y", b"x")), "the names of a lock are all different, but 'x' is there twice"),
        (lambda: Acquire(LONG_NAMES), "the names are too long together: a request has at most 8192 bytes, not 12285"),
        (lambda: Acquire((b"x",), progress=99), "progress is 100 ms to 366 days, not 99 ms"),
        (lambda: History(b""), "a lock name has 1 to 255 bytes, not 0"),
        (lambda: Watch(b""), "a lock name has 1 to 255 bytes, not 0"),
        (lambda: Release(b"x", token=2**64), "a token is 0 to 18446744073709551615"),
        (lambda: Renew(b"x", ttl=0), "a ttl is 1 ms"),
        (lambda: Cancel("7"), "a tag is #"),
        (lambda: Show(b"x", after="here"), "a cursor is what END said"),
        (lambda: List(limit=501), "a limit is 1 to 500"),
        (lambda: Revoke(b"x", reason=b""), "a reason has 1 to 256 bytes"),
    ],
)
def test_a_request_that_cannot_be_said_cannot_be_made(make: Callable[[], Request], complaint: str) -> None:
    with pytest.raises(LocalProtocolError, match=complaint):
        make()


def test_request_that_replaces_another_has_a_line_of_its_own() -> None:
    request = Acquire((b"x",), wait=FOREVER)
    assert [request.to_line("#1"), request.to_line()] == [b"#1 ACQUIRE x wait=forever\n", b"ACQUIRE x wait=forever\n"]
    assert replace(request, wait=5).to_line("#2") == b"#2 ACQUIRE x wait=5ms\n"

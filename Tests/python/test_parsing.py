"""Every line that the daemon may say, in the order of the document, and what it may not."""

from __future__ import annotations

import pytest

from lockd import RemoteProtocolError
from lockd import _replies as replies
from lockd._holders import AbandonedLease, Holder
from lockd._parsing import parse_reply
from lockd._replies import Reply

HOLDER = "holder-pid=12 holder-uid=0 holder-command=my%20app holder-session=3 held=90s"

LINES: list[tuple[str, Reply]] = [
    (
        "WELCOME lockd=0.1.0 v=1 session=3 pid=77 features=cancel,list line=8192 name=255",
        replies.Welcome("0.1.0", 1, 3, 77, ("cancel", "list"), 8192, 255),
    ),
    ("WELCOME lockd=0.1.0 v=1", replies.Welcome("0.1.0", 1)),
    ("WELCOME lockd=0.1.0 v=1 session=3 leases=2 waiters=1", replies.Welcome("0.1.0", 1, 3, leases=2, waiters=1)),
    ("GRANTED x token=18446744073709551615", replies.Granted((b"x",), 2**64 - 1)),
    ("GRANTED %C3%A9 token=5 ttl=2m", replies.Granted(("é".encode(),), 5, 120_000)),
    ("HELD x token=5 ttl=1s", replies.Held((b"x",), 5, 1000)),
    ("BUSY x waiters=0", replies.Busy((b"x",), None, 0)),
    (f"BUSY x {HOLDER} waiters=2", replies.Busy((b"x",), Holder(12, 0, b"my app", 3, 90_000), 2)),
    ("BUSY x held=1ms waiters=2", replies.Busy((b"x",), Holder(held=1), 2)),
    (
        f"TIMEOUT x waited=50ms {HOLDER} waiters=1",
        replies.TimedOut((b"x",), 50, Holder(12, 0, b"my app", 3, 90_000), 1),
    ),
    ("CANCELLED x waited=7ms", replies.Cancelled((b"x",), 7)),
    (
        "GRANTED x token=5 ttl=1m previous=ended previous-token=4 previous-pid=12 previous-uid=0 previous-command=my%20app"
        " previous-held=90s previous-note=n%20n",
        replies.Granted((b"x",), 5, 60_000, AbandonedLease("ended", 4, 12, 0, b"my app", 90_000, b"n n")),
    ),
    ("GRANTED x token=5 previous=evaporated", replies.Granted((b"x",), 5, None, AbandonedLease("evaporated"))),
    ("GRANTED b a %C3%A9 token=5", replies.Granted((b"b", b"a", "é".encode()), 5)),
    ("HELD a b token=5", replies.Held((b"a", b"b"), 5)),
    (
        "BUSY a b holder-pid=12 holder-unit=app%40x.service held=1s holder-note=n%20n waiters=0",
        replies.Busy((b"a", b"b"), Holder(12, held=1000, unit=b"app@x.service", note=b"n n"), 0),
    ),
    ("TIMEOUT a b waited=1ms waiters=0", replies.TimedOut((b"a", b"b"), 1, None, 0)),
    ("CANCELLED a b waited=1ms", replies.Cancelled((b"a", b"b"), 1)),
    ("QUEUED x position=1 waiters=1", replies.Progress((b"x",), 1, b"x", None, 1)),
    (
        f"QUEUED a b position=3 on=b {HOLDER} waiters=4",
        replies.Progress((b"a", b"b"), 3, b"b", Holder(12, 0, b"my app", 3, 90_000), 4),
    ),
    (
        "EDGE x waiter-pid=1 waiter-owner=o%20o waiter-session=2 holder-pid=3 holder-uid=4 holder-command=c holder-unit=u"
        " holder-owner=p holder-session=5 held=6ms token=7",
        replies.DeadlockEdge(b"x", 1, b"o o", 2, 3, 4, b"c", b"u", b"p", 5, 6, None, 7),
    ),
    (
        "EDGE x waiter-pid=1 waiter-session=2 holder-pid=3 holder-uid=4 holder-session=5 waited=6ms",
        replies.DeadlockEdge(b"x", 1, None, 2, 3, 4, holder_session=5, waited=6),
    ),
    ("DEADLOCK a b edges=2", replies.Deadlock((b"a", b"b"), 2)),
    ("RELEASED a b token=5", replies.Released((b"a", b"b"), 5)),
    ("RENEWED a b token=5", replies.Renewed((b"a", b"b"), 5)),
    ("REVOKED a b token=5", replies.Revoked((b"a", b"b"), 5)),
    ("DENIED a b token=5 uid=1", replies.Denied((b"a", b"b"), 5, 1)),
    (
        "LEASE x token=5 session=3 pid=12 uid=0 command=app unit=app.service held=5ms names=2 bound=pidfd waiters=1",
        replies.LeaseLine(
            b"x", 5, 3, 12, 0, b"app", held=5, waiters=1, unit=b"app.service", name_count=2, bound="pidfd"
        ),
    ),
    (
        "WAITER x position=1 session=4 pid=13 uid=1 unit=u waited=5ms names=16",
        replies.WaiterLine(b"x", 1, 4, 13, 1, waited=5, unit=b"u", name_count=16),
    ),
    (
        "HOLD x token=5 outcome=expired session=3 pid=12 uid=0 command=app unit=u waited=1ms held=2ms ago=3s note=n%20n",
        replies.Hold(b"x", 5, "expired", 3, 12, 0, b"app", b"u", 1, 2, 3000, b"n n"),
    ),
    ("HOLD x token=5 outcome=evaporated", replies.Hold(b"x", 5, "evaporated")),
    ("WATCHING", replies.Watching()),
    ("WATCHING re", replies.Watching(b"re")),
    ("WATCHING since=5s", replies.Watching()),
    ("UNWATCHED", replies.Unwatched()),
    ("RELEASED x token=5", replies.Released((b"x",), 5)),
    ("NOTHELD x", replies.NotHeld(b"x")),
    ("RENEWED x token=5 ttl=1h", replies.Renewed((b"x",), 5, 3_600_000)),
    ("RENEWED x token=5", replies.Renewed((b"x",), 5)),
    ("CANCELLED #7", replies.WaitCancelled("#7")),
    ("NOTWAITING #7", replies.NotWaiting("#7")),
    (
        "LEASE x token=5 session=3 pid=12 uid=0 command=app client=c/1 held=5ms ttl=10s left=9s owner=o note=n%20n"
        " waiters=1",
        replies.LeaseLine(b"x", 5, 3, 12, 0, b"app", b"c/1", 5, 10_000, 9000, b"o", b"n n", 1),
    ),
    (
        "LEASE x token=5 session=3 pid=12 uid=0 held=5ms waiters=0",
        replies.LeaseLine(b"x", 5, session=3, pid=12, uid=0, held=5, waiters=0),
    ),
    (
        "WAITER x position=1 session=4 pid=13 uid=1 command=b client=c waited=5ms left=1s ttl=2s owner=o note=n",
        replies.WaiterLine(b"x", 1, 4, 13, 1, b"b", b"c", 5, 1000, 2000, b"o", b"n"),
    ),
    (
        "LEASE x token=5 mode=shared session=3 held=5ms waiters=0",
        replies.LeaseLine(b"x", 5, session=3, held=5, waiters=0, holder_limit=None),
    ),
    (
        "LEASE x token=5 limit=3 session=3 held=5ms waiters=0",
        replies.LeaseLine(b"x", 5, session=3, held=5, waiters=0, holder_limit=3),
    ),
    ("LEASE x token=5 detached=7ms", replies.LeaseLine(b"x", 5, detached=7)),
    ("WAITER x position=2 detached=1s", replies.WaiterLine(b"x", 2, detached=1000)),
    ("WAITER x position=2 limit=2 waited=5ms", replies.WaiterLine(b"x", 2, waited=5, holder_limit=2)),
    ("BUSY x held=5ms holders=3 waiters=0", replies.Busy((b"x",), Holder(held=5, count=3), 0)),
    ("END", replies.End()),
    ("END next=12.34", replies.End("12.34")),
    ("REVOKED x token=5", replies.Revoked((b"x",), 5)),
    ("DENIED x token=5 uid=1000", replies.Denied((b"x",), 5, 1000)),
    (
        "HISTOGRAM of=wait count=3 sum-us=1234 buckets-us=100:1,inf:2",
        replies.Histogram(None, "wait", 3, 1234, ((100, 1), (None, 2))),
    ),
    ("HISTOGRAM a of=hold", replies.Histogram(b"a", "hold")),
    ("STAT sessions-limit=8192", replies.Statistic("sessions-limit", "8192")),
    ("PONG", replies.Pong()),
    ("BYE", replies.Bye()),
    (
        "ERROR bad-duration key=wait got=5 want=0|DURATION|forever",
        replies.Refused("bad-duration", {"key": "wait", "got": "5", "want": "0|DURATION|forever"}),
    ),
]


@pytest.mark.parametrize(("line", "reply"), LINES, ids=[line for line, _ in LINES])
@pytest.mark.parametrize("tag", [None, "#a:1", "#12"])
def test_every_line_has_its_meaning(line: str, reply: Reply, tag: str | None) -> None:
    whole = line if tag is None else f"{tag} {line}"
    assert parse_reply(whole.encode()) == (tag, reply)


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("* LOST x token=5 reason=expired", replies.Lost((b"x",), 5, "expired")),
        (
            "* LOST x token=5 reason=revoked by-uid=0 by-pid=99 why=too%20slow",
            replies.Lost((b"x",), 5, "revoked", 0, 99, b"too slow"),
        ),
        ("* LOST x token=5 reason=eclipse", replies.Lost((b"x",), 5, "eclipse")),
        ("* LOST reason=log-damaged", replies.AllLost("log-damaged")),
        ("* RESTORED session=5 leases=2 waiters=1", replies.Restored(5, 2, 1)),
        ("* RESTORED", replies.Restored()),
        ("* LOST a b token=5 reason=expired", replies.Lost((b"a", b"b"), 5, "expired")),
        (
            "* QUEUED a b session=3 pid=12 uid=0 command=c unit=u position=2 note=n%20n",
            replies.Event("queued", (b"a", b"b"), None, 3, 12, 0, b"c", b"u", 2, note=b"n n"),
        ),
        (
            "* UNQUEUED x session=3 pid=12 uid=0 waited=5ms reason=timeout",
            replies.Event("unqueued", (b"x",), None, 3, 12, 0, waited=5, reason="timeout"),
        ),
        (
            "* GRANTED x token=5 session=3 pid=12 uid=0 waited=5ms",
            replies.Event("granted", (b"x",), 5, 3, 12, 0, waited=5),
        ),
        ("* RELEASED x token=5 held=6ms", replies.Event("released", (b"x",), 5, held=6)),
        ("* EXPIRED x token=5 held=6ms", replies.Event("expired", (b"x",), 5, held=6)),
        ("* REVOKED x token=5 held=6ms", replies.Event("revoked", (b"x",), 5, held=6)),
        ("* ABANDONED x token=5 held=6ms", replies.Event("abandoned", (b"x",), 5, held=6)),
        ("* MISSED count=77", replies.Missed(77)),
        ("* YIELD x token=5", None),
        ("*", None),
    ],
)
def test_events_have_no_tag_and_unknown_ones_no_meaning(line: str, event: Reply | None) -> None:
    assert parse_reply(line.encode()) == (None, event)


@pytest.mark.parametrize("verb", ["GRANTED", "RELEASED"])
@pytest.mark.parametrize("name", ["x", 'a/b.c-d:"!$&<>~', "%C3%A9", "a b"])
@pytest.mark.parametrize("token", ["5", "9999999999999999999", "18446744073709551615"])
@pytest.mark.parametrize("more", ["", " ttl=90s", " ttl=1500ms", " ttl=2m"])
def test_usual_replies_mean_what_they_mean_with_an_unknown_key(verb: str, name: str, token: str, more: str) -> None:
    line = f"#7 {verb} {name} token={token}{more}"
    assert parse_reply(line.encode()) == parse_reply(f"{line} colour=red".encode())


def test_unknown_keys_are_ignored() -> None:
    assert parse_reply(b"GRANTED x token=5 colour=red") == (None, replies.Granted((b"x",), 5))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "HTTP/1.1 400 Bad Request",
        "granted x token=5",
        "# GRANTED x token=5",
        "#1",
        "GRANTED",
        "GRANTED token=5",
        "GRANTED x",
        "GRANTED x token=",
        "GRANTED x token=five",
        "GRANTED x token=18446744073709551616",
        "GRANTED x# token=5",
        "GRANTED x token=5 ttl=5",
        "BUSY x held=long",
        "CANCELLED",
        "CANCELLED #",
        "NOTWAITING x",
        "WELCOME v=1",
        "WELCOME lockd=1",
        "* LOST",
        "WAITER x",
        "GRANTED x y# token=5",
        "QUEUED x",
        "QUEUED x position=1 on=x#",
        "EDGE",
        "DEADLOCK",
        "HOLD x token=5",
        "HOLD x outcome=expired",
        "* GRANTED",
        "* MISSED",
        "STAT",
        "HISTOGRAM a count=1",
        "HISTOGRAM of=wait buckets-us=",
        "HISTOGRAM of=wait buckets-us=100:x",
        "HISTOGRAM of=wait buckets-us=x:100",
        "HISTOGRAM of=wait buckets-us=100",
        "ERROR",
        "* LOST x token=5",
        "* LOST token=5 reason=expired",
        "GRANTED x token=5\r",
        "GRANTED \xe9 token=5",
    ],
)
@pytest.mark.parametrize("tag", ["", "#1 "])
def test_what_no_lockd_says(line: str, tag: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_reply((tag + line).encode("latin-1"))

"""Threads and event loops talk to the daemon through one protocol core: the one that the transcripts drive."""

from __future__ import annotations

import re
from typing import Callable

import pytest
from conftest import Daemon
from looping import run_loop

import lockd
from lockd import _link, aio
from lockd._protocol import Received, Session

# What is said and heard in the conversation below, by either.
CONVERSATION = """\
> #1 HELLO v=1 client=*
< #1 WELCOME *
> #2 ACQUIRE name wait=0 ttl=1m note=n
< #2 GRANTED name token=$1 *
> #3 ACQUIRE name wait=0 ttl=1m note=n
< #3 BUSY name *
> #4 RENEW name token=$1 ttl=90s
< #4 RENEWED name token=$1 *
> #5 SHOW name
< #5 LEASE name token=$1 *
< #5 END
> #6 RELEASE name token=$1
< #6 RELEASED name token=$1
> #7 RENEW name token=$1
< #7 NOTHELD name"""


class Recording(Session):
    """The protocol core, and what went into it and came out of it."""

    said = b""
    heard = b""
    lines: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.lines = []
        forget, hear = self.data_sent, self.receive

        def data_sent(count: int) -> None:
            self.said = self._record(">", self.said + self.data_to_send()[:count])
            forget(count)

        def receive(data: bytes) -> list[Received]:
            self.heard = self._record("<", self.heard + data)
            return hear(data)

        self.data_sent, self.receive = data_sent, receive  # type: ignore[method-assign]
        recorded.append(self)

    def _record(self, arrow: str, data: bytes) -> bytes:
        *lines, rest = data.split(b"\n")
        self.lines += [f"{arrow} {line.decode()}" for line in lines]
        return rest


recorded: list[Recording] = []


def converse_in_a_thread() -> None:
    lock, client = lockd.Lock("name", ttl=60, note="n"), lockd.Client()
    assert lock.acquire(False)
    assert not lockd.Lock("name", ttl=60, note="n").acquire(False)
    assert lock.lease is not None
    client.renew("name", lock.lease.token, 90)
    assert len(client.show("name")) == 1
    token = lock.lease.token
    lock.release()
    with pytest.raises(lockd.NotHeld):
        client.renew("name", token)


def converse_in_a_loop() -> None:
    async def main() -> None:
        async with aio.Client() as client:
            lock = aio.Lock("name", client=client, ttl=60, note="n")
            assert await lock.acquire(False)
            assert not await lock.acquire(False)
            assert lock.lease is not None
            await client.renew("name", lock.lease.token, 90)
            assert len(await client.show("name")) == 1
            token = lock.lease.token
            await lock.release()
            with pytest.raises(lockd.NotHeld):
                await client.renew("name", token)

    run_loop(main())


@pytest.mark.parametrize("converse", [converse_in_a_thread, converse_in_a_loop])
def test_every_line_of_a_conversation_goes_through_the_core(
    own_daemon: Daemon, monkeypatch: pytest.MonkeyPatch, converse: Callable[[], None]
) -> None:
    recorded.clear()
    monkeypatch.setattr(_link, "Session", Recording)
    converse()
    (core,) = recorded
    assert isinstance(core, Session)
    text = "\n".join(core.lines)
    pattern = re.escape(CONVERSATION).replace(r"\*", "[^\n]*").replace(r"\$1", r"(\d+)", 1).replace(r"\$1", r"\1")
    assert re.fullmatch(pattern, text), text

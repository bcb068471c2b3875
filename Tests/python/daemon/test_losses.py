"""Word of a loss is on its way before anybody is told of a grant that came of it."""

from __future__ import annotations

import contextlib
import select
import signal
from collections.abc import Iterator

from .processes import END, Client, Daemon, wait_until


class Readiness:
    """Which of several clients could read first: epoll lists them in the order in which something came for them."""

    def __init__(self, **clients: Client) -> None:
        self._epoll = select.epoll()
        self._names = {client.socket.fileno(): name for name, client in clients.items()}
        for client in clients.values():
            self._epoll.register(client.socket, select.EPOLLIN)

    def order(self) -> list[str]:
        return [self._names[descriptor] for descriptor, _ in self._epoll.poll(0)]


@contextlib.contextmanager
def one_turn(daemon: Daemon) -> Iterator[None]:
    """What happens meanwhile, the daemon finds all at once, and in that order."""
    daemon.process.send_signal(signal.SIGSTOP)
    state = f"/proc/{daemon.process.pid}/stat"

    def is_stopped() -> bool:
        with open(state) as fields:
            return fields.read().rpartition(")")[2].split()[0] == "T"

    wait_until(is_stopped, "lockd is stopped")
    yield
    daemon.process.send_signal(signal.SIGCONT)


def test_loss_is_told_before_the_grant_of_one_that_hangs_up(daemon: Daemon) -> None:
    with daemon.connect() as loser, daemon.connect() as winner, daemon.connect() as operator:
        token = loser.acquire("db")
        winner.send("ACQUIRE db")
        daemon.wait_until_listed("db", 2)
        assert operator.ask("PING") == "PONG"
        readiness = Readiness(loser=loser, winner=winner)
        with one_turn(daemon):
            operator.send("REVOKE db")
            winner.shut_down()
            # One's own end of a connection wakes one, too.
            assert readiness.order() == []
        assert operator.receive().startswith("REVOKED db ")
        assert readiness.order() == ["loser", "winner"]
        assert loser.receive().startswith(f"* LOST db token={token} reason=revoked ")
        assert winner.receive().startswith("GRANTED db ")
        assert winner.receive() == END


def test_loss_is_told_before_watchers_are_written_to_between_two_lines(daemon: Daemon) -> None:
    """It is, when there is much to tell it."""
    count = 300
    with daemon.connect() as loser, daemon.connect() as watcher, daemon.connect() as operator:
        token = loser.acquire("db")
        tokens = [operator.acquire(f"n{number}", f"note={'n' * 256}") for number in range(count)]
        assert watcher.ask("WATCH") == "WATCHING"
        readiness = Readiness(loser=loser, watcher=watcher)
        with one_turn(daemon):
            operator.send("REVOKE db", *(f"RELEASE n{number} token={tokens[number]}" for number in range(count)))
        assert operator.receive().startswith("REVOKED db ")
        for number in range(count):
            assert operator.receive().startswith(f"RELEASED n{number} ")
        assert readiness.order() == ["loser", "watcher"]
        assert loser.receive().startswith(f"* LOST db token={token} reason=revoked ")

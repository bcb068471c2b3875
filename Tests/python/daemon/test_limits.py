"""Many clients, too many clients, and too few descriptors."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import resource
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from .processes import END, Client, Daemon, open_files_limit, wait_until

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


@contextlib.contextmanager
def clients_of(daemon: Daemon, count: int) -> Iterator[list[Client]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(daemon.connect()) for _ in range(count)]


def test_five_thousand_sessions_at_once(daemon: Daemon) -> None:
    count = 5000
    with open_files_limit(count + 100):
        with clients_of(daemon, count) as clients:
            for number, client in enumerate(clients):
                client.send(f"ACQUIRE own/{number}", f"#w ACQUIRE shared ttl=1h note={number}")
            tokens = {int(client.receive().split()[2].removeprefix("token=")) for client in clients}
            assert len(tokens) == count
            assert clients[0].receive().startswith("#w GRANTED shared ")
            statistics = daemon.statistics()
            assert statistics["sessions"] == str(count + 1)
            assert statistics["leases"] == str(count + 1)
            assert statistics["waiters"] == str(count - 1)
            # Each grants the next by its end.
            for number in range(100):
                clients[number].close()
                assert clients[number + 1].receive().startswith("#w GRANTED shared ")
        wait_until(lambda: daemon.statistics()["sessions"] == "1", "all sessions have ended")
        statistics = daemon.statistics()
        assert [statistics[gauge] for gauge in ("locks", "leases", "waiters")] == ["0", "0", "0"]


def test_sessions_that_come_and_go_leave_no_descriptors(daemon: Daemon) -> None:
    with daemon.connect() as client:
        assert client.ask("PING") == "PONG"
        before = descriptors(daemon)
        for _ in range(20):
            with clients_of(daemon, 50) as clients:
                for other in clients:
                    other.send("PING")
                    assert other.receive() == "PONG"
        wait_until(lambda: descriptors(daemon) == before, "no descriptor is left")


def descriptors(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def daemon_with(directory: pathlib.Path, config: str) -> Daemon:
    return Daemon(directory, "--socket", directory / "lockd.sock", "--state-dir", directory / "state", config=config)


def test_sessions_beyond_the_limit_are_refused(tmp_path: pathlib.Path) -> None:
    with daemon_with(tmp_path, "limits:\n  sessions: 3\n  reserved-sessions: 0\n") as daemon:
        with clients_of(daemon, 3) as clients:
            for client in clients:
                assert client.ask("PING") == "PONG"
            for _ in range(10):
                with daemon.connect() as refused:
                    assert refused.receive() == "ERROR too-many-sessions limit=3"
                    assert refused.receive() == END
            clients[0].close()
            wait_until(lambda: is_served(daemon), "there is room again")
        assert "too many sessions" in daemon.messages()
        assert daemon.messages().count("too many sessions") == 1


def is_served(daemon: Daemon) -> bool:
    with daemon.connect() as client:
        return client.is_served()


def test_refusal_can_be_read_though_something_was_sent_before(tmp_path: pathlib.Path) -> None:
    daemon = daemon_with(tmp_path, "limits:\n  sessions: 1\n  reserved-sessions: 0\n")
    with daemon, daemon.connect() as client:
        assert client.ask("PING") == "PONG"
        daemon.process.send_signal(signal.SIGSTOP)
        with daemon.connect() as eager:
            eager.send("HELLO v=1", "ACQUIRE db")
            daemon.process.send_signal(signal.SIGCONT)
            assert eager.receive() == "ERROR too-many-sessions limit=1"
            assert eager.receive() == END


@root_only
def test_some_sessions_are_kept_back_for_root(tmp_path: pathlib.Path) -> None:
    tmp_path.chmod(0o755)
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(daemon_with(tmp_path, "limits:\n  sessions: 5\n  reserved-sessions: 2\n"))
        reach(daemon)
        for _ in range(3):
            client, owner = daemon.connect_from_a_process(user=NOBODY)
            stack.enter_context(client)
            stack.enter_context(owner)
            assert client.ask("PING") == "PONG"
        client, owner = daemon.connect_from_a_process(user=NOBODY)
        with client, owner:
            assert client.receive() == "ERROR too-many-sessions limit=5"
            assert client.receive() == END
        with clients_of(daemon, 2) as operators:
            for operator in operators:
                assert operator.ask("PING") == "PONG"
            with daemon.connect() as refused:
                assert refused.receive() == "ERROR too-many-sessions limit=5"


@root_only
def test_uid_is_the_kernels_word(daemon: Daemon) -> None:
    reach(daemon)
    client, owner = daemon.connect_from_a_process(user=NOBODY)
    with client, owner, daemon.connect() as root:
        root.acquire("db")
        assert client.ask("REVOKE db").startswith("DENIED db ")
        assert client.ask("SHOW db").endswith(" waiters=0")
        assert client.receive() == "END"
        client.acquire("mine")
        listed = root.ask_lines("SHOW mine")[0]
        assert f" pid={owner.process.pid} uid={NOBODY} command=python" in listed
        assert root.ask("REVOKE mine reason=a%20test%0A").startswith("REVOKED mine ")
        assert client.receive().endswith(f" reason=revoked by-uid=0 by-pid={os.getpid()} why=a%20test%0A")
    (entry,) = [line for line in daemon.messages().splitlines() if line.endswith(" revoked")]
    for field in [
        "name=mine",
        f"holder.pid={owner.process.pid} ",
        f"holder.uid={NOBODY} ",
        "by.uid=0 ",
        f"by.pid={os.getpid()} ",
        "why=a%20test%0A",
    ]:
        assert field in entry + " "


def test_revocation_is_logged_once_whoever_asks(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as other:
        holder.acquire("db")
        assert other.ask("REVOKE db token=1").startswith("NOTHELD db")
        assert other.ask("REVOKE db").startswith("REVOKED db ")
        assert holder.ask("REVOKE db").startswith("* LOST db ")
        assert holder.receive() == "NOTHELD db"
        assert sum(line.endswith(" revoked") for line in daemon.messages().splitlines()) == 1


def reach(daemon: Daemon) -> None:
    """Lets every user reach the socket, which is for root and its group."""
    for directory in [daemon.directory, *daemon.directory.parents]:
        if directory == pathlib.Path("/tmp"):
            break
        directory.chmod(directory.stat().st_mode | 0o011)
    daemon.socket.chmod(0o666)


def test_backlog_that_overflows_is_served_in_the_end(daemon: Daemon) -> None:
    with open_files_limit(8000), contextlib.ExitStack() as stack:
        daemon.process.send_signal(signal.SIGSTOP)
        waiting: list[Client] = []
        while True:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.setblocking(False)
            try:
                connection.connect(str(daemon.socket))
            except BlockingIOError:
                break
            waiting.append(Client(connection))
            waiting[-1].send("PING")
        assert len(waiting) > 100, "the backlog is full"
        daemon.process.send_signal(signal.SIGCONT)
        for client in waiting:
            assert client.receive() == "PONG"
        with daemon.connect() as late:
            assert late.ask("PING") == "PONG"


def limited(soft: int, hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_soft_limit_of_descriptors_is_raised(tmp_path: pathlib.Path) -> None:
    with Daemon(tmp_path, preexec_fn=limited(64, 464)) as daemon:
        assert daemon.statistics()["sessions-limit"] == "125"
        limits = pathlib.Path(f"/proc/{daemon.process.pid}/limits").read_text()
        assert [line.split()[3:5] for line in limits.splitlines() if "open files" in line] == [["464", "464"]]


def test_limit_of_sessions_is_what_descriptors_allow(tmp_path: pathlib.Path) -> None:
    with Daemon(tmp_path, preexec_fn=limited(96, 96)) as daemon, clients_of(daemon, 10) as clients:
        for client in clients:
            assert client.ask("PING") == "PONG"
        with daemon.connect() as refused:
            assert refused.receive() == "ERROR too-many-sessions limit=10"


@contextlib.contextmanager
def crowded(directory: pathlib.Path, room: int) -> Iterator[Daemon]:
    """A daemon that has so many descriptors left that it may use: fewer than its sessions need."""
    with open_files_limit(300), contextlib.ExitStack() as stack:
        ballast = [os.open("/dev/null", os.O_RDONLY) for _ in range(150)]
        for descriptor in ballast:
            stack.callback(os.close, descriptor)
        # What a daemon uses itself is found out with one that has more than enough.
        with Daemon(directory, pass_fds=ballast, preexec_fn=limited(290, 290)) as spacious:
            used = max(int(number) for number in os.listdir(f"/proc/{spacious.process.pid}/fd")) + 1
            free = used - descriptors(spacious)
            spacious.end()
        with Daemon(directory, pass_fds=ballast, preexec_fn=limited(used + room - free, used + room - free)) as daemon:
            yield daemon


@contextlib.contextmanager
def room_for_one_descriptor(daemon: Daemon) -> Iterator[None]:
    """Lowers the daemon's limit so far that it can open one more descriptor, and no second one."""
    used = {int(number) for number in os.listdir(f"/proc/{daemon.process.pid}/fd")}
    limit = next(limit for limit in itertools.count(1) if limit - sum(number < limit for number in used) == 1)
    former = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (limit, former[1]))
    yield
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, former)


def test_the_last_connection_is_served_though_it_was_accepted_by_half(daemon: Daemon) -> None:
    with room_for_one_descriptor(daemon):
        # There is room for its socket, but not for the descriptor of its process.
        client = daemon.connect()
        client.send("PING")
        wait_until(lambda: "cannot accept" in daemon.messages(), "descriptors have run out")
    # It is not in the backlog any more, so no event of the listener brings it back to mind.
    with client:
        assert client.receive() == "PONG"


@pytest.mark.parametrize("room", [6, 7])
def test_too_few_descriptors_do_not_make_it_spin(tmp_path: pathlib.Path, room: int) -> None:
    with crowded(tmp_path, room) as daemon, contextlib.ExitStack() as stack:
        served = [stack.enter_context(daemon.connect()) for _ in range(room // 2 - 1)]
        for client in served:
            assert client.ask("PING") == "PONG"
        late = [stack.enter_context(daemon.connect()) for _ in range(10)]
        wait_until(lambda: "cannot accept" in daemon.messages(), "descriptors have run out")
        used = daemon.cpu_seconds()
        for _ in range(50):
            assert served[0].ask("#1 ACQUIRE db wait=20ms").startswith(("#1 GRANTED", "#1 TIMEOUT"))
        assert daemon.cpu_seconds() - used < 0.5
        assert daemon.messages().count("cannot accept") < 10

        # Each that goes makes room for another. Nobody is sent away for good.
        for client in served:
            client.close()
        for client in late:
            assert client.ask("PING") == "PONG"
            client.close()


def test_descriptors_that_run_out_do_not_close_sessions(tmp_path: pathlib.Path) -> None:
    with crowded(tmp_path, 6) as daemon, contextlib.ExitStack() as stack:
        holder = stack.enter_context(daemon.connect())
        holder.acquire("db")
        late = [stack.enter_context(daemon.connect()) for _ in range(20)]
        wait_until(lambda: "cannot accept" in daemon.messages(), "descriptors have run out")
        assert holder.ask("RELEASE db").startswith("RELEASED db ")
        for client in late:
            client.close()
        assert holder.ask("PING") == "PONG"
        wait_until(lambda: is_served(daemon), "there is room again")

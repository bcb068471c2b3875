"""The daemon as a service of systemd: readiness, status, watchdog, a socket that is passed, and an end when it is not used."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from conftest import await_stopped

from .notify import NotifySocket, SocketUnit
from .processes import PATIENCE, Client, Daemon, wait_until
from .test_starting import quiet_second

CONFIGURATION_ERROR = 78


@pytest.fixture
def notify(tmp_path: pathlib.Path) -> Iterator[NotifySocket]:
    with NotifySocket(tmp_path) as listening:
        yield listening


@pytest.fixture
def unit(tmp_path: pathlib.Path) -> Iterator[SocketUnit]:
    with SocketUnit(tmp_path) as listening:
        yield listening


def is_ready(message: list[str]) -> bool:
    return message == ["READY=1", "STATUS=serving 0 sessions, 0 leases, 0 waiters"]


def has_status(message: list[str]) -> bool:
    return any(line.startswith("STATUS=") for line in message)


# Notifications


def test_ready_is_told_first_and_is_true(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with Daemon(tmp_path, environment=notify.environment) as daemon:
        # To read what the daemon before has left can take long.
        assert notify.receive() == ["EXTEND_TIMEOUT_USEC=60000000"]
        messages = notify.receive_until(is_ready)
        # Connections are kept from the first one on, so what keeps them is there before.
        assert all(message[0] in ("FDSTORE=1", "BARRIER=1") for message in messages[:-1])
        with daemon.connect() as client:
            assert client.ask("PING") == "PONG"


def test_status_counts_what_there_is(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with Daemon(tmp_path, environment=notify.environment) as daemon, daemon.connect() as holder:
        assert holder.ask("ACQUIRE a").startswith("GRANTED a ")
        with daemon.connect() as waiter:
            waiter.send("ACQUIRE a")
            notify.await_status("serving 2 sessions, 1 lease, 1 waiter")
        notify.await_status("serving 1 session, 1 lease, 0 waiters")


def test_status_is_told_once_a_second_and_the_last_one_always(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with Daemon(tmp_path, environment=notify.environment) as daemon, daemon.connect() as client:
        begun = time.monotonic()
        for number in range(500):
            assert client.ask(f"ACQUIRE {number}").startswith("GRANTED")
        messages = notify.receive_until(lambda message: "STATUS=serving 1 session, 500 leases, 0 waiters" in message)
        # One when it was ready, and then one for every second that has begun.
        assert sum(map(has_status, messages)) <= 2 + (time.monotonic() - begun)


def test_idle_daemon_that_is_looked_after_sleeps(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with Daemon(tmp_path, environment=notify.environment) as daemon, daemon.connect() as holder:
        assert holder.ask("ACQUIRE a").startswith("GRANTED a ")
        notify.await_status("serving 1 session, 1 lease, 0 waiters")
        assert quiet_second(daemon) == (0, 0)


def test_end_is_told(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with Daemon(tmp_path, environment=notify.environment) as daemon:
        assert daemon.end() == 0
    assert notify.receive_until(lambda message: "STOPPING=1" in message)[-1] == ["STOPPING=1", "STATUS=ending"]


def test_full_notify_socket_holds_nobody_up(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        other.connect(str(notify.path))
        count = 0
        while True:
            try:
                other.send(b"OTHER=1")
            except BlockingIOError:
                break
            count += 1
    with Daemon(tmp_path, environment=notify.environment) as daemon, daemon.connect() as client:
        assert client.ask("ACQUIRE a").startswith("GRANTED a ")
        for _ in range(count):
            assert notify.receive() == ["OTHER=1"]
        notify.receive_until(is_ready)
        notify.await_status("serving 1 session, 1 lease, 0 waiters")


def test_notify_socket_that_is_none_is_refused(tmp_path: pathlib.Path) -> None:
    daemon = Daemon(tmp_path, environment={"NOTIFY_SOCKET": "vsock:2:1234"})
    assert daemon.process.wait(PATIENCE) == CONFIGURATION_ERROR
    assert "NOTIFY_SOCKET=vsock:2:1234 is not a Unix socket; lockd needs a path" in daemon.messages()


def test_idle_daemon_is_alive(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    environment = {**notify.environment, "WATCHDOG_USEC": "200000"}
    with Daemon(tmp_path, environment=environment):
        for _ in range(5):
            notify.receive_until(lambda message: message == ["WATCHDOG=1"])


def test_nothing_is_told_to_a_watchdog_that_is_not_there(tmp_path: pathlib.Path, notify: NotifySocket) -> None:
    with Daemon(tmp_path, environment=notify.environment) as daemon:
        assert daemon.end() == 0
    messages = notify.receive_until(lambda message: "STOPPING=1" in message)
    assert ["WATCHDOG=1"] not in messages


def test_signal_of_the_watchdog_ends_it(tmp_path: pathlib.Path) -> None:
    with Daemon(tmp_path, environment={"SWIFT_BACKTRACE": "enable=yes"}) as daemon:
        assert daemon.end(signal.SIGABRT) == -signal.SIGABRT


# A socket that is passed


def activate(directory: pathlib.Path, *options: str, arguments: tuple[str, ...] = ()) -> Daemon:
    """systemd-socket-activate, which becomes lockd when somebody connects."""
    daemon = Daemon(
        directory,
        "--state-dir",
        directory / "state",
        *arguments,
        wrapper=["systemd-socket-activate", f"--listen={directory}/lockd.sock", *options],
    )
    wait_until((directory / "lockd.sock").exists, "systemd-socket-activate listens")
    return daemon


def connect(daemon: Daemon) -> Client:
    """A connection as soon as somebody listens."""

    def is_listening() -> bool:
        try:
            daemon.connect().close()
        except ConnectionRefusedError:
            return False
        return True

    wait_until(is_listening, "somebody listens")
    return daemon.connect()


def test_first_connection_starts_the_daemon_and_is_answered(tmp_path: pathlib.Path) -> None:
    daemon = activate(tmp_path, "--fdname=lockd.sock")
    try:
        with connect(daemon) as client:
            # It is the program that was activated.
            assert f" pid={daemon.process.pid} " in client.ask("HELLO")
        assert daemon.end() == 0
        # The socket is not the daemon's to remove.
        assert daemon.socket.exists()
    finally:
        daemon.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), 'a descriptor with the name "unknown" was passed, which lockd does not know'),
        (("--fdname=http",), 'a descriptor with the name "http" was passed, which lockd does not know'),
        (("--fdname=lockd.sock", "--seqpacket"), "lockd.sock is not a stream socket"),
    ],
)
def test_socket_that_is_not_lockds_is_refused(tmp_path: pathlib.Path, options: tuple[str, ...], said: str) -> None:
    daemon = activate(tmp_path, *options)
    try:
        kind = socket.SOCK_SEQPACKET if "--seqpacket" in options else socket.SOCK_STREAM
        with socket.socket(socket.AF_UNIX, kind) as client:
            wait_until(lambda: client.connect_ex(str(daemon.socket)) == 0, "somebody listens")
            assert daemon.process.wait(PATIENCE) == CONFIGURATION_ERROR
        assert said in daemon.messages()
    finally:
        daemon.__exit__(None, None, None)


def test_descriptors_for_another_process_are_refused(tmp_path: pathlib.Path) -> None:
    daemon = Daemon(tmp_path, environment={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert daemon.process.wait(PATIENCE) == CONFIGURATION_ERROR
    assert f"LISTEN_FDS is set for process 1, and this is {daemon.process.pid}: start lockd itself" in daemon.messages()
    assert not daemon.socket.exists()


def test_no_descriptor_though_some_are_announced_is_refused(tmp_path: pathlib.Path) -> None:
    wrapper = ["bash", "-c", 'LISTEN_PID=$$ exec "$@"', "bash"]
    daemon = Daemon(tmp_path, environment={"LISTEN_FDS": "0"}, wrapper=wrapper)
    assert daemon.process.wait(PATIENCE) == CONFIGURATION_ERROR
    assert "LISTEN_FDS=0 and LISTEN_PID=" in daemon.messages()


def test_socket_that_was_asked_for_elsewhere_is_refused(unit: SocketUnit) -> None:
    daemon = unit.start("--socket", "/elsewhere/lockd.sock")
    assert daemon.process.wait(PATIENCE) == CONFIGURATION_ERROR
    assert f"socket is /elsewhere/lockd.sock, but systemd listens at {unit.path}" in daemon.messages()


def test_socket_that_was_asked_for_and_is_passed_is_right(unit: SocketUnit) -> None:
    with unit.start("--socket", str(unit.path)) as daemon, daemon.connect() as client:
        assert client.ask("PING") == "PONG"


def test_passed_socket_is_left_alone(unit: SocketUnit) -> None:
    before = unit.path.stat()
    with unit.start() as daemon:
        assert daemon.end() == 0
    after = unit.path.stat()
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    # Whoever connects now waits for the next daemon.
    with Client(connected(unit)) as client:
        client.send("PING")
        with unit.start():
            assert client.receive() == "PONG"


def connected(unit: SocketUnit) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(unit.path))
    return client


def test_second_daemon_with_the_passed_socket_is_refused(unit: SocketUnit) -> None:
    with unit.start() as daemon:
        second = unit.start()
        assert second.process.wait(PATIENCE) == CONFIGURATION_ERROR
        assert f"lockd with pid {daemon.process.pid} is running already" in second.messages()


# An end when nobody is there


def test_idle_daemon_ends_and_the_next_connection_is_served_by_another(unit: SocketUnit, notify: NotifySocket) -> None:
    # Who comes before the daemon keeps it from ending before the test has begun.
    client = Client(connected(unit))
    with unit.start("--exit-when-idle=1s", environment=notify.environment) as daemon:
        with client:
            assert client.ask("PING") == "PONG"
        assert daemon.process.wait(PATIENCE) == 0
        assert re.search(r"\bidle=1s .*\bidle, ending\n", daemon.messages())
    notify.receive_until(lambda message: "STOPPING=1" in message)
    assert unit.path.exists()
    with Client(connected(unit)) as client:
        client.send("PING")
        with unit.start():
            assert client.receive() == "PONG"


def test_daemon_that_is_used_does_not_end(unit: SocketUnit) -> None:
    client = Client(connected(unit))
    with unit.start("--exit-when-idle=1s") as daemon:
        with client:
            pidfd = os.pidfd_open(os.getpid())
            socket.send_fds(client.socket, [b"ACQUIRE bound bind=pidfd\n"], [pidfd])
            os.close(pidfd)
            granted = client.receive()
            assert granted.startswith("GRANTED bound ")
            wait_for(1.5)
            assert client.ask("PING") == "PONG"
        # Nobody is connected any more, but the lease is there.
        wait_for(1.5)
        token = granted.partition(" token=")[2].split()[0]
        with daemon.connect() as client:
            assert client.ask(f"RELEASE bound token={token}").startswith("RELEASED bound ")
        assert daemon.process.wait(PATIENCE) == 0


def wait_for(seconds: float) -> None:
    """Returns when the clock that the daemon goes by has gone on by that."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, "time passes")


def test_connection_that_came_while_it_was_due_to_end_is_served(unit: SocketUnit, notify: NotifySocket) -> None:
    first = Client(connected(unit))
    with unit.start("--exit-when-idle=5s", environment=notify.environment) as daemon:
        assert first.ask("ACQUIRE a").startswith("GRANTED a ")
        notify.await_status("serving 1 session, 1 lease, 0 waiters")
        first.close()
        notify.await_status("serving 0 sessions, 0 leases, 0 waiters")
        daemon.process.send_signal(signal.SIGSTOP)
        await_stopped(daemon.process.pid)
        with daemon.connect() as client:
            client.send("PING")
            # It would have ended in this time.
            wait_for(5.5)
            daemon.process.send_signal(signal.SIGCONT)
            assert client.receive() == "PONG"


@pytest.mark.parametrize("spelling", ["1s", "90m", "10min"])
def test_time_can_be_spelled_as_systemd_does(unit: SocketUnit, spelling: str) -> None:
    with Client(connected(unit)) as client, unit.start(config=f"exit-when-idle: {spelling}\n"):
        assert client.ask("PING") == "PONG"


def test_end_without_a_socket_of_systemds_is_refused(tmp_path: pathlib.Path) -> None:
    daemon = Daemon(tmp_path, "--socket", tmp_path / "s", "--state-dir", tmp_path / "d", "--exit-when-idle=10min")
    assert daemon.process.wait(PATIENCE) == CONFIGURATION_ERROR
    assert "exit-when-idle is only for a daemon that systemd starts by its socket" in daemon.messages()


@pytest.mark.parametrize("spelling", ["10", "0s", "500ms", "10 m", "-1s", "400d", "min"])
def test_time_that_is_none_is_refused(tmp_path: pathlib.Path, spelling: str) -> None:
    daemon = Daemon(tmp_path, f"--exit-when-idle={spelling}")
    assert daemon.process.wait(PATIENCE) == 64
    assert "exit-when-idle must be a time from 1s to 366d, like 30s, 10m or 2h" in daemon.messages()


# Which unit a client belongs to


UNIFIED = [path for path in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(f"{path}/cgroup.procs")]


@pytest.mark.skipif(os.geteuid() != 0 or not UNIFIED, reason="needs root and a control group of version 2")
def test_unit_of_a_client_is_that_of_its_control_group(daemon: Daemon) -> None:
    group = pathlib.Path(UNIFIED[0]) / f"lockd-test-{os.getpid()}.service"
    group.mkdir()
    try:
        process = subprocess.Popen(
            ["bash", "-c", 'echo $$ >"$0/cgroup.procs" && exec socat - "UNIX-CONNECT:$1"', group, daemon.socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("ACQUIRE a\nSHOW a\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith("GRANTED a ")
            assert f" unit={group.name} " in process.stdout.readline()
            process.stdin.close()
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "the process has ended")
        group.rmdir()

"""How lockctl run ends a process tree: everybody who is there is told once, and nobody else, and nobody is stopped."""

from __future__ import annotations

import os
import pathlib
import pty
import signal
import subprocess
import sys

import pytest
from binaries import binary
from daemon.processes import wait_until

from .conftest import Daemon

# Cleans up by another program, which takes its time; an exit code of 5 says that it has come to its end.
CLEANING = """
import os, signal, subprocess, sys
ends = os.pipe()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.close(ends[1])
        os.read(ends[0], 1)
        os._exit(0)
def clean_up(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    script = "trap 'exit 6' TERM; echo cleaning >&2; read word; exit 5"
    sys.exit(subprocess.run(["sh", "-c", script]).returncode)
signal.signal(signal.SIGTERM, clean_up)
print("ready", flush=True)
while True:
    signal.pause()
"""


def start(daemon: Daemon, *arguments: str) -> subprocess.Popen[str]:
    """lockctl whose command has said that it is ready."""
    process = daemon.start(*arguments, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    "within", [[], [str(binary("lockctl")), "run", "--grace", "1h", "b", "--"]], ids=["one", "two"]
)
def test_cleaning_up_is_not_ended_by_the_term_it_answers(daemon: Daemon, within: list[str]) -> None:
    # There are many others, so lockctl is not done with telling all of them when the cleaning up has begun. A second lockctl tells them, and not both.
    process = start(daemon, "run", "--grace", "1h", "a", "--", *within, sys.executable, "-c", CLEANING, "300")
    process.terminate()
    assert process.stderr is not None
    assert process.stderr.readline() == "cleaning\n"
    wait_for_lockctl_to_sleep(process)
    process.communicate("done\n", timeout=60)
    assert process.returncode == 5


# Says how it was told to end, and by then does.
WORKER = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("told", flush=True), sys.exit(9)))
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize(
    "way",
    [
        "{python} {worker} & {lockctl} run b -- sh -c 'while kill -0 $1; do sleep 0.01; done' sh $!",
        # The shell has become lockctl, so its child is lockctl's, and not of what that runs.
        "{python} {worker} & exec {lockctl} run b -- sleep 1000",
        # It ignores TERM, and what it runs does not.
        "trap '' TERM; exec {lockctl} run b -- {python} {worker}",
    ],
    ids=["beside", "from before", "ignoring"],
)
def test_who_is_not_told_by_another_lockctl_is_told(daemon: Daemon, tmp_path: pathlib.Path, way: str) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    line = way.format(python=sys.executable, worker=worker, lockctl=binary("lockctl"))
    process = start(daemon, "run", "--grace", "1h", "a", "-c", line)
    daemon.wait_until_listed("b", 1)
    process.terminate()
    output, _ = process.communicate(timeout=30)
    assert output == "told\n"


def wait_for_lockctl_to_sleep(process: subprocess.Popen[str]) -> None:
    """Returns when lockctl, and the one under it if there is one, has nothing more to do."""
    comms = {number for number in descendants(process.pid) if comm(number) == "lockctl"} | {process.pid}

    def sleep() -> bool:
        return all(pathlib.Path(f"/proc/{number}/wchan").read_text() != "0" for number in comms) and all(
            pathlib.Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S" for number in comms
        )

    wait_until(sleep, "lockctl waits")


def descendants(process: int) -> list[int]:
    children = [
        int(child)
        for task in pathlib.Path(f"/proc/{process}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return children + [number for child in children for number in descendants(child)]


def comm(process: int) -> str:
    return pathlib.Path(f"/proc/{process}/comm").read_text().strip()


def test_nobody_is_stopped_on_the_way(daemon: Daemon) -> None:
    # As su and sudo do, whose parent does not: waits for its child, and would stop itself with it.
    script = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    print("ready", flush=True)
    while True:
        signal.pause()
seen = []
signal.signal(signal.SIGCHLD, lambda *_: None)
while True:
    _, status = os.waitpid(child, os.WUNTRACED | os.WCONTINUED)
    seen.append(status)
    if os.WIFSIGNALED(status):
        sys.exit(0 if seen == [signal.SIGTERM] else 1)
"""
    process = start(daemon, "run", "--grace", "1h", "a", "--", sys.executable, "-c", script)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can begin a namespace of processes")
def test_processes_of_another_namespace_are_left_alone(daemon: Daemon) -> None:
    # Where /proc is that of the namespace outside, its numbers mean others than those of this one.
    inner = f"""
sleep 1000 & others=$!
{binary("lockctl")} run --grace 1h a -- sh -c 'echo ready; exec sleep 1000' & lockctl=$!
read word
kill $lockctl
wait $lockctl
echo "code $?"
kill -0 $others && echo "others are there"
kill $others
"""
    process = subprocess.Popen(
        ["unshare", "--pid", "--fork", "sh", "-c", inner],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    output, _ = process.communicate("\n", timeout=30)
    assert output == "code 143\nothers are there\n"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["exec cat", "exec 3<&0; cat <&3 & exit 0"], ids=["command", "left behind"])
def test_signal_that_is_ignored_from_the_beginning_ends_nothing(
    daemon: Daemon, number: signal.Signals, command: str
) -> None:
    # As nohup does, and a shell to what it starts in the background.
    ignoring = f"trap '' {number.name.removeprefix('SIG')}"
    process = subprocess.Popen(
        ["sh", "-c", f"{ignoring}; exec {binary('lockctl')} run --grace 0ms a -- sh -c '{command}'"],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for line in ("before\n", "after\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline() == line
        wait_for_lockctl_to_sleep(process)
        process.send_signal(number)
    wait_for_lockctl_to_sleep(process)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert daemon.lockctl("history", "a").stdout.count("released") == 1


def test_keyboard_ends_what_is_left_behind(daemon: Daemon) -> None:
    # What a shell starts in the background ignores the keyboard.
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(LOCKD_SOCKET=str(daemon.socket), NO_COLOR="1")
        os.execv(binary("lockctl"), ["lockctl", "run", "a", "--", "sh", "-c", "sleep 1000 & exit 3"])
    with open(terminal, "rb", buffering=0) as screen:
        seen = b""
        while b"the command has ended; a is held until this has too: " not in seen:
            seen += screen.read(1000)
        os.write(terminal, b"\x03")
        _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 3
    daemon.wait_until_listed("a", 0)


def test_thread_of_the_parent_that_ends_is_not_its_end(daemon: Daemon) -> None:
    script = """
import os, subprocess, sys, threading
def run():
    global process
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write("begun\\n")
    process.stdin.flush()
    process.stdout.readline()
thread = threading.Thread(target=run)
thread.start()
thread.join()
while len(os.listdir("/proc/self/task")) > 1:
    pass
for word in sys.stdin:
    process.stdin.write(word)
    process.stdin.flush()
    print(process.stdout.readline(), end="", flush=True)
os._exit(0)
"""
    lockctl = [str(binary("lockctl")), "run", "--die-with-parent", "a", "--", "cat"]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *lockctl],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    for _ in range(100):
        parent.stdin.write("there?\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "there?\n"
    parent.communicate(timeout=30)
    daemon.wait_until_listed("a", 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGRTMIN])
@pytest.mark.parametrize("way", ["SIG_IGN", "SIG_BLOCK"])
def test_end_of_a_parent_that_heeds_no_signals_is_noticed(daemon: Daemon, number: int, way: str) -> None:
    script = f"""
import signal, subprocess, sys
if "{way}" == "SIG_IGN":
    signal.signal({number}, signal.SIG_IGN)
else:
    signal.pthread_sigmask(signal.SIG_BLOCK, [{number}])
subprocess.Popen(sys.argv[1:])
sys.stdin.read()
"""
    lockctl = [str(binary("lockctl")), "run", "--die-with-parent", "a", "--", "sleep", "1000"]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *lockctl],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        stdin=subprocess.PIPE,
    )
    daemon.wait_until_listed("a", 1)
    parent.kill()
    parent.communicate()
    daemon.wait_until_listed("a", 0)


@pytest.mark.parametrize(("options", "code"), [([], 71), (["--leader-only"], 71)])
def test_want_of_processes_is_not_the_fault_of_the_command(daemon: Daemon, options: list[str], code: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be a user who has no process")
    for path in [daemon.socket.parent, *daemon.socket.parent.parents[:-2]]:
        path.chmod(0o755)
    daemon.socket.chmod(0o666)
    process = subprocess.run(
        ["prlimit", "--nproc=1", str(binary("lockctl")), "run", *options, "a", "--", "true"],
        env={**os.environ, "LOCKD_SOCKET": str(daemon.socket)},
        user=54322,
        group=54322,
        extra_groups=[],
        capture_output=True,
        text=True,
    )
    assert process.returncode == code, process.stderr

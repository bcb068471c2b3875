"""What run.py says when a program that it started ends early. Nothing of the benchmarks has to be built for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import run

# Tells every client its pid.
SERVER = """
import contextlib, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening", file=sys.stderr, flush=True)
while True:
    with listener.accept()[0] as client, contextlib.suppress(BrokenPipeError):
        client.sendall(str(os.getpid()).encode())
"""

# What a load generator does to that server before it ends: it kills it, and waits until there is only its exit status.
KILLING = """
import os, pathlib, signal, socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    pid = int(connection.recv(100))
os.kill(pid, signal.SIGKILL)
while pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
    pass
"""

FIGURES = '{"operations_per_second": 1, "answered": 1, "loadgen_cpu": 1, "latency": {"p50": 1, "p99": 1, "p999": 1, "max": 1}}'


def shell(script: str) -> run.Server:
    return run.Server("shell", Path("/bin/sh"), ["-c", script], "1")


def failure_to_start(server: run.Server, folder: Path) -> str:
    with pytest.raises(run.BenchmarkError) as caught, server.running(folder, None):
        pass
    return str(caught.value)


def failure_to_measure(folder: Path, loadgen: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The message if this Python program is the load generator."""
    program = folder / "loadgen"
    program.write_text(f"#!{sys.executable}\n{loadgen}")
    program.chmod(0o755)
    monkeypatch.setattr(run, "PROGRAMS", folder)
    server = run.Server("python", Path(sys.executable), ["-c", SERVER, "{socket}"], "1")
    with server.running(folder, None) as running, pytest.raises(run.BenchmarkError) as caught:
        run.measure(running, run.Shape(1), 0, 0.05, None)
    return str(caught.value)


def test_server_that_does_not_start_is_named_with_its_status_and_last_words(tmp_path: Path) -> None:
    message = failure_to_start(shell("echo no such option >&2; exit 3"), tmp_path)
    assert message == "shell ended with status 3; it said last:\nno such option"


def test_server_that_crashes_at_the_start_is_named_with_its_signal(tmp_path: Path) -> None:
    assert failure_to_start(shell("kill -SEGV $$"), tmp_path) == (
        "shell was ended by signal 11 (Segmentation fault) and said nothing"
    )


def test_only_the_last_lines_are_shown(tmp_path: Path) -> None:
    _, *lines = failure_to_start(shell("seq 100; exit 1"), tmp_path).splitlines()
    assert lines == [str(number) for number in range(81, 101)]


def test_load_generator_that_fails_is_named_with_its_status_and_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "DEATH_SECONDS", 0)
    message = failure_to_measure(tmp_path, "import sys; sys.exit('wrong reply')", monkeypatch)
    assert message == "loadgen (python, 1x1) ended with status 1; it said last:\nwrong reply"


def test_load_generator_that_crashes_is_named_with_its_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "DEATH_SECONDS", 0)
    message = failure_to_measure(tmp_path, "import os; os.abort()", monkeypatch)
    assert message == "loadgen (python, 1x1) was ended by signal 6 (Aborted) and said nothing"


@pytest.mark.parametrize("end", ["sys.exit('connection reset')", f"print('{FIGURES}')"])
def test_server_that_is_killed_under_load_is_named_whatever_the_load_generator_makes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    message = failure_to_measure(tmp_path, KILLING + end, monkeypatch)
    assert message == "python was ended by signal 9 (Killed); it said last:\nlistening"

"""What README.md shows is what happens."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import processes
import pytest

README = (processes.ROOT / "README.md").read_text()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    with processes.lockd(tmp_path) as socket:
        yield socket


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    found: str
    (found,) = [text for text in blocks if containing in text]
    return found


def test_the_session_by_hand_goes_as_shown(daemon: Path) -> None:
    _, *lines = block("", "$ socat").splitlines()
    requests = [line for line in lines if line.split()[0] in ("ACQUIRE", "RELEASE")]
    replies = [line for line in lines if line not in requests]
    session = subprocess.run(
        ["socat", "-t5", "-", f"UNIX-CONNECT:{daemon}"],
        input="".join(line + "\n" for line in requests),
        capture_output=True,
        text=True,
        check=True,
    )
    assert with_any_token(session.stdout.splitlines()) == with_any_token(replies)


def with_any_token(lines: list[str]) -> list[str]:
    return [re.sub(r"token=\d{16}\b", "token=N", line) for line in lines]


def test_the_python_example_runs(
    daemon: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCKD_SOCKET", str(daemon))
    exec(block("python", "import lockd"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.rstrip("0123456789") for line in printed] == [
        "my turn, with token ",
        "my turn, after ten seconds at most",
    ]


def test_the_swift_example_is_the_one_that_is_compiled() -> None:
    assert block("swift", "import LockdClient") == (processes.ROOT / "docs/examples/with_lease/main.swift").read_text()


def watching(daemon: Path) -> bool:
    """Whether somebody watches."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon))
        client.sendall(b"STATS\nQUIT\n")
        return "STAT watchers=1" in client.makefile("r").read()


def test_the_shell_commands_do_what_their_comments_say(daemon: Path, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("report:\n\t@echo made\n")
    environment = os.environ | {"LOCKD_SOCKET": str(daemon)}

    def run(command: str) -> subprocess.CompletedProcess[str]:
        line = re.sub(r"^lockctl", str(processes.LOCKCTL), command.partition("#")[0].strip())
        return subprocess.run(line.split(), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    commands = [line.strip() for line in README.splitlines() if line.startswith("    lockctl")]
    wait, bounded, queue, limited, both, acquire, ls, watch, metrics = commands
    assert run(wait).stdout == "made\n"
    assert run(queue).stdout == "made\n"
    assert run(limited).stdout == "made\n"
    assert run(both.partition(" -- ")[0] + " -- echo made").stdout == "made\n"
    assert run(metrics).stdout.endswith("# EOF\n")
    alias = next(line.partition("#")[0].strip() for line in README.splitlines() if line.startswith("    alias flock="))
    script = f"{alias.replace('lockctl', str(processes.LOCKCTL))}\nflock -n {tmp_path}/file echo ran"
    aliased = ["bash", "-O", "expand_aliases", "-c", script]
    assert subprocess.run(aliased, env=environment, capture_output=True, text=True, check=True).stdout == "ran\n"
    token = run(acquire.replace("$$", str(os.getpid()))).stdout.strip()
    assert f"{os.getpid()}" in run(ls).stdout
    assert run(f"lockctl release reports/nightly --token {token}").returncode == 0
    watcher = subprocess.Popen(
        [processes.LOCKCTL, *watch.partition("#")[0].split()[1:]], env=environment, stdout=subprocess.PIPE, text=True
    )
    with watcher:
        assert watcher.stdout is not None
        processes.wait_for(lambda: run(wait).stdout == "made\n" and watching(daemon), "a watcher")
        run(wait)
        assert "reports/nightly" in watcher.stdout.readline()
        watcher.terminate()
    assert "released" in run("lockctl history reports/nightly").stdout
    assert "10s" in bounded
    holder = subprocess.Popen(
        [processes.LOCKCTL, "run", "reports/nightly", "--", "sh", "-c", "echo held; exec sleep 60"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert run(bounded.replace("10s", "10ms")).returncode == 75
        waiter = subprocess.Popen([processes.LOCKCTL, "run", "reports/nightly", "--", "true"], env=environment)
        processes.wait_for(lambda: "waits #1" in run(ls).stdout, "a waiter")
        assert run(queue).returncode == 75
        waiter.terminate()
        waiter.wait()
        assert "reports/nightly" in run(ls).stdout
        holder.terminate()


def test_the_daemon_serves_one_user_where_the_text_says(tmp_path: Path) -> None:
    environment = {
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PATH": os.environ["PATH"],
    }
    socket = tmp_path / "lockd/lockd.sock"
    with processes.running([str(processes.LOCKD), "--user"], log=tmp_path / "log", environment=environment):
        processes.wait_for(lambda: processes.connects(socket), "the start of lockd")
        subprocess.run([processes.LOCKCTL, "ping", "--user"], env=environment, check=True, capture_output=True)
        assert socket.stat().st_mode & 0o777 == 0o600

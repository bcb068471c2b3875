"""The example of docs/protocol.md, by hand."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from binaries import ROOT

from .processes import PATIENCE, Daemon

socat_only = pytest.mark.skipif(shutil.which("socat") is None, reason="needs socat")


def example() -> list[str]:
    """The lines of the session with socat in the document, without the command."""
    text = (ROOT / "docs" / "protocol.md").read_text()
    found = re.search(r"^```\n\$ socat - UNIX-CONNECT:\S+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None, "the document has no example with socat"
    return found.group(1).splitlines()


def token_in(line: str) -> str:
    return line.partition("token=")[2].partition(" ")[0]


@socat_only
def test_example_of_the_document_goes_as_it_says(daemon: Daemon) -> None:
    tokens: dict[str, str] = {}
    with subprocess.Popen(
        ["socat", "-", f"UNIX-CONNECT:{daemon.socket}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as socat:
        assert socat.stdin is not None
        assert socat.stdout is not None
        requests = 0
        for line in example():
            if line.split()[0] in ("ACQUIRE", "RELEASE", "QUIT"):
                requests += 1
                socat.stdin.write(line + "\n")
                continue
            got = socat.stdout.readline().removesuffix("\n")
            # Tokens are other ones here, but equal where those of the document are.
            said = re.sub(r"token=(\d+)", lambda found: f"token={tokens.setdefault(found[1], token_in(got))}", line)  # noqa: B023
            assert got == said
        assert requests == 3
        assert socat.stdout.read() == ""
        assert socat.wait(timeout=PATIENCE) == 0


@socat_only
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_from_a_pipe_are_all_answered(daemon: Daemon, newline: str) -> None:
    lines = ["hello client=sh", "acquire db ttl=10s", "SHOW db", "release db", "#1 PING", "Stats"]
    ended = subprocess.run(
        ["socat", "-t", "60", "-", f"UNIX-CONNECT:{daemon.socket}"],
        input="".join(line + newline for line in lines),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended
    answers = ended.stdout.splitlines()
    assert [answer.split()[0] for answer in answers[:6]] == ["WELCOME", "GRANTED", "LEASE", "END", "RELEASED", "#1"]
    assert " command=socat client=sh held=" in answers[2]
    assert all(answer.startswith("STAT ") for answer in answers[6:-1])
    assert answers[-1] == "END"

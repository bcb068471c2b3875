"""The manual pages say what the programs and the other documents say."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from box import ROOT

MANUALS = sorted((ROOT / "docs/man").iterdir())
SUBCOMMANDS = [
    "run", "once", "flock", "acquire", "release", "renew", "wait", "ls", "show", "why", "tree", "history", "watch", "stats", "metrics", "revoke", "ping", "doctor", "version",
]  # fmt: skip


def program(name: str) -> Path:
    path = Path(os.environ.get("LOCKD_BINARIES", ROOT / ".build/release")) / name
    if not path.exists():
        pytest.fail(f"there is no {path}: run `make release`, or set LOCKD_BINARIES", pytrace=False)
    return path


def help_of(name: str, *arguments: str) -> str:
    return subprocess.run([program(name), *arguments, "--help"], check=True, capture_output=True, text=True).stdout


def options_in_help(text: str) -> set[str]:
    """The options of the table that `--help` prints."""
    # That of flock is not made by the library, which does not parse its command line either.
    table = text[text.index("\nOptions:" if "\nOptions:" in text else "\nOPTIONS:") :]
    return {option for line in re.findall(r"^  (-.*?)(?:  |$)", table, re.M) for option in re.findall(r"-[-\w]+", line)}


def sections(page: str, macro: str = "Sh") -> dict[str, str]:
    """The sections of a page, or what `macro` begins."""
    text = (ROOT / "docs/man" / page).read_text()
    parts = re.split(rf"^\.{macro} (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def options_in(text: str) -> set[str]:
    """The options that a section explains."""
    lines = re.findall(r"^\.It Fl (.*?)(?: Ar .*)?$", text, re.M)
    return {f"-{word}" for line in lines for word in line.replace(",", " ").split()}


def terms_in(text: str, macro: str) -> set[str]:
    """What a section explains under that macro."""
    return {word for line in re.findall(rf"^\.It {macro} (.*)$", text, re.M) for word in re.findall(r"[\w./$-]+", line)}


def numbers_in(text: str) -> set[str]:
    return set(re.findall(r"^\.It (\d+)$", text, re.M))


@pytest.mark.parametrize("manual", MANUALS, ids=lambda path: path.name)
def test_page_is_well_formed(manual: Path, mandoc: str) -> None:
    result = subprocess.run([mandoc, "-T", "lint", "-W", "all", manual], capture_output=True, text=True)

    # Which other pages there are depends on the machine.
    about_others = re.compile(r"referenced manual not found|mandoc\.db")
    assert [line for line in result.stdout.splitlines() if not about_others.search(line)] == []


def test_daemon_has_the_options_of_its_page() -> None:
    assert options_in(sections("lockd.8")["DESCRIPTION"]) == options_in_help(help_of("lockd"))


def test_subcommands_of_lockctl_are_those_of_its_page() -> None:
    listed = re.findall(r"^  (\w+) {2,}", help_of("lockctl").split("SUBCOMMANDS:")[1], re.M)

    assert listed == SUBCOMMANDS
    assert [name for name in sections("lockctl.1", "Ss") if name != "help"] == SUBCOMMANDS


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_subcommand_has_the_options_of_its_section(subcommand: str) -> None:
    common = options_in(sections("lockctl.1")["DESCRIPTION"].split("\n.Ss ")[0])
    # The last subsection goes on into what is behind it.
    own = options_in(sections("lockctl.1", "Ss")[subcommand].split("\n.Sh ")[0])

    if subcommand == "flock":
        common = {"-h", "--help", "--version"}
    assert common | own == options_in_help(help_of("lockctl", subcommand))


def test_exit_codes_that_help_tells_of_are_in_the_page() -> None:
    explained = numbers_in(sections("lockctl.1")["EXIT STATUS"])
    told = {
        code for subcommand in SUBCOMMANDS for code in re.findall(r"^  (\d+) ", help_of("lockctl", subcommand), re.M)
    }

    assert told
    assert told <= explained


@pytest.mark.parametrize(("page", "sources"), [("lockd.8", "Sources/lockd"), ("lockctl.1", "Sources/LockdClient")])
def test_environment_variables_that_are_read_are_in_the_page(page: str, sources: str) -> None:
    code = "".join(path.read_text() for path in (ROOT / sources).glob("*.swift"))
    read = set(re.findall(r'\benvironment\("(\w+)"\)', code))

    assert read
    assert read <= terms_in(sections(page)["ENVIRONMENT"], "Ev")


def test_keys_of_the_configuration_are_those_of_its_page(tmp_path: Path) -> None:
    file = tmp_path / "lockd.conf"

    def known(text: str) -> set[str]:
        file.write_text(text)
        result = subprocess.run([program("lockd"), "--config", file], capture_output=True, text=True)
        return set(result.stderr.split("known are ")[1].strip().split(", "))

    explained = set(re.findall(r"^\.It Cm ([\w-]+) :", (ROOT / "docs/man/lockd.conf.5").read_text(), re.M))
    limits = {key.removeprefix("limits.") for key in known("limits:\n  no-such-key: 1\n")}
    assert explained == known("no-such-key: 1\n") | limits


def test_configuration_that_is_installed_names_every_key_with_its_default(tmp_path: Path) -> None:
    text = (ROOT / "systemd/lockd.conf").read_text()
    file = tmp_path / "lockd.conf"
    file.write_text(re.sub(r"^#( *[\w-]+:)", r"\1", text, flags=re.M))
    limits = set(re.findall(r"^  ([\w-]+): ", file.read_text(), re.M))

    def statistics(*arguments: str) -> dict[str, str]:
        directory = tmp_path / f"run{len(arguments)}"
        directory.mkdir()
        path = directory / "lockd.sock"
        command = [str(program("lockd")), "--socket", str(path), "--state-dir", str(directory), *arguments]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
            try:
                assert daemon.stderr is not None
                assert "started" in daemon.stderr.readline()
                talk = subprocess.run(
                    ["socat", "-t", "30", "-", f"UNIX-CONNECT:{path}"],
                    input="STATS\nQUIT\n",
                    capture_output=True,
                    text=True,
                )
            finally:
                daemon.terminate()
        lines = [line.removeprefix("STAT ").split("=", 1) for line in talk.stdout.splitlines() if "-limit=" in line]
        return dict(lines)

    assert statistics("--config", str(file)) == statistics()
    explained = set(re.findall(r"^\.It Cm ([\w-]+) : Ar number", (ROOT / "docs/man/lockd.conf.5").read_text(), re.M))
    assert limits == explained


def protocol() -> str:
    return (ROOT / "docs/protocol.md").read_text()


def test_requests_of_the_protocol_are_in_its_page() -> None:
    verbs = set(re.findall(r'^\w+ += "([A-Z]+)"', protocol(), re.M))

    assert verbs == {
        line.split()[0] for line in re.findall(r"^\.It Cm ([A-Z]+.*)$", sections("lockd-protocol.7")["REQUESTS"], re.M)
    }


def test_options_of_the_protocol_are_in_its_page() -> None:
    options = set(re.findall(r'%s"([\w-]+)="', protocol()))

    assert options
    assert options <= set(re.findall(r"\bCm ([\w-]+)=", sections("lockd-protocol.7")["REQUESTS"]))


def test_answers_and_events_of_the_protocol_are_in_its_page() -> None:
    # In the document each is at the beginning of a code span that names its fields.
    words = set(re.findall(r"`(?:\* )?([A-Z]{3,}) (?:\[?[A-Z]*NAME|#TAG|KEY|\[PREFIX)", protocol()))

    page = (ROOT / "docs/man/lockd-protocol.7").read_text()
    assert words
    assert {word for word in words if not re.search(rf"\b{word}\b", page)} == set()


def test_errors_of_the_protocol_are_those_of_its_page() -> None:
    table = protocol().split("\n## Errors\n")[1].split("\n## ")[0]

    assert set(re.findall(r"^\| `([\w-]+)` ", table, re.M)) == terms_in(
        sections("lockd-protocol.7")["ERROR CODES"], "Li"
    )

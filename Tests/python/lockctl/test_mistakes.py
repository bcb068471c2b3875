"""What lockctl says to somebody who has mistyped."""

from __future__ import annotations

import pytest

from .conftest import Daemon

ALL = " lockctl --help lists all of them\n"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        # A slip of the hand.
        ("histroy", '"history"'),
        ("lst", '"ls"'),
        # The beginning of a word, and the letters of another case.
        ("hist", '"history"'),
        ("re", '"release", "renew" or "revoke"'),
        ("LS", '"ls"'),
        ("Hist", '"history"'),
        # The words of other tools.
        ("list", '"ls"'),
        ("status", '"show" or "ls"'),
        ("lock", '"run" or "acquire"'),
        ("unlock", '"release"'),
        ("who", '"show"'),
        ("kill", '"revoke"'),
    ],
)
@pytest.mark.parametrize("before", [[], ["help"]])
def test_mistyped_command_is_told_which_was_meant(daemon: Daemon, before: list[str], word: str, meant: str) -> None:
    ran = daemon.lockctl(*before, word)
    assert (ran.returncode, ran.stdout) == (64, "")
    assert ran.stderr == f'lockctl: there is no command "{word}"; did you mean {meant}?{ALL}'


@pytest.mark.parametrize("before", [[], ["help"]])
def test_command_that_is_like_none_is_told_where_the_list_is(daemon: Daemon, before: list[str]) -> None:
    ran = daemon.lockctl(*before, "frobnicate")
    assert (ran.returncode, ran.stdout) == (64, "")
    assert ran.stderr == f'lockctl: there is no command "frobnicate".{ALL}'


def test_help_is_about_what_was_asked(daemon: Daemon) -> None:
    for words in (["help", "history"], ["history", "--help"], ["history", "-h"]):
        ran = daemon.lockctl(*words)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith("OVERVIEW: Show the last leases on a lock")
    for words in ([], ["help"], ["--help"]):
        ran = daemon.lockctl(*words)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith("OVERVIEW: Runs commands under the leases of lockd")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--json", "ls"], "lockctl ls --json"),
        (["--socket", "/x y", "ls", "db"], "lockctl ls --socket '/x y' db"),
        (["-n", "run", "a", "--", "make", "it's"], r"lockctl run -n a -- make 'it'\''s'"),
    ],
)
def test_options_in_front_of_the_subcommand_are_told_where_they_stand(
    daemon: Daemon, words: list[str], line: str
) -> None:
    ran = daemon.lockctl(*words)
    assert (ran.returncode, ran.stdout) == (64, "")
    assert ran.stderr == f"lockctl: options stand behind the subcommand: {line}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["ls", "--jsn"], "unknown option '--jsn'. Did you mean '--json'?"),
        (["run", "--limt", "2", "a", "--", "true"], "unknown option '--limt'. Did you mean '--limit'?"),
        (["run", "--comand", "a", "--", "true"], "unknown option '--comand'"),
        (["ls", "a", "b"], "unexpected argument 'b'"),
        (["ls", "--sort"], "missing value for '--sort <sort>'"),
        (["ls", "--columns", "nme"], 'there is no column "nme"; there are '),
        (["show"], "missing expected argument '<name>'"),
        (["show", ""], "the value '' is invalid for '<name>': a lock's name cannot be empty"),
        (["ls", "a", "\x1b[2J%"], "unexpected argument '%1B[2J%'"),
    ],
)
def test_wrong_line_is_told_what_is_wrong_and_where_help_is(daemon: Daemon, words: list[str], complaint: str) -> None:
    ran = daemon.lockctl(*words)
    assert (ran.returncode, ran.stdout) == (64, "")
    said, where = ran.stderr.splitlines()
    assert said.startswith(f"lockctl: {complaint}")
    assert where == f'lockctl: see "lockctl {words[0]} --help"'


def test_options_in_one_word_are_told_apart(daemon: Daemon) -> None:
    ran = daemon.lockctl("run", "-qw")
    assert ran.returncode == 64
    assert ran.stderr.splitlines() == [
        "lockctl: unknown option '-qw'",
        "lockctl: missing value for '-w <duration>' in '-qw'",
        'lockctl: see "lockctl run --help"',
    ]


def test_option_of_no_subcommand_is_told_where_help_is(daemon: Daemon) -> None:
    ran = daemon.lockctl("--jsn")
    assert (ran.returncode, ran.stdout) == (64, "")
    assert ran.stderr == "lockctl: unknown option '--jsn'\nlockctl: see \"lockctl --help\"\n"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-E", "256"], "'-E <code>': an exit code is 0 to 255"),
        (["-E", "x"], "'-E <code>': an exit code is 0 to 255"),
        (["-E", "-1"], "'-E <code>': an exit code is 0 to 255"),
        (["--limit", "x"], "'--limit <count>': a limit is 1 to 100000"),
        (["--limit", "0"], "'--limit <count>': a limit is 1 to 100000"),
        (["--limit", "-2"], "'--limit <count>': a limit is 1 to 100000"),
        (["--max-queue", "100001"], "'--max-queue <count>': a queue has 0 to 100000 places"),
        (["-w", "-5s"], "'-w <duration>': no duration is negative; write 5s"),
        (["-w-5s"], "'-w <duration>': no duration is negative; write 5s"),
        (["-w=-5s"], "'-w <duration>': no duration is negative; write 5s"),
        (["--wait", "-.5s"], "'--wait <duration>': no duration is negative; write 250ms, 10s, 5m, 2h or 7d"),
        (["--ttl", "-1"], "'--ttl <duration>': no duration is negative; write 250ms, 10s, 5m, 2h or 7d"),
        (["--grace", "5"], "'--grace <duration>': \"5\" is not a duration; write 250ms, 10s, 5m, 2h or 7d"),
    ],
)
def test_value_that_is_wrong_is_told_with_those_that_are_right(
    daemon: Daemon, options: list[str], complaint: str
) -> None:
    ran = daemon.lockctl("run", *options, "a", "--", "true")
    assert (ran.returncode, ran.stdout) == (64, "")
    assert complaint in ran.stderr.splitlines()[0]

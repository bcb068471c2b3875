"""What lockctl says to somebody who has mistyped."""

from __future__ import annotations

from .conftest import Daemon


def test_mistyped_command_is_told_which_was_meant(daemon: Daemon) -> None:
    ran = daemon.lockctl("histroy", "db")
    assert (ran.returncode, ran.stdout) == (64, "")
    assert (
        ran.stderr
        == 'lockctl: there is no command "histroy"; did you mean "history"? lockctl --help lists all of them\n'
    )


def test_command_that_is_like_none_is_told_where_the_list_is(daemon: Daemon) -> None:
    ran = daemon.lockctl("frobnicate")
    assert (ran.returncode, ran.stdout) == (64, "")
    assert ran.stderr == 'lockctl: there is no command "frobnicate". lockctl --help lists all of them\n'

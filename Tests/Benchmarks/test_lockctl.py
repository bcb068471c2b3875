"""The benchmarks of the command line: they run, what does not is named, and a lock that is none is noticed. No speed is judged here.

They need the release build of the daemon and of lockctl.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import lockctl
import lockctl_hand_over
import lockctl_listing
import lockctl_processes
import lockctl_sizes
import pytest
from large_tables import Result
from lockctl_hand_over import Stamp
from lockctl_programs import Program, Starter
from run import BenchmarkError
from scale import Tables

BENCHMARKS = Path(__file__).resolve().parent


def starter(folder: Path) -> Starter:
    return Starter(dict(os.environ), folder / "said")


def test_program_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    program = Program("this one", ("sh", "-c", "echo not now >&2; exit 3"))
    with pytest.raises(BenchmarkError, match="this one ended with status 3; it said last:\nnot now"):
        lockctl_processes.one(program, starter(tmp_path))


def test_work_of_a_copy_of_this_process_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    def fail() -> None:
        raise BenchmarkError("wrong reply")

    one = starter(tmp_path)
    with pytest.raises(BenchmarkError, match=r"a copy ended with status 1; it said last:\n(.*\n)*.*wrong reply"):
        one.wait("a copy", one.fork(fail))


def test_program_is_measured_from_its_start_to_its_end(tmp_path: Path) -> None:
    taken, cpu = lockctl_processes.one(Program("sleep", ("sleep", "0.1")), starter(tmp_path))
    assert taken >= 100_000_000
    assert cpu < taken


def test_every_program_has_its_turns_and_is_compared_with_flock(tmp_path: Path) -> None:
    programs = [Program("true", ("true",)), Program(lockctl_processes.FLOCK, ("true",))]
    results = list(lockctl_processes.measure(programs, starter(tmp_path), rounds=2, runs=3))
    assert [(each.case, each.round) for each in results] == [(each.case, n) for n in range(2) for each in programs]
    assert {each.beside for each in results} == {lockctl_processes.FLOCK}
    assert all(each.figures["p50 us"] > 0 for each in results)


def test_program_that_is_not_installed_is_left_out_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "etcdctl" else f"/usr/bin/{name}")
    program = Program(lockctl_processes.ETCD, ("etcdctl",), ("etcd", "etcdctl"))
    assert program.why_not() == "etcdctl is not installed (Debian: etcd-client)"
    assert not Program("true", ("true",)).why_not()


def test_gaps_are_from_one_end_to_the_next_start_whatever_order_was_written() -> None:
    stamps = lockctl_hand_over.stamps("1 70 80\n0 10 20\n2 25 40\n")
    assert stamps == [Stamp(0, 10, 20), Stamp(2, 25, 40), Stamp(1, 70, 80)]
    assert lockctl_hand_over.gaps(stamps) == [5, 30]
    assert lockctl_hand_over.in_order(stamps) == 1


def test_two_commands_at_once_are_no_figure() -> None:
    with pytest.raises(BenchmarkError, match="two commands had the lock at once"):
        lockctl_hand_over.gaps([Stamp(0, 10, 20), Stamp(1, 19, 30)])


def test_those_that_wait_for_a_file_are_counted_by_its_device_and_number(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    other.touch()

    def blocked(path: Path) -> int:
        return lockctl_hand_over.blocked(path, Path("/proc/locks").read_text())

    with lockctl_hand_over.locked(file):
        assert blocked(file) == 0
        child = subprocess.Popen(["flock", file, "true"])
        deadline = time.monotonic() + lockctl_hand_over.PATIENCE_SECONDS
        while not blocked(file):
            assert child.poll() is None
            assert time.monotonic() < deadline
        assert blocked(other) == 0
    assert child.wait(60) == 0
    with file.open() as opened:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_listed_names_are_each_there_once_and_not_in_their_order() -> None:
    for count in (2000, 100_000):
        names = lockctl_listing.names(count)
        assert len(set(names)) == count
        assert names != sorted(names)


def test_libraries_are_those_that_ldd_names_and_those_of_swift_stand_out() -> None:
    said = """\
        linux-vdso.so.1 (0x00007f)
        libswiftCore.so => /usr/lib/swift/linux/libswiftCore.so (0x00007f)
        libFoundation.so => not found
        libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
        /lib64/ld-linux-x86-64.so.2 (0x00007f)
"""
    libraries = lockctl_sizes.libraries(said)
    assert libraries == ["linux-vdso.so.1", "libswiftCore.so", "libFoundation.so", "libc.so.6", "ld-linux-x86-64.so.2"]
    assert lockctl_sizes.of_swift(libraries) == ["libswiftCore.so"]


def test_goals_are_judged_by_the_median_of_the_rounds_and_what_is_worst_by_the_worst_of_all() -> None:
    times = [(1.0, 2.9, 30.0), (2.0, 6.2, 3.0), (1.0, 3.0, 10.0)]
    cases = [lockctl_processes.FLOCK, lockctl_processes.RUN, lockctl_processes.ETCD]
    results = [
        Result(lockctl_processes.BENCHMARK, case, number, lockctl_processes.FLOCK, {"p50 us": value})
        for number, values in enumerate(times)
        for case, value in zip(cases, values)
    ]
    results += [
        Result(lockctl_listing.BENCHMARK, lockctl_listing.LS, number, "", {"wall ms": wall, "worst busy ms": worst})
        for number, (wall, worst) in enumerate([(290, 4), (310, 6), (301, 1)])
    ]
    assert lockctl.goals(Tables(results)).splitlines() == [
        "goal of processes, lockctl run NAME -- true: p50 us at most 3 times flock FILE true: 3.00, met",
        "goal of listing, lockctl ls: wall ms at most 300 ms: 301.00, missed",
        "goal of listing, lockctl ls: worst busy ms at most 5 ms: 6.00, missed",
        "processes, lockctl run NAME -- true: p50 us is 3.00 times that of flock FILE true, lost",
        "processes, lockctl run NAME -- true: p50 us is 0.30 times that of etcdctl lock NAME true, won",
    ]


def test_every_case_of_lockctl_has_figures(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    completed = subprocess.run(
        [sys.executable, BENCHMARKS / "lockctl.py", "--quick", "--json", report],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    document = json.loads(report.read_text())
    cases = {result["case"] for result in document["results"]}
    assert {lockctl_processes.RUN, lockctl_processes.LOCKCTL_FLOCK, lockctl_listing.JSON, "lockd", "lockctl"} <= cases
    # The command that is queued is built with the other programs of the benchmarks.
    left_out = document["conditions"]["not measured"]
    assert lockctl_hand_over.RUN in cases or lockctl_hand_over.BENCHMARK in left_out
    for result in document["results"]:
        assert result["figures"]
        assert f"  {result['case']}  " in completed.stdout
    assert "goal of processes, lockctl run" in completed.stdout

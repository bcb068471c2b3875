"""The Debian package: what it brings, what it needs, what it leaves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from box import ROOT, Box
from visitors import newcomers, statistics

UNITS = ("lockd.socket", "lockd.service")


@pytest.fixture
def successor(package: Path, tmp_path: Path) -> Path:
    """The same package with a later version."""
    unpacked = tmp_path / "unpacked"
    subprocess.run(["dpkg-deb", "--raw-extract", package, unpacked], check=True)
    control = unpacked / "DEBIAN/control"
    lines = [f"{line}+later" if line.startswith("Version: ") else line for line in control.read_text().splitlines()]
    control.write_text("\n".join(lines) + "\n")
    # Where the box sees it.
    later = package.parent / "later.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--build", unpacked, later], check=True, capture_output=True)
    return later


def names_on(box: Box) -> set[str]:
    """Every file with the name of lockd in its path, of what the machine keeps and what it does not."""
    return set(
        box.run(["find", "/", "/run", "-xdev", "-path", "*lockd*", "-not", "-path", "/proc/*"]).stdout.splitlines()
    )


def test_checkers_of_packages_find_nothing(package: Path) -> None:
    changes = package.with_suffix(".changes")

    result = subprocess.run(["lintian", "--allow-root", changes], capture_output=True, text=True)

    assert (result.stdout, result.returncode) == ("", 0)


def test_same_programs_give_same_package(package: Path) -> None:
    before = package.read_bytes()

    subprocess.run([ROOT / "systemd/build-deb.sh"], check=True, capture_output=True)

    assert package.read_bytes() == before


def test_needs_nothing_of_swift(package: Path) -> None:
    depends = subprocess.run(["dpkg-deb", "--field", package, "Depends"], capture_output=True, text=True).stdout

    names = {alternative.split()[0] for part in depends.split(",") for alternative in part.split("|")}
    assert names <= {
        "init-system-helpers",
        "libc6",
        "libgcc-s1",
        "libstdc++6",
        "libsystemd0",
        "systemd",
        "systemd-standalone-sysusers",
        "systemd-sysusers",
    }


def test_install_opens_socket_and_starts_no_daemon(box: Box, package: Path) -> None:
    box.install(package)

    assert [box.state(unit) for unit in UNITS] == ["active", "inactive"]
    enabled = box.run(["systemctl", "is-enabled", *UNITS], check=False).stdout.split()
    assert enabled == ["enabled", "disabled"]
    status = box.run(["stat", "--format=%U %G %a", "/run/lockd/lockd.sock", "/run/lockd"]).stdout.splitlines()

    assert status == ["root lockd 660", "lockd lockd 755"]


def test_socket_is_there_after_boot(installed: Box) -> None:
    assert [installed.state(unit) for unit in UNITS] == ["active", "inactive"]


def test_manual_pages_are_found(installed: Box) -> None:
    for page in ("lockd.8", "lockctl.1", "lockd.conf.5", "lockd-protocol.7"):
        name, section = page.rsplit(".", 1)

        text = installed.run(["man", section, name], environment={"MANPAGER": "cat"}).stdout

        assert text.startswith(f"{name.upper()}({section})")


def test_remove_ends_daemon_and_keeps_state_and_configuration(installed: Box) -> None:
    installed.run(["lockctl", "ping"])

    installed.run(["dpkg", "--remove", "lockd"])

    assert installed.run(["pgrep", "--exact", "lockd"], check=False).stdout == ""
    assert not installed.exists("/run/lockd")
    assert installed.exists("/var/lib/lockd/tokens")
    assert installed.exists("/etc/lockd/lockd.conf")


def test_tokens_grow_over_remove_and_install(installed: Box, package: Path) -> None:
    first = int(installed.run(["lockctl", "run", "a", "--", "printenv", "LOCKD_TOKEN"]).stdout)
    installed.run(["dpkg", "--remove", "lockd"])

    installed.install(package)

    assert int(installed.run(["lockctl", "run", "a", "--", "printenv", "LOCKD_TOKEN"]).stdout) > first


def test_purge_leaves_nothing_but_the_user(box: Box, package: Path) -> None:
    before = names_on(box)
    box.install(package)
    box.run(["lockctl", "ping"])
    assert names_on(box) > before

    box.run(["dpkg", "--purge", "lockd"])

    assert names_on(box) == before
    assert box.run(["systemctl", "list-unit-files", "lockd*", "--quiet", "--legend=no"], check=False).stdout == ""
    assert box.run(["getent", "passwd", "lockd"]).stdout.startswith("lockd:")


def test_upgrade_refuses_nobody(installed: Box, successor: Path) -> None:
    installed.run(["lockctl", "ping"])
    before = installed.main_pid("lockd.service")
    opened = installed.property("lockd.socket", "ActiveEnterTimestampMonotonic")

    with newcomers(installed) as result:
        installed.install(successor)

    assert result.unserved == {}
    assert result.count >= 200
    after = installed.main_pid("lockd.service")
    assert after not in (0, before)
    assert statistics(installed)["pid"] == str(after)
    assert installed.property("lockd.socket", "ActiveEnterTimestampMonotonic") == opened


def test_clients_of_the_library_go_on_after_upgrade(installed: Box, successor: Path) -> None:
    program = """if True:
        import sys, lockd
        lock = lockd.Lock("a")
        for _ in sys.stdin:
            try:
                with lock:
                    print("held", flush=True)
            except lockd.LockdError as error:
                print(repr(error), flush=True)
    """
    client = installed.popen([installed.python, "-c", program])
    assert client.stdin is not None
    assert client.stdout is not None

    def acquire() -> str:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write("again\n")
        client.stdin.flush()
        return client.stdout.readline().strip()

    assert acquire() == "held"
    former = installed.main_pid("lockd.service")

    installed.install(successor)

    assert installed.main_pid("lockd.service") not in (0, former)
    assert acquire() == "held"


def test_upgrade_starts_no_daemon_that_did_not_run(installed: Box, successor: Path) -> None:
    installed.install(successor)

    assert [installed.state(unit) for unit in UNITS] == ["active", "inactive"]


def test_upgrade_keeps_stopped_what_was_stopped(installed: Box, successor: Path) -> None:
    installed.systemctl("disable", "--now", "lockd.socket")

    installed.install(successor)

    assert [installed.state(unit) for unit in UNITS] == ["inactive", "inactive"]


def test_shells_find_what_completes_lockctl(installed: Box) -> None:
    for path in (
        "bash-completion/completions/lockctl",
        "zsh/vendor-completions/_lockctl",
        "fish/vendor_completions.d/lockctl.fish",
    ):
        assert "lockctl" in installed.read(f"/usr/share/{path}")

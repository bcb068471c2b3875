"""The units of docs/examples/prometheus: the metrics as a file and over HTTP."""

from __future__ import annotations

import pytest
from box import ROOT, Box

EXAMPLES = ROOT / "docs/examples/prometheus"
UNITS = sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".service", ".socket", ".timer"))

FETCH = """
import urllib.request
with urllib.request.urlopen("http://127.0.0.1:9751/metrics") as answer:
    print(answer.status, answer.headers["Content-Type"])
    print(answer.read().decode())
"""


@pytest.fixture
def monitored(installed: Box) -> Box:
    """A machine with the package and these units, none of which has been started."""
    for unit in UNITS:
        installed.write(f"/etc/systemd/system/{unit.name}", unit.read_text())
    installed.systemctl("daemon-reload")
    return installed


def test_systemd_finds_nothing_to_complain_of(monitored: Box) -> None:
    result = monitored.run(["systemd-analyze", "verify", *[f"/etc/systemd/system/{unit.name}" for unit in UNITS]])

    assert (result.stdout, result.stderr) == ("", "")


def test_metrics_are_fetched_over_http_by_nobody_in_particular(monitored: Box) -> None:
    monitored.systemctl("enable", "--now", "lockd-metrics.socket")

    for _ in range(2):
        lines = monitored.run([monitored.python, "-c", FETCH], user="nobody").stdout.splitlines()
        assert lines[0] == "200 text/plain; version=0.0.4; charset=utf-8"
        assert "lockd_leases_granted_total 0" in lines
        assert 'lockd_wait_seconds_bucket{le="+Inf"} 0' in lines
    assert monitored.systemctl("list-units", "--failed", "--quiet", "--plain", "lockd*") == ""


def test_request_in_vain_leaves_a_line_in_the_journal_and_no_unit(monitored: Box) -> None:
    monitored.systemctl("enable", "--now", "lockd-metrics.socket")
    monitored.systemctl("stop", "lockd.socket", "lockd.service")

    result = monitored.run([monitored.python, "-c", FETCH], check=False)

    assert "503" in result.stderr
    journal = "/run/lockd/lockd.sock"
    monitored.wait_until(lambda: journal in monitored.journal("lockd-metrics@*.service"), "a line in the journal")
    assert monitored.systemctl("list-units", "--failed", "--quiet", "--plain", "lockd-metrics@*") == ""


def test_timer_has_the_file_written_again_and_again(monitored: Box) -> None:
    file = "/var/lib/prometheus/node-exporter/lockd.prom"
    monitored.run(["mkdir", "-p", file.rpartition("/")[0]])
    monitored.systemctl("enable", "--now", "lockd-textfile.timer")

    monitored.wait_until(lambda: monitored.exists(file), "the file is there")
    lines = monitored.read(file).splitlines()
    assert "lockd_leases_granted_total 0" in lines
    assert "# TYPE lockd_leases_granted_total counter" in lines
    monitored.run(["rm", file])
    monitored.wait_until(lambda: monitored.exists(file), "the file is there again")
    assert not monitored.exists(f"{file}.tmp")

"""lockctl metrics, read by those that read it: the parsers of Prometheus, and a Prometheus that fetches it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest
from binaries import ROOT, binary
from daemon.processes import wait_until
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from .conftest import Daemon

EXAMPLES = ROOT / "docs/examples/prometheus"

#: A name with everything that a label could mistake for its end, and with bytes that are no UTF-8.
NASTY = "q%22\\%0A%C3%A9%FF"
#: The same in a label, as a parser gives it back.
NASTY_LABEL = 'q"\\%0A%C3%A9%FF'


def prometheus(name: str) -> pathlib.Path:
    """A program of Prometheus: of this machine, or what `make setup` has fetched."""
    ours = ROOT / ".build/prometheus/usr/bin" / name
    found = shutil.which(name)
    if ours.exists() or (found is None and shutil.which("apt-get")):
        assert ours.exists(), f"there is no {name}: run `make setup`"
        return ours
    if found is None:
        pytest.skip(f"there is no {name} here, and no apt-get to fetch it with")
    return pathlib.Path(found)


def some_history(daemon: Daemon) -> None:
    """Three leases, one of which was waited for; one wait in vain, and a try."""
    with daemon.connect() as holder, daemon.connect() as waiter:
        holder.ask(f"ACQUIRE {NASTY}")
        waiter.send(f"ACQUIRE {NASTY}")
        daemon.wait_until_listed(NASTY, 2)
        holder.ask(f"RELEASE {NASTY}")
        assert waiter.receive().startswith("GRANTED")
        assert holder.ask(f"ACQUIRE {NASTY} wait=0").startswith("BUSY")
        assert holder.ask(f"ACQUIRE {NASTY} wait=1ms").startswith("TIMEOUT")
        assert holder.ask("ACQUIRE free").startswith("GRANTED")
    wait_until(lambda: daemon.statistics()["ended"] == "2", "both leases have ended")


def metrics(daemon: Daemon, *arguments: str) -> str:
    ran = daemon.lockctl("metrics", *arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def families(daemon: Daemon, format_: str) -> dict[str, Metric]:
    read = read_openmetrics if format_ == "openmetrics" else read_text
    return {family.name: family for family in read(metrics(daemon, "--format", format_))}


def value(family: Metric, suffix: str, **labels: str) -> float:
    (found,) = [
        sample.value
        for sample in family.samples
        if sample.name.endswith(suffix) and labels.items() <= sample.labels.items()
    ]
    return float(found)


@pytest.mark.parametrize("format_", ["openmetrics", "text"])
def test_parser_reads_what_has_happened(daemon: Daemon, format_: str) -> None:
    some_history(daemon)
    found = families(daemon, format_)
    assert all(family.documentation for family in found.values())
    assert value(found["lockd_leases_granted"], "_total") == 3
    assert value(found["lockd_leases_over"], "_total", outcome="released") == 1
    assert value(found["lockd_leases_over"], "_total", outcome="ended") == 2
    assert value(found["lockd_waits_failed"], "_total", reason="timeout") == 1
    assert value(found["lockd_requests_busy"], "_total") == 1
    assert value(found["lockd_leases"], "") == 0
    assert value(found["lockd_wait_seconds"], "_count") == 3
    assert value(found["lockd_wait_seconds"], "_bucket", le="+Inf") == 3
    assert value(found["lockd_wait_seconds"], "_bucket", le="0.0001") == 2
    assert value(found["lockd_hold_seconds"], "_count") == 3
    assert value(found["lockd_lock_wait_seconds"], "_count", name=NASTY_LABEL) == 1
    assert value(found["lockd_lock_hold_seconds"], "_count", name=NASTY_LABEL) == 2
    assert 0 < value(found["lockd_lock_hold_seconds"], "_sum", name=NASTY_LABEL) < 60
    kinds = {family.type for family in found.values()}
    assert kinds == {"gauge", "counter", "histogram"} | ({"info"} if format_ == "openmetrics" else set())


def test_formats_say_the_same(daemon: Daemon) -> None:
    some_history(daemon)

    def samples(format_: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        changing = ("lockd_sessions_accepted_total", "lockd_log_bytes")
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families(daemon, format_).values()
            for sample in family.samples
            if sample.name not in changing
        }

    assert samples("openmetrics") == samples("text")


def test_everything_that_the_daemon_counts_is_there(daemon: Daemon) -> None:
    numbers = {key for key, word in daemon.statistics().items() if word.isdigit()}
    source = (ROOT / "Sources/lockctl/Exposition.swift").read_text()
    assert {key for key in numbers if f'"{key}"' not in source} == {"pid"}


def test_promtool_has_no_complaint(daemon: Daemon) -> None:
    some_history(daemon)
    text = metrics(daemon, "--format", "text")
    ran = subprocess.run([prometheus("promtool"), "check", "metrics"], input=text, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_start_does_not_move(daemon: Daemon) -> None:
    first, second = (families(daemon, "openmetrics")["lockd_start_time_seconds"].samples[0].value for _ in range(2))
    assert first == second > 1_700_000_000


def test_all_names_are_told_of_in_several_pages(daemon: Daemon) -> None:
    with daemon.connect() as holder, daemon.connect() as waiter:
        for start in range(0, 64, 16):
            names = " ".join(f"n{number}" for number in range(start, start + 16))
            holder.ask(f"ACQUIRE {names}")
            waiter.send(f"#{start} ACQUIRE {names}")
        daemon.wait_until_listed("n63", 2)
        family = families(daemon, "openmetrics")["lockd_lock_hold_seconds"]
    # Root may have all hundred of them, others fifty.
    names_told = {sample.labels["name"] for sample in family.samples}
    assert len(names_told) == (64 if os.getuid() == 0 else 50)


def test_without_a_daemon_nothing_is_printed(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    ran = daemon.lockctl("metrics", "--socket", str(tmp_path / "none"))
    assert (ran.returncode, ran.stdout) == (69, "")


def test_full_disk_is_an_error(daemon: Daemon) -> None:
    environment = {**os.environ, "LOCKD_SOCKET": str(daemon.socket)}
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [binary("lockctl"), "metrics"], stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert ran.returncode == 74
    assert "cannot be written: No space left on device" in ran.stderr


def command_of(unit: str) -> str:
    (command,) = re.findall(r"^ExecStart=(.*)$", (EXAMPLES / unit).read_text(), re.M)
    return str(command)


def test_unit_for_the_textfile_collector_writes_its_file_at_once(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    some_history(daemon)
    file = tmp_path / "lockd.prom"
    command = command_of("lockd-textfile.service").replace("/var/lib/prometheus/node-exporter/lockd.prom", str(file))
    environment = {**os.environ, "PATH": f"{binary('lockctl').parent}:{os.environ['PATH']}"}

    def run(path: pathlib.Path) -> int:
        return subprocess.run(command, shell=True, env={**environment, "LOCKD_SOCKET": str(path)}).returncode

    assert run(daemon.socket) == 0
    text = file.read_text()
    ran = subprocess.run([prometheus("promtool"), "check", "metrics"], input=text, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {"lockd_leases_granted", "lockd_wait_seconds"} <= {family.name for family in read_text(text)}
    # It stays if there is nothing to put in its place.
    assert run(tmp_path / "none") != 0
    assert file.read_text() == text


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def serving(daemon: Daemon) -> Iterator[int]:
    """The socket unit and its service, as systemd would have them; the port."""
    assert "Accept=yes" in (EXAMPLES / "lockd-metrics.socket").read_text()
    port = free_port()
    command = command_of("lockd-metrics@.service").split()
    command[0] = str(binary("lockctl"))
    activate = ["systemd-socket-activate", "--accept", "--inetd", f"--listen=127.0.0.1:{port}"]
    activate.append(f"--setenv=LOCKD_SOCKET={daemon.socket}")
    with subprocess.Popen([*activate, *command], stderr=subprocess.DEVNULL) as server:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, "systemd-socket-activate listens")
        try:
            yield port
        finally:
            server.send_signal(signal.SIGTERM)


def fetch(port: int, method: str = "GET", path: str = "/metrics", **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    text = response.read().decode()
    assert response.getheader("Connection") == "close"
    if method != "HEAD":
        assert int(response.getheader("Content-Length") or -1) == len(text.encode())
    return response.status, response.getheader("Content-Type") or "", text


def test_http_is_answered_in_the_format_that_is_asked_for(daemon: Daemon) -> None:
    with serving(daemon) as port:
        status, kind, text = fetch(port)
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert list(read_text(text))
        status, kind, text = fetch(port, Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        assert (status, kind) == (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        assert list(read_openmetrics(text))  # type: ignore[no-untyped-call]
        assert fetch(port, "HEAD")[::2] == (200, "")
        assert fetch(port, path="/")[0] == 404
        assert fetch(port, "POST")[0] == 405


def test_http_without_a_daemon_is_told_so(daemon: Daemon) -> None:
    with serving(daemon) as port:
        daemon.process.kill()
        daemon.process.wait()
        status, _, text = fetch(port)
    assert status == 503
    assert str(daemon.socket) in text


def test_line_that_is_no_http_is_refused(daemon: Daemon) -> None:
    with serving(daemon) as port, socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert client.makefile("rb").readline() == b"HTTP/1.1 400 Bad Request\r\n"


def test_client_that_says_more_than_is_read_gets_its_answer(daemon: Daemon) -> None:
    with serving(daemon) as port, socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").readline() == b"HTTP/1.1 400 Bad Request\r\n"


def test_prometheus_fetches_it_and_answers_the_queries_of_the_rules(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    some_history(daemon)
    with serving(daemon) as port:
        config = (EXAMPLES / "prometheus.yml").read_text()
        assert "127.0.0.1:9751" in config
        assert "127.0.0.1:9751" in (EXAMPLES / "lockd-metrics.socket").read_text()
        config = config.replace("127.0.0.1:9751", f"127.0.0.1:{port}").replace("15s", "1s")
        (tmp_path / "prometheus.yml").write_text(config)
        shutil.copy(EXAMPLES / "lockd.rules.yml", tmp_path)
        own_port = free_port()
        arguments = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
        arguments += [f"--web.listen-address=127.0.0.1:{own_port}", "--log.level=error"]
        with subprocess.Popen([prometheus("prometheus"), *arguments], stderr=subprocess.DEVNULL) as server:
            try:
                check_queries(own_port)
            finally:
                server.terminate()


def check_queries(port: int) -> None:
    def ask(what: str) -> list[dict[str, object]]:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{what}") as answer:
            data = json.load(answer)["data"]
            return list(data["result"] if "result" in data else data["groups"])
        return []

    def query(expression: str) -> list[float]:
        found = ask("query?" + urllib.parse.urlencode({"query": expression}))
        return [float(each["value"][1]) for each in found]  # type: ignore[index]

    wait_until(lambda: query('up{job="lockd"}') == [1], "Prometheus has fetched the metrics")
    assert query("lockd_leases_granted_total") == [3]
    assert query("lockd_wait_seconds_count") == [3]
    assert query("lockd_build_info") == [1]
    label = json.dumps(NASTY_LABEL, ensure_ascii=False)
    assert query(f"lockd_lock_wait_seconds_count{{name={label}}}") == [1]
    assert query("histogram_quantile(0.5, lockd_wait_seconds_bucket)") == [pytest.approx(0.000075)]
    document = (ROOT / "docs/operating.md").read_text()
    queries = re.findall(r"^\| [^|]* \| `(.*lockd_.*)` \|$", document.split("Some queries:")[1], re.M)
    assert len(queries) == 5
    # One value for every second is enough for a rate.
    for expression in queries:
        wait_until(lambda expression=expression: query(expression), f"{expression} has an answer")  # type: ignore[misc]
    wait_until(lambda: [rule_states(group) for group in ask("rules")] == [{"ok"}], "the rules are evaluated")


def rule_states(group: dict[str, object]) -> set[str]:
    return {rule["health"] for rule in group["rules"]}  # type: ignore[attr-defined]


def test_rules_and_configuration_are_right() -> None:
    for kind, file in (("rules", "lockd.rules.yml"), ("config", "prometheus.yml")):
        ran = subprocess.run(
            [prometheus("promtool"), "check", kind, file], cwd=EXAMPLES, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr


def test_rules_speak_of_metrics_that_there_are(daemon: Daemon) -> None:
    some_history(daemon)
    told = {sample.name for family in families(daemon, "openmetrics").values() for sample in family.samples}
    spoken_of = set(re.findall(r"\blockd_\w+", (EXAMPLES / "lockd.rules.yml").read_text()))
    assert spoken_of
    assert spoken_of <= told

import fcntl
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families

from logbastion import metric_files

KEY = mmap_key("jobs", "jobs_total", ["kind"], ["a"], "Jobs")


def write(path, values):
    made = MmapedDict(str(path))
    for key, number in values.items():
        made.write_value(key, number, 0.0)
    made.close()


def total(directory):
    return sum(sample.value for metric in metric_files.read(str(directory)) for sample in metric.samples)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_the_dead_are_added_up_in_one_file(tmp_path):
    for pid in (11, 12, 13):
        write(tmp_path / f"counter_{pid}.db", {KEY: float(pid)})
    for pid in (11, 12):
        metric_files.bury(str(tmp_path), pid)
        assert total(tmp_path) == 36
    assert names(tmp_path) == ["counter_0.db", "counter_13.db", "logbastion.lock"]


def test_the_file_of_the_dead_does_not_grow_with_their_number(tmp_path):
    sizes = set()
    for pid in range(1, 30):
        write(tmp_path / f"counter_{pid}.db", {KEY: 1.0})
        metric_files.bury(str(tmp_path), pid)
        sizes.add((tmp_path / "counter_0.db").stat().st_size)
    assert len(sizes) == 1
    assert total(tmp_path) == 29


def test_many_and_long_keys_fit(tmp_path):
    keys = [mmap_key("jobs", "jobs_total", ["kind"], ["é" * length], "Jobs") for length in range(1000)]
    write(tmp_path / "counter_5.db", dict.fromkeys(keys, 1.0))
    metric_files.bury(str(tmp_path), 5)
    assert total(tmp_path) == 1000


def test_a_full_disk_leaves_the_files_of_the_dead(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    write(tmp_path / "counter_5.db", {KEY: 4.0})
    metric_files.bury(str(tmp_path), 5)
    assert names(tmp_path) == ["counter_5.db", "logbastion.lock"]
    assert total(tmp_path) == 4


def test_a_scrape_that_does_not_end_does_not_hold_the_server(tmp_path, monkeypatch):
    monkeypatch.setattr(metric_files, "_WAIT_SECONDS", 0.0)
    write(tmp_path / "counter_5.db", {KEY: 4.0})
    with (tmp_path / "logbastion.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        metric_files.bury(str(tmp_path), 5)
    assert names(tmp_path) == ["counter_5.db", "logbastion.lock"]


def test_gauges_of_the_living_go_with_them(tmp_path):
    write(tmp_path / "gauge_livesum_5.db", {KEY: 4.0})
    metric_files.bury(str(tmp_path), 5)
    assert names(tmp_path) == ["logbastion.lock"]


WORKERS = """
    import logging, os, signal, sys, time
    from types import SimpleNamespace
    from logbastion import EventFormatter, PrometheusLoggingHandler
    from logbastion.metrics import child_exit, scrape
    from logbastion.redaction_counts import counts
    from logbastion.request_metrics import count_request, know_routes

    handler, formatter = PrometheusLoggingHandler(), EventFormatter()

    def log(message):
        record = logging.LogRecord("finances.stripe.webhook", logging.CRITICAL, "f", 1, message, (), None)
        formatter.format(record)
        handler.handle(record)
        count_request("GET", "/pay/", 500, 0.7)

    know_routes(["/pay/", "/quiet/"])
    log("maria@example.org")
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            log("joao@example.org")
            log("nothing")
            if number == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == 1:
                os._exit(0)
            sys.stdin.read()  # the third lives on
            os._exit(0)
        children.append(child)
    for child in children[:2]:
        os.waitpid(child, 0)
        child_exit(None, SimpleNamespace(pid=child))
    while b'stripe"} 7.0' not in scrape()[0]:
        time.sleep(0.01)
    sys.stdout.buffer.write(scrape()[0])
    sys.stdout.flush()
    os.kill(children[2], signal.SIGKILL)
"""


@pytest.mark.integration
def test_forks_and_deaths_lose_nothing_and_double_nothing(tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    command = [sys.executable, "-c", textwrap.dedent(WORKERS)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        try:
            text = program.communicate(timeout=60)[0].decode()
        finally:
            if program.poll() is None:
                program.send_signal(signal.SIGKILL)
    assert program.returncode == 0
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["django_log_messages_total", "CRITICAL", "finances.stripe"] == 7
    assert samples["django_http_requests_total", "/pay/", "5xx", "GET"] == 7
    assert samples["django_http_requests_total", "/quiet/", "5xx", "POST"] == 0
    assert samples["django_http_request_duration_seconds_bucket", "/pay/", "1.0", "GET"] == 7
    assert samples["logbastion_events_redacted_total",] == 4
    assert samples["logbastion_redaction_failures_total",] == 0
    assert samples["error_rate",] == 1  # all since the start were CRITICAL
    assert len(list(tmp_path.glob("counter_*.db"))) == 3  # the parent, the living child, the dead

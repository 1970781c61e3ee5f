"""What Prometheus gets to know of the ingest, and who does not."""

import time

from ingest_client import event
from service_over_tls import wait_for

QUEUE_FILE = "/var/lib/logbastion-ingest/queue.prom"


def test_metrics_are_told_over_tls_with_the_password_only(metrics):
    assert metrics.get("/metrics").status_code == 200
    assert metrics.get_without_credentials("/metrics").status_code == 401
    assert metrics.get("/metrics", auth=("prometheus", "wrong")).status_code == 401
    assert not metrics.answers_in_clear()


def test_nothing_is_told_of_the_host_itself(metrics):
    names = {line.split()[2].split("_")[0] for line in metrics.get("/metrics").text.splitlines() if "# TYPE" in line}
    # Debian 12's node exporter counts the scrapes themselves, too.
    assert names - {"promhttp"} == {"logbastion", "node"}
    assert "node_cpu" not in metrics.get("/metrics").text


def test_what_is_stored_and_what_is_not_is_counted(ingest, store, metrics, run):
    def counts():
        return {
            "stored": metrics.value("logbastion_ingest_events_stored_total"),
            "invalid": metrics.value("logbastion_ingest_dead_letters_total", reason="invalid"),
            "refused": metrics.value("logbastion_ingest_dead_letters_total", reason="refused"),
            "arrived": metrics.value("logbastion_ingest_delay_seconds_count", stage="arrival"),
            "late": metrics.value("logbastion_ingest_delay_seconds_count", stage="arrival")
            - metrics.value("logbastion_ingest_delay_seconds_bucket", stage="arrival", le="300"),
        }

    before = counts()
    hour_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 4000))
    ingest.send_events(event(run, number) for number in range(8))
    ingest.send_events([event(run, 8, **{"@timestamp": hour_ago}), event(run, 9, **{"@timestamp": "yesterday"})])
    ingest.send([f"{run} is not JSON".encode()])
    store.wait_for_all(run, 9)
    more = {"stored": 9, "invalid": 1, "refused": 1, "arrived": 9, "late": 1}
    wait_for(lambda: counts() == {name: before[name] + count for name, count in more.items()})


def test_figures_of_the_queue_come_as_long_as_rsyslogd_lives(metrics):
    begin = time.time()
    # The file that the alert IngestDown looks at.
    wait_for(lambda: metrics.value("node_textfile_mtime_seconds", file=QUEUE_FILE) > begin)
    assert metrics.value("logbastion_ingest_queue_events") == 0
    assert metrics.value("logbastion_ingest_queue_maximum_bytes") == 2 * 1024**3
    assert metrics.value("logbastion_ingest_disk_available_bytes") > 0

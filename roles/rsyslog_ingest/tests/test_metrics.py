"""What the ingest tells Prometheus, read back with Prometheus' own parser."""

import io
import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from delivery import queue_statistics
from delivery.configuration import Configuration
from delivery.events import Line, examine
from delivery.metrics import DeliveryMetrics, seconds_of
from prometheus_client.parser import text_string_to_metric_families

RECEIVED = "2026-11-23T10:00:00.250000+00:00"


def samples(path) -> dict:
    """Return value by name and labels; a metric without a type or a help would be none of ours."""
    families = list(text_string_to_metric_families(path.read_text()))
    assert all(family.type != "unknown" and family.documentation for family in families)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def of(samples: dict, name: str, **labels: str) -> float:
    return samples[(f"logbastion_ingest_{name}", *sorted(labels.items()))]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "delivery.prom"


@pytest.fixture
def configuration(tmp_path):
    (tmp_path / "queue").mkdir()
    return Configuration(
        elasticsearch_urls=["https://localhost:9200"],
        ca_file="/nowhere",
        username="log_writer",
        password_file="/nowhere",
        dead_letter_file="/nowhere",
        datasets=["django.application"],
        environments=[],
        maximum_event_bytes=4096,
        request_timeout_seconds=5,
        metrics_directory=str(tmp_path),
        queue_directory=str(tmp_path / "queue"),
        queue_maximum_bytes=2**31,
    )


def test_every_counter_is_born_at_0(path):
    DeliveryMetrics(str(path)).save()
    found = samples(path)
    assert set(found.values()) == {0.0}
    assert {name for name, *_ in found} == {
        "logbastion_ingest_events_stored_total",
        "logbastion_ingest_dead_letters_total",
        "logbastion_ingest_delay_seconds_bucket",
        "logbastion_ingest_delay_seconds_sum",
        "logbastion_ingest_delay_seconds_count",
        "logbastion_ingest_oldest_timestamp_seconds",
    }
    assert of(found, "dead_letters_total", reason="refused") == of(found, "dead_letters_total", reason="invalid") == 0


def test_delays_go_into_the_buckets_of_their_stage(path):
    metrics = DeliveryMetrics(str(path))
    now = time.time()
    metrics.stored([(now - 400, now - 300.5), (now - 301, now - 0.01), (None, now), (now + 60, now)])
    metrics.save()
    found = samples(path)
    assert of(found, "events_stored_total") == 4
    arrival = {edge: of(found, "delay_seconds_bucket", stage="arrival", le=edge) for edge in ("1", "60", "300", "900")}
    # From the future counts as no time; what has no time of its own is not in it.
    assert arrival == {"1": 1, "60": 1, "300": 2, "900": 3}
    assert of(found, "delay_seconds_count", stage="arrival") == 3
    assert of(found, "delay_seconds_sum", stage="arrival") == pytest.approx(99.5 + 300.99, abs=0.1)
    storage = {edge: of(found, "delay_seconds_bucket", stage="storage", le=edge) for edge in ("1", "300", "900")}
    assert storage == {"1": 3, "300": 3, "900": 4}


def test_counters_go_on_after_a_restart(path):
    first = DeliveryMetrics(str(path))
    first.dead("refused", 2)
    first.stored([(1.0, 2.0)])
    first.save()
    second = DeliveryMetrics(str(path))
    second.dead("refused", 1)
    second.save()
    found = samples(path)
    assert of(found, "dead_letters_total", reason="refused") == 3
    assert of(found, "dead_letters_total", reason="invalid") == 0
    assert of(found, "events_stored_total") == 1
    assert of(found, "delay_seconds_count", stage="arrival") == 1


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"a b c\n", b"\xff\xfe 1\n"])
def test_a_file_that_is_not_ours_is_replaced(path, content):
    path.write_bytes(content)
    DeliveryMetrics(str(path)).save()
    assert of(samples(path), "events_stored_total") == 0


def test_the_oldest_that_waits_is_told_and_what_has_gone_only_once(path):
    metrics = DeliveryMetrics(str(path))
    metrics.take(RECEIVED)
    metrics.take("2026-11-23T10:00:05+00:00")
    for _ in range(2):
        metrics.save()
        assert of(samples(path), "oldest_timestamp_seconds") == seconds_of(RECEIVED)
    metrics.drop()
    metrics.take("2026-11-23T10:00:07+00:00")
    metrics.drop()
    metrics.save()
    assert of(samples(path), "oldest_timestamp_seconds") == seconds_of(RECEIVED)
    metrics.save()
    assert of(samples(path), "oldest_timestamp_seconds") == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T10:00:00.250000Z", datetime(2026, 11, 23, 10, 0, 0, 250000, UTC).timestamp()),
        ("2026-11-23T11:00:00+01:00", datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()),
        ("2026-11-23T10:00:00", datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()),
        ("yesterday", None),
        (None, None),
        (5, None),
    ],
)
def test_times_of_events(text, seconds):
    assert seconds_of(text) == seconds


def test_an_event_brings_its_own_time(configuration):
    document = {
        "@timestamp": "2026-11-23T09:59:59Z",
        "event": {"id": "a", "dataset": "django.application"},
        "service": {"environment": "test"},
    }
    event = examine(Line(RECEIVED, "192.0.2.1", json.dumps(document).encode()), configuration)
    assert event.created == seconds_of(RECEIVED) - 1.25


def test_what_rsyslog_says_of_its_queue(configuration, tmp_path):
    (tmp_path / "queue/ingest.00000001").write_bytes(b"x" * 1000)
    (tmp_path / "queue/ingest.qi").write_bytes(b"x" * 24)
    said = [
        {"name": "main Q", "origin": "core.queue", "size": 5},
        {"name": "ingest", "origin": "core.queue", "size": 17, "enqueued": 30, "full": 0},
        {"name": "ingest", "origin": "core.action", "processed": 3},
    ]
    lines = b"not JSON\n" + b"".join(b" " + json.dumps(each).encode() + b"\n" for each in said)
    queue_statistics.serve(io.BytesIO(lines), configuration)
    found = samples(tmp_path / "queue.prom")
    assert of(found, "queue_events") == 17
    assert of(found, "queue_bytes") == 1024
    assert of(found, "queue_maximum_bytes") == 2**31
    assert 0 < of(found, "disk_available_bytes") <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


def test_what_rsyslog_says_of_other_queues_writes_nothing(configuration, tmp_path):
    queue_statistics.serve(io.BytesIO(b'{"name": "main Q", "origin": "core.queue", "size": 5}\n'), configuration)
    assert not (tmp_path / "queue.prom").exists()


def test_metrics_that_cannot_be_written_stop_no_event(configuration, tmp_path):
    metrics = DeliveryMetrics(str(tmp_path / "missing/delivery.prom"))
    with pytest.raises(FileNotFoundError):
        metrics.save()
    gone = replace(configuration, metrics_directory=str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError):
        queue_statistics.serve(io.BytesIO(b'{"name": "ingest", "origin": "core.queue", "size": 5}\n'), gone)
    metrics.stored([(1.0, 2.0)])
    (tmp_path / "missing").mkdir()
    metrics.save()
    assert of(samples(tmp_path / "missing/delivery.prom"), "events_stored_total") == 1

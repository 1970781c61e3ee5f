"""What Prometheus gets from Logstash's API, and who does not get it."""

import hashlib
import http.client
import http.server
import json
import ssl
import threading

import pytest
import trustme
from logstash_metrics import Metrics, Server, samples
from prometheus_client.parser import text_string_to_metric_families

# In the shape of Logstash's API documentation (/_node/stats/pipelines), shortened to what is read and what stands beside it.
STATS = {
    "ingest": {
        "events": {"in": 120, "filtered": 110, "out": 110},
        "plugins": {
            "inputs": [{"id": "tcp", "name": "tcp", "events": {"out": 120}}],
            "outputs": [
                {"id": "to_dead_letters", "name": "pipeline", "events": {"in": 7, "out": 7}},
                {
                    "id": "elasticsearch",
                    "name": "elasticsearch",
                    "events": {"in": 103, "out": 103},
                    "documents": {"successes": 100, "non_retryable_failures": 3, "dlq_routed": 3},
                },
            ],
        },
        "reloads": {"successes": 2, "failures": 1, "last_error": None},
        "queue": {
            "type": "persisted",
            "events_count": 10,
            "queue_size_in_bytes": 4096,
            "max_queue_size_in_bytes": 1073741824,
            "data": {"free_space_in_bytes": 60833390592, "storage_type": "ext4"},
        },
        "dead_letter_queue": {"queue_size_in_bytes": 1, "dropped_events": 4},
    },
    "dead_letters": {"reloads": {"successes": 0, "failures": 0}},
}


def as_text(found):
    return {name + labels: value for name, _, labels, value in found}


def test_figures_are_those_of_the_pipeline():
    assert as_text(samples(STATS)) == {
        "logbastion_ingest_events_stored_total": 100,
        'logbastion_ingest_dead_letters_total{reason="invalid"}': 7,
        'logbastion_ingest_dead_letters_total{reason="refused"}': 3,
        "logbastion_ingest_queue_events": 10,
        "logbastion_ingest_queue_bytes": 4096,
        "logbastion_ingest_queue_maximum_bytes": 1073741824,
        "logbastion_ingest_disk_available_bytes": 60833390592,
        "logbastion_logstash_dead_letters_dropped_total": 4,
        'logbastion_logstash_reload_failures_total{pipeline="ingest"}': 1,
        'logbastion_logstash_reload_failures_total{pipeline="dead_letters"}': 0,
    }


def test_pipeline_that_has_just_started_has_counters_of_0_and_no_invented_sizes():
    found = as_text(samples({"ingest": {"plugins": {"outputs": []}, "queue": {"type": "persisted"}}}))
    assert set(found.values()) == {0}
    assert not [name for name in found if "queue" in name or "disk" in name]


def test_pipeline_that_is_missing_is_not_counted_as_quiet():
    assert list(samples({"dead_letters": {}})) == []


@pytest.fixture
def logstash():
    """Logstash's API, with its password."""

    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            right = self.headers["Authorization"] == "Basic bG9nc3Rhc2g6YXBp"  # logstash:api
            self.send_response(200 if right and self.path == "/_node/stats/pipelines" else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"pipelines": STATS}).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(logstash, tmp_path):
    """Ask the program as Prometheus does."""
    authority = trustme.CA()
    (tmp_path / "host.pem").write_bytes(authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes())
    configuration = {
        "listen_address": "127.0.0.1",
        "port": 0,
        "certificate_file": str(tmp_path / "host.pem"),
        "key_file": str(tmp_path / "host.pem"),
        "api_port": logstash.server_port,
        "api_user": "logstash",
        "api_password": "api",
        "user": "prometheus",
        "password_sha256": hashlib.sha256(b"scrape").hexdigest(),
    }
    (tmp_path / "metrics.json").write_text(json.dumps(configuration))
    server = Server(Metrics(str(tmp_path / "metrics.json")))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def ask(path="/metrics", authorization="Basic cHJvbWV0aGV1czpzY3JhcGU="):  # prometheus:scrape
        connection = http.client.HTTPSConnection("localhost", server.server_port, context=context, timeout=20)
        connection.request("GET", path, headers={"Authorization": authorization} if authorization else {})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    ask.port = server.server_port
    yield ask
    server.shutdown()
    server.server_close()


def test_scrape_is_what_prometheus_reads(get):
    status, body = get()
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert families["logbastion_logstash_up"].samples[0].value == 1
    assert families["logbastion_ingest_events_stored"].type == "counter"
    assert [sample.value for sample in families["logbastion_ingest_dead_letters"].samples] == [7, 3]


@pytest.mark.parametrize(
    "authorization", [None, "Basic cHJvbWV0aGV1czp3cm9uZw==", "Basic b3RoZXI6c2NyYXBl", "Basic %%%", "Bearer scrape"]
)
def test_nobody_else_gets_anything(get, authorization):
    status, body = get(authorization=authorization)
    assert (status, body) == (401, "")


def test_no_other_path_and_nothing_in_clear(get):
    assert get("/")[0] == 404
    connection = http.client.HTTPConnection("localhost", get.port, timeout=20)
    connection.request("GET", "/metrics")
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.getresponse()
    # One that speaks no TLS does no harm to the next.
    assert get()[0] == 200


def test_logstash_that_does_not_answer_is_told(get, logstash):
    logstash.shutdown()
    logstash.server_close()
    assert get() == (200, "# TYPE logbastion_logstash_up gauge\nlogbastion_logstash_up 0.0\n")

"""Answers of Elasticsearch that cannot be had from a real one at will, given by a server over real TLS."""

import io
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from delivery import courier as conversation
from delivery.configuration import Configuration, ConfigurationError
from delivery.courier import Courier
from delivery.events import Line
from delivery.store import NotDeliveredError


class Sink(BaseHTTPRequestHandler):
    """Answers with `server.script`, a list of functions of the ids in the request; the last one stays."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        lines = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
        actions = [json.loads(line)["create"] for line in lines[::2]]
        server = self.server
        server.seen.append([action["_id"] for action in actions])
        server.authorizations.append(self.headers["Authorization"])
        answer = server.script.pop(0) if len(server.script) > 1 else server.script[0]
        status, body = answer([action["_id"] for action in actions])
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        """Be quiet."""


def stored(ids, **other):
    """Store all but what `other` (status by id) says."""
    items = [
        {
            "create": {
                "status": other.get(i, 201),
                **({"error": {"type": "t", "reason": f"r {i}"}} if i in other else {}),
            }
        }
        for i in ids
    ]
    return 200, {"items": items}


def whole(status):
    return lambda ids: (status, {"error": {"type": "whole", "reason": "all of it"}, "status": status})


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def sink(authority):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    server.daemon_threads = True
    server.script, server.seen, server.authorizations = [stored], [], []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def configuration(tmp_path, authority, sink):
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    (tmp_path / "password").write_text("secret\n")
    return Configuration(
        elasticsearch_urls=[f"https://localhost:{sink.server_port}"],
        ca_file=str(tmp_path / "ca.crt"),
        username="log_writer",
        password_file=str(tmp_path / "password"),
        dead_letter_file=str(tmp_path / "dead.jsonl"),
        datasets=["django.application", "django.security"],
        environments=[],
        maximum_event_bytes=4096,
        request_timeout_seconds=5,
        metrics_directory=str(tmp_path),
        queue_directory=str(tmp_path),
        queue_maximum_bytes=2**31,
    )


def line(identifier="a", **changes):
    document = {
        "event": {"id": identifier, "dataset": "django.application"},
        "service": {"environment": "test"},
        **changes,
    }
    return Line("2026-11-23T10:00:00+00:00", "192.0.2.1", json.dumps(document).encode())


def letters(configuration):
    with open(configuration.dead_letter_file, encoding="utf-8") as file:
        return [json.loads(text) for text in file]


def counted(configuration):
    with open(f"{configuration.metrics_directory}/delivery.prom", encoding="ascii") as file:
        pairs = [text.rsplit(" ", 1) for text in file if not text.startswith("#")]
    return {name: float(value) for name, value in pairs if "_total" in name}


def test_batch_is_stored_and_what_is_stored_already_is_fine(configuration, sink):
    sink.script = [lambda ids: stored(ids, b=409)]
    assert Courier(configuration).deliver([line("a"), line("b"), line("c")]) == 0
    assert sink.seen == [["a", "b", "c"]]


def test_one_refused_event_is_a_dead_letter(configuration, sink):
    sink.script = [lambda ids: stored(ids, b=400)]
    assert Courier(configuration).deliver([line("a"), line("b")]) == 1
    (letter,) = letters(configuration)
    assert letter["reason"] == "Elasticsearch: 400 t: r b"
    assert json.loads(letter["raw"])["event"]["id"] == "b"


def test_what_is_stored_and_what_is_refused_is_counted(configuration, sink):
    sink.script = [lambda ids: stored(ids, a=409, b=400)]
    courier = Courier(configuration)
    courier.deliver([line("a"), line("b"), line("c")])
    courier.metrics.save()
    assert counted(configuration) == {
        "logbastion_ingest_events_stored_total": 2.0,
        'logbastion_ingest_dead_letters_total{reason="invalid"}': 0.0,
        'logbastion_ingest_dead_letters_total{reason="refused"}': 1.0,
    }


@pytest.mark.parametrize("status", [400, 413])
def test_event_that_spoils_a_request_is_found(configuration, sink, status):
    sink.script = [lambda ids: whole(status)(ids) if "c" in ids else stored(ids)]
    assert Courier(configuration).deliver([line(identifier) for identifier in "abcde"]) == 1
    assert [json.loads(each["raw"])["event"]["id"] for each in letters(configuration)] == ["c"]
    alone = [ids for ids in sink.seen if "c" not in ids]
    assert sorted(identifier for ids in alone for identifier in ids) == ["a", "b", "d", "e"]


@pytest.mark.parametrize(
    "answer",
    [
        *(whole(status) for status in (401, 403, 404, 429, 500, 502, 503)),
        lambda ids: (200, b""),
        lambda ids: (200, b"<html>"),
        lambda ids: (200, b"[]"),
        lambda ids: (200, {"items": []}),
        lambda ids: (200, {"items": [{} for _ in ids]}),
        *((lambda ids, status=status: stored(ids, b=status)) for status in (401, 403, 404, 429, 500, 503)),
    ],
)
def test_everything_else_is_tried_again_and_leaves_no_dead_letter(configuration, sink, answer):
    sink.script = [answer]
    not_json = Line("2026-11-23T10:00:00+00:00", "192.0.2.1", b"no")
    courier = Courier(configuration)
    with pytest.raises(NotDeliveredError):
        courier.deliver([line("a"), not_json, line("b")])
    with pytest.raises(FileNotFoundError):
        letters(configuration)
    sink.script = [lambda ids: stored(ids, a=409)]
    courier.metrics.save()
    before = counted(configuration)
    assert set(before.values()) == {0.0}
    assert courier.deliver([line("a"), not_json, line("b")]) == 1
    assert len(letters(configuration)) == 1
    courier.metrics.save()
    assert counted(configuration) == {
        "logbastion_ingest_events_stored_total": 2.0,
        'logbastion_ingest_dead_letters_total{reason="invalid"}': 1.0,
        'logbastion_ingest_dead_letters_total{reason="refused"}': 0.0,
    }


def test_next_node_is_asked_when_one_does_not_answer(configuration, sink):
    dead = Configuration(
        **{**vars(configuration), "elasticsearch_urls": ["https://localhost:1", *configuration.elasticsearch_urls]}
    )
    assert Courier(dead).deliver([line("a")]) == 0


def test_certificate_of_another_authority_is_not_trusted(configuration, sink, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.crt")
    with pytest.raises(NotDeliveredError, match="CERTIFICATE_VERIFY_FAILED"):
        Courier(configuration).deliver([line("a")])
    assert sink.seen == []


def test_changed_password_is_used_after_a_refusal(configuration, sink, tmp_path):
    courier = Courier(configuration)
    sink.script = [whole(401), stored]
    with pytest.raises(NotDeliveredError):
        courier.deliver([line("a")])
    (tmp_path / "password").write_text("changed")
    courier.deliver([line("a")])
    assert len(set(sink.authorizations)) == 2


def test_conversation_with_rsyslog_waits_until_all_is_stored(configuration, sink, monkeypatch):
    monkeypatch.setattr(conversation, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(conversation, "SECONDS_BETWEEN_DOTS", 0.0)
    sink.script = [whole(503), whole(429), stored]
    event = line("a")
    text = b"%s %s %s\n" % (event.received.encode(), event.sender.encode(), event.raw)
    answers = io.BytesIO()
    Courier(configuration).serve(io.BytesIO(b"BEGIN TRANSACTION\n" + text + text + b"COMMIT TRANSACTION\n"), answers)
    assert answers.getvalue() == b"OK\nOK\nDEFER_COMMIT\nDEFER_COMMIT\n..OK\n"
    assert sink.seen == [["a", "a"]] * 3


def test_only_named_environments_are_taken(configuration, sink):
    strict = Configuration(**{**vars(configuration), "environments": ["production"]})
    assert Courier(strict).deliver([line("a"), line("b", service={"environment": "production"})]) == 1
    assert sink.seen == [["b"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"ca_file": 5},
        {"elasticsearch_urls": ["http://x"]},
        {"elasticsearch_urls": []},
        {"extra": 1},
        {"datasets": []},
        {"username": ""},
    ],
)
def test_wrong_configuration_is_refused(configuration, tmp_path, changes):
    path = tmp_path / "deliver.json"
    path.write_text(json.dumps(vars(configuration)))
    assert Configuration.read(str(path)) == configuration
    path.write_text(json.dumps({**vars(configuration), **changes}))
    with pytest.raises(ConfigurationError):
        Configuration.read(str(path))

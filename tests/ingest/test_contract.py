"""The contract of an ingest, whatever program it is: who gets in, where events go, what becomes of a line that cannot be stored.

`make test-ingest` runs this file against any ingest; the scenario of each backend that can be had runs it, too (tests/ingest/README.md).
The fixtures `ingest`, `store`, `run` and `environment` say where.
"""

import json
import re
import socket
import ssl
from datetime import datetime

import pytest
import trustme

from tests.ingest.client import Credentials, event
from tests.ingest.waiting import wait_for

STREAMS_READ = ["django.application", "django.performance", "django.debug"]


@pytest.fixture
def make_event(environment):
    """Return an event of the environment under test."""

    def make(run, number, **changes):
        return event(run, number, **{"service": {"name": "contract", "environment": environment}, **changes})

    return make


def refused(connect_and_send):
    """TLS 1.3 tells a client of its refusal only when it reads."""
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        connect_and_send()


def send_and_read(ingest, context, line):
    with ingest.connect(context) as connection:
        connection.sendall(line + b"\n")
        if connection.recv(1) == b"":
            raise EOFError


def assert_it_was_not_stored(ingest, store, run, make_event):
    """An event that is sent the right way afterwards shows that there was time enough."""
    ingest.send_events([make_event(run, 1)])
    wait_for(lambda: f"{run}-000001" in store.ids(run))
    assert set(store.ids(run)) == {f"{run}-000001"}


def test_client_without_certificate_is_cut_off(ingest, store, run, make_event):
    context = ingest.context(Credentials(ingest.credentials.authority))
    refused(lambda: send_and_read(ingest, context, json.dumps(make_event(run, 0)).encode()))
    assert_it_was_not_stored(ingest, store, run, make_event)


def test_certificate_of_another_authority_is_cut_off(ingest, store, run, make_event, tmp_path):
    (tmp_path / "other.pem").write_bytes(trustme.CA().issue_cert(ingest.name).private_key_and_cert_chain_pem.bytes())
    context = ingest.context(Credentials(ingest.credentials.authority, tmp_path / "other.pem", tmp_path / "other.pem"))
    refused(lambda: send_and_read(ingest, context, json.dumps(make_event(run, 0)).encode()))
    assert_it_was_not_stored(ingest, store, run, make_event)


def test_old_tls_is_refused(ingest):
    context = ingest.context()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    refused(lambda: ingest.connect(context))


def test_nothing_is_taken_in_clear(ingest, store, run, make_event):
    with socket.create_connection((ingest.address, ingest.port), timeout=30) as plain:
        plain.sendall(json.dumps(make_event(run, 0)).encode() + b"\n")
        try:
            while plain.recv(4096):
                pass
        except ConnectionError:
            pass
    assert_it_was_not_stored(ingest, store, run, make_event)
    assert not [each for each in ingest.dead_letters() if run in str(each)]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_are_taken_and_nothing_is_lost(ingest, store, run, make_event, version):
    context = ingest.context()
    context.minimum_version = context.maximum_version = version
    ingest.send((json.dumps(make_event(run, number)).encode() for number in range(1000)), context)
    store.wait_for_all(run, 1000)


@pytest.mark.parametrize("stream", STREAMS_READ)
def test_each_stream_gets_its_documents_typed_and_under_their_ids(ingest, store, run, make_event, stream):
    sent = make_event(
        run,
        0,
        event={"id": f"{run}-000000", "dataset": stream},
        user_id=9007199254740993,
        message='Olá, "João" \\ \u2028 \U0001f511\nline two',
        performance={"duration_ms": 12.5, "operation": "invoice", "success": False},
        extra={"amount": "10.00", "currency": "EUR", "nested": {"empty": [], "nothing": None}},
    )
    sent["@timestamp"] = sent["@timestamp"].replace(".000000Z", ".123456Z")
    ingest.send_events([sent])
    store.wait_for_all(run, 1)
    (hit,) = store.documents(run)
    assert hit["_id"] == f"{run}-000000"
    assert f"logs-{stream}-{store.environment}-" in hit["_index"]
    stored = hit["_source"]
    assert moment(stored.pop("@timestamp")) == moment(sent.pop("@timestamp"))
    for name, value in sent.items():
        assert stored[name] == value, name
    # A backend may add where the document belongs, and nothing else.
    assert set(stored) - set(sent) <= {"data_stream"}


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_each_event_is_stored_once_however_often_it_is_sent(ingest, store, run, make_event):
    for _ in range(3):
        ingest.send_events(make_event(run, number) for number in range(500))
    store.wait_for_all(run, 500)


UNSTORABLE = {
    "not JSON": (lambda _: b"MARK is not JSON", "not JSON"),
    "a list": (lambda _: b'["MARK"]', "not (a )?JSON"),
    "not a number": (lambda _: b'{"message": "MARK", "value": NaN}', "not JSON"),
    "a number before it": (lambda _: b'12 {"message": "MARK"}', "not JSON"),
    "no id": (lambda make: make(event={"dataset": "django.application"}, message="MARK"), "event.id"),
    "wrong stream": (lambda make: make(event={"id": "MARK-000000", "dataset": "django.secrets"}), "event.dataset"),
    "path as stream": (lambda make: make(event={"id": "MARK-000000", "dataset": "../x"}), "event.dataset"),
    "wrong environment": (lambda make: make(service={"environment": "a-b"}), "service.environment"),
    "service is a word": (lambda make: make(service="x"), "service.environment"),
    "too large": (lambda make: make(message="x" * 262144), "larger than 262144 bytes"),
    "no time": (lambda make: make(**{"@timestamp": "yesterday"}), "@timestamp"),
}


def unstorable(case, run, make_event):
    make_line, _ = UNSTORABLE[case]
    line = make_line(lambda **changes: json.dumps(make_event("MARK", 0, **changes)).encode())
    return line.replace(b"MARK", run.encode())


def test_lines_that_cannot_be_stored_do_not_stop_the_ones_beside_them(ingest, store, run, make_event):
    lines = [unstorable(case, run, make_event) for case in UNSTORABLE]
    first, last = (json.dumps(make_event(run + "x", number)).encode() for number in range(2))
    ingest.send([first, *lines, last])
    store.wait_for_all(run + "x", 2)
    assert store.ids(run) == {}


@pytest.mark.dead_letters
@pytest.mark.parametrize("case", UNSTORABLE)
def test_line_that_cannot_be_stored_is_a_dead_letter_with_the_reason(ingest, run, make_event, case):
    line = unstorable(case, run, make_event)
    ingest.send([line])
    letter = ingest.wait_for_dead_letter(run)
    assert re.search(UNSTORABLE[case][1], letter["reason"])
    assert moment(letter["received"]).tzinfo
    assert letter["from"]
    assert content(letter["raw"]) == content(line.decode())


def content(line):
    """A backend keeps the line, or the object that it was read as: a time may be written in another way then."""
    try:
        read = json.loads(line)
    except ValueError:
        return line
    if isinstance(read, dict) and str(read.get("@timestamp"))[:2] == "20":
        read["@timestamp"] = moment(read["@timestamp"])
    return read

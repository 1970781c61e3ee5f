import json
import os
import time

import pytest
from conftest import eventually
from http_sink import ElasticsearchBulkStandIn, break_off, break_off_in_the_answer, drip, say, stay_silent
from sink import Feeder, numbered

from logbastion.shipping.transports import Promise, TransportError
from logbastion.shipping.transports.elasticsearch import ElasticsearchTransport, action_for

pytestmark = pytest.mark.integration


@pytest.fixture
def server(certificates):
    with ElasticsearchBulkStandIn(certificates) as made:
        yield made


@pytest.fixture
def connect(certificates):
    made = []

    def make(destinations, **options):
        transport = ElasticsearchTransport(destinations, **{"ca_file": certificates.ca, **options})
        made.append(transport)
        return transport

    yield make
    for transport in made:
        transport.forget()


@pytest.mark.parametrize("parallel", [1, 4])
def test_every_document_is_stored_once_in_its_data_stream(connect, server, parallel):
    feeder = Feeder(connect(server.address, parallel=parallel, username="w", password="p"), numbered(0, 5000))
    assert feeder.transport.promise is Promise.STORED
    server.expect("w", "p")
    feeder.hand_over()
    assert feeder.settled >= 5000 - 100 * (parallel - 1)
    feeder.finish()
    assert feeder.settled == 5000
    assert server.numbers() == list(range(5000))
    assert server.created == 5000
    assert server.connections == parallel
    assert {index for index, _ in server.documents} == {"logs-django.application-lab"}
    assert {identifier for _, identifier in server.documents} == {f"id-{n}" for n in range(5000)}
    path, headers, body = server.requests[0]
    assert path.startswith("/_bulk?")
    assert headers["Content-Type"] == "application/x-ndjson"
    assert body.split(b"\n")[1] == feeder.events[0]  # the document is the event, byte for byte


def test_answers_are_taken_in_while_there_is_nothing_to_send(connect, server):
    feeder = Feeder(connect(server.address, path="/store/"), numbered(0, 200))
    feeder.hand_over()
    eventually(lambda: feeder.step() and feeder.settled == 200)
    assert server.requests[0][0].startswith("/store/_bulk?")


def test_several_requests_are_under_way_at_a_time(connect, server):
    """The store holds back its first answer until others have asked."""
    waiting = []

    def slow(request, body):
        eventually(lambda: len(waiting) >= 3)
        server.behave(request, body)

    def noted(request, body):
        waiting.append(1)
        server.behave(request, body)

    server.script.extend([slow, noted, noted, noted])
    feeder = Feeder(connect(server.address, parallel=4), numbered(0, 400))
    feeder.hand_over()
    feeder.finish()
    assert feeder.settled == 400
    assert server.created == 400


def test_what_is_there_already_is_settled(connect, server):
    events = numbered(0, 100)
    Feeder(connect(server.address, parallel=1), events[:60]).hand_over()
    feeder = Feeder(connect(server.address, parallel=1), events)
    feeder.hand_over()
    assert (feeder.settled, feeder.refused) == (100, [])
    assert (server.created, server.known) == (100, 60)


@pytest.mark.parametrize("parallel", [1, 3])
def test_refused_documents_are_named_with_the_reason_and_the_rest_is_stored(connect, server, parallel):
    server.bad = {0, 55, 99, 250, 251}
    events = numbered(0, 1000)
    feeder = Feeder(connect(server.address, parallel=parallel), events)
    feeder.hand_over()
    feeder.finish()
    assert feeder.settled == 1000
    assert [event for event, _ in feeder.refused] == [events[n] for n in sorted(server.bad)]
    assert {reason for _, reason in feeder.refused} == {
        "status 400: document_parsing_exception: [1:2] failed to parse field [user_id]"
    }
    assert server.numbers() == [n for n in range(1000) if n not in server.bad]


def test_refusals_of_several_requests_in_one_receipt_are_told_apart(connect, server):
    asked = []

    def together(request, body):
        asked.append(1)
        eventually(lambda: len(asked) == 3)
        server.behave(request, body)

    server.script.extend([together] * 3)
    server.bad = {5, 150, 299}
    events = numbered(0, 300)
    feeder = Feeder(connect(server.address, parallel=4), events, batch=100)
    assert feeder.step()
    assert feeder.step()
    assert feeder.settled == 0
    assert feeder.step()
    feeder.finish()
    assert [event for event, _ in feeder.refused] == [events[5], events[150], events[299]]


def test_what_is_not_one_json_object_is_refused_here(connect, server):
    events = [b"no", b"[1]", b'{"a":\n1}', b'"x"', *numbered(0, 3), b'{"extra":{"n":3}} {}', b"["]
    feeder = Feeder(connect(server.address), events)
    feeder.hand_over()
    feeder.finish()
    assert feeder.settled == len(events)
    assert [event for event, _ in feeder.refused] == [*events[:4], *events[-2:]]
    assert server.numbers() == [0, 1, 2]
    only_bad = Feeder(connect(server.address), [b"no"])
    only_bad.hand_over()
    assert (only_bad.settled, len(only_bad.refused)) == (1, 1)
    assert len(server.requests) == 1


def test_documents_that_the_store_has_no_time_for_are_sent_again(connect, server):
    server.busy = {3: 1, 4: 2, 50: 1}
    server.bad = {20}
    feeder = Feeder(connect(server.address, parallel=1), numbered(0, 100))
    feeder.hand_over()
    assert feeder.settled == 100
    assert len(feeder.refused) == 1
    assert server.created == 99
    assert server.known == 0  # only those that were not stored were sent again
    assert [len(body.splitlines()) // 2 for _, _, body in server.requests] == [100, 3, 1]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_store_that_goes_on_to_have_no_time_settles_what_came_before(connect, server, status):
    server.statuses = {60: status}
    server.bad = {10, 70}
    feeder = Feeder(connect(server.address, parallel=1, response_timeout=1.5), numbered(0, 100))
    assert not feeder.step()
    assert feeder.settled == 60
    assert len(feeder.refused) == 1
    assert f"status {status}: some_exception: not now" in str(feeder.errors[0])
    server.statuses = {}
    feeder.run()
    assert len(feeder.refused) == 2
    assert server.numbers() == [n for n in range(100) if n not in (10, 70)]
    assert server.created == 98


def test_a_store_that_falls_silent_is_reported_with_what_it_said_before(connect, server):
    server.statuses = {60: 429}
    server.script.extend([server.behave, stay_silent])
    feeder = Feeder(connect(server.address, parallel=1, response_timeout=3), numbered(0, 100))
    assert not feeder.step()
    assert "status 429: some_exception: not now; then" in str(feeder.errors[0])
    assert "did not answer" in str(feeder.errors[0])
    assert feeder.settled == 60


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 500, 502, 503])
def test_an_answer_about_the_whole_request_settles_nothing(connect, server, status):
    server.script.append(say(status, "no", Retry_After="3"))
    feeder = Feeder(connect(server.address, parallel=1), numbered(0, 10))
    assert not feeder.step()
    assert f"HTTP {status}" in str(feeder.errors[0])
    assert feeder.errors[0].retry_after == 3
    feeder.run()
    assert server.created == 10


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>Please log in</html>",
        "[]",
        '{"errors":false}',
        '{"errors":false,"items":[]}',
        '{"errors":false,"items":[{"index":{"status":201}}]}',
        '{"errors":false,"items":[{"create":{"status":"?"}}]}',
    ],
)
def test_an_answer_that_is_not_one_of_bulk_settles_nothing(connect, server, text):
    server.script.append(say(200, text))
    feeder = Feeder(connect(server.address, parallel=1), numbered(0, 1))
    assert not feeder.step()
    assert "not an answer of _bulk" in str(feeder.errors[0])
    feeder.run()
    assert server.created == 1


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("answer", [break_off, break_off_in_the_answer, stay_silent, drip])
def test_no_answer_settles_nothing(connect, server, answer, parallel):
    server.script.extend([server.behave, server.behave, answer])
    feeder = Feeder(connect(server.address, parallel=parallel, response_timeout=2), numbered(0, 1000))
    feeder.run()
    assert len(feeder.errors) == 1
    assert server.created == 1000
    assert server.numbers() == list(range(1000))


def test_a_batch_that_is_too_large_is_halved_and_a_document_that_is_too_large_refused(connect, server):
    events = [*numbered(0, 20), *numbered(20, 21, 2_000_000), *numbered(21, 50)]
    server.max_bytes = 1500
    feeder = Feeder(connect(server.address, parallel=1), events)
    feeder.hand_over()
    assert feeder.settled == 50
    assert [event for event, _ in feeder.refused] == [events[20]]
    assert feeder.refused[0][1].startswith("HTTP 413")
    assert server.created == 49


def test_a_second_node_takes_over(certificates, connect, server):
    with ElasticsearchBulkStandIn(certificates) as second:
        second.documents = server.documents  # one cluster
        feeder = Feeder(connect(f"{server.address},{second.address}"), numbered(0, 2000))
        for _ in range(5):
            assert feeder.step()
        server.__exit__()
        feeder.run()
        assert second.requests
        assert second.numbers() == list(range(2000))


def test_the_end_is_bounded_when_the_store_does_not_answer(connect, server):
    server.script.extend([server.behave, stay_silent])
    feeder = Feeder(connect(server.address, parallel=4), numbered(0, 300))
    feeder.hand_over()
    began = time.monotonic()
    feeder.finish(0.5)
    assert 0.4 < time.monotonic() - began < 20  # not the 30 s that an answer may take
    assert feeder.settled in (0, 100)  # the first and the third may have been answered, the second was not
    feeder.run()
    assert server.created == 300


def test_connections_that_were_closed_while_idle_are_no_failure(connect, server):
    feeder = Feeder(connect(server.address, parallel=2), numbered(0, 400))
    feeder.run()
    server.drop()
    for exchange in feeder.transport._exchanges:
        eventually(exchange._connection.has_arrived)  # the end
    feeder.events += numbered(400, 800)
    feeder.run()
    assert feeder.errors == []
    assert server.created == 800


def test_a_forked_child_does_not_disturb_its_parent(connect, server):
    transport = connect(server.address, parallel=2)
    feeder = Feeder(transport, numbered(0, 300))
    assert feeder.step()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            transport.forget()
            own = Feeder(transport, numbered(1000, 1300))
            own.hand_over()
            own.finish()
            status = 0 if own.settled == 300 else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    feeder.run()
    assert feeder.errors == []
    assert (server.created, server.known) == (600, 0)


def test_another_authority_and_wrong_settings(certificates, connect, server):
    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        connect(server.address, ca_file=certificates.other_ca).send(numbered(0, 1))
    with pytest.raises(ValueError, match="parallel"):
        connect(server.address, parallel=0)
    assert server.requests == []


SERVICE = '"service":{"name":"a \\" b","environment":"lab"}'


@pytest.mark.parametrize(
    ("event", "index", "identifier"),
    [
        # As the formatter writes it.
        ('{"message":"x","event":{"id":"1","dataset":"django.audit"},%s}', "logs-django.audit-lab", "1"),
        # Text that looks like it, before and after.
        (
            '{"message":"\\"event\\":{\\"id\\":\\"2\\",","event":{"id":"1","dataset":"django.audit"},%s}',
            "logs-django.audit-lab",
            "1",
        ),
        # Of another object, before the right one.
        (
            '{"extra":{"event":{"id":"2","dataset":"x"},"service":{"name":"n","environment":"e"}},'
            '"event":{"id":"1","dataset":"django.audit"},%s}',
            "logs-django.audit-lab",
            "1",
        ),
        (
            '{"extra":[{"event":{"id":"2","dataset":"x"},"service":{"name":"n","environment":"e"}}],'
            '"event":{"id":"1","dataset":"django.audit"},%s}',
            "logs-django.audit-lab",
            "1",
        ),
        # Another order, white space, escapes.
        ('{%s, "event": {"dataset": "django.audit", "id": "1"}}', "logs-django.audit-lab", "1"),
        ('{"event":{"id":"a\\"\\u00e4","dataset":"django.audit"},%s}', "logs-django.audit-lab", 'a"ä'),
        ('{"event":{"id":"1","kind":"event","dataset":"django.audit"},%s}', "logs-django.audit-lab", "1"),
        # Without.
        ('{"event":{"id":"1"},%s}', "logs-django.application-lab", "1"),
        ('{"event":{"dataset":"django.debug"},%s}', "logs-django.debug-lab", None),
        ('{"event":"x","service":["environment"]}', "logs-django.application-default", None),
        ('{"event":{"id":5,"dataset":""},"service":{"environment":null}}', "logs-django.application-default", None),
    ],
)
def test_where_an_event_goes(event, index, identifier):
    line = event.replace("%s", SERVICE).encode()
    expected = {"_index": index} if identifier is None else {"_index": index, "_id": identifier}
    action = action_for(line)
    assert action is not None
    assert action.count(b"\n") == 1
    assert json.loads(action) == {"create": expected}


def test_the_formatters_events_take_the_short_way(monkeypatch):
    import logging

    from logbastion import EventFormatter
    from logbastion.shipping.transports import elasticsearch

    record = logging.makeLogRecord({"name": "finances.payments", "msg": 'a "b" \\', "extra": 1, "user_id": 5})
    record.__dict__["nested"] = {"event": {"id": "2"}}
    line = EventFormatter(service_name='a "b"', environment="lab").format_bytes(record).rstrip(b"\n")
    identifier = json.loads(line)["event"]["id"]
    monkeypatch.setattr(elasticsearch, "_parsed_action", lambda _event: pytest.fail("it was parsed"))
    assert json.loads(action_for(line)) == {"create": {"_index": "logs-django.audit-lab", "_id": identifier}}

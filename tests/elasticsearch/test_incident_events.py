"""What the package says of an incident is found by the fields that the mapping has for it, also when it is told twice."""

import json
import logging

import pytest
from logbastion import EventFormatter, IncidentDetectionHandler, IncidentDetector
from logbastion.incidents.stores.memory import MemoryIncidentStore


class SharedStandIn(MemoryIncidentStore):
    """A stand-in for Redis: what it holds is of both workers."""

    shared = True


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.setFormatter(EventFormatter("school", "lab"))
        self.events = []

    def emit(self, record):
        self.events.append(json.loads(self.format(record)))


@pytest.fixture
def told():
    """Give an incident that was opened, told again by another worker, and resolved."""
    now = [1_790_000_000.0]
    store, lines = SharedStandIn(lambda: now[0]), Lines()
    logger = logging.getLogger("incidents")
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    one, two = (IncidentDetector(store=store, threaded=False, service_name="school") for _ in range(2))
    record = logging.LogRecord("accounts", logging.WARNING, "x", 1, "brute force from one address", (), None)
    one._finish = lambda *_: None  # killed after the event and before it said so
    for _ in range(3):
        IncidentDetectionHandler(one).handle(record)
    now[0] += 60
    two.sweep()
    now[0] += 3600
    two.sweep()
    logger.removeHandler(lines)
    logger.setLevel(logging.NOTSET)
    return lines.events


def test_an_incident_is_found_by_its_fields_and_stored_once(node, environment, told):
    name = f"logs-django.security-{environment}"
    assert [event["event_type"] for event in told] == ["incident_opened", "incident_opened", "incident_resolved"]
    body = [part for event in told for part in ({"create": {"_index": name, "_id": event["event"]["id"]}}, event)]
    answer = node.asked("POST", "/_bulk?refresh=true", body, user="log_writer")
    assert [item["create"]["status"] for item in answer["items"]] == [201, 409, 201]

    def found(query):
        hits = node.asked("GET", f"/{name}/_search?q={query}")["hits"]["hits"]
        return sorted(hit["_source"]["event_type"] for hit in hits)

    both = ["incident_opened", "incident_resolved"]
    assert found("event.kind:alert") == ["incident_opened"]
    assert found("event.kind:event") == ["incident_resolved"]
    assert found("event.category:intrusion_detection") == found("rule.id:authentication_attack") == both
    assert found(f"incident_id:{told[0]['incident_id']}") == found("severity:MEDIUM") == both
    assert found("incident_count:3") == ["incident_resolved"]
    assert found("event.end:[2026-09-20 TO 2026-09-23]") == both
    assert found("_exists_:_ignored") == []

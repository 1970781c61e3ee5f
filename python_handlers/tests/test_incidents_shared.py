"""One incident for all workers: real Redis and PostgreSQL, workers that are killed, and stores that go away."""

import logging
import os
import signal
import threading

import pytest
import test_incidents
from conftest import eventually
from detection_helpers import RedisServer, directory, logged, postgresql, redis_server, unchecked
from incident_worker import Worker
from test_incidents import count, fail

from logbastion import IncidentDetectionHandler, IncidentDetector, bind
from logbastion.incidents.options import checked_options
from logbastion.incidents.responses.runner import Responder
from logbastion.incidents.stores.redis import RedisIncidentStore

told = test_incidents.told
LINE = "The kitchen burns"
PATTERN = {
    "id": "kitchen_burns", "title": "The kitchen burns", "severity": "HIGH", "field": "message",
    "pattern": "kitchen burns", "positive": LINE, "negative": "The kitchen is closed", "runbook": "Call 112.",
    "response": ["act"],
}  # fmt: skip
LINES = int(os.environ.get("INCIDENT_LINES", "1000"))
"""Of each of eight workers; `make test-long` has 20,000."""


@pytest.fixture(scope="module")
def redis_url():
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="module")
def postgresql_server():
    with postgresql() as settings:
        yield settings


@pytest.fixture(scope="module")
def postgresql_alias(postgresql_server):
    import django_detection_site

    with django_detection_site.migrated(postgresql_server) as alias:
        yield alias


@pytest.fixture(params=["redis", "database"])
def place(request, tmp_path):
    """What a worker is told of the store, and a store of this process at the same place."""
    file = str(tmp_path / "responses")
    if request.param == "redis":
        url, prefix = request.getfixturevalue("redis_url"), f"{{{request.node.name}}}:"
        asked = {"kind": "redis", "url": url, "prefix": prefix, "timeout": 10}
        yield {"store": asked, "file": file}, lambda: RedisIncidentStore.from_url(url, timeout=10, prefix=prefix)
        return
    alias = request.getfixturevalue("postgresql_alias")
    from logbastion.django.incidents.models import IncidentBook
    from logbastion.django.incidents.store import DatabaseIncidentStore

    IncidentBook.objects.using(alias).all().delete()
    connection = request.getfixturevalue("postgresql_server")
    asked = {"store": {"kind": "database", "database": "server"}, "connection": connection, "file": file}
    yield asked, lambda: DatabaseIncidentStore(alias)


@pytest.fixture
def workers():
    started = []

    def start(number, **asked):
        made = [Worker(**asked) for _ in range(number)]
        started.extend(made)
        return made

    yield start
    for worker in started:
        worker.kill()


def watching(store, **more):
    """A detector that looks into the store of the workers, and tells nothing by itself."""
    patterns, _, _ = checked_options({"patterns": [{**PATTERN, "response": [], **more}]})
    return IncidentDetector(patterns, store=store, service_name="school", environment="test", threaded=False)


def only(detector):
    """Have this detector alone see what is logged."""
    root = logging.getLogger()
    root.handlers[:] = [IncidentDetectionHandler(detector)]
    return detector


def events(workers, *types):
    return [event for worker in workers for event in worker.of(*types)]


def counted(store):
    return [report.count for report in watching(store).lasting()]


def owed(store):
    return store.update("test/school", lambda book, _now: [row["owed"] for row in book["rows"].values()])


@pytest.mark.integration
def test_eight_workers_have_one_incident_one_response_and_an_honest_count(place, workers, tmp_path):
    asked, make_store = place
    crowd = workers(8, patterns=[PATTERN], **asked)
    for worker in crowd:
        worker.say(f"log {LINES} {LINE}")
    eventually(lambda: counted(make_store()) == [8 * LINES], 120)
    (opened,) = events(crowd, "incident_opened")
    eventually(lambda: events(crowd, "incident_response"), 60)
    assert [worker.end() for worker in crowd] == [0] * 8
    (resolved,) = events(crowd, "incident_resolved")
    assert (resolved["incident_id"], resolved["incident_count"]) == (opened["incident_id"], 8 * LINES)
    assert resolved["resolution"] == "process_end"
    assert (tmp_path / "responses").read_text().split()[0::2] == [opened["incident_id"]]
    assert [event["outcome"] for event in events(crowd, "incident_response")] == ["done"]
    assert counted(make_store()) == []


@pytest.mark.integration
def test_what_a_killed_worker_has_claimed_is_done_by_another(place, workers, tmp_path):
    asked, _ = place
    (tmp_path / "responses.kill").touch()
    asked = {**asked, "patterns": [PATTERN], "timeout": 1}
    (opener,) = workers(1, **asked)
    opener.say(f"log 3 {LINE}")
    assert opener.process.wait(60) == -signal.SIGKILL  # in the middle of its response
    (tmp_path / "responses.kill").unlink()
    (other,) = workers(1, **asked)
    (again,) = eventually(lambda: other.of("incident_opened"), 60)
    eventually(lambda: other.of("incident_response"))
    (first,) = eventually(lambda: opener.of("incident_opened"))
    same = ("incident_id", "_logbastion_event_id", "incident_count")
    assert [again[name] for name in same] == [first[name] for name in same]
    assert len((tmp_path / "responses").read_text().splitlines()) == 2
    assert [event["outcome"] for event in other.of("incident_response")] == ["done"]


@pytest.mark.integration
def test_the_incident_of_a_killed_worker_is_resolved_by_one_that_begins_later(place, workers):
    asked, make_store = place
    quick = {**PATTERN, "quiet_seconds": 1, "response": []}
    (opener,) = workers(1, patterns=[{**quick, "response": ["act"]}], **asked)
    opener.say(f"log 3 {LINE}")
    eventually(lambda: opener.of("incident_response") and not any(owed(make_store())))
    opener.kill()
    others = workers(2, patterns=[{**quick, "response": ["act"]}], **asked)
    (resolved,) = eventually(lambda: events(others, "incident_resolved"), 60)
    assert resolved["incident_id"] == opener.of("incident_opened")[0]["incident_id"]
    assert (resolved["incident_count"], resolved["resolution"]) == (3, "quiet")
    eventually(lambda: counted(make_store()) == [])
    assert [worker.end() for worker in others] == [0, 0]
    assert len(events(others, "incident_resolved")) == 1
    assert events(others, "incident_opened") == []


@pytest.mark.integration
def test_children_of_a_fork_count_for_the_same_incident(place, workers):
    asked, make_store = place
    (parent,) = workers(1, patterns=[PATTERN], **asked)
    parent.say(f"log 10 {LINE}")
    # Before that children that end would end the incident, too: no other worker would have it.
    eventually(lambda: counted(make_store()) == [10])
    parent.say(f"fork 100 {LINE}")
    parent.say(f"log 10 {LINE}")
    eventually(lambda: counted(make_store()) == [420])
    eventually(lambda: parent.of("incident_response"))
    assert parent.end() == 0
    assert len(parent.of("incident_opened")) == len(parent.of("incident_resolved")) == 1


@pytest.mark.integration
def test_thresholds_count_the_lines_of_all_workers_and_hosts(place, told):
    _, make_store = place
    detectors = [only(watching(make_store(), threshold=5)) for _ in range(5)]
    for number, detector in enumerate(detectors):
        only(detector)
        assert told.records == []
        with bind(f"request-{number}"):
            logging.getLogger("school").error(LINE)
    (opened,) = told.of("incident_opened")
    assert opened.incident_count == 5
    assert opened.correlation_ids == [f"request-{number}" for number in range(5)]
    assert {report.count for detector in detectors for report in detector.lasting()} == {5}


@pytest.mark.integration
def test_hosts_whose_clocks_differ_share_one_incident(place, told, monkeypatch):
    import time

    _, make_store = place
    true = time.time()
    for shift in (-7200, 0, 86_400):
        with monkeypatch.context() as patch:
            patch.setattr("time.time", lambda shift=shift: true + shift)
            only(watching(make_store()))
            logging.getLogger("school").error(LINE)
    assert len(told.of("incident_opened")) == 1
    assert told.of("incident_resolved") == []
    (lasting,) = watching(make_store()).lasting()
    assert lasting.count == 3
    assert -60 < lasting.first - true <= lasting.last - true < 600  # by the clock of the server


@pytest.mark.integration
def test_a_response_runs_once_in_its_cooldown_whoever_is_asked(place, told):
    _, make_store = place
    asked = {
        "patterns": [{**PATTERN, "quiet_seconds": 1}],
        "responses": {"act": {"function": "test_incidents.succeeds"}},
    }
    patterns, made, timeout = checked_options(asked)
    one, two = (
        IncidentDetector(
            patterns, responder=Responder(made, timeout=timeout), store=make_store(), service_name="school",
            environment="test", threaded=False,
        )
        for _ in range(2)
    )  # fmt: skip
    only(one)
    logging.getLogger("school").error(LINE)
    eventually(lambda: told.outcomes() == [("act", "done")])
    eventually(lambda: (two.sweep(), one.sweep(), told.of("incident_resolved"))[-1])
    only(two)
    logging.getLogger("school").error(LINE)
    eventually(lambda: told.outcomes() == [("act", "done"), ("act", "rate_limited")])


@pytest.mark.integration
def test_the_address_is_blocked_in_the_store_of_all_workers(place, told, request):
    import django_detection_site
    from detection_helpers import detector_with

    from logbastion.detection import configure_detection
    from logbastion.detection.stores.redis import RedisStore

    asked, make_store = place
    if asked["store"]["kind"] == "redis":
        blocks = [RedisStore.from_url(asked["store"]["url"], timeout=10) for _ in range(2)]
    else:
        alias = request.getfixturevalue("postgresql_alias")
        blocks = [django_detection_site.empty_store(alias) for _ in range(2)]
    with logged():
        here, elsewhere = map(detector_with, blocks)
        configure_detection(here)
        patterns, made, _ = checked_options({"responses": {"block_address": {}}})
        only(IncidentDetector(patterns, responder=Responder(made), store=make_store(), threaded=False))
        logging.getLogger("security.events").warning("brute force", extra={"source_ip": "192.0.2.7", "event_type": "x"})
        eventually(lambda: told.outcomes() == [("block_address", "done")])
        assert elsewhere.blocks.refusal("192.0.2.7").reason == "incident_authentication_attack"
        assert elsewhere.blocks.refusal("192.0.2.8") is None


class Counting(RedisIncidentStore):
    """Real, and remembers who has taken its steps."""

    threads = frozenset()

    def update(self, scope, change):
        self.threads |= {threading.get_ident()}
        return super().update(scope, change)


@pytest.mark.integration
def test_redis_is_stopped_and_started_in_the_middle(told):
    with logged() as said, directory() as path:
        server = RedisServer(path)
        server.start()
        try:
            patterns, _, _ = checked_options({})
            store = Counting.from_url(server.url, timeout=10)
            detector = IncidentDetector(patterns, store=store, service_name="school")
            detector._keeper._breaker._open_seconds = 0.2
            only(detector)
            before, opened = unchecked("incident"), count("logbastion_incidents_opened_total", incident="disk_full")
            fail(100)
            eventually(lambda: [report.count for report in detector.lasting()] == [100])  # all are in the store
            server.stop()
            fail(100)  # of an incident that is known: held until the store is back
            for _ in range(50):
                logging.getLogger("school").error("No space left on device")  # unknown: opened by this process
            eventually(lambda: len(told.of("incident_opened")) == 2)
            assert unchecked("incident") > before
            server.start()  # with nothing in it
            fail(100)
            eventually(lambda: sorted(report.count for report in detector.lasting()) == [50, 200], 60)
            assert count("logbastion_incidents_opened_total", incident="disk_full") == opened + 1
            assert said.types[:2] == ["incidents_store_away", "incidents_store_back"]
            detector.close()
        finally:
            server.stop()


@pytest.mark.integration
def test_no_logging_call_steps_on_the_store_and_one_that_hangs_holds_no_end_up(told, workers, tmp_path):
    with directory() as path:
        server = RedisServer(path)
        server.start()
        try:
            store = Counting.from_url(server.url, timeout=10)
            detector = only(IncidentDetector(store=store, service_name="school"))
            fail(10)
            eventually(lambda: told.of("incident_opened"))
            assert threading.get_ident() not in store.threads
            detector.close()
            server._process.send_signal(signal.SIGSTOP)
            asked = {"kind": "redis", "url": server.url}
            (worker,) = workers(1, store=asked, patterns=[PATTERN], file=str(tmp_path / "responses"))
            worker.say(f"log 1000 {LINE}")
            eventually(lambda: worker.of("logged"))
            assert worker.end() == 0
        finally:
            server.stop()

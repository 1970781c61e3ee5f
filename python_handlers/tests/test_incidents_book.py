"""What workers that share a store owe each other, with a clock of the test; the servers are in another file."""

import logging

import pytest
import test_incidents
from conftest import eventually
from detection_helpers import Clock
from test_incidents import PAYMENT, fail

from logbastion import IncidentDetectionHandler, IncidentDetector
from logbastion.incidents import load_patterns
from logbastion.incidents.options import checked_options
from logbastion.incidents.responses.runner import Responder
from logbastion.incidents.stores.memory import MemoryIncidentStore
from logbastion.incidents.stores.named import KINDS, ProvidedStore, checked_store, make_store

told = test_incidents.told
QUIET = 300


@pytest.fixture
def clock():
    return Clock()


class SharedStandIn(MemoryIncidentStore):
    """A stand-in for a server: what it holds is of all detectors of this process, and it can be away."""

    shared = True
    away = False
    mute = False

    def update(self, scope, change):
        if self.away:
            raise ConnectionError("away")
        answer = super().update(scope, change)
        if self.mute:
            raise TimeoutError("done, and the answer is lost")
        return answer


@pytest.fixture
def store(clock):
    return SharedStandIn(clock)


@pytest.fixture
def worker(clock, store, alone):
    """Make workers; what is logged is seen by the one that was made or chosen last."""

    def use(detector):
        alone.handlers[:] = [IncidentDetectionHandler(detector)]
        return detector

    def make(service="school", environment="test", patterns=None, **responses):
        asked = {"responses": {name: {**values, "on": ["payment_failure"]} for name, values in responses.items()}}
        table, made, _ = checked_options(asked)
        detector = IncidentDetector(
            patterns or table, responder=Responder(made), store=store, service_name=service, environment=environment,
            clock=clock, threaded=False,
        )  # fmt: skip
        detector._keeper._breaker._open_seconds = 0
        return use(detector)

    make.use = use
    return make


def types(told):
    return [record.event_type for record in told.records]


def test_one_opens_and_another_resolves(worker, told, clock):
    one, two = worker(), worker()
    fail(2)
    worker.use(one)
    fail(3)
    (opened,) = told.of("incident_opened")
    assert (opened.incident_count, opened.event["kind"], opened.event["category"]) == (1, "alert", [])
    assert one.lasting()[0] == two.lasting()[0]
    clock.now += QUIET
    one.sweep()
    two.sweep()
    (resolved,) = told.of("incident_resolved")
    assert (resolved.incident_id, resolved.incident_count) == (opened.incident_id, 5)
    assert (resolved.resolution, resolved.event["kind"]) == ("quiet", "event")
    assert one.lasting() == two.lasting() == []


def test_the_next_one_has_an_id_of_its_own(worker, told, clock):
    detector = worker()
    for _ in range(2):
        fail()
        clock.now += QUIET
        detector.sweep()
    assert len({record.incident_id for record in told.records}) == 2
    assert len({record._logbastion_event_id for record in told.records}) == 4


def test_what_is_claimed_and_not_told_is_told_by_another_after_the_lease(worker, told, clock, monkeypatch):
    worker()
    with monkeypatch.context() as patch:
        patch.setattr("logbastion.incidents.detector.tell", lambda *_: None)  # killed between claim and event
        fail()
    other = worker()
    clock.now += 21
    other.sweep()
    assert told.records == []
    clock.now += 1
    other.sweep()
    other.sweep()
    (opened,) = told.records
    assert (opened.event_type, opened.incident_count, opened.triggering_log) == ("incident_opened", 1, None)
    with monkeypatch.context() as patch:
        clock.now += QUIET
        patch.setattr("logbastion.incidents.detector.tell", lambda *_: None)
        worker().sweep()
    clock.now += 22
    other.sweep()
    assert types(told) == ["incident_opened", "incident_resolved"]
    clock.now += 100
    worker().sweep()
    assert len(told.records) == 2


def test_an_end_waits_for_the_opening(worker, told, clock, monkeypatch):
    worker()
    with monkeypatch.context() as patch:
        patch.setattr("logbastion.incidents.detector.tell", lambda *_: None)
        fail()
    clock.now += QUIET + 1
    detector = worker()
    fail()  # begins the next; the first one's opening was never told
    assert [(record.event_type, record.incident_count) for record in told.records] == [
        ("incident_opened", 1), ("incident_resolved", 1), ("incident_opened", 1),
    ]  # fmt: skip
    assert told.records[0].incident_id == told.records[1].incident_id != told.records[2].incident_id
    assert detector.lasting()[0].id == told.records[2].incident_id


def test_who_has_told_already_does_not_tell_again(worker, told, clock):
    test_incidents.stuck.clear()
    detector = worker(hang={"function": "test_incidents.hangs"})
    fail()
    clock.now += 25  # longer than the lease, and the response still runs
    detector.sweep()
    assert types(told) == ["incident_opened"]
    test_incidents.stuck.set()
    eventually(lambda: told.outcomes() == [("hang", "done")])


def test_services_and_environments_have_incidents_of_their_own(worker, told):
    for service, environment in (("school", "test"), ("school", "staging"), ("shop", "test")):
        worker(service, environment)
        fail()
    assert types(told) == ["incident_opened"] * 3
    assert len({record.incident_id for record in told.records}) == 3


def test_the_last_one_that_ends_resolves_what_is_open(worker, told, clock):
    one, two = worker(), worker()
    two.sweep()
    worker.use(one)
    fail(3)
    one.close()
    assert types(told) == ["incident_opened"]
    two.close()
    (resolved,) = told.of("incident_resolved")
    assert (resolved.resolution, resolved.incident_count) == ("process_end", 3)


def test_who_has_only_logged_counts_as_living(worker, told):
    one, two = worker(), worker()
    fail()
    worker.use(one)
    fail()
    one.close()
    assert types(told) == ["incident_opened"]
    assert [report.count for report in two.lasting()] == [2]


def test_the_dead_do_not_count_as_living(worker, told, clock):
    one, two = worker(), worker()
    two.sweep()  # and is killed
    clock.now += 61
    worker.use(one)
    fail()
    one.close()
    assert [record.resolution for record in told.of("incident_resolved")] == ["process_end"]


def test_each_process_without_a_store_resolves_its_own_at_its_end(told, clock, alone):
    detector = IncidentDetector(clock=clock, threaded=False)
    alone.addHandler(IncidentDetectionHandler(detector))
    fail(2)
    detector.close()
    assert [record.resolution for record in told.of("incident_resolved")] == ["process_end"]
    fail()  # a line after the end is not lost
    assert types(told)[2:] == ["incident_opened"]


def test_a_row_of_an_unknown_pattern_is_left_to_those_who_know_it(worker, told, clock):
    fail_known = worker()
    fail()
    clock.now += QUIET
    worker(patterns=[one for one in load_patterns() if one.id != "payment_failure"]).sweep()
    assert types(told) == ["incident_opened"]
    fail_known.sweep()
    assert types(told) == ["incident_opened", "incident_resolved"]


def test_a_response_for_which_no_thread_can_be_started_is_left_to_another_worker(worker, told, clock, monkeypatch):
    worker(act={"function": "test_incidents.succeeds"})
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", lambda _self: (_ for _ in ()).throw(RuntimeError("shutdown")))
        fail()
    assert told.outcomes() == [("act", "failed")]
    other = worker(act={"function": "test_incidents.succeeds"})
    clock.now += 22
    other.sweep()
    eventually(lambda: told.outcomes() == [("act", "failed"), ("act", "done")])


class TestAway:
    def test_what_is_known_to_last_goes_on_and_is_added(self, worker, told, store):
        detector = worker()
        fail(2)
        store.away = True
        fail(5)
        assert types(told) == ["incident_opened"]
        store.away = False
        detector.sweep()
        assert detector.lasting()[0].count == 7
        assert types(told) == ["incident_opened"]

    def test_what_is_new_is_opened_here_and_becomes_that_of_all(self, worker, told, store, clock):
        detector, other = worker(), worker()
        worker.use(detector)
        store.away = True
        fail(5)
        (opened,) = told.records
        store.away = False
        fail(2)
        worker.use(other)
        fail(2)
        assert types(told) == ["incident_opened"]
        (lasting,) = other.lasting()
        assert (lasting.id, lasting.count) == (opened.incident_id, 9)
        clock.now += QUIET
        detector.sweep()
        assert [record.incident_count for record in told.of("incident_resolved")] == [9]

    def test_of_two_that_were_opened_meanwhile_one_is_merged(self, worker, told, store):
        store.away = True
        one, two = worker(), worker()
        fail(2)
        object.__setattr__(one._keeper._mine, "host", "another")  # ids of one host would be equal
        worker.use(one)
        fail(3)
        first, second = (record.incident_id for record in told.of("incident_opened"))
        assert first != second
        store.away = False
        two.sweep()
        one.sweep()
        (merged,) = told.of("incident_resolved")
        assert (merged.incident_id, merged.resolution, merged.incident_count) == (second, "merged", 3)
        assert [(report.id, report.count) for report in one.lasting()] == [(first, 5)]

    def test_what_begins_and_ends_meanwhile_is_told_once(self, worker, told, store, clock):
        store.away = True
        detector = worker()
        fail(4)
        clock.now += QUIET
        detector.sweep()
        store.away = False
        detector.sweep()
        assert types(told) == ["incident_opened", "incident_resolved"]
        assert detector.lasting() == []

    def test_lines_whose_answer_is_lost_are_counted_once(self, worker, told, store, clock):
        detector = worker()
        fail(2)
        store.mute = True
        fail(5)
        store.mute = False
        fail(3)
        detector.sweep()
        assert types(told) == ["incident_opened"]
        assert detector.lasting()[0].count == 10

    def test_an_opening_whose_answer_is_lost_is_told_once(self, worker, told, store, clock):
        detector = worker()
        store.mute = True
        fail(2)
        store.mute = False
        fail(2)
        clock.now += 22
        detector.sweep()
        # Opened here, while it was claimed there: one goes on, the other one is merged into it.
        assert sorted(types(told)) == ["incident_opened", "incident_opened", "incident_resolved"]
        assert [record.resolution for record in told.of("incident_resolved")] == ["merged"]
        (lasting,) = detector.lasting()
        assert lasting.count == 4

    def test_lines_below_the_threshold_are_added_up(self, worker, told, store):
        one, two = worker(), worker()
        store.away = True
        fail(3, "Authentication attempt: failed")
        store.away = False
        two.sweep()
        worker.use(one)
        fail(2, "Authentication attempt: failed")
        assert [record.incident_count for record in told.records] == [5]


class TestSetting:
    @pytest.mark.parametrize(
        ("asked", "sentence"),
        [
            (3, "must be a name or a dict, and is of type int"),
            ("files", "must be one of memory, redis, database, and not 'files'"),
            ({"kind": "redis"}, "needs a url"),
            ({"kind": "redis", "url": "redis://x", "colour": 1}, "does not know colour. It knows url"),
            ({"kind": "memory", "url": "x"}, "It knows nothing further"),
            ({"kind": "redis", "url": "redis://x", "timeout": 11}, "at most 10, not 11"),
            ({"kind": "redis", "url": "redis://x", "password_file": "/nowhere/x"}, "password of Redis cannot be read"),
        ],
    )
    def test_what_cannot_work_gets_a_sentence(self, asked, sentence):
        with pytest.raises(ValueError, match=sentence):
            checked_options({"store": asked})

    def test_kinds(self):
        assert set(KINDS) == {"memory", "redis", "database"}
        assert checked_store(None) == checked_store("memory") == {"kind": "memory"}
        assert make_store("memory") is None
        assert make_store({"kind": "redis", "url": "unix:///nowhere/redis.sock"}).shared
        with pytest.raises(ValueError, match="must not switch the verification of TLS off"):
            make_store({"kind": "redis", "url": "rediss://x?ssl_cert_reqs=none"})

    def test_a_store_that_nobody_provides_is_away(self, told, clock, alone):
        detector = IncidentDetector(store=ProvidedStore("nobody"), clock=clock, threaded=False)
        alone.addHandler(IncidentDetectionHandler(detector))
        logging.getLogger("finances.stripe").critical(PAYMENT)
        assert [record.event_type for record in told.records] == ["incident_opened"]
        with pytest.raises(RuntimeError, match="is not in INSTALLED_APPS"):
            ProvidedStore("nobody").update("x", lambda _book, _now: None)

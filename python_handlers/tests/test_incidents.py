"""One incident of many lines: opened, counted, resolved; and responses that fail or hang."""

import json
import logging
import os
import re
import threading

import pytest
import trustme
from conftest import eventually
from detection_helpers import Clock
from prometheus_client import REGISTRY

from logbastion import ConfigurationError, IncidentDetectionHandler, IncidentDetector, bind, logging_config
from logbastion.cli.main import main
from logbastion.detection import configure_detection
from logbastion.incidents.options import checked_options
from logbastion.incidents.responses import make_responses
from logbastion.incidents.responses.maintenance import maintenance_until
from logbastion.incidents.responses.runner import Responder

PAYMENT = "Payment failed: the provider does not answer"
stuck = threading.Event()


class Told(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def of(self, event_type):
        return [record for record in self.records if record.event_type == event_type]

    def outcomes(self):
        return [(record.automated_response, record.outcome) for record in self.of("incident_response")]


@pytest.fixture
def told(alone):
    handler, logger = Told(), logging.getLogger("incidents")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    stuck.set()


@pytest.fixture
def clock():
    return Clock()


def attached(detector):
    logging.getLogger().addHandler(IncidentDetectionHandler(detector))
    return detector


def answering(clock, timeout=10.0, max_running=4, **responses):
    asked = {name: {**values, "on": ["payment_failure"]} for name, values in responses.items()}
    patterns, made, _ = checked_options({"responses": asked})
    responder = Responder(made, timeout=timeout, max_running=max_running, clock=clock)
    return attached(IncidentDetector(patterns, responder=responder, clock=clock, threaded=False))


def count(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0


def fail(times=1, message=PAYMENT):
    for _ in range(times):
        logging.getLogger("finances.stripe").critical(message)


def test_many_lines_are_one_incident_that_is_opened_and_resolved(told, clock):
    detector = attached(IncidentDetector(clock=clock, threaded=False))
    opened = count("logbastion_incidents_opened_total", incident="payment_failure")
    resolved = count("logbastion_incidents_resolved_total", incident="payment_failure")
    begin = clock.now
    for number in range(50):
        with bind(f"request-{number}"):
            fail()
        clock.now += 10
        assert detector.sweep()
    (first,) = told.of("incident_opened")
    assert first.getMessage() == "INCIDENT DETECTED: payment_failure"
    assert (first.levelname, first.severity, first.incident_count) == ("CRITICAL", "HIGH", 1)
    assert first.triggering_log["message"] == PAYMENT
    assert first.triggering_log["correlation_id"] == "request-0"
    assert first.event["kind"] == "alert"
    (lasting,) = detector.lasting()
    assert (lasting.count, lasting.first, lasting.last) == (50, begin, begin + 490)
    assert lasting.correlation_ids == tuple(f"request-{number}" for number in range(20))
    clock.now += 289
    assert detector.sweep()
    clock.now += 1
    assert not detector.sweep()
    (last,) = told.of("incident_resolved")
    assert (last.incident_id, last.incident_count, last.levelname) == (first.incident_id, 50, "INFO")
    assert detector.lasting() == []
    assert len(told.records) == 2
    assert count("logbastion_incidents_opened_total", incident="payment_failure") == opened + 1
    assert count("logbastion_incidents_resolved_total", incident="payment_failure") == resolved + 1


def test_a_line_after_the_quiet_time_ends_one_and_opens_the_next(told, clock):
    attached(IncidentDetector(clock=clock, threaded=False))
    fail()
    clock.now += 300
    fail()
    assert [record.event_type for record in told.records] == ["incident_opened", "incident_resolved", "incident_opened"]


def test_it_is_not_fed_by_itself_nor_by_what_is_below_warning(told, clock):
    attached(IncidentDetector(clock=clock, threaded=False))
    logging.getLogger("incidents").critical(PAYMENT, extra={"event_type": "by_hand"})
    logging.getLogger("incidents.payments").critical(PAYMENT, extra={"event_type": "by_hand"})
    logging.getLogger("finances").info(PAYMENT)
    assert {record.event_type for record in told.records} == {"by_hand"}


def test_one_mistyped_password_is_no_incident_and_five_are(told, clock):
    detector = attached(IncidentDetector(clock=clock, threaded=False))
    fail(4, "Authentication attempt: failed")
    assert told.records == []
    clock.now += 900
    detector.sweep()
    fail(4, "Authentication attempt: failed")
    assert told.records == []
    fail(2, "Authentication attempt: failed")
    (record,) = told.records
    assert (record.incident_type, record.incident_count) == ("authentication_attack", 5)


def test_workers_give_one_incident_the_same_id(told, clock):
    for _ in range(4):
        attached(IncidentDetector(clock=clock, threaded=False))
    fail()
    assert len({record.incident_id for record in told.of("incident_opened")}) == 1
    assert len(told.records) == 4


def test_a_child_of_a_fork_begins_with_nothing_and_sees(told, clock):
    detector = attached(IncidentDetector(clock=clock, threaded=False))
    fail()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        before = len(detector.lasting())
        fail(3)
        os.write(writing, f"{before} {detector.lasting()[0].count}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"0 3"
    os.close(reading)
    os.close(writing)
    assert detector.lasting()[0].count == 1


def test_the_thread_resolves_and_ends(told, clock, monkeypatch):
    monkeypatch.setattr("logbastion.incidents.detector._SWEEP_SECONDS", 0.01)
    detector = attached(IncidentDetector(clock=clock))
    fail()
    clock.now += 300
    eventually(lambda: told.of("incident_resolved"))
    eventually(lambda: detector._thread is None)


def test_hostile_records_do_not_harm_the_caller(told, clock):
    class Hostile:
        def __str__(self):
            raise RuntimeError("hostile")

    handler = IncidentDetectionHandler(IncidentDetector(clock=clock, threaded=False))
    before = count("logbastion_incident_lines_not_judged_total")
    for message, arguments in ((Hostile(), ()), ("payment failed %d", ("no number",)), (PAYMENT, ())):
        handler.handle(logging.LogRecord("school", logging.WARNING, "x", 1, message, arguments, None))
    assert count("logbastion_incident_lines_not_judged_total") == before + 2
    assert len(told.of("incident_opened")) == 1


def succeeds(report):
    logging.getLogger("school").error(PAYMENT)  # is not counted: a response does not feed its own incident
    return f"saw {report.count} of {report.pattern.id}"


def raises(_report):
    raise SystemExit("no")


def hangs(_report):
    stuck.wait()


def test_a_function_is_called_once_in_its_cooldown_and_recorded(told, clock):
    detector = answering(clock, act={"function": "test_incidents.succeeds"})
    done = count("logbastion_incident_responses_total", response="act", outcome="done")
    fail()
    eventually(lambda: told.outcomes() == [("act", "done")])
    assert told.of("incident_response")[0].result == "saw 1 of payment_failure"
    assert told.of("incident_opened")[0].automated_response == ["act"]
    assert detector.lasting()[0].count == 1
    clock.now += 300
    fail()
    eventually(lambda: told.outcomes() == [("act", "done"), ("act", "rate_limited")])
    clock.now += 600
    fail()
    eventually(lambda: told.outcomes()[2:] == [("act", "done")])
    assert count("logbastion_incident_responses_total", response="act", outcome="done") == done + 2


def test_a_function_that_raises_or_is_not_there_is_recorded(told, clock):
    answering(clock, wrong={"function": "test_incidents.raises"}, absent={"function": "no_module.nothing"})
    fail()
    eventually(lambda: sorted(told.outcomes()) == [("absent", "failed"), ("wrong", "failed")])
    results = {record.automated_response: record.result for record in told.of("incident_response")}
    assert results == {"wrong": "SystemExit: no", "absent": "ModuleNotFoundError: No module named 'no_module'"}


def test_functions_that_hang_are_given_up_and_cannot_pile_up(told, clock):
    stuck.clear()
    detector = answering(clock, max_running=2, **{f"hang{n}": {"function": "test_incidents.hangs"} for n in range(3)})
    fail()
    assert told.outcomes() == [("hang2", "busy")]
    clock.now += 10
    assert detector.sweep()
    assert sorted(told.outcomes()[1:]) == [("hang0", "timed_out"), ("hang1", "timed_out")]
    fail(100)
    assert len(told.outcomes()) == 3
    stuck.set()
    eventually(lambda: not detector._responder._running)
    assert len(told.outcomes()) == 3  # what ends too late is not told again


def test_the_address_is_blocked_that_this_package_has_logged(told, clock, detector):
    configure_detection(detector)
    patterns, made, _ = checked_options({"responses": {"block_address": {}}})
    attached(IncidentDetector(patterns, responder=Responder(made), clock=clock, threaded=False))
    forged = {"source_ip": "192.0.2.99"}
    logging.getLogger("school").warning("brute force", extra=forged)
    eventually(lambda: told.outcomes() == [("block_address", "done")])
    assert told.of("incident_response")[0].result == "no address is known"
    attached(IncidentDetector(patterns, responder=Responder(made), clock=clock, threaded=False))
    logging.getLogger("security.events").warning("brute force", extra={"source_ip": "192.0.2.7", "event_type": "x"})
    eventually(lambda: len(told.outcomes()) == 2)
    assert [block.network for block in detector.blocks.listed()] == ["192.0.2.7"]


def test_maintenance_is_a_flag_with_an_end(told, clock, tmp_path):
    flag = tmp_path / "maintenance"
    answering(clock, maintenance={"file": str(flag), "seconds": 60, "clock": clock})
    fail()
    eventually(lambda: told.outcomes() == [("maintenance", "done")])
    assert maintenance_until(str(flag)) == clock.now + 60
    assert json.loads(flag.read_text())["incident_id"] == told.records[0].incident_id
    flag.write_text("nonsense")
    assert maintenance_until(str(flag)) == 0


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"colour": 1}, "does not know colour"),
        ({"without": ["nothing"]}, "no incident pattern nothing"),
        ({"patterns": "/nowhere/x.json"}, "cannot be read"),
        ({"timeout": 0}, "time-out"),
        ({"responses": {"pause": {"function": "os.system; rm", "on": ["disk_full"]}}}, "dotted name"),
        ({"responses": {"pause": {"function": "school.pause"}}}, "would never run"),
        ({"responses": {"pause": {"function": "school.pause", "on": ["nothing"]}}}, "in `on`"),
        ({"responses": {"maintenance": {"file": "here", "on": ["disk_full"]}}}, "absolute path"),
        ({"responses": {"alertmanager": {"destinations": "http://x:1"}}}, "host:port"),
        ({"responses": {"alertmanager": {"destinations": "x:1", "username": "u"}}}, "user name with one of"),
    ],
)
def test_a_setting_that_cannot_work_gets_a_sentence(asked, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        checked_options(asked)


def test_one_setting_switches_it_on_and_the_event_is_in_the_security_stream(clean_environment, alone, tmp_path):
    import logging.config

    logging.config.dictConfig(logging_config("production", log_directory=tmp_path, incidents=True))
    logging.getLogger("finances.stripe").critical(PAYMENT)
    event = json.loads((tmp_path / "security.log").read_text())
    assert event["event_type"] == "incident_opened"
    assert event["event"]["dataset"] == "django.security"
    assert (event["event"]["kind"], event["rule"]["id"]) == ("alert", "payment_failure")
    assert (event["severity"], event["incident_count"]) == ("HIGH", 1)
    assert event["extra"]["triggering_log"]["message"] == PAYMENT
    assert logging_config("production", log_directory=tmp_path)["handlers"].keys() == {"files", "prometheus"}


def test_the_environment_switches_alertmanager_on(clean_environment, monkeypatch, tmp_path):
    ca, password = tmp_path / "ca.crt", tmp_path / "password"
    password.write_text("secret\n")
    given = {
        "CA_FILE": str(ca),
        "INCIDENTS_ALERTMANAGER": "observer:9093,second:9093",
        "INCIDENTS_ALERTMANAGER_USERNAME": "incidents",
        "INCIDENTS_ALERTMANAGER_PASSWORD_FILE": str(password),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"LOGBASTION_{name}", value)
    with monkeypatch.context() as patch, pytest.raises(ConfigurationError, match="host:port"):
        patch.setenv("LOGBASTION_INCIDENTS_ALERTMANAGER", "http://observer")
        logging_config("test", incidents=True)
    ca.write_text(trustme.CA().cert_pem.bytes().decode())
    options = logging_config("test", incidents={"without": ["disk_full"]})["handlers"]["incidents"]["options"]
    assert options["without"] == ["disk_full"]
    assert options["responses"]["alertmanager"] == {
        "destinations": "observer:9093,second:9093",
        "ca_file": str(ca),
        "username": "incidents",
        "password_file": str(password),
    }
    own = {"responses": {"alertmanager": {"destinations": "own:9093", "ca_file": str(ca)}}}
    assert logging_config("test", incidents=own)["handlers"]["incidents"]["options"] == own
    assert "incidents" not in logging_config("test")["handlers"]


def test_only_what_is_named_can_run():
    assert make_responses({}) == {}


def test_the_command_explains(capsys, tmp_path, monkeypatch):
    assert main(["incidents", "test", PAYMENT]) == 1
    text = capsys.readouterr().out
    assert "line 1: payment_failure (HIGH) Payments fail" in text
    assert "text has 'Payment failed', which 'payment.*failed' matches" in text
    assert main(["incidents", "test", "hello"]) == 0
    assert capsys.readouterr().out == "No line matches any of 10 patterns.\n"
    lines = tmp_path / "lines"
    event = {"message": "x", "error": {"type": "OperationalError", "message": "no such table: school"}}
    lines.write_text(f"hello\n{json.dumps(event)}\nlibrary \x1b[1m closed\n")
    own = tmp_path / "own.json"
    own.write_text(json.dumps([{
        "id": "library_closed", "title": "x", "severity": "LOW", "field": "message", "pattern": "library.*closed",
        "positive": "library closed", "negative": "x", "runbook": "x",
    }]))  # fmt: skip
    with lines.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["incidents", "test", "--json", "--patterns", str(own)]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [[match["id"] for match in one["matches"]] for one in found] == [
        [], ["migration_missing"], ["library_closed"],
    ]  # fmt: skip
    assert main(["incidents", "list", "--patterns", str(own)]) == 0
    assert "library_closed (LOW): x" in capsys.readouterr().out
    own.write_text("{}")
    assert main(["incidents", "list", "--patterns", str(own)]) == 2
    assert "must hold a list" in capsys.readouterr().err

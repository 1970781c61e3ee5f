"""The example under a real gunicorn with several workers, over TLS, shipping to a real receiver."""

import collections
import json
import os
import secrets
import socket
import ssl
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trustme
from conftest import eventually
from prometheus_client.parser import text_string_to_metric_families

EXAMPLE = Path(__file__).parent.parent / "example"
REQUESTS = 120

pytestmark = pytest.mark.integration


class School:
    """The example in a directory of its own."""

    def __init__(self, directory, certificates, sink):
        self.directory, self.port = directory, self._free_port()
        self.credentials, self.token = directory / "credentials.json", secrets.token_hex(16)
        server: trustme.LeafCert = certificates.server
        (directory / "metrics").mkdir()
        (directory / "secret").write_text(secrets.token_hex(32))
        (directory / "token").write_text(self.token + "\n")
        server.private_key_pem.write_to_path(str(directory / "tls.key"))
        server.cert_chain_pems[0].write_to_path(str(directory / "tls.crt"))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "LOGBASTION_"))}
        self.environment = {
            **kept,
            "PYTHONPATH": str(EXAMPLE.parent / "src"),
            "BIND": f"127.0.0.1:{self.port}",
            "TLS_CERTIFICATE_FILE": str(directory / "tls.crt"),
            "TLS_KEY_FILE": str(directory / "tls.key"),
            "DATABASE_PATH": str(directory / "school.sqlite3"),
            "DJANGO_SECRET_KEY_FILE": str(directory / "secret"),
            "DJANGO_ALLOWED_HOSTS": "localhost",
            "WEB_CONCURRENCY": "3",
            "LOGBASTION_ENVIRONMENT": "test",
            "LOGBASTION_SERVICE_NAME": "aprende-school",
            "LOGBASTION_LOG_DIRECTORY": str(directory / "logs"),
            "LOGBASTION_INGEST": sink.address,
            "LOGBASTION_CA_FILE": str(certificates.ca),
            "LOGBASTION_CERTIFICATE_FILE": str(certificates.certificate),
            "LOGBASTION_KEY_FILE": str(certificates.key),
            "LOGBASTION_METRICS_TOKEN_FILE": str(directory / "token"),
            "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
        }
        self.ca = certificates.ca
        self._context = ssl.create_default_context(cafile=str(certificates.ca))

    @staticmethod
    def _free_port():
        with socket.create_server(("127.0.0.1", 0)) as probe:
            return probe.getsockname()[1]

    def run(self, *arguments, **environment):
        return subprocess.run(
            [sys.executable, *arguments], cwd=EXAMPLE, env={**self.environment, **environment},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def get(self, path, **headers):
        request = urllib.request.Request(f"https://localhost:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=20) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self):
        body = self.get("/metrics", Authorization=f"Bearer {self.token}")[1]
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory, certificates):
    from sink import Sink

    sink = Sink(certificates)
    sink.start()
    school = School(tmp_path_factory.mktemp("school"), certificates, sink)
    school.environment.update(LOGBASTION_TRUSTED_PROXIES="127.0.0.1", DETECTION_BLOCKING="enforce")
    assert school.run("manage.py", "migrate", "-v0").returncode == 0
    first = school.run("manage.py", "load_example_data", "--credentials", str(school.credentials))
    assert first.stdout == "changed\n", first.stderr
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "aprende_school.wsgi"]
    with (school.directory / "gunicorn.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=EXAMPLE, env=school.environment, stdout=log, stderr=log)
    try:
        eventually(lambda: school.get("/healthz") == (200, "ok\n"), 60)
        arguments = ["--url", f"https://localhost:{school.port}", "--ca", str(school.ca), "--requests", str(REQUESTS)]
        more = ["--credentials", str(school.credentials), "--payment-outage", "--as-proxy", "--attack", "--json"]
        traffic = school.run("traffic.py", *arguments, *more)
        metrics = school.metrics()
        wrong = school.get("/metrics", Authorization="Bearer wrong")[0]
    finally:
        server.terminate()
        server.wait(60)
    events = [json.loads(line) for path in (school.directory / "logs").iterdir() for line in path.open("rb")]
    yield {"school": school, "sink": sink, "traffic": traffic, "metrics": metrics, "events": events, "wrong": wrong}
    sink.stop()


def test_the_traffic_saw_what_it_expected(world):
    assert world["traffic"].returncode == 0, world["traffic"].stdout + world["traffic"].stderr
    summary = json.loads(world["traffic"].stdout)
    assert (summary["first"], summary["last"], sum(summary["statuses"].values())) == (1, REQUESTS, REQUESTS)
    assert {"200", "302", "402", "403", "404", "500", "503"} == set(summary["statuses"])


def test_each_numbered_request_has_exactly_one_event(world):
    prefix = json.loads(world["traffic"].stdout)["correlation_id_prefix"]
    ids = [event.get("correlation_id") for event in world["events"] if event.get("event_type") == "http_request"]
    assert collections.Counter(ids) == dict.fromkeys((f"{prefix}{number}" for number in range(1, REQUESTS + 1)), 1)


def test_what_was_written_was_also_sent_exactly_once(world):
    sent = [json.loads(line)["event"]["id"] for line in world["sink"].lines]
    written = [event["event"]["id"] for event in world["events"]]
    assert len(set(written)) == len(written)
    assert sorted(sent) == sorted(written)


def test_every_logger_of_the_guide_said_something(world):
    loggers = {event["logger"] for event in world["events"]}
    assert {
        "accounts.auth", "finances.payments", "finances.stripe", "finances.pci_compliant", "security.events",
        "privacy.gdpr", "business.search", "performance", "system.log_management", "incidents", "django.request",
    } <= loggers  # fmt: skip


def test_events_of_a_request_share_its_id_and_know_the_user(world):
    (payment, *_) = [event for event in world["events"] if event["logger"] == "finances.payments"]
    same = [event for event in world["events"] if event.get("correlation_id") == payment["correlation_id"]]
    assert {event["logger"] for event in same} == {"finances.payments", "finances.pci_compliant", "performance"}
    assert len({(event["user_id"], event["school_id"]) for event in same}) == 1


def test_each_log_in_log_out_and_refusal_has_exactly_one_event(world):
    """What the application and `logbastion.django` both told of would be counted twice."""
    statuses = json.loads(world["traffic"].stdout)["statuses"]
    auth = [event for event in world["events"] if event["logger"] == "accounts.auth"]
    by_command = [event["event_type"] for event in auth if "correlation_id" not in event]
    assert by_command == ["password_changed"] * 4  # load_example_data gives each user a password
    requests = [event for event in auth if "correlation_id" in event]
    assert set(collections.Counter(event["correlation_id"] for event in requests).values()) == {1}
    kinds = collections.Counter(event["event_type"] for event in requests)
    assert set(kinds) == {"authentication_attempt", "logout", "permission_denied"}
    assert kinds["permission_denied"] == statuses["403"]
    posts = [event["extra"] for event in world["events"] if event.get("event_type") == "http_request"]
    by_route = collections.Counter(post["route"] for post in posts if post["http_method"] == "POST")
    assert kinds["authentication_attempt"] == by_route["/login/"]
    assert kinds["logout"] == by_route["/logout/"]


def test_the_payment_outage_is_an_incident(world):
    incidents = [event for event in world["events"] if event["logger"] == "incidents"]
    (payment,) = [
        event for event in incidents
        if event["event_type"] == "incident_opened" and event["incident_type"] == "payment_failure"
    ]  # fmt: skip
    assert payment["extra"]["triggering_log"]["logger"] == "finances.stripe"
    assert payment["correlation_id"] in payment["correlation_ids"]
    assert world["metrics"]["logbastion_incidents_opened_total", ("incident", "payment_failure")] == 1


def test_five_guesses_are_seen_and_block_the_address_and_are_an_incident(world):
    attack, events = json.loads(world["traffic"].stdout)["attack"], world["events"]
    assert (attack["guesses"], attack["refused"]) == (5, True)
    of_attacker = [event for event in events if event.get("security", {}).get("source_ip") == attack["address"]]
    attempts = [event["level"] for event in of_attacker if event.get("event_type") == "authentication_attempt"]
    assert attempts == ["WARNING"] * 5
    told = [event["event_type"] for event in of_attacker if event["logger"] == "security.events"]
    assert told == ["brute_force_attack", "ip_blocked"]
    opened = [json.dumps(event) for event in events if event.get("event_type") == "incident_opened"]
    assert any('"authentication_attack"' in one for one in opened)
    metrics = world["metrics"]
    assert metrics["security_events_total", ("event_type", "brute_force_attack")] == 1
    assert metrics["logbastion_blocked_requests_total", ("mode", "enforce")] == 1


def test_nobody_else_is_blocked_whose_log_in_fails(world):
    attack, events = json.loads(world["traffic"].stdout)["attack"], world["events"]
    failed = {
        event["security"]["source_ip"] for event in events
        if event.get("event_type") == "authentication_attempt" and event["level"] == "WARNING"
    }  # fmt: skip
    assert len(failed) > 2
    blocked = [event["security"]["source_ip"] for event in events if event.get("event_type") == "ip_blocked"]
    assert blocked == [attack["address"]]


def test_who_looked_at_the_security_log_and_who_was_refused_is_logged(world):
    attack = json.loads(world["traffic"].stdout)["attack"]
    looked = [event for event in world["events"] if event.get("event_type") == "security_log_access"]
    assert [event["security"]["source_ip"] for event in looked] == [attack["officer_address"], attack["other_address"]]
    granted, refused = (event["extra"] for event in looked)
    assert (granted["access_granted"], refused["access_denied"], refused["reason"]) == (True, True, "not_staff")
    assert granted["filter"] == {"span": "1h", "address": attack["address"]}
    assert attack["page_reads"] == "the log files of this host"


def test_nothing_secret_was_logged(world):
    known = json.loads(world["school"].credentials.read_text())
    passwords = [user["password"] for user in [*known["users"], known["officer"]]]
    raw = b"".join(path.read_bytes() for path in (world["school"].directory / "logs").iterdir())
    raw += b"\n".join(world["sink"].lines)
    secrets_ = [
        *passwords,
        "4242424242424242",
        "4000000000000002",
        "4000000000000119",
        "teacher@",
        "teacher.",
        "csrfmiddleware",
    ]
    assert [secret for secret in secrets_ if secret.encode() in raw] == []


def test_metrics_are_those_of_all_workers(world):
    metrics, events = world["metrics"], world["events"]
    pids = {event["process"]["pid"] for event in events if event.get("event_type") == "http_request"}
    assert len(pids) > 1  # or this test says nothing
    assert metrics["django_request_duration_seconds_count",] == REQUESTS
    counted = {
        status_class: sum(
            value
            for (name, *labels), value in metrics.items()
            if name == "django_http_requests_total" and ("status_class", status_class) in labels
        )
        for status_class in ("2xx", "3xx", "4xx", "5xx")
    }
    statuses = json.loads(world["traffic"].stdout)["statuses"].items()
    assert counted == {
        status_class: sum(number for status, number in statuses if status[0] == status_class[0])
        for status_class in counted
    }
    assert metrics["logbastion_redaction_failures_total",] == 0
    assert metrics["logbastion_certificate_expiry_timestamp_seconds", ("name", "ca")] > time.time()
    for logger, level in (("finances.stripe", "ERROR"), ("accounts.auth", "WARNING"), ("incidents", "CRITICAL")):
        logged = sum(event["logger"] == logger and event["level"] == level for event in events)
        assert logged > 0
        assert metrics["django_log_messages_total", ("level", level), ("logger", logger)] == logged
    auth = [event for event in events if event["logger"] == "accounts.auth"]
    attempts = [event["level"] for event in auth if event["event_type"] == "authentication_attempt"]
    denied = sum(event["event_type"] == "permission_denied" for event in auth)
    for event_type, logged in (
        ("authentication_failure", attempts.count("WARNING")),
        ("authentication_success", attempts.count("INFO")),
        ("logout", sum(event["event_type"] == "logout" for event in auth)),
        ("permission_denied", denied),
    ):
        assert logged > 0
        assert metrics["security_events_total", ("event_type", event_type)] == logged
    assert 0 < metrics["error_rate",] < 1
    assert world["wrong"] == 401


def test_modes_of_the_files(world):
    logs = world["school"].directory / "logs"
    assert stat.S_IMODE(logs.stat().st_mode) == 0o750
    assert {stat.S_IMODE(path.stat().st_mode) for path in logs.iterdir()} == {0o640}
    assert stat.S_IMODE(world["school"].credentials.stat().st_mode) == 0o600


def test_loading_the_data_again_changes_nothing(world):
    school = world["school"]
    before = school.credentials.read_bytes()
    assert (
        school.run("manage.py", "load_example_data", "--credentials", str(school.credentials)).stdout == "unchanged\n"
    )
    assert school.credentials.read_bytes() == before


def test_the_models_have_their_migrations(world):
    assert world["school"].run("manage.py", "makemigrations", "--check", "--dry-run").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["manage.py", "check"], {"DJANGO_SECRET_KEY_FILE": ""}, "Set DJANGO_SECRET_KEY_FILE"),
        (["manage.py", "check"], {"DJANGO_SECRET_KEY_FILE": "/dev/null"}, "32 characters"),
        (["manage.py", "check"], {"LOGBASTION_INGEST": "observer"}, "write host:port"),
        (["-m", "gunicorn", "-c", "gunicorn.conf.py", "aprende_school.wsgi"],
         {"BIND": "0.0.0.0:0", "TLS_CERTIFICATE_FILE": ""}, "there is no certificate"),
        (["traffic.py", "--url", "http://app:1", "--credentials", "x"], {}, "write https://host:port"),
        (["traffic.py", "--url", "https://app:1", "--credentials", "/nowhere/x"], {}, "cannot begin"),
        (["traffic.py", "--url", "https://app:1", "--credentials", "CREDENTIALS", "--attack"], {}, "needs --as-proxy"),
        (["traffic.py", "--url", "https://app:1", "--credentials", "CREDENTIALS", "--attack", "--as-proxy",
          "--requests", "9"], {}, "takes 17 requests or more"),
    ],
)  # fmt: skip
def test_wrong_settings_get_a_sentence(world, arguments, environment, sentence):
    credentials = str(world["school"].credentials)
    given = [credentials if argument == "CREDENTIALS" else argument for argument in arguments]
    done = world["school"].run(*given, **environment)
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr


def test_traffic_that_is_answered_wrongly_fails(world):
    """The server is gone by now: every request goes without an answer."""
    school = world["school"]
    arguments = ["--url", f"https://localhost:{school.port}", "--ca", str(school.ca), "--requests", "3"]
    done = school.run("traffic.py", *arguments, "--credentials", str(school.credentials), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["statuses"] == {"no answer": 3}

"""What the role leaves: an Alertmanager that answers over TLS to those who know the password, and tells a receiver."""

import json

import pytest
from service_over_tls import ServiceOverTls, wait_for

RECEIVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open("/run/received", "a") as file:
            file.write(self.headers.get("Authorization", "") + "\\t" + body.replace("\\n", " ") + "\\n")
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9099), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def password(secrets_directory):
    return (secrets_directory / "passwords/alertmanager_web").read_text().strip()


@pytest.fixture
def alertmanager(inventory_name, secrets_directory, password):
    return ServiceOverTls(
        inventory_name, 9093, secrets_directory / "certificates/ca/ca.crt", ("alertmanager", password)
    )


@pytest.fixture
def receiver(host):
    """A webhook on the host; gone after the test."""
    host.run_expect([0], f"cat > /run/receiver.py <<'END'\n{RECEIVER}\nEND")
    host.run_expect([0], "rm -f /run/received; systemd-run --quiet --collect --unit=receiver python3 /run/receiver.py")
    wait_for(lambda: "127.0.0.1:9099" in host.check_output("ss -ltnH"))

    def received():
        lines = host.run("cat /run/received").stdout.splitlines()
        return [(head, json.loads(body)) for head, _, body in (line.partition("\t") for line in lines)]

    yield received
    host.run("systemctl stop receiver; rm -f /run/received /run/receiver.py")


def test_it_answers_over_tls_with_its_password_only(alertmanager):
    assert alertmanager.get("/-/ready").status_code == 200
    assert alertmanager.get_without_credentials("/api/v2/alerts").status_code == 401
    assert alertmanager.get("/api/v2/alerts", auth=("alertmanager", "wrong")).status_code == 401
    assert not alertmanager.answers_in_clear()


def test_nothing_else_listens_also_no_cluster_port(host):
    ports = {line.split()[3].rpartition(":")[2] for line in host.check_output("ss -ltnH").splitlines()}
    assert ports == {"9093"}
    assert ":9094" not in host.check_output("ss -lunH")


def test_alert_reaches_the_receiver_with_its_secret_once(alertmanager, receiver, inventory_name):
    labels = {"alertname": "TryOut", "severity": "warning", "service": "django", "job": inventory_name}
    assert alertmanager.post("/api/v2/alerts", [{"labels": labels}]).status_code == 200
    wait_for(receiver)
    ((authorization, body),) = receiver()
    assert authorization == "Bearer not-a-real-secret"
    assert [alert["labels"] for alert in body["alerts"]] == [labels]


def test_inhibited_alert_stays_silent_and_the_watchdog_is_for_nobody(alertmanager, receiver):
    job = {"job": "inhibition", "service": "security"}
    alertmanager.post("/api/v2/alerts", [{"labels": {"alertname": "SecurityBreach", "severity": "critical", **job}}])
    wait_for(lambda: any(body["groupLabels"]["alertname"] == "SecurityBreach" for _, body in receiver()))
    silent = [
        {"labels": {"alertname": "AuthenticationFailureSpike", "severity": "warning", **job}},
        {"labels": {"alertname": "Watchdog", "severity": "none", **job}},
    ]
    told = {"labels": {"alertname": "ToldAfterwards", "severity": "warning", **job}}
    alertmanager.post("/api/v2/alerts", silent)
    alertmanager.post("/api/v2/alerts", [told])
    wait_for(lambda: any(body["groupLabels"]["alertname"] == "ToldAfterwards" for _, body in receiver()))
    assert {body["groupLabels"]["alertname"] for _, body in receiver()} == {"SecurityBreach", "ToldAfterwards"}
    states = {
        alert["labels"]["alertname"]: alert["status"]["state"] for alert in alertmanager.get("/api/v2/alerts").json()
    }
    assert states["AuthenticationFailureSpike"] == "suppressed"


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/etc/prometheus-alertmanager", 0o750),
        ("/etc/prometheus-alertmanager/alertmanager.yml", 0o640),
        ("/etc/prometheus-alertmanager/web.yml", 0o640),
        ("/etc/prometheus-alertmanager/secrets/webhook", 0o640),
        ("/etc/prometheus-alertmanager/certs/host.key", 0o640),
    ],
)
def test_modes_and_owners(host, path, mode):
    file = host.file(path)
    assert (file.mode, file.user, file.group) == (mode, "root", "prometheus")


def test_it_survives_a_restart_and_a_kill_and_keeps_its_silences(host, alertmanager):
    silence = {
        "matchers": [{"name": "alertname", "value": "Kept", "isRegex": False, "isEqual": True}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z", "createdBy": "test", "comment": "test",
    }  # fmt: skip
    identifier = alertmanager.post("/api/v2/silences", silence).json()["silenceID"]
    host.run_expect([0], "systemctl restart prometheus-alertmanager")
    wait_for(lambda: alertmanager.get("/-/ready").status_code == 200)
    before = host.check_output("systemctl show --property MainPID --value prometheus-alertmanager")
    host.run_expect([0], "systemctl kill --signal KILL prometheus-alertmanager")
    wait_for(
        lambda: (
            host.check_output("systemctl show --property MainPID --value prometheus-alertmanager") not in {before, "0"}
        )
    )
    wait_for(lambda: alertmanager.get("/-/ready").status_code == 200)
    assert alertmanager.get(f"/api/v2/silence/{identifier}").json()["status"]["state"] == "active"


def test_sandbox_is_in_force(host):
    assert host.run("systemd-analyze security --threshold=30 prometheus-alertmanager.service").rc == 0


def test_secret_that_is_no_longer_given_is_removed(run_playbook, host, inventory_name):
    other = {"receivers": [{"name": "nowhere"}], "secrets": {}}
    variables = {f"alertmanager_{name}": value for name, value in other.items()}
    assert not run_playbook(limit=inventory_name, variables=variables).failed
    assert not host.file("/etc/prometheus-alertmanager/secrets/webhook").exists
    assert not run_playbook(limit=inventory_name).failed
    assert host.file("/etc/prometheus-alertmanager/secrets/webhook").exists


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"alertmanager_receivers": []}, "nobody would hear of an alert"),
        ({"alertmanager_default_receiver": "someone"}, "must be names in alertmanager_receivers"),
        ({"alertmanager_recievers": []}, "The role alertmanager knows no variable alertmanager_recievers"),
        ({"alertmanager_receivers": [{"name": "x", "webhook_configs": [{"uri": "x"}]}]}, "field uri not found"),
    ],
)
def test_wrong_variable_is_refused_with_a_sentence(run_playbook, variables, sentence):
    run = run_playbook(limit="alertmanager-bookworm", variables=variables)
    assert run.failed
    assert sentence in run.sentences
    assert run.changed == 0

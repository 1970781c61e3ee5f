"""What the role leaves: a switch that hears over TLS and with its password, and tells by itself when nothing is to be heard."""

import json
import time
from pathlib import Path

import pytest
from service_over_tls import ServiceOverTls, wait_for

SERVICE = "logbastion-dead-mans-switch"
STATE = f"/var/lib/{SERVICE}/watchdog.json"
RECEIVER = Path(__file__).resolve().parents[3] / "lab/alert_receiver/alert_receiver.py"
RECEIVED = "/run/received"


@pytest.fixture
def switch(inventory_name, secrets_directory):
    password = (secrets_directory / "passwords/dead_mans_switch").read_text().strip()
    return ServiceOverTls(
        inventory_name, 9095, secrets_directory / "certificates/ca/ca.crt", ("alertmanager", password)
    )


@pytest.fixture
def received(host):
    """Run the lab's receiver on the host; return what it was told, status and alert."""
    host.run_expect([0], f"cat > /run/receiver.py <<'END'\n{RECEIVER.read_text()}\nEND")
    certificates = f"/etc/{SERVICE}/certs"
    settings = {
        "PORT": 9099, "CERTIFICATE_FILE": f"{certificates}/host.crt", "KEY_FILE": f"{certificates}/host.key",
        "PASSWORD_FILE": f"/etc/{SERVICE}/secrets/webhook_password", "ALERTS_FILE": RECEIVED,
    }  # fmt: skip
    words = " ".join(f"--setenv={name}={value}" for name, value in settings.items())
    host.run_expect([0], f"systemd-run --quiet --collect --unit=receiver {words} python3 /run/receiver.py")
    wait_for(lambda: ":9099" in host.check_output("ss -ltnH"))

    def read() -> list[tuple[str, str]]:
        lines = host.run(f"cat {RECEIVED}").stdout.splitlines()
        return [(alert["status"], alert["labels"]["alertname"]) for alert in map(json.loads, lines)]

    yield read
    host.run(f"systemctl stop receiver; rm -f /run/receiver.py {RECEIVED}")


def watchdog() -> dict:
    return {"alerts": [{"status": "firing", "labels": {"alertname": "Watchdog"}}]}


def heard_ago(host, seconds: float) -> None:
    """Have the service start as if it had heard the last Watchdog so long ago: nobody waits two minutes for each test."""
    host.run_expect([0], f"systemctl stop {SERVICE}")
    host.run_expect([0], f"echo '{json.dumps({'heard': time.time() - seconds})}' > {STATE}")
    host.run_expect([0], f"systemctl start {SERVICE}")


def test_it_answers_over_tls_with_its_password_only(switch, host):
    assert switch.get("/").json()["limit_seconds"] == 120
    assert switch.get_without_credentials("/").status_code == 401
    assert switch.post("/", watchdog()).json() == {"heard": True}
    assert switch.get("/", auth=("alertmanager", "wrong")).status_code == 401
    assert not switch.answers_in_clear()
    ports = {line.split()[3].rpartition(":")[2] for line in host.check_output("ss -ltnH").splitlines()}
    assert ports == {"9095"}


def test_it_tells_once_of_the_silence_and_once_of_its_end(switch, host, received):
    heard_ago(host, 121)
    wait_for(lambda: received() == [("firing", "DeadMansSwitch")])
    assert switch.get("/").json()["silent"] is True
    assert switch.post("/", watchdog()).json() == {"heard": True}
    wait_for(lambda: received() == [("firing", "DeadMansSwitch"), ("resolved", "DeadMansSwitch")])
    assert switch.get("/").json()["silent"] is False


def test_what_its_receiver_did_not_take_is_told_when_it_is_back(switch, host, request):
    heard_ago(host, 121)
    wait_for(lambda: "failed and is tried again" in host.check_output(f"journalctl -u {SERVICE} -o cat -n 5"))
    received = request.getfixturevalue("received")
    wait_for(lambda: received() == [("firing", "DeadMansSwitch")])
    assert switch.post("/", watchdog()).json() == {"heard": True}


def test_a_kill_gives_no_more_time_and_it_comes_back(switch, host, received):
    heard_ago(host, 110)
    host.run_expect([0], f"systemctl kill --signal KILL {SERVICE}")
    wait_for(lambda: received() == [("firing", "DeadMansSwitch")])


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        (f"/etc/{SERVICE}", 0o750),
        (f"/etc/{SERVICE}/configuration.json", 0o640),
        (f"/etc/{SERVICE}/secrets/password", 0o640),
        (f"/etc/{SERVICE}/secrets/webhook_password", 0o640),
        (f"/etc/{SERVICE}/certs/host.key", 0o640),
    ],
)
def test_modes_and_owners(host, path, mode):
    file = host.file(path)
    assert (file.mode, file.user, file.group) == (mode, "root", "dead-mans-switch")


def test_no_secret_is_in_configuration_command_line_or_journal(host, secrets_directory):
    password = (secrets_directory / "passwords/dead_mans_switch").read_text().strip()
    seen = host.check_output(f"cat /etc/{SERVICE}/configuration.json; systemctl cat {SERVICE}; journalctl -u {SERVICE}")
    assert password not in seen
    assert "not-a-real-secret" not in seen


def test_systemd_confines_the_service(host):
    exposure = host.run(f"systemd-analyze security --no-pager --threshold=30 {SERVICE}.service")
    assert exposure.rc == 0, exposure.stdout[-300:]


def test_wrong_input_is_refused(assert_each_is_refused):
    cases = {
        "nobody is told": ({"webhook_url": ""}, "would tell nobody"),
        "in clear": ({"webhook_url": "http://example.org/"}, "must begin with https://"),
        "too short": ({"silence_seconds": 60}, "must be 120 or more"),
        "mail from nobody": ({"mail_to": ["a@example.org"]}, "dead_mans_switch_mail_from"),
        "user without password": ({"mail_user": "switch"}, "belong together"),
        "right": ({}, "done"),
        # The last one: the host stays in that group.
        "beside Prometheus": ({"beside": True}, "a dead man's switch that dies with them tells nobody"),
    }
    assert_each_is_refused(cases, "switch-bookworm")

"""The Alertmanager under test, and a receiver of everything that it sends."""

import json
from pathlib import Path

import pytest
from service_over_tls import ServiceOverTls, wait_for


@pytest.fixture(scope="module")
def password(secrets_directory):
    return (secrets_directory / "passwords/alertmanager_web").read_text().strip()


@pytest.fixture
def alertmanager(inventory_name, secrets_directory, password):
    return ServiceOverTls(
        inventory_name, 9093, secrets_directory / "certificates/ca/ca.crt", ("alertmanager", password)
    )


class Received:
    """What came to tests/receiver.py since the test began."""

    def __init__(self, host):
        self._host = host

    def all(self, path):
        lines = self._host.run("cat /run/received").stdout.splitlines()
        return [message for message in map(json.loads, lines) if message["path"] == path]

    def webhooks(self, path, job):
        """Return status and names of alerts of each message about `job`."""
        return [
            (body["status"], sorted(alert["labels"]["alertname"] for alert in body["alerts"]))
            for body in (message["body"] for message in self.all(path))
            if body["commonLabels"]["job"] == job
        ]


@pytest.fixture
def received(host):
    """Started on the host; gone after the test."""
    script = Path(__file__).with_name("receiver.py").read_text()
    host.run_expect([0], f"cat > /run/receiver.py <<'END'\n{script}\nEND")
    host.run_expect(
        [0], "rm -f /run/received; systemd-run --quiet --collect --unit=receiver python3 /run/receiver.py /run/received"
    )
    wait_for(lambda: "127.0.0.1:9099" in host.check_output("ss -ltnH"))
    yield Received(host)
    host.run("systemctl stop receiver; rm -f /run/received /run/receiver.py")

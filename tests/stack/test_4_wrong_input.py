"""Wrong input gets a sentence and changes nothing; more cases are in the roles' own scenarios."""

import datetime
import json
import re

import pytest
import trustme

from lab import hosts, stack
from tests.stack.conftest import Command

pytestmark = pytest.mark.usefixtures("running")


def failure_of(result: Command) -> str:
    """Return what was printed from the first failure on: of a task, or of an item of a loop; blanks as in a sentence."""
    found = re.search(r"^(fatal|failed): \[", result.output, re.MULTILINE)
    assert found, result.output[-3000:]
    return " ".join(result.output[found.start() :].replace("\\n", " ").split())


def assert_refused(result: Command, *sentences: str) -> None:
    """Check that the run failed with all sentences, without a traceback, and before it changed anything."""
    assert result.exit_code != 0
    failure = failure_of(result)
    for sentence in sentences:
        assert sentence in failure
    assert "Traceback" not in failure
    assert set(result.changed().values()) == {0}


@pytest.mark.parametrize(
    ("tag", "variables", "sentence"),
    [
        ("elasticsearch", {"elasticsearch_heap_size": "much"}, "elasticsearch_heap_size"),
        ("elasticsearch", {"elasticsearch_heap_sise": "1g"}, "knows no variable elasticsearch_heap_sise"),
        ("prometheus", {"prometheus_port": "ninety"}, "prometheus_port"),
        ("log_ingest", {"rsyslog_ingest_port": "99999"}, "rsyslog_ingest_port is 99999"),
        ("log_ingest", {"ingest_backend": "logstsh"}, "Give rsyslog (the default) or logstash"),
        ("elasticsearch", {"package_repository_signing_key": "/no/such/key.asc"}, "/no/such/key.asc"),
        ("certificates", {"logbastion_secrets_directory": ""}, "logbastion_secrets_directory () must be"),
        ("certificates", {"certificates_renew_before_days": "400000"}, "would issue every certificate again"),
        ("django_logging", {"django_logging_environment": "Production!"}, "django_logging_environment"),
        (
            "elasticsearch",
            # Port 9 of the host itself: nobody answers there.
            {"package_repository_uris": "https://127.0.0.1:9/packages"},
            "https://127.0.0.1:9/packages",
        ),
        ("elasticsearch", {"elasticsearch_minimum_free_disk": "900000 GB"}, "elasticsearch_minimum_free_disk"),
        ("log_ingest", {"rsyslog_ingest_queue_maximum_size": "900000g"}, "Free some, lower"),
    ],
)
def test_wrong_variable_is_named_and_nothing_changes(lab, deployed_again, tag, variables, sentence):
    # As JSON: ansible-playbook takes name=value apart at blanks.
    assert_refused(lab.playbook("--tags", tag, "--extra-vars", json.dumps(variables)), sentence)


LISTENER = "import socket, time; listener = socket.create_server(('', {port})); time.sleep(600)"


@pytest.mark.parametrize(
    ("tag", "service", "port"),
    [
        ("elasticsearch", "elasticsearch", 9200),
        ("log_ingest", "logbastion-ingest", 5959),
        ("alertmanager", "prometheus-alertmanager", 9093),
        ("prometheus", "prometheus", 9090),
    ],
)
def test_port_in_use_is_named_with_its_program_and_nothing_changes(lab, deployed_again, tag, service, port):
    hosts.execute(stack.OBSERVER, "systemctl", "stop", service)
    hosts.execute(
        stack.OBSERVER, "systemd-run", "--unit=stranger", "--quiet", "python3", "-c", LISTENER.format(port=port)
    )
    try:
        assert_refused(lab.playbook("--tags", tag), f"ort {port}", "in use by another program", "python3")
    finally:
        hosts.execute(stack.OBSERVER, "systemctl", "stop", "stranger")
        hosts.execute(stack.OBSERVER, "systemctl", "start", service)


def test_expired_certificate_is_named_and_nothing_changes(lab, deployed_again, tmp_path):
    company = trustme.CA()
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    company.cert_pem.write_to_path(str(directory_of(tmp_path, "ca") / "ca.crt"))
    for kind, name, end in (
        ("hosts", stack.OBSERVER, yesterday),
        ("hosts", stack.APPLICATION, None),
        ("clients", f"{stack.APPLICATION}.log-shipper", None),
    ):
        issued = company.issue_cert(name, not_after=end)
        issued.cert_chain_pems[0].write_to_path(str(directory_of(tmp_path, kind) / f"{name}.crt"))
        issued.private_key_pem.write_to_path(str(tmp_path / kind / f"{name}.key"))
    result = lab.playbook("--tags", "certificates", "-e", f"certificates_provided_directory={tmp_path}")
    assert_refused(result, f"{stack.OBSERVER}.crt", "expired")


def directory_of(parent, name):
    directory = parent / name
    directory.mkdir(exist_ok=True)
    return directory

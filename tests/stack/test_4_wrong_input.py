"""Wrong input gets a sentence and changes nothing."""

import re

import pytest

from lab import hosts, stack
from tests.stack.conftest import Command

pytestmark = pytest.mark.usefixtures("running")


def failure_of(result: Command) -> str:
    """Return what was printed from the first failure on: of a task, or of an item of a loop."""
    found = re.search(r"^(fatal|failed): \[", result.output, re.MULTILINE)
    assert found, result.output[-3000:]
    return result.output[found.start() :]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"elasticsearch_heap_size": "much"}, ["elasticsearch_heap_size"]),
        ({"elasticsearch_heap_sise": "1g"}, ["elasticsearch_heap_sise"]),
        ({"prometheus_port": "ninety"}, ["prometheus_port"]),
        ({"rsyslog_ingest_port": "99999"}, ["rsyslog_ingest_port"]),
        ({"django_logging_environment": "Production!"}, ["django_logging_environment"]),
        ({"package_repository_signing_key": "/no/such/key.asc"}, ["/no/such/key.asc"]),
        ({"logbastion_secrets_directory": ""}, ["secrets"]),
    ],
)
def test_wrong_variable_is_named_and_nothing_changes(lab, deployed_again, variables, words):
    arguments = [argument for name, value in variables.items() for argument in ("-e", f"{name}={value}")]
    result = lab.playbook(*arguments)
    assert result.exit_code != 0
    failure = failure_of(result)
    for word in words:
        assert word in failure
    assert "Traceback" not in failure
    assert set(result.changed().values()) == {0}


def test_repository_out_of_reach_is_named(lab, deployed_again):
    result = lab.playbook("--tags", "elasticsearch", "-e", "package_repository_uris=file:///srv/not-there")
    assert result.exit_code != 0
    assert "file:///srv/not-there" in failure_of(result)
    # The good repository is there again at the next run, and nothing else has changed.
    assert lab.playbook("--tags", "elasticsearch").exit_code == 0


def test_full_disk_is_a_sentence(lab, deployed_again):
    result = lab.playbook("--tags", "elasticsearch", "-e", "elasticsearch_minimum_free_disk=900000g")
    assert result.exit_code != 0
    assert "/var/lib/elasticsearch" in failure_of(result)


def test_port_in_use_is_a_sentence(lab, deployed_again):
    hosts.execute(stack.OBSERVER, "systemctl", "stop", "logbastion-ingest")
    program = "import socket,time; s=socket.create_server(('0.0.0.0', 5959)); time.sleep(300)"
    hosts.execute(stack.OBSERVER, "systemd-run", "--unit=port-thief", "python3", "-c", program)
    try:
        result = lab.playbook("--tags", "log_ingest")
        assert result.exit_code != 0
        assert "5959" in failure_of(result)
    finally:
        hosts.execute(stack.OBSERVER, "systemctl", "stop", "port-thief")
        hosts.execute(stack.OBSERVER, "systemctl", "start", "logbastion-ingest")


def test_expired_certificate_is_a_sentence(lab, deployed_again):
    # Asking for a certificate that is valid a thousand years from now is asking about one that has expired by then.
    result = lab.playbook("--tags", "certificates", "-e", "certificates_renew_before_days=400000")
    assert result.exit_code != 0
    assert "certificates_renew_before_days" in failure_of(result)
    assert set(result.changed().values()) == {0}

"""Wrong input gets a sentence and changes nothing; more cases are in the roles' own scenarios."""

import re

import pytest

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

"""A user of the example application goes from the real hosts by `playbooks/erase_user.yml`, and everybody else stays."""

import json

import pytest
import yaml

from lab import hosts, stack, traffic
from tests.stack.conftest import documents, wait_until_complete

LOGS = "/var/log/django-app"
QUEUE = "/var/spool/logbastion-ingest"


@pytest.fixture(scope="module")
def person(lab, deployed_again, tmp_path_factory):
    """Return the file that names user 2, of whom traffic has just logged requests and log-ins."""
    traffic.send(120, seed=7)
    assert all(each.complete for each in wait_until_complete())
    file = tmp_path_factory.mktemp("person") / "person.yml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump({"erase_user_id": 2, "erase_user_emails": ["parent@example.org"]}))
    return file


def of_user(number: int) -> dict[str, dict]:
    """Return the documents of all streams by id."""
    query = {"term": {"user_id": str(number)}}
    return {one: event for stream in stack.READER_OF_STREAM for one, event in documents(stream, query).items()}


def lines_of_user(number: int) -> list[dict]:
    """Return the events in the application's log files."""
    text = hosts.execute(stack.APPLICATION, "sh", "-c", f"cat {LOGS}/*.log")
    return [event for event in map(json.loads, text.splitlines()) if str(event.get("user_id")) == str(number)]


def queued_of_user(number: int) -> int:
    """Return how many lines of the ingest's queue name the user."""
    counted = hosts.execute(stack.OBSERVER, "sh", "-c", f"grep -rahE '\"user_id\": ?{number}[,}}]' {QUEUE} | wc -l")
    return int(counted)


def test_check_mode_finds_the_person_and_changes_nothing(lab, person):
    before = of_user(2), lines_of_user(2), queued_of_user(2)
    assert all(before), "the traffic has events of this user everywhere"
    checked = lab.playbook("--check", "-e", f"@{person}", playbook="playbooks/erase_user.yml")
    assert checked.exit_code == 0, checked.output[-5000:]
    assert (of_user(2), lines_of_user(2), queued_of_user(2)) == before


def test_nothing_of_the_person_is_left_and_everybody_else_is(lab, person):
    others = {number: of_user(number) for number in (1, 3)}
    logged = {number: lines_of_user(number) for number in (1, 3)}
    assert all(others.values())
    assert all(logged.values())
    done = lab.playbook("-e", f"@{person}", playbook="playbooks/erase_user.yml")
    assert done.exit_code == 0, done.output[-5000:]
    assert "Nothing of the person is left in any of these places." in done.output
    assert (of_user(2), lines_of_user(2), queued_of_user(2)) == ({}, [], 0)
    for number, documents_before in others.items():
        now = of_user(number)
        assert {one: now.get(one) for one in documents_before} == documents_before
        assert lines_of_user(number)[: len(logged[number])] == logged[number]


def test_run_again_there_is_nobody_to_find(lab, person):
    again = lab.playbook("-e", f"@{person}", playbook="playbooks/erase_user.yml")
    assert again.exit_code == 0, again.output[-5000:]
    assert set(again.changed().values()) == {0}

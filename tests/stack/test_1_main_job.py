"""The main job, from bare hosts: check mode, deployment, nothing to change the second time, nothing lost."""

import re

from lab import hosts, stack
from tests.stack.conftest import wait_until_complete


def test_check_mode_works_on_bare_hosts_and_changes_nothing(bare_check):
    assert bare_check.exit_code == 0, bare_check.output[-5000:]
    for host, package in (
        (stack.OBSERVER, "elasticsearch"),
        (stack.OBSERVER, "prometheus"),
        (stack.APPLICATION, "python3-venv"),
    ):
        listed = hosts.execute(host, "sh", "-c", f"dpkg-query -W -f '${{db:Status-Status}}' {package} 2>&1 || true")
        assert not listed.startswith("installed"), f"{package} on {host}"


def test_up_succeeds_and_says_what_came_of_it(deployed):
    assert deployed.exit_code == 0, deployed.output[-5000:]
    assert "Test alert: received by its receiver." in deployed.output
    for stream in stack.READER_OF_STREAM:
        assert re.search(rf"{stack.index(stream)} +│ +\d+", deployed.output), stream
    assert "secrets/lab/passwords/log_reader" in deployed.output


def test_each_logged_event_is_stored_exactly_once(running):
    counts = wait_until_complete()
    assert [each for each in counts if not each.complete] == []
    assert {each.stream for each in counts if each.logged > 0} >= {"application", "security", "audit", "performance"}


def test_second_up_changes_nothing_and_loses_nothing(deployed_again):
    assert deployed_again.exit_code == 0, deployed_again.output[-5000:]
    assert deployed_again.changed() == {stack.OBSERVER: 0, stack.APPLICATION: 0}
    assert [each for each in wait_until_complete() if not each.complete] == []


def test_check_mode_works_on_converged_hosts(lab, deployed_again):
    checked = lab.playbook("--check", "--diff")
    assert checked.exit_code == 0, checked.output[-5000:]
    assert checked.changed() == {stack.OBSERVER: 0, stack.APPLICATION: 0}


def test_status_shows_the_running_lab(lab, deployed_again):
    shown = lab.lab("status")
    assert shown.exit_code == 0, shown.output
    assert "logs-django.application-lab" in shown.output
    assert hosts.address(stack.OBSERVER) in shown.output

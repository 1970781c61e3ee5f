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


def test_up_shows_the_attack_from_the_guesses_to_the_officers_page(deployed):
    shown = {
        row[0]: row[1:]
        for line in deployed.output.splitlines()
        if len(row := [cell.strip() for cell in line.strip("│┃ \n").split("│")]) == 3
    }
    for sign in (
        "guessed passwords stored",
        "attack seen (brute_force_attack)",
        "address blocked (ip_blocked)",
        "next request of the address",
        "incident opened",
        "alert AttackDetected received",
        "page shows it to the officer",
        "another user's look at the page",
    ):
        wanted, seen = shown[sign]
        assert wanted == seen, sign
    assert shown["page shows it to the officer"][1] == "yes, from Elasticsearch"


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

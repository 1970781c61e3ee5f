"""An application in a strict sandbox logs, and what it logs arrives."""

import json

import pytest


@pytest.fixture(scope="module")
def service(host, wait_for):
    """The application, freshly started; the events of earlier starts are forgotten."""
    host.check_output("systemctl stop django-app")
    host.check_output("rm --force /srv/received.jsonl && touch /run/django-app/metrics/counter_of_a_dead_process.db")
    host.check_output("systemctl start django-app")
    wait_for("event", lambda: events(host))
    return host


def events(host):
    received = host.file("/srv/received.jsonl")
    return [json.loads(line) for line in received.content_string.splitlines()] if received.exists else []


def started(host):
    return [event for event in events(host) if event.get("event_type") == "application_started"]


def test_event_arrives_under_the_configured_names(service, inventory_name, wait_for):
    (event,) = wait_for("start", lambda: started(service))
    assert event["service"] == {"name": "django-app", "environment": "molecule"}
    assert event["logger"] == "business.example"
    assert event["host"]["name"] == inventory_name
    assert service.file("/srv/received.sender").content_string == f"{inventory_name}.log-shipper"


def test_what_the_nightly_run_logs_is_shipped_by_the_application(service, wait_for):
    service.check_output("systemctl start django-app-log-retention.service")

    def shipped():
        found = [event for event in events(service) if "Retention policy enforced for" in event["message"]]
        return found if len(found) >= len(("security", "audit", "application", "performance", "debug")) else []

    found = wait_for("the five events of the run", shipped)
    assert {(event["logger"], event["service"]["environment"]) for event in found} == {
        ("system.log_management", "molecule")
    }
    ids = [event["event"]["id"] for event in found]
    assert len(ids) == len(set(ids))


def test_a_person_is_erased_with_the_settings_and_the_ledger_of_the_host(service):
    log = "/var/log/django-app/of-another-program.log"

    def as_application(command):
        settings = "set -a; . /etc/django-app/logging.env; . /etc/django-app/logging/archive.env; set +a"
        program = f"cd /; umask 027; {settings}; unset PROMETHEUS_MULTIPROC_DIR; {command}"
        return service.check_output(f"runuser -u django-app -- sh -c '{program}'")

    as_application(f'echo "User 471147 looked" > {log}; echo "User 4711470 looked" >> {log}')
    logbastion = "/opt/django-app/venv/bin/logbastion"
    assert json.loads(as_application(f"{logbastion} erase-user 471147 --yes --json"))["outcome"] == "complete"
    assert service.check_output(f"cat {log}").split("\n")[1] == "User 4711470 looked"
    assert service.run("grep -rw 471147 /var/log/django-app /var/lib/django-app-erasures").rc == 1
    (entered,) = json.loads(as_application(f"{logbastion} erasures list --user 471147 --json"))["erasures"]
    assert (entered["outcome"], entered["can_be_replayed"]) == ("complete", True)
    # The nightly run looks after the ledger, and may write into it.
    service.check_output("systemctl start django-app-log-retention.service")
    service.check_output(f"rm {log}")


def test_log_files_belong_to_the_readers_group(service):
    names = service.file("/var/log/django-app").listdir()
    assert "application.log" in names
    for name in names:
        file = service.file(f"/var/log/django-app/{name}")
        assert (name, file.user, file.group, file.mode) == (name, "django-app", "log-readers", 0o640)


def test_metrics_of_dead_processes_are_gone_and_new_ones_are_there(service):
    names = service.file("/run/django-app/metrics").listdir()
    assert "counter_of_a_dead_process.db" not in names
    assert [name for name in names if name.startswith("counter_")]


def test_drop_in_is_what_systemd_goes_by(service):
    shown = service.check_output(
        "systemctl show django-app --property=UMask,SupplementaryGroups,EnvironmentFiles,NeedDaemonReload"
    )
    assert "UMask=0027" in shown
    assert "SupplementaryGroups=log-readers" in shown
    assert "EnvironmentFiles=/etc/django-app/logging.env" in shown
    assert "NeedDaemonReload=no" in shown


def test_directories_of_the_metrics_survive_a_stop_and_a_boot(service):
    service.check_output("systemctl stop django-app")
    assert service.file("/run/django-app/metrics").is_directory
    service.check_output("rm --recursive /run/django-app && systemd-tmpfiles --create")
    assert service.file("/run/django-app/metrics").user == "django-app"
    service.check_output("rm --recursive /run/django-app && systemctl start django-app")
    assert service.file("/run/django-app/metrics").user == "django-app"
    assert service.service("django-app").is_running


def test_receiver_refuses_whoever_has_no_certificate(host):
    result = host.run(
        "echo | timeout 10 openssl s_client -connect localhost:5959 -CAfile /etc/receiver/ca.crt -ign_eof"
    )
    assert "certificate required" in result.stdout + result.stderr

"""What is on the host: users, files, the package."""

import hashlib
import json
import re

import pytest


def owner_and_mode(host, path):
    file = host.file(path)
    return file.user, file.group, file.mode


@pytest.mark.parametrize(
    ("path", "user", "group", "mode"),
    [
        ("/var/log/django-app", "django-app", "log-readers", 0o2750),
        ("/var/spool/django-app", "django-app", "django-app", 0o750),
        ("/var/lib/django-app-erasures", "django-app", "django-app", 0o700),
        ("/etc/django-app", "root", "root", 0o755),
        ("/etc/django-app/logging", "root", "django-app", 0o750),
        ("/etc/django-app/logging.env", "root", "django-app", 0o640),
        ("/etc/django-app/logging/metrics_token", "root", "django-app", 0o640),
        ("/etc/django-app/logging/pseudonym-keys", "root", "django-app", 0o640),
        ("/etc/django-app/logging/incidents_password", "root", "django-app", 0o640),
        ("/etc/django-app/logging/security_page_password", "root", "django-app", 0o640),
        ("/etc/django-app/logging/archive.env", "root", "django-app", 0o640),
        ("/etc/django-app/logging/certs", "root", "django-app", 0o750),
        ("/etc/django-app/logging/certs/ca.crt", "root", "django-app", 0o644),
        ("/etc/django-app/logging/certs/client.crt", "root", "django-app", 0o644),
        ("/etc/django-app/logging/certs/client.key", "root", "django-app", 0o640),
        ("/run/django-app/metrics", "django-app", "django-app", 0o750),
        ("/opt/django-app/venv/bin/python", "root", "root", None),
        ("/etc/systemd/system/django-app.service.d/logbastion.conf", "root", "root", 0o644),
        ("/etc/tmpfiles.d/django-app-logging.conf", "root", "root", 0o644),
        ("/etc/systemd/system/django-app-log-retention.service", "root", "root", 0o644),
        ("/etc/systemd/system/django-app-log-retention.timer", "root", "root", 0o644),
    ],
)
def test_owners_and_modes(host, path, user, group, mode):
    found = owner_and_mode(host, path)
    assert found[:2] == (user, group)
    assert mode in (found[2], None)


def test_application_user_cannot_log_in_and_reads_logs_only_as_their_owner(host):
    user = host.user("django-app")
    assert user.shell == "/usr/sbin/nologin"
    assert user.groups == ["django-app"]
    assert user.uid < 1000


def test_readers_read_logs_and_no_key(host):
    host.check_output("id auditor || useradd --system --groups log-readers auditor")
    host.check_output("runuser -u auditor -- ls /var/log/django-app")
    for path in (
        "/etc/django-app/logging/certs/client.key",
        "/etc/django-app/logging/metrics_token",
        "/etc/django-app/logging/pseudonym-keys",
        "/etc/django-app/logging/incidents_password",
        "/etc/django-app/logging/security_page_password",
        "/etc/django-app/logging.env",
    ):
        assert host.run(f"runuser -u auditor -- cat {path}").rc == 1
    assert host.run("runuser -u auditor -- touch /var/log/django-app/forged.log").rc == 1
    assert host.run("runuser -u auditor -- ls /var/spool/django-app").rc != 0


def test_application_cannot_change_its_code_settings_or_key(host):
    for path in ("/opt/django-app/venv/x", "/etc/django-app/logging/x", "/etc/django-app/logging/certs/client.key"):
        assert host.run(f"runuser -u django-app -- sh -c 'echo x >> {path}'").rc != 0


def test_log_files_are_kept_to_their_periods_every_day(host):
    timer = host.service("django-app-log-retention.timer")
    assert timer.is_enabled
    assert timer.is_running
    shown = host.check_output("systemctl show django-app-log-retention.timer --property=Persistent,TimersCalendar")
    assert "Persistent=yes" in shown
    assert "OnCalendar=*-*-* 02:00:00" in shown
    assert host.run("systemd-analyze verify /etc/systemd/system/django-app-log-retention.timer").rc == 0

    logs = "/var/log/django-app"
    write = (
        f'echo \'{{"@timestamp": "2020-01-01T10:00:00Z"}}\' > {logs}/debug.log-20200101;'
        f'echo \'{{"@timestamp": "\'$(date -u -d "3 days ago" +%FT%TZ)\'"}}\' > {logs}/debug.log-20200102'
    )
    host.check_output("runuser -u django-app -- sh -c %s", write)
    host.check_output("systemctl start django-app-log-retention.service")
    found = host.check_output(f"ls {logs}").split()
    assert "debug.log-20200101" not in found
    assert "debug.log-20200102" not in found
    assert owner_and_mode(host, f"{logs}/debug.log-20200102.gz") == ("django-app", "log-readers", 0o640)
    assert owner_and_mode(host, f"{logs}/audit.log") == ("django-app", "log-readers", 0o640)
    assert "debug.log-20200101 deleted" in host.file(f"{logs}/audit.log").content_string
    assert json.loads(host.file(f"{logs}/.last-retention-run").content_string)["failures"] == 0
    # A file that is only removed would be missed by each later run.
    host.check_output(f"rm {logs}/debug.log-20200102.gz")
    retention = "set -a; . /etc/django-app/logging.env; exec /opt/django-app/venv/bin/logbastion retention"
    accept = "--accept-loss debug.log-20200102.gz --reason 'made by a test'"
    host.check_output("runuser -u django-app -- sh -c %s", f"{retention} {accept}")


def test_token_is_the_one_that_prometheus_has(host, secrets_directory):
    made = secrets_directory / "passwords/metrics_token"
    assert made.stat().st_mode & 0o777 == 0o600
    assert len(made.read_text().strip()) == 32
    assert host.file("/etc/django-app/logging/metrics_token").content_string.strip() == made.read_text().strip()


def test_security_page_has_the_credential_of_the_store_and_of_nobody_else(host, secrets_directory):
    made = (secrets_directory / "passwords/security_page_reader").read_text().strip()
    path = "/etc/django-app/logging/security_page_password"
    assert host.file(path).content_string.strip() == made
    settings = host.file("/etc/django-app/logging.env").content_string
    assert made not in settings
    assert {
        "LOGBASTION_SECURITY_PAGE_ELASTICSEARCH=logs.example.org:9200",
        "LOGBASTION_SECURITY_PAGE_USERNAME=security_page_reader",
        f"LOGBASTION_SECURITY_PAGE_PASSWORD_FILE={path}",
    } <= set(settings.splitlines())


def test_key_of_pseudonyms_is_that_of_the_control_node(host, secrets_directory):
    made = secrets_directory / "passwords/pseudonym_key_django-app"
    assert made.stat().st_mode & 0o777 == 0o600
    key = made.read_text().strip()
    assert re.fullmatch("[0-9a-f]{64}", key)
    content = host.file("/etc/django-app/logging/pseudonym-keys").content_string
    assert content == f"k{hashlib.sha256(key.encode()).hexdigest()[:10]} {key}\n"
    assert key not in host.file("/etc/django-app/logging.env").content_string


def test_incidents_go_to_alertmanager_with_a_password_of_their_own(host, secrets_directory, inventory_name):
    made = secrets_directory / "passwords/alertmanager_incidents"
    assert made.stat().st_mode & 0o777 == 0o600
    file = "/etc/django-app/logging/incidents_password"
    assert host.file(file).content_string == made.read_text().strip()
    assert made.read_text().strip() not in host.file("/etc/django-app/logging.env").content_string
    program = (
        "import json, logbastion; handlers = logbastion.logging_config(incidents=True)['handlers']; "
        "print(json.dumps(handlers['incidents']['options']['responses']['alertmanager']))"
    )
    settings = "set -a; . /etc/django-app/logging.env; unset PROMETHEUS_MULTIPROC_DIR"
    python = f"{settings}; exec /opt/django-app/venv/bin/python -c"
    asked = json.loads(host.check_output("runuser -u django-app -- sh -c %s", f'{python} "{program}"'))
    assert asked == {
        "destinations": f"{inventory_name}:9093",
        "ca_file": "/etc/django-app/logging/certs/ca.crt",
        "username": "incidents",
        "password_file": file,
    }


def test_doctor_finds_nothing_unsafe(host):
    doctor = "set -a; . /etc/django-app/logging.env; exec /opt/django-app/venv/bin/logbastion doctor --json"
    for environment, expected in (("production", []), ("molecule", ["logbastion.W010"])):
        answer = json.loads(host.run(f"runuser -u django-app -- sh -c '{doctor} --environment {environment}'").stdout)
        assert answer["strict"] is True
        assert [finding["id"] for finding in answer["findings"]] == expected


def test_installed_package_is_the_wheel_of_the_control_node(host, secrets_directory):
    (wheel,) = (secrets_directory.parent / "wheels").glob("*.whl")
    (record,) = host.check_output(
        "ls /opt/django-app/venv/lib/python3.*/site-packages/logbastion-*.dist-info/direct_url.json"
    ).split()
    installed = json.loads(host.file(record).content_string)
    assert installed["archive_info"]["hash"] == "sha256=" + hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert host.run("/opt/django-app/venv/bin/pip check").rc == 0

"""What a later run does: restarts where a setting has changed, installs a changed wheel, refuses what cannot work."""

import json
import shutil
import subprocess
import zipfile

import pytest
import testinfra

HOST = "django-logging-bookworm"


@pytest.fixture(scope="module")
def bookworm():
    return testinfra.get_host(f"podman://logbastion-{HOST}")


def main_pid(host):
    return host.check_output("systemctl show django-app --property=MainPID --value")


def test_running_application_is_restarted_with_its_new_settings(bookworm, run_playbook):
    bookworm.check_output("systemctl restart django-app")
    before = main_pid(bookworm)
    run = run_playbook(limit=HOST, variables={"django_logging_service_name": "renamed"})
    assert not run.failed, run.output
    after = main_pid(bookworm)
    assert after not in (before, "0")
    assert b"LOGBASTION_SERVICE_NAME=renamed" in bookworm.file(f"/proc/{after}/environ").content.split(b"\0")


def test_stopped_application_stays_stopped_and_a_changed_wheel_of_the_same_version_is_installed(
    bookworm, run_playbook, secrets_directory, tmp_path
):
    (wheel,) = (secrets_directory.parent / "wheels").glob("*.whl")
    changed = tmp_path / wheel.name
    shutil.copy(wheel, changed)
    with zipfile.ZipFile(changed, "a") as archive:
        archive.comment = b"the same files in another archive"
    bookworm.check_output("systemctl stop django-app")
    variables = {"django_logging_package": str(changed)}
    run = run_playbook(limit=HOST, variables=variables)
    assert not run.failed, run.output
    assert not bookworm.service("django-app").is_running
    installed = bookworm.check_output(
        "cat /opt/django-app/venv/lib/python3.*/site-packages/logbastion-*.dist-info/direct_url.json"
    )
    digest = subprocess.run(["sha256sum", changed], capture_output=True, text=True, check=True).stdout.split()[0]
    assert json.loads(installed)["archive_info"]["hash"] == f"sha256={digest}"
    assert run_playbook(limit=HOST, variables=variables).changed == 0


def test_what_cannot_be_done_gets_a_sentence(bookworm, assert_each_is_refused):
    cases = {
        "environment": (
            {"environment": "Production!"},
            "django_logging_environment (Production!) is part of index names",
        ),
        "no port": (
            {"ingest": ["logs.example.org"]},
            "must hold destinations such as logs.example.org:5959 or [2001:db8::1]:5959, and logs.example.org is none",
        ),
        "big port": ({"ingest": ["logs.example.org:70000"]}, "and logs.example.org:70000 is none"),
        "Alertmanager without a port": (
            {"incidents_alertmanager": ["observer"]},
            "django_logging_incidents_alertmanager must hold destinations such as observer.example.org:9093, and observer",
        ),
        "no password for incidents": ({"incidents_password": ""}, "must be one line that is not empty"),
        "user of incidents": ({"incidents_user": "a b"}, "django_logging_incidents_user (a b) may hold letters"),
        "page": (
            {"security_page": ["https://logs.example.org"]},
            "django_logging_security_page_elasticsearch must hold destinations such as logs.example.org:9200",
        ),
        "retention time": ({"retention_time": "2 a.m."}, "must be hours and minutes in quotes"),
        "archive": ({"archive": "https://archive"}, "must be an absolute path or s3://bucket/prefix"),
        "missing archive": (
            {"archive": "/no/such/archive"},
            "which is no directory on this host. Mount its file system",
        ),
        "half credentials": (
            {"archive": "s3://a", "archive_access_key": "key"},
            "belong together. Set both, or neither",
        ),
        "nowhere": ({"ingest": []}, "the inventory has no host in the group log_ingest, so events would go nowhere"),
        "application": (
            {"application": "../app"},
            "django_logging_application (../app) becomes the name of directories",
        ),
        "root": ({"user": "root"}, "must name the application's own user and group, not root"),
        "readers": ({"readers_group": "django-app"}, "whoever reads logs could read its keys"),
        "unit": ({"service": "django-app.service"}, "must be the name of a systemd unit without .service"),
        "no wheel": (
            {"package": "/no/such/logbastion-1-py3-none-any.whl"},
            "/no/such/logbastion-1-py3-none-any.whl, which does not exist on the control node",
        ),
        "option": ({"package": "--upgrade"}, "django_logging_package (--upgrade) must be what pip knows a package by"),
        "plain index": ({"index": "http://packages.invalid/simple"}, "must begin with https:// or be empty"),
        "closed port": (
            {"ingest": [f"{HOST}:1"]},
            f"The ingest {HOST}:1: It cannot be reached ([Errno 111] Connection refused).",
        ),
        "other name": (
            {"ingest": ["dns-alias:5959"]},
            "Its certificate is not valid for dns-alias under our authority",
        ),
    }
    bookworm.check_output("grep -q dns-alias /etc/hosts || echo 127.0.0.1 dns-alias >> /etc/hosts")
    assert_each_is_refused(cases, HOST)


def test_retention_page_and_incidents_are_taken_away_and_brought_back(bookworm, run_playbook):
    unit, settings = "/etc/systemd/system/django-app-log-retention", "/etc/django-app/logging.env"
    passwords = [f"/etc/django-app/logging/{use}_password" for use in ("security_page", "incidents")]
    without = {
        "django_logging_retention": False,
        "django_logging_security_page": False,
        "django_logging_incidents_alertmanager": [],
    }
    run = run_playbook(limit=HOST, variables=without)
    assert not run.failed, run.output
    assert [path for path in passwords if bookworm.file(path).exists] == []
    assert "SECURITY_PAGE" not in bookworm.file(settings).content_string
    assert "ALERTMANAGER" not in bookworm.file(settings).content_string
    assert not bookworm.file(f"{unit}.timer").exists
    assert not bookworm.file(f"{unit}.service").exists
    assert not bookworm.service("django-app-log-retention.timer").is_running
    assert run_playbook(limit=HOST, variables=without).changed == 0
    run = run_playbook(limit=HOST, variables={"django_logging_retention_time": "03:30"})
    assert not run.failed, run.output
    assert bookworm.service("django-app-log-retention.timer").is_running
    assert [path for path in passwords if not bookworm.file(path).exists] == []
    assert "SECURITY_PAGE" in bookworm.file(settings).content_string
    assert "ALERTMANAGER" in bookworm.file(settings).content_string
    assert "03:30" in bookworm.check_output("systemctl show django-app-log-retention.timer --property=TimersCalendar")


def test_old_files_go_to_an_archive_and_come_back(bookworm, run_playbook):
    archive, logs = "/srv/archive", "/var/log/django-app"
    bookworm.check_output(f"install --directory --owner=django-app --group=django-app --mode=0750 {archive}")
    run = run_playbook(limit=HOST, variables={"django_logging_archive": archive})
    assert not run.failed, run.output
    line = '{"@timestamp": "\'$(date -u -d "400 days ago" +%FT%TZ)\'", "number": 1}'
    bookworm.check_output("runuser -u django-app -- sh -c %s", f"echo '{line}' > {logs}/security.log-20200101")
    bookworm.check_output("systemctl start django-app-log-retention.service")
    assert not bookworm.file(f"{logs}/security.log-20200101").exists
    archived = f"{archive}/archive/{HOST}/security/security.log-20200101.gz"
    assert bookworm.file(archived).mode == 0o640
    settings = "set -a; . /etc/django-app/logging.env; . /etc/django-app/logging/archive.env"
    command = f"{settings}; exec /opt/django-app/venv/bin/logbastion"
    bookworm.check_output("runuser -u django-app -- sh -c %s", f"{command} verify")
    bookworm.check_output("runuser -u django-app -- sh -c %s", f"{command} restore security.log-20200101")
    assert "number" in bookworm.check_output(f"zcat {logs}/security.log-20200101.gz")
    # An archive that is not mounted does not keep the other files from being looked after.
    bookworm.check_output(f"mv {archive} {archive}.away")
    assert bookworm.run("systemctl start django-app-log-retention.service").rc != 0
    assert "the file system" in bookworm.check_output("journalctl --unit=django-app-log-retention --lines=20")
    bookworm.check_output(f"mv {archive}.away {archive} && systemctl start django-app-log-retention.service")
    run = run_playbook(limit=HOST)
    assert not run.failed, run.output
    assert "LOGBASTION_ARCHIVE" not in bookworm.file("/etc/django-app/logging/archive.env").content_string


def test_misspelt_variable_is_refused(run_playbook):
    run = run_playbook(limit=HOST, variables={"django_logging_enviroment": "lab"})
    assert run.failed
    assert "knows no variable django_logging_enviroment." in run.sentences
    assert run.changed == 0


def test_keys_of_pseudonyms_that_were_added_stay(bookworm, run_playbook):
    path = "/etc/django-app/logging/pseudonym-keys"
    added = f"from logbastion.pseudonym_keys import add_key; add_key('{path}')"
    bookworm.check_output(f'/opt/django-app/venv/bin/python -c "{added}"')
    bookworm.check_output(f"sed -i '1i # ours' {path}")
    keys = bookworm.file(path).content_string
    assert len(keys.splitlines()) == 4  # two keys, the comment, and the note that the first is not used any more
    bookworm.check_output(f"chown django-app {path} && chmod 0600 {path}")
    run = run_playbook("-v", "--diff", limit=HOST)
    assert not run.failed, run.output
    file = bookworm.file(path)
    assert (file.content_string, file.user, file.group, file.mode) == (keys, "root", "django-app", 0o640)
    secrets = [line.split()[1] for line in keys.splitlines() if not line.startswith("#")]
    assert len(secrets) == 2
    assert [key for key in secrets if key in run.output] == []


def test_file_without_a_key_gets_a_sentence_and_is_left_alone(bookworm, run_playbook):
    path = "/etc/django-app/logging/pseudonym-keys"
    bookworm.check_output(f"mv {path} {path}.kept && echo '# no key' > {path}")
    run = run_playbook(limit=HOST)
    assert run.failed
    assert f"{path} has no key." in run.sentences
    assert bookworm.file(path).content_string == "# no key\n"
    bookworm.check_output(f"rm {path}")
    assert run_playbook("--check", limit=HOST).changed == 1


def test_another_run_puts_everything_back_and_shows_no_secret(bookworm, run_playbook):
    path = "/etc/django-app/logging/pseudonym-keys"
    token = bookworm.file("/etc/django-app/logging/metrics_token").content_string
    run = run_playbook("-v", "--diff", limit=HOST)
    assert not run.failed, run.output
    (key,) = bookworm.file(path).content_string.splitlines()
    assert key in bookworm.file(f"{path}.kept").content_string
    bookworm.check_output(f"rm {path}.kept")
    assert [secret for secret in (key.split()[1], token.strip(), "PRIVATE KEY-----") if secret in run.output] == []
    assert run_playbook(limit=HOST).changed == 0

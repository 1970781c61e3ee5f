"""What the role leaves: an Alertmanager that answers over TLS to those who know the password, and tells a receiver."""

import pytest
from service_over_tls import ServiceOverTls, wait_for


def test_it_answers_over_tls_with_its_password_only(alertmanager):
    assert alertmanager.get("/-/ready").status_code == 200
    assert alertmanager.get_without_credentials("/api/v2/alerts").status_code == 401
    assert alertmanager.get("/api/v2/alerts", auth=("alertmanager", "wrong")).status_code == 401
    assert not alertmanager.answers_in_clear()


def test_nothing_else_listens_also_no_cluster_port(host):
    ports = {line.split()[3].rpartition(":")[2] for line in host.check_output("ss -ltnH").splitlines()}
    assert ports == {"9093"}
    assert ":9094" not in host.check_output("ss -lunH")


def test_alert_reaches_the_receiver_with_its_secret_once(alertmanager, received, inventory_name):
    labels = {"alertname": "TryOut", "severity": "warning", "service": "django", "job": inventory_name}
    assert alertmanager.post("/api/v2/alerts", [{"labels": labels}]).status_code == 200
    wait_for(lambda: received.webhooks("/team", inventory_name))
    (message,) = (message for message in received.all("/team") if message["body"]["commonLabels"] == labels)
    assert message["authorization"] == "Bearer not-a-real-secret"
    assert [alert["labels"] for alert in message["body"]["alerts"]] == [labels]


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/etc/prometheus-alertmanager", 0o750),
        ("/etc/prometheus-alertmanager/alertmanager.yml", 0o640),
        ("/etc/prometheus-alertmanager/web.yml", 0o640),
        ("/etc/prometheus-alertmanager/secrets/webhook", 0o640),
        ("/etc/prometheus-alertmanager/certs/host.key", 0o640),
    ],
)
def test_modes_and_owners(host, path, mode):
    file = host.file(path)
    assert (file.mode, file.user, file.group) == (mode, "root", "prometheus")


def test_it_survives_a_restart_and_a_kill_and_keeps_its_silences(host, alertmanager):
    silence = {
        "matchers": [{"name": "alertname", "value": "Kept", "isRegex": False, "isEqual": True}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z", "createdBy": "test", "comment": "test",
    }  # fmt: skip
    identifier = alertmanager.post("/api/v2/silences", silence).json()["silenceID"]
    host.run_expect([0], "systemctl restart prometheus-alertmanager")
    wait_for(lambda: alertmanager.get("/-/ready").status_code == 200)
    before = host.check_output("systemctl show --property MainPID --value prometheus-alertmanager")
    host.run_expect([0], "systemctl kill --signal KILL prometheus-alertmanager")
    wait_for(
        lambda: (
            host.check_output("systemctl show --property MainPID --value prometheus-alertmanager") not in {before, "0"}
        )
    )
    wait_for(lambda: alertmanager.get("/-/ready").status_code == 200)
    assert alertmanager.get(f"/api/v2/silence/{identifier}").json()["status"]["state"] == "active"


def test_applications_have_a_password_of_their_own(alertmanager, secrets_directory, inventory_name, password):
    own = (secrets_directory / "passwords/alertmanager_incidents").read_text().strip()
    assert own != password
    application = ServiceOverTls(inventory_name, 9093, alertmanager.authority, ("incidents", own))
    labels = {"alertname": "Incident", "incident": "payment_failure", "job": f"incidents-{inventory_name}"}
    alert = {"labels": labels, "endsAt": "2100-01-01T00:00:00Z"}
    assert application.post("/api/v2/alerts", [alert]).status_code == 200
    known = alertmanager.get("/api/v2/alerts").json()
    assert [one["labels"] for one in known if one["labels"].get("job") == labels["job"]] == [labels]
    for wrong in (("incidents", password), ("alertmanager", own)):
        assert alertmanager.get("/api/v2/alerts", auth=wrong).status_code == 401


def test_sandbox_is_in_force(host):
    assert host.run("systemd-analyze security --threshold=30 prometheus-alertmanager.service").rc == 0


def test_quiet_hours_mute_warnings_and_a_secret_that_is_no_longer_given_is_removed(
    run_playbook, host, alertmanager, received, inventory_name
):
    def post(name, severity, job="quiet"):
        labels = {"alertname": name, "severity": severity, "service": "django", "job": f"{job}-{inventory_name}"}
        alertmanager.post("/api/v2/alerts", [{"labels": labels, "endsAt": "2100-01-01T00:00:00Z"}])

    names = ["team", "pager", "payments", "people"]
    other = {
        "receivers": [{"name": name, "webhook_configs": [{"url": f"http://127.0.0.1:9099/{name}"}]} for name in names],
        "secrets": {},
        "quiet_hours": [{"start": "00:00", "end": "24:00"}],
    }
    variables = {f"alertmanager_{name}": value for name, value in other.items()}
    changed = run_playbook(limit=inventory_name, variables=variables)
    assert not changed.failed, changed.output
    assert not host.file("/etc/prometheus-alertmanager/secrets/webhook").exists
    post("Muted", "warning")
    # Nothing is muted that is not a warning; posted later, it shows that the warning has had its time.
    post("Other", "info", "other")
    post("Urgent", "critical", "urgent")
    wait_for(lambda: received.webhooks("/pager", f"urgent-{inventory_name}"))
    wait_for(lambda: received.webhooks("/team", f"other-{inventory_name}"))
    assert received.webhooks("/team", f"quiet-{inventory_name}") == []

    back = run_playbook(limit=inventory_name)
    assert not back.failed, back.output
    assert host.file("/etc/prometheus-alertmanager/secrets/webhook").exists
    # The quiet hours are over: what still fires is told.
    wait_for(lambda: received.webhooks("/team", f"quiet-{inventory_name}") == [("firing", ["Muted"])])


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"alertmanager_recievers": []}, "The role alertmanager knows no variable alertmanager_recievers"),
        (
            {
                "alertmanager_receivers": [
                    {"name": name, "webhook_configs": [{"uri": "x"}]}
                    for name in ("team", "pager", "payments", "people")
                ]
            },
            "field uri not found",
        ),
    ],
)
def test_wrong_variable_is_refused_with_a_sentence(run_playbook, variables, sentence):
    run = run_playbook(limit="alertmanager-bookworm", variables=variables)
    assert run.failed
    assert sentence in run.sentences
    assert run.changed == 0


def test_what_cannot_work_or_is_unsafe_is_refused_before_anything_is_changed(assert_each_is_refused):
    def only(kind, **options):
        return [{"name": "team", f"{kind}_configs": [options]}]

    cases = {
        "one user for both": ({"incidents_user": "alertmanager"}, "must be another one than alertmanager_web_user"),
        "nobody": ({"receivers": []}, "nobody would hear of an alert"),
        "stranger": (
            {"critical_receiver": "someone"},
            "someone must be names in alertmanager_receivers (team, nobody)",
        ),
        "stranger of a service": ({"service_receivers": {"payments": {"critical": "x"}}}, "x must be names in"),
        "severity": ({"service_receivers": {"payments": {"criticl": "team"}}}, "under `critical` and `warning`"),
        "secret": ({"receivers": only("pagerduty", routing_key="hidden")}, "name its file in routing_key_file"),
        "file": (
            {"receivers": only("slack", api_url_file="/etc/prometheus-alertmanager/secrets/chat")},
            "alertmanager_secrets has no 'chat'",
        ),
        "too new": ({"receivers": only("webhook", url_file="/etc/url")}, "unknown to Alertmanager 0.25"),
        "everywhere": ({"inhibit_rules": [{"source_matchers": ['severity="critical"']}]}, "has no `equal`"),
        "hours": ({"quiet_hours": [{"start": "7:00", "end": "8:00"}]}, 'two different times as "22:00", in quotes'),
        "none of these": ({"quiet_hours": [{"start": "22:00", "end": "07:00"}]}, "done"),
    }
    run = assert_each_is_refused(cases, "alertmanager-bookworm")
    assert "hidden" not in run.output

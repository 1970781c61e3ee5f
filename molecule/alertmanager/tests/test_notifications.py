"""Who is told of what, by a real Alertmanager: routes, grouping, inhibition, and what each message says."""

import email
import email.policy
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from service_over_tls import wait_for

ROOT = Path(__file__).resolve().parents[3]
CONFIGURATION = "/etc/prometheus-alertmanager/alertmanager.yml"
LONG_AGO, FAR_AWAY = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


def alert(name, job, severity, service=None, **more):
    labels = {"alertname": name, "job": job, "severity": severity, **more}
    return {"labels": labels | ({"service": service} if service else {}), "startsAt": LONG_AGO, "endsAt": FAR_AWAY}


def over(alert):
    return alert | {"endsAt": "2020-01-01T00:00:01Z"}


@pytest.mark.parametrize(
    ("receiver", "labels"),
    [
        ("pager", "severity=critical service=django"),
        ("team", "severity=warning service=django"),
        ("team", "severity=info service=django"),
        ("payments", "severity=critical service=payments"),
        ("team", "severity=warning service=payments"),
        ("pager", "severity=critical service=security"),
        ("team", "severity=warning service=security"),
        ("people", "severity=critical service=payments audience=people"),
        ("nobody", "severity=none service=monitoring"),
    ],
)
def test_route(host, receiver, labels):
    host.run_expect(
        [0], f"amtool config routes test --config.file={CONFIGURATION} --verify.receivers={receiver} {labels}"
    )


def test_linter_finds_nothing_to_say(host, tmp_path):
    configuration = tmp_path / "alertmanager.yml"
    configuration.write_text(host.file(CONFIGURATION).content_string)
    # What nobody shall hear of goes to a receiver without an integration; the secrets' files are on the host.
    command = [
        "amlint",
        "check",
        "--strict",
        "--ignore",
        "empty-receiver",
        "--rules",
        f"{ROOT}/alertmanager/rules/*.yml",
    ]
    done = subprocess.run([*command, configuration], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_outage_is_one_message_and_its_end_is_told(alertmanager, received):
    job = "outage"
    alerts = [alert(f"Outage{number}", job, "critical", f"service{number}") for number in range(1, 4)]
    alertmanager.post("/api/v2/alerts", alerts)
    wait_for(lambda: received.webhooks("/pager", job))
    alertmanager.post("/api/v2/alerts", [over(alert) for alert in alerts])
    wait_for(lambda: len(received.webhooks("/pager", job)) > 1)
    names = ["Outage1", "Outage2", "Outage3"]
    assert received.webhooks("/pager", job) == [("firing", names), ("resolved", names)]
    assert received.all("/pager")[0]["body"]["groupLabels"] == {"job": job}


def test_breach_is_not_part_of_the_outage(alertmanager, received):
    job = "attack"
    alerts = [alert("Down", job, "critical", "django"), alert("SecurityBreach", job, "critical", "security")]
    alertmanager.post("/api/v2/alerts", alerts)
    wait_for(lambda: len(received.webhooks("/pager", job)) == 2)
    assert sorted(received.webhooks("/pager", job)) == [("firing", ["Down"]), ("firing", ["SecurityBreach"])]


@pytest.mark.parametrize(
    ("job", "source", "target"),
    [
        (
            "severity",
            alert("Source", "severity", "critical", "django"),
            alert("Target", "severity", "warning", "django"),
        ),
        (
            "target",
            alert("TargetDown", "target", "warning", "monitoring", instance="web1:443"),
            alert("SpoolFilling", "target", "warning", "pipeline", instance="web1:443"),
        ),
        (
            "breach",
            alert("SecurityBreach", "breach", "critical", "security"),
            alert("AuthenticationFailureSpike", "breach", "warning", "accounts"),
        ),
    ],
    ids=["severity", "target", "breach"],
)
def test_consequence_is_silent_and_what_is_alike_is_told(alertmanager, received, job, source, target):
    path = "/pager" if source["labels"]["severity"] == "critical" else "/team"
    alertmanager.post("/api/v2/alerts", [source])
    wait_for(lambda: received.webhooks(path, job))
    # The same alert of another application is no consequence. Posted last and told, it shows that the first one has had its time.
    elsewhere = {**target, "labels": {**target["labels"], "job": f"{job}-elsewhere"}}
    alertmanager.post("/api/v2/alerts", [target])
    alertmanager.post("/api/v2/alerts", [elsewhere])
    wait_for(lambda: received.webhooks("/team", f"{job}-elsewhere"))
    names = [name for _, names in received.webhooks("/team", job) for name in names]
    assert target["labels"]["alertname"] not in names
    states = {
        found["labels"]["alertname"]: found["status"]["state"]
        for found in alertmanager.get("/api/v2/alerts").json()
        if found["labels"]["job"] == job
    }
    assert states[target["labels"]["alertname"]] == "suppressed"


def test_label_that_both_lack_does_not_inhibit(alertmanager, received):
    """Alertmanager alone would take it for equal (prometheus/alertmanager#1727)."""
    job = "no-service"
    alertmanager.post("/api/v2/alerts", [alert("Source", job, "critical")])
    wait_for(lambda: received.webhooks("/pager", job))
    alertmanager.post("/api/v2/alerts", [alert("Target", job, "warning")])
    wait_for(lambda: received.webhooks("/team", job) == [("firing", ["Target"])])


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.names, self.links = set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.links += [value for name, value in attrs if name == "href"]


HOSTILE = "<script>x</script> & <!channel> \"'`{{ . }}\r\nSubject: other\r\n.\r\n\u202eend"
HARMLESS = "<script>x</script> & <!channel> \"'`{{ . }} Subject: other . end"
RUNBOOK, DASHBOARD = "https://prometheus.example.org/r?a=1&b=2", "https://prometheus.example.org/d?g0.expr=up%3C1"
TITLE = "[CRITICAL] payments: PaymentSystemDown at people, 1 firing"


def test_message_can_be_acted_on_and_nothing_in_it_breaks_its_markup(alertmanager, received):
    annotations = {"summary": HOSTILE, "description": "7 a_b *c*", "runbook_url": RUNBOOK, "dashboard_url": DASHBOARD}
    down = alert("PaymentSystemDown", "people", "critical", "payments", audience="people")
    alertmanager.post("/api/v2/alerts", [down | {"annotations": annotations}])
    paths = ["/mail", "/slack", "/pagerduty", "/opsgenie/v2/alerts"]
    wait_for(lambda: all(received.all(path) for path in paths))
    mail, slack, pagerduty, opsgenie = [received.all(path)[0]["body"] for path in paths]
    text = f"{HARMLESS}\n7 a_b *c*\nSince: 2020-01-01 00:00 UTC\nRunbook: {RUNBOOK}\nDashboard: {DASHBOARD}"

    message = email.message_from_string(mail, policy=email.policy.default)
    assert message.get_all("Subject") == [TITLE]
    assert message.get_body(("plain",)).get_content().replace("\r\n", "\n").strip() == text
    html = message.get_body(("html",)).get_content()
    tags = Tags(html)
    assert tags.names <= {"html", "head", "meta", "title", "body", "h1", "div", "p", "strong", "a"}
    assert tags.links[:2] == [RUNBOOK, DASHBOARD]
    assert "&lt;script&gt;" in html

    (attachment,) = slack["attachments"]
    assert attachment["title"] == TITLE
    assert attachment["color"] == "danger"
    assert attachment["mrkdwn_in"] == ["pretext"]
    assert "&lt;!channel&gt;" in attachment["text"]
    assert "<!" not in attachment["text"]
    assert f"<{RUNBOOK.replace('&', '&amp;')}|Runbook>\n<{DASHBOARD}|Dashboard>" in attachment["text"]

    assert pagerduty["routing_key"] == "not-a-real-routing-key"
    assert pagerduty["payload"]["summary"] == TITLE
    assert pagerduty["payload"]["severity"] == "critical"
    assert pagerduty["payload"]["custom_details"]["alerts"].strip() == text

    assert received.all("/opsgenie/v2/alerts")[0]["authorization"] == "GenieKey not-a-real-api-key"
    assert (opsgenie["message"], opsgenie["priority"]) == (TITLE, "P1")
    assert opsgenie["description"].strip() == text

"""What the role leaves: a Prometheus that answers over TLS to those who know the password, with rules that were tested."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from service_over_tls import ServiceOverTls, wait_for

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def password(secrets_directory):
    return (secrets_directory / "passwords/prometheus_web").read_text().strip()


@pytest.fixture
def prometheus(inventory_name, secrets_directory, password):
    return ServiceOverTls(inventory_name, 9090, secrets_directory / "certificates/ca/ca.crt", ("prometheus", password))


def test_it_answers_over_tls_with_its_password_only(prometheus):
    assert prometheus.get("/-/ready").status_code == 200
    assert prometheus.get_without_credentials("/-/ready").status_code == 401
    assert prometheus.get("/metrics", auth=("prometheus", "wrong")).status_code == 401
    assert not prometheus.answers_in_clear()


def test_nothing_else_listens(host):
    ports = {line.split()[3].rpartition(":")[2] for line in host.check_output("ss -ltnH").splitlines()}
    assert ports == {"9090"}


def test_servers_scrape_each_other_with_tls_and_password(prometheus):
    def healthy():
        targets = prometheus.get("/api/v1/targets").json()["data"]["activeTargets"]
        return {
            target["labels"]["instance"]
            for target in targets
            if target["labels"]["job"] == "prometheus" and target["health"] == "up"
        }

    wait_for(lambda: healthy() == {"prometheus-bookworm:9090", "prometheus-trixie:9090"})


def test_rules_are_loaded_and_the_watchdog_fires(prometheus):
    groups = {group["name"]: group for group in prometheus.get("/api/v1/rules").json()["data"]["groups"]}
    assert groups.keys() >= {
        "aprende_comigo_recordings",
        "aprende_comigo_alerts",
        "burn_rates",
        "detection_alerts",
        "monitoring_alerts",
        "pipeline_alerts",
    }
    names = {rule["name"] for rule in groups["aprende_comigo_alerts"]["rules"]}
    assert names >= {"HighErrorRate", "SecurityBreach", "PaymentSystemDown", "SlowPerformance"}
    wait_for(
        lambda: any(
            alert["labels"]["alertname"] == "Watchdog"
            for alert in prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
        )
    )


def test_an_alert_points_to_a_runbook_that_is_served(prometheus):
    alerts = prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
    address = next(a["annotations"]["runbook_url"] for a in alerts if a["labels"]["alertname"] == "Watchdog")
    path = urlsplit(address).path
    assert address == f"https://{prometheus.host}:9090{path}"
    answer = prometheus.get(path)
    assert answer.status_code == 200
    assert answer.text == (ROOT / "alertmanager/runbooks/Watchdog.md").read_text()


def row(text, panel, series):
    """Return the number that a page says of a series; None without one."""
    section = re.search(rf'<section id="{panel}".*?</section>', text, re.DOTALL)[0]
    found = re.search(rf'<th scope="row">{re.escape(series)} ?</th><td>(.*?)</td>', section)
    return found and found[1]


def test_pages_are_served_with_their_numbers(prometheus):
    # The panel is the one that the dashboard_url of the Watchdog leads to, and Prometheus is what this scenario has to show.
    wait_for(lambda: row(prometheus.get("/consoles/index.html").text, "targets", "job=prometheus") == "100%")
    overview = prometheus.get("/consoles/index.html").text
    assert row(overview, "targets", "job=django") == "0%"
    assert re.fullmatch(r"\d+", row(overview, "alerts", "all"))
    assert "the Watchdog does not fire" not in overview


@pytest.mark.parametrize("page", ["requests", "security", "pipeline"])
def test_page_of_an_application_that_is_not_there_says_so(prometheus, page):
    answer = prometheus.get(f"/consoles/{page}.html")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    panels = answer.text.count("<section ")
    assert panels >= 5
    assert answer.text.count("No data now.") == panels


def test_what_the_pages_need_is_served_and_linked_to(prometheus):
    assert prometheus.get("/consoles/plots.js").text == (ROOT / "alertmanager/consoles/plots.js").read_text()
    # The menu of Prometheus' own pages, which Debian 13's package has not.
    if prometheus.host == "prometheus-bookworm":
        assert "/consoles/index.html" in prometheus.get("/graph").text
    alerts = prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
    address = next(a["annotations"]["dashboard_url"] for a in alerts if a["labels"]["alertname"] == "Watchdog")
    assert address == f"https://{prometheus.host}:9090/consoles/index.html#alerts"
    assert prometheus.get_without_credentials("/consoles/index.html").status_code == 401


def test_this_prometheus_has_the_metrics_that_its_alerts_read(prometheus):
    asking = [ROOT / "alertmanager/rules/monitoring_alerts.yml", ROOT / "alertmanager/pages.yml"]
    read = set(re.findall(r"\bprometheus_\w+", "".join(path.read_text() for path in asking)))
    assert read
    exported = set(re.findall(r"^# TYPE (\w+)", prometheus.get("/metrics").text, re.MULTILINE))
    assert read <= exported


@pytest.mark.parametrize("tests", ["tests/*.yml", "tests/guide/guide_counterexample.yml"])
def test_rules_pass_their_tests_on_this_prometheus(host, tests):
    place = host.check_output("mktemp -d")
    try:
        for path in sorted((ROOT / "alertmanager").rglob("*.yml")):
            relative = path.relative_to(ROOT / "alertmanager")
            host.run_expect([0], f"mkdir -p {place}/{relative.parent}")
            host.run_expect([0], f"cat > {place}/{relative} <<'END_OF_RULES'\n{path.read_text()}\nEND_OF_RULES")
        result = host.run(f"cd {place} && promtool test rules {tests}")
        assert result.rc == 0, result.stdout + result.stderr
        assert result.stdout.count("SUCCESS") == len(list((ROOT / "alertmanager").glob(tests)))
    finally:
        host.run(f"rm -r {place}")


@pytest.mark.parametrize(
    ("path", "mode", "group"),
    [
        ("/etc/prometheus/web.yml", 0o640, "prometheus"),
        ("/etc/prometheus/prometheus.yml", 0o640, "prometheus"),
        ("/etc/prometheus/secrets", 0o750, "prometheus"),
        ("/etc/prometheus/secrets/web_password", 0o640, "prometheus"),
        ("/etc/prometheus/secrets/django_token", 0o640, "prometheus"),
        ("/etc/prometheus/certs/host.key", 0o640, "prometheus"),
    ],
)
def test_modes_and_owners(host, path, mode, group):
    file = host.file(path)
    assert (file.mode, file.user, file.group) == (mode, "root", group)


def test_it_survives_a_restart_and_a_kill(host, prometheus):
    host.run_expect([0], "systemctl restart prometheus")
    wait_for(lambda: prometheus.get("/-/ready").status_code == 200)
    before = host.check_output("systemctl show --property MainPID --value prometheus")
    host.run_expect([0], "systemctl kill --signal KILL prometheus")
    wait_for(lambda: host.check_output("systemctl show --property MainPID --value prometheus") not in {before, "0"})
    wait_for(lambda: prometheus.get("/-/ready").status_code == 200)


def test_password_is_nowhere_but_in_its_file(host, password):
    found = host.run(f"grep -rlF {password} /etc /var/log /run 2>/dev/null").stdout.split()
    assert found == ["/etc/prometheus/secrets/web_password"]
    assert password not in host.check_output("journalctl --no-pager")


def test_sandbox_is_in_force(host):
    assert host.run("systemd-analyze security --threshold=30 prometheus.service").rc == 0


def test_broken_rule_is_refused_and_the_old_ones_stay(tmp_path, run_playbook, host, inventory_name):
    (tmp_path / "recordings.yml").write_text("groups: [{name: x, rules: [{alert: X, expr: 'sum('}]}]\n")
    before = host.check_output("sha256sum /etc/prometheus/rules.d/recordings.yml")
    run = run_playbook(limit=inventory_name, variables={"prometheus_rules_directory": str(tmp_path)})
    assert run.failed
    assert "could not parse expression" in run.sentences
    assert host.check_output("sha256sum /etc/prometheus/rules.d/recordings.yml") == before


def test_broken_page_is_told_of(tmp_path, run_playbook):
    (tmp_path / "broken.html").write_text('{{ template "missing" }}')
    run = run_playbook(limit="prometheus-trixie", variables={"prometheus_pages_directory": str(tmp_path)})
    assert run.failed
    assert "Prometheus on prometheus-trixie cannot show broken.html (status 500):" in run.sentences


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"prometheus_scrape_interval": "often"}, "prometheus_scrape_interval is 'often'. Give a number with s or m"),
        ({"prometheus_prot": 9091}, "The role prometheus knows no variable prometheus_prot"),
        ({"prometheus_port": 99999}, "must be ports between 1 and 65535"),
        ({"prometheus_alertmanagers": []}, "nobody would hear of an alert"),
        ({"prometheus_rules_directory": "/nowhere"}, "has no *.yml on the control node"),
    ],
)
def test_wrong_variable_is_refused_with_a_sentence(run_playbook, variables, sentence):
    run = run_playbook(limit="prometheus-bookworm", variables=variables)
    assert run.failed
    assert sentence in run.sentences
    assert run.changed == 0

"""What the role puts onto a host. The package is a stand-in: what Logstash does with it is for `make test-ingest` against a real one."""

import json
import ssl

import pytest
import requests
import yaml
from logstash_pipeline_parser import Pipeline
from service_over_tls import ServiceOverTls, wait_for

from lab import hosts
from tests.ingest.client import Credentials, IngestClient

SERVICE = "logstash"
PORTS = (5959, 5044, 8080)
API_KEY = "identifier:key-of-the-scenario"  # inventory.yml


def keystore(host):
    return json.loads(host.file("/etc/logstash/logstash.keystore").content_string)["entries"]


def setting(host, name):
    return host.check_output(f"systemctl show --value --property={name} {SERVICE}")


def test_package_is_the_stand_in_that_it_says_it_is(host):
    assert "STAND-IN" in host.check_output("dpkg-query --show --showformat='${Description}' logstash")


def test_modes_and_owners(host):
    expected = {
        "/etc/default/logstash-keystore": ("root", "root", 0o600),
        "/etc/logstash/logstash.keystore": ("root", "logstash", 0o640),
        "/etc/logstash/logstash.keystore.sum": ("root", "root", 0o600),
        "/etc/logstash/logstash.yml": ("root", "logstash", 0o640),
        "/etc/logstash/pipelines.yml": ("root", "logstash", 0o640),
        "/etc/logstash/metrics.json": ("root", "logstash", 0o640),
        "/etc/logstash/conf.d": ("root", "logstash", 0o750),
        "/etc/logstash/conf.d/ingest.conf": ("root", "logstash", 0o640),
        "/etc/logstash/conf.d/dead_letters.conf": ("root", "logstash", 0o640),
        "/etc/logstash/certs/host.key": ("root", "logstash", 0o640),
        "/var/lib/logstash": ("logstash", "logstash", 0o750),
        "/var/log/logstash": ("logstash", "logstash", 0o750),
    }
    found = {path: (host.file(path).user, host.file(path).group, host.file(path).mode) for path in expected}
    assert found == expected
    assert not host.file("/etc/logstash/keystore.new").exists


def test_secrets_are_in_the_keystore_and_where_else_they_must_be(host, secret):
    assert keystore(host) == {"ES_API_KEY": API_KEY, "API_PASSWORD": secret("logstash_api")}
    for value, places in (
        (API_KEY, ["/etc/logstash/logstash.keystore"]),
        (secret("logstash_api"), ["/etc/logstash/logstash.keystore", "/etc/logstash/metrics.json"]),
        (secret("logstash_keystore"), ["/etc/default/logstash-keystore"]),
        (secret("ingest_metrics"), []),
    ):
        found = host.run("grep --recursive --files-with-matches --fixed-strings -- %s /etc /usr/local", value)
        assert sorted(found.stdout.split()) == places


def encoded(identifier, key):
    return requests.auth._basic_auth_str(identifier, key).removeprefix("Basic ")


def test_settings(host, inventory_name):
    settings = yaml.safe_load(host.file("/etc/logstash/logstash.yml").content_string)
    sizes = settings.pop("dead_letter_queue.max_bytes")
    assert sizes.endswith("mb")
    assert 64 <= int(sizes[:-2]) <= 1024
    assert settings == {
        "node.name": inventory_name,
        "path.data": "/var/lib/logstash",
        "path.logs": "/var/log/logstash",
        "config.reload.automatic": True,
        "config.reload.interval": "3s",
        "pipeline.ecs_compatibility": "v8",
        "pipeline.unsafe_shutdown": True,
        "queue.type": "persisted",
        "queue.drain": False,
        "queue.checkpoint.writes": 1,
        "dead_letter_queue.enable": True,
        "dead_letter_queue.storage_policy": "drop_newer",
        "dead_letter_queue.retain.age": "90d",
        "api.enabled": True,
        "api.http.host": "127.0.0.1",
        "api.http.port": 9600,
        "api.auth.type": "basic",
        "api.auth.basic.username": "logstash",
        "api.auth.basic.password": "${API_PASSWORD}",
    }
    pipelines = yaml.safe_load(host.file("/etc/logstash/pipelines.yml").content_string)
    assert {each["pipeline.id"]: (each["queue.type"], each["queue.max_bytes"]) for each in pipelines} == {
        "ingest": ("persisted", "256mb"),
        "dead_letters": ("persisted", "128mb"),
    }
    for each in pipelines:
        assert Pipeline(host.file(each["path.config"]).content_string).parse()
    assert "logger.logbastion_json_lines.level = error" in host.file("/etc/logstash/log4j2.properties").content_string


def test_unit(host):
    assert setting(host, "TimeoutStopUSec") == "3s"
    assert setting(host, "Restart") == "always"
    assert "LS_JAVA_OPTS=-Xms" in setting(host, "Environment")
    assert setting(host, "UnitFileState") == "enabled"
    exposure = host.run(f"systemd-analyze security --no-pager --threshold=45 {SERVICE}")
    assert exposure.rc == 0, exposure.stdout


def test_dead_letters_have_an_end(host):
    assert (
        "/var/log/logstash/dead-letters - - - m:90d"
        in host.file("/etc/tmpfiles.d/logbastion-logstash-dead-letters.conf").content_string
    )
    host.check_output("logrotate --debug /etc/logrotate.d/logbastion-logstash-dead-letters")
    for timer in ("logrotate.timer", "systemd-tmpfiles-clean.timer"):
        assert host.check_output(f"systemctl is-active {timer}") == "active"


@pytest.mark.parametrize("port", PORTS)
def test_input_wants_a_certificate_and_new_tls(ingest, port):
    one = IngestClient(ingest.name, ingest.credentials, address=ingest.address, port=port)
    with one.connect(one.context()) as connection:
        connection.sendall(b"{}\n")
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        one.connect(one.context(Credentials(one.credentials.authority))) as connection,
    ):
        connection.recv(1)
    old = one.context()
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        one.connect(old)


def test_api_is_for_this_host_and_with_a_password(host, secret):
    addresses = host.check_output("ss --no-header --listening --tcp --numeric 'sport = :9600'").split()
    assert [each for each in addresses if each.endswith(":9600")] == ["127.0.0.1:9600"]
    ask = "import sys, urllib.request as r; print(r.urlopen(r.Request('http://127.0.0.1:9600/_node/pipelines', headers={'Authorization': 'Basic ' + sys.argv[1]})).status)"
    right = encoded("logstash", secret("logstash_api"))
    assert host.check_output("python3 -c %s %s", ask, right) == "200"
    assert "401" in host.run("python3 -c %s %s", ask, encoded("logstash", "wrong")).stderr


def test_metrics_are_told_over_tls_with_the_password_only(host, inventory_name, secret, secrets_directory):
    authority = secrets_directory / "certificates/ca/ca.crt"
    metrics = ServiceOverTls(inventory_name, 5960, authority, ("prometheus", secret("ingest_metrics")))
    text = metrics.get("/metrics").text
    assert "logbastion_logstash_up 1.0" in text
    assert "logbastion_ingest_queue_events 3.0" in text
    assert metrics.get("/metrics", auth=("prometheus", "wrong")).status_code == 401
    assert metrics.get_without_credentials("/metrics").status_code == 401
    assert not metrics.answers_in_clear()
    exposure = host.run("systemd-analyze security --no-pager --threshold=35 logbastion-logstash-metrics")
    assert exposure.rc == 0, exposure.stdout


def test_stop_that_is_stuck_is_ended(host, ingest):
    host.check_output("touch /var/lib/logstash/hang")
    host.check_output(f"systemctl stop {SERVICE}")
    assert setting(host, "Result") == "timeout"
    host.check_output("rm /var/lib/logstash/hang")
    host.check_output(f"systemctl start {SERVICE}")
    ingest.wait_until_listening()


def test_wrong_pipeline_is_refused_by_the_check_and_says_why(host):
    host.check_output("printf 'input {' > /tmp/wrong.conf")
    check = "python3 -I /usr/local/lib/logbastion-logstash/check_pipeline.py"
    wrong = host.run(f"{check} /tmp/wrong.conf")
    assert wrong.rc == 1
    assert "Expected one of" in wrong.stderr
    assert host.run(f"{check} /etc/logstash/conf.d/ingest.conf").rc == 0
    assert host.check_output("find /tmp -name 'logstash-check-*'") == ""


def test_new_certificate_needs_no_restart_and_a_new_secret_one(run_playbook):
    host = "logstash-trixie"

    def process():
        return hosts.execute(host, "systemctl", "show", "--value", "--property=MainPID", SERVICE).strip()

    before = process()
    run = run_playbook(limit=host, variables={"certificates_extra_names": ["other.example.org"]})
    assert not run.failed, run.output
    assert process() == before
    names = "openssl s_client -connect localhost:5959 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName"
    wait_for(lambda: "other.example.org" in hosts.execute(host, "sh", "-c", names))
    changed = {"certificates_extra_names": ["other.example.org"], "logstash_keystore_entries": {"MY_SECRET": "abc"}}
    run = run_playbook(limit=host, variables=changed)
    assert not run.failed, run.output
    assert process() != before
    entries = json.loads(hosts.execute(host, "cat", "/etc/logstash/logstash.keystore"))["entries"]
    assert entries["MY_SECRET"] == "abc"
    assert "abc" not in run.output


def test_wrong_variables_get_a_sentence_and_change_nothing(run_playbook):
    for variables, sentence in (
        ({"logstash_prot": 5959}, "knows no variable logstash_prot"),
        ({"logstash_http_port": 80}, "Give ports from 1024 to 65535"),
        ({"logstash_queue_maximum_size": "900000g"}, "Only "),
    ):
        run = run_playbook(playbook="refusals.yml", limit="logstash-trixie", variables=variables)
        assert run.failed
        assert sentence in run.sentences
        assert run.changed == 0

"""What the role puts onto a host, and what it makes in a real Elasticsearch. Kibana's package is a stand-in: what Kibana does with it was not tried."""

import json
import socket
import ssl

import pytest
import yaml
from service_over_tls import wait_for
from stand_in_client import StandInForKibana

from lab import hosts

SERVICE = "kibana"
OWN = "/etc/kibana"


def setting(host, name):
    return host.check_output(f"systemctl show --value --property={name} {SERVICE}")


def keystore(host):
    return json.loads(host.file(f"{OWN}/kibana.keystore").content_string)["entries"]


def test_package_is_the_stand_in_that_it_says_it_is(host):
    assert "STAND-IN" in host.check_output("dpkg-query --show --showformat='${Description}' kibana")


def test_modes_and_owners(host):
    expected = {
        OWN: ("root", "kibana", 0o2750),
        f"{OWN}/kibana.yml": ("root", "kibana", 0o640),
        f"{OWN}/kibana.keystore": ("root", "kibana", 0o640),
        f"{OWN}/kibana.keystore.sum": ("root", "root", 0o600),
        f"{OWN}/certs": ("root", "kibana", 0o750),
        f"{OWN}/certs/host.key": ("root", "kibana", 0o640),
        "/var/lib/kibana": ("kibana", "kibana", 0o2750),
        "/var/lib/kibana/stand-in.json": ("kibana", "kibana", 0o640),
        "/var/lib/logbastion-kibana": ("root", "root", 0o700),
        "/var/lib/logbastion-kibana/saved_objects.json": ("root", "root", 0o600),
    }
    found = {path: (host.file(path).user, host.file(path).group, host.file(path).mode & 0o7777) for path in expected}
    assert found == expected
    assert not host.file(f"{OWN}/keystore.new").exists


def test_secrets_are_in_the_keystore_and_nowhere_else(host, inventory_name, secret):
    entries = {
        "elasticsearch.serviceAccountToken": secret(f"kibana_service_token.{inventory_name}"),
        "xpack.security.encryptionKey": secret("kibana_session_key"),
        "xpack.encryptedSavedObjects.encryptionKey": secret("kibana_saved_objects_key"),
        "xpack.reporting.encryptionKey": secret("kibana_reporting_key"),
    }
    assert keystore(host) == entries
    assert len(set(entries.values())) == len(entries)
    for value in entries.values():
        found = host.run(
            "grep --recursive --files-with-matches --fixed-strings -- %s /etc /usr/local /var/lib/kibana", value
        )
        assert found.stdout.split() == [f"{OWN}/kibana.keystore"]
    for value in (secret("elastic"), secret("kibana_user.ada")):
        found = host.run(
            "grep --recursive --files-with-matches --fixed-strings -- %s /etc/kibana /usr/local /var/lib/kibana", value
        )
        assert found.stdout == ""


def test_settings(host, inventory_name):
    settings = yaml.safe_load(host.file(f"{OWN}/kibana.yml").content_string)
    assert settings == {
        "server.name": inventory_name,
        "server.host": "0.0.0.0",  # noqa: S104
        "server.port": 5601,
        "server.publicBaseUrl": f"https://{inventory_name}:5601",
        "server.ssl.enabled": True,
        "server.ssl.certificate": f"{OWN}/certs/host.crt",
        "server.ssl.key": f"{OWN}/certs/host.key",
        "server.ssl.supportedProtocols": ["TLSv1.3", "TLSv1.2"],
        "server.securityResponseHeaders.disableEmbedding": True,
        "server.shutdownTimeout": "3s",
        "elasticsearch.hosts": [f"https://{inventory_name}:9200"],
        "elasticsearch.ssl.certificateAuthorities": [f"{OWN}/certs/ca.crt"],
        "elasticsearch.ssl.verificationMode": "full",
        "xpack.security.authc.providers.basic.basic1.order": 0,
        "status.allowAnonymous": False,
        "xpack.security.sameSiteCookies": "Lax",
        "xpack.security.session.idleTimeout": "1h",
        "xpack.security.session.lifespan": "12h",
        "xpack.security.session.cleanupInterval": "1h",
        "xpack.security.loginAssistanceMessage": "Members of the school only.",
        "telemetry.optIn": False,
        "telemetry.allowChangingOptInStatus": False,
        "newsfeed.enabled": False,
        "map.includeElasticMapsService": False,
        "path.data": "/var/lib/kibana",
        "logging.root.level": "info",
        "logging.root.appenders": ["default"],
    }
    assert "max-old-space-size" not in host.file(f"{OWN}/node.options").content_string


def test_unit(host):
    assert setting(host, "Restart") == "always"
    assert setting(host, "UnitFileState") == "enabled"
    exposure = host.run(f"systemd-analyze security --no-pager --threshold=45 {SERVICE}")
    assert exposure.rc == 0, exposure.stdout
    assert "a stand-in for Kibana listens" in host.check_output(f"journalctl --no-pager --output=cat --unit={SERVICE}")


def test_only_new_tls_and_never_without_a_password(kibana):
    assert not kibana.answers_in_clear()
    assert kibana.get("/api/spaces/space").status_code == 200
    assert kibana.get_without_credentials("/api/spaces/space").status_code == 401
    assert kibana.get("/api/spaces/space", auth=("elastic", "wrong")).status_code == 401
    old = ssl.create_default_context(cafile=kibana.authority)
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((kibana.address, 5601), timeout=10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain, server_hostname=kibana.host)


def test_space_data_views_dashboards_and_searches_are_there(kibana):
    assert kibana.get("/api/spaces/space/school").json()["name"] == "School"
    found = kibana.objects()
    assert found["index-pattern:logs-django.application"]["attributes"]["title"] == "logs-django.application-*"
    assert found["dashboard:logbastion-sample"]["attributes"]["title"] == "Sample"
    assert len(found) == 4


def test_people_log_in_with_their_first_password_and_the_role_of_the_inventory(elasticsearch, secret):
    for name, role in (
        ("ada", "log_developer"),
        ("grace", "log_operator"),
        ("mary", "log_security_officer"),
        ("ruth", "log_privacy_officer"),
    ):
        found = elasticsearch("/_security/_authenticate", auth=(name, secret(f"kibana_user.{name}")))
        assert found.json()["roles"] == [role]


def test_service_account_token_is_one_of_elasticsearch(elasticsearch, inventory_name, secret):
    token = secret(f"kibana_service_token.{inventory_name}")
    found = elasticsearch("/_security/_authenticate", headers={"Authorization": f"Bearer {token}"})
    assert found.json()["username"] == "elastic/kibana"


def test_what_somebody_changed_is_told_by_check_and_put_back(run_playbook, secrets_directory, secret):
    # On one host: a run takes most of a minute.
    name = "kibana-trixie"
    kibana = StandInForKibana(name, 5601, secrets_directory / "certificates/ca/ca.crt", ("elastic", secret("elastic")))
    before = kibana.objects()["dashboard:logbastion-sample"]
    changed = {**before, "attributes": {**before["attributes"], "title": "Changed by hand"}}
    form = {"file": ("changed.ndjson", json.dumps(changed))}
    answer = kibana.send("POST", "/s/school/api/saved_objects/_import?overwrite=true", files=form)
    assert answer.json()["success"] is True, answer.text
    told = run_playbook("--check", "--diff", playbook="kibana.yml", limit=name)
    assert not told.failed, told.output
    assert "Changed by hand" in told.output
    assert kibana.objects()["dashboard:logbastion-sample"]["attributes"]["title"] == "Changed by hand"
    run = run_playbook(playbook="kibana.yml", limit=name)
    assert not run.failed, run.output
    assert run.changed == 1, run.output
    assert kibana.objects()["dashboard:logbastion-sample"]["attributes"]["title"] == "Sample"


def test_misspelt_variable_is_refused(run_playbook):
    run = run_playbook(playbook="kibana.yml", limit="kibana-trixie", variables={"kibana_prot": 5601})
    assert run.failed
    assert "knows no variable kibana_prot." in run.sentences
    assert run.changed == 0


def test_new_certificate_and_new_secret_restart_it_and_no_secret_is_shown(run_playbook, secret):
    name = "kibana-trixie"

    def process():
        return hosts.execute(name, "systemctl", "show", "--value", "--property=MainPID", SERVICE).strip()

    before = process()
    changed = {
        "kibana_keystore_entries": {"my.secret": "12345678901234567890"},
        "certificates_extra_names": ["other.example.org"],
        "kibana_heap_size": "1g",
    }
    run = run_playbook("-v", playbook="kibana.yml", limit=name, variables=changed)
    assert not run.failed, run.output
    assert process() != before
    assert "--max-old-space-size=1024" in hosts.execute(name, "cat", f"{OWN}/node.options").splitlines()
    # A text that looks like a number stays a text.
    entries = json.loads(hosts.execute(name, "cat", f"{OWN}/kibana.keystore"))["entries"]
    assert entries["my.secret"] == "12345678901234567890"
    secrets = [
        "12345678901234567890",
        secret("elastic"),
        secret("kibana_session_key"),
        secret(f"kibana_service_token.{name}"),
    ]
    assert [each for each in secrets if each in run.output] == []
    names = "openssl s_client -connect localhost:5601 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName"
    wait_for(lambda: "other.example.org" in hosts.execute(name, "sh", "-c", names))


def test_what_cannot_be_done_gets_a_sentence(assert_each_is_refused):
    cases = {
        "nothing": ({}, "done"),
        "low port": ({"port": 443}, "kibana_port is 443. Give a port from 1024 to 65535"),
        "taken port": ({"port": 9200}, "Port 9200 is in use by another program"),
        "clear text": ({"public_url": "http://logs.example.org"}, "Give the address at which people open Kibana"),
        "slash": ({"public_url": "https://logs.example.org/"}, "without a slash at its end"),
        "no end": ({"session_lifespan": "0"}, "sessions without an end are not possible"),
        "short key": ({"session_key": "short"}, "is shorter than 32 characters"),
        "telemetry": ({"settings": {"telemetry.optIn": True}}, "kibana_settings repeats telemetry.optIn"),
        "anonymous": (
            {"settings": {"xpack.security.authc.providers.anonymous.anonymous1.order": 1}},
            "lets people in without a password",
        ),
        "own secret": (
            {"keystore_entries": {"xpack.security.encryptionKey": "x"}},
            "kibana_keystore_entries repeats xpack.security.encryptionKey",
        ),
        "program": ({"users": [{"name": "log_writer", "roles": []}]}, "which are users of programs"),
        "path": ({"users": [{"name": "../ada", "roles": []}]}, "Correct ../ada"),
        "twice": ({"users": [{"name": "ada", "roles": []}] * 2}, "A name stands twice in kibana_users"),
        "space": ({"space": "Our School"}, "small letters, digits, _ and - only"),
        "memory": ({"heap_size": "100m"}, "Give a whole number with m or g, 512m or more"),
        "nowhere": ({"elasticsearch_urls": []}, "It must name at least one Elasticsearch node"),
    }
    run = assert_each_is_refused(cases, "kibana-trixie")
    # The file with the answers.
    assert run.changed == 1

"""The API key that the role logstash has made: once, and for creating events only."""

import requests

from lab import hosts


def test_key_is_made_once_and_may_create_events_and_nothing_else(run_playbook, inventory_name, secrets_directory):
    run = run_playbook(playbook="logstash_key.yml", limit=inventory_name)
    assert (run.failed, run.changed) == (False, 2), run.output
    kept = secrets_directory / f"passwords/logstash_api_key.{inventory_name}"
    assert kept.stat().st_mode & 0o777 == 0o600
    identifier, _, key = kept.read_text().strip().partition(":")
    assert key
    assert key not in run.output
    again = run_playbook(playbook="logstash_key.yml", limit=inventory_name)
    assert (again.failed, again.changed) == (False, 0), again.output

    asked = [
        {"names": ["logs-django.audit-x"], "privileges": ["create_doc", "auto_configure", "read", "index", "delete"]},
        {"names": ["logs-other-x"], "privileges": ["create_doc"]},
    ]
    answer = requests.post(
        f"https://{hosts.address(inventory_name)}:9200/_security/user/_has_privileges",
        json={"index": asked, "cluster": ["monitor", "manage_security"]},
        headers={"Authorization": "ApiKey " + requests.auth._basic_auth_str(identifier, key).removeprefix("Basic ")},
        verify=str(secrets_directory / "certificates/ca/ca.crt"),
        timeout=30,
    ).json()
    assert answer["cluster"] == {"monitor": True, "manage_security": False}
    assert {name for name, may in answer["index"]["logs-django.audit-x"].items() if may} == {
        "create_doc", "auto_configure",
    }  # fmt: skip
    assert answer["index"]["logs-other-x"] == {"create_doc": False}

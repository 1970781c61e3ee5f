"""Running the role again: what was changed by hand is found, shown in check mode, and put right, with no password in sight."""

import json
import uuid
from pathlib import Path

import pytest

HOST = "log-store-bookworm"
PLAYBOOK = "load.yml"
ELK_TEMPLATES = Path(__file__).resolve().parents[3] / "elk_templates"
OURS = "/_component_template/logbastion-event"


@pytest.fixture(scope="module", params=[HOST])
def inventory_name(request):
    """One host is enough here: what differs between the two is in the other files."""
    return request.param


def stored(store):
    template = store.call("GET", OURS).json()["component_templates"][0]["component_template"]
    return {key: value for key, value in template.items() if not key.endswith(("_date", "_date_millis"))}


def test_what_differs_is_shown_then_put_right_and_the_streams_begin_a_new_index(store, run_playbook, secrets_directory):
    stream = f"logs-django.application-{uuid.uuid4().hex}"
    first = {"@timestamp": "2026-11-23T10:00:00Z", "event": {"id": "before"}}
    store.create(stream, first)
    right = stored(store)

    changed = json.loads(json.dumps(right))
    changed["template"]["mappings"]["properties"]["level"] = {"type": "text"}
    assert store.call("PUT", OURS, changed).status_code == 200
    assert (
        store.call(
            "PUT", "/_security/user/log_reader", {"roles": ["superuser"], "password": "changed-by-hand"}
        ).status_code
        == 200
    )

    shown = run_playbook("--check", "--diff", "-v", playbook=PLAYBOOK, limit=HOST)
    assert not shown.failed, shown.output
    assert "component_template logbastion-event" in shown.output
    assert "user log_reader" in shown.output
    assert stored(store) == changed

    done = run_playbook("--diff", "-v", playbook=PLAYBOOK, limit=HOST)
    assert not done.failed, done.output
    assert stored(store) == right
    assert store.call("GET", "/_security/_authenticate", user="log_reader").json()["roles"] == ["log_reader"]
    assert stream in done.output

    store.create(stream, {"@timestamp": "2026-11-23T10:00:01Z", "event": {"id": "after"}})
    assert len(store.call("GET", f"/{stream}/_settings").json()) == 2
    assert store.ids(stream, {"match_all": {}}) == ["after", "before"]

    for file in (secrets_directory / "passwords").iterdir():
        assert file.read_text().strip() not in shown.output + done.output


def test_a_template_that_would_win_is_refused_with_its_cure(store, run_playbook):
    rival = {"index_patterns": ["logs-django.audit-*"], "priority": 900, "data_stream": {}}
    assert store.call("PUT", "/_index_template/rival", rival).status_code == 200
    try:
        run = run_playbook(playbook=PLAYBOOK, limit=HOST)
    finally:
        assert store.call("DELETE", "/_index_template/rival").status_code == 200
    assert run.failed
    assert (
        "New indices of logs-django.audit-* would not get the fields of the template logs-django.audit" in run.sentences
    )
    assert "higher priority than 250" in run.sentences


def test_what_a_distribution_without_lifecycle_management_refuses_is_left_out_and_named(store, run_playbook):
    run = run_playbook(playbook=PLAYBOOK, limit=HOST)
    assert not run.failed, run.output
    assert run.changed == 0
    said = " ".join(run.output.split())
    assert "Nothing in it is ever deleted" in said
    for name in (
        "ilm_policy logs-django.audit",
        "component_template logs-django.debug@lifecycle",
        "slm_policy logs-django.security",
    ):
        assert name in said
    assert store.call("GET", "/_component_template/logs-django.audit@lifecycle").status_code == 404


def test_a_snapshot_as_the_policies_ask_for_holds_the_streams(store):
    name = f"logs-django.audit-{uuid.uuid4().hex}"
    store.create(name, {"@timestamp": "2026-11-23T10:00:00Z", "event": {"id": "kept"}})
    policy = json.loads((ELK_TEMPLATES / "slm_policies/logs-django.audit.json").read_text())
    snapshot = f"/_snapshot/{policy['repository']}/{uuid.uuid4().hex}"
    answer = store.call("PUT", f"{snapshot}?wait_for_completion=true", policy["config"])
    assert answer.status_code == 200, answer.text
    try:
        taken = answer.json()["snapshot"]
        assert (taken["state"], taken["shards"]["failed"]) == ("SUCCESS", 0)
        assert name in taken["data_streams"]
        assert {stream.partition("-")[2].partition("-")[0] for stream in taken["data_streams"]} == {"django.audit"}
    finally:
        assert store.call("DELETE", snapshot).status_code == 200


def test_a_snapshot_repository_that_was_changed_by_hand_is_put_right(store, run_playbook):
    right = store.call("GET", "/_snapshot/logbastion").json()["logbastion"]["settings"]
    other = {"type": "fs", "settings": {"location": "/var/log/elasticsearch/snapshots", "compress": False}}
    assert store.call("PUT", "/_snapshot/logbastion", other).status_code == 200
    run = run_playbook(playbook=PLAYBOOK, limit=HOST)
    assert not run.failed, run.output
    assert run.changed == 1
    assert store.call("GET", "/_snapshot/logbastion").json()["logbastion"]["settings"] == right


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"log_store_url": f"http://{HOST}:9200"}, "Give https, a name and a port"),
        ({"log_store_ulr": "https://x:9200"}, "knows no variable log_store_ulr. Correct the spelling"),
        (
            {"log_store_snapshot_repository": {"location": "/srv"}},
            "log_store_snapshot_repository needs type and settings",
        ),
        ({"log_store_elastic_password": "not the password"}, "as elastic was refused with status 401"),
        ({"log_store_authority_file": "/etc/ssl/certs/ca-certificates.crt"}, "gave no usable answer"),
    ],
)
def test_wrong_input_gets_a_sentence(run_playbook, variables, sentence):
    run = run_playbook(playbook=PLAYBOOK, limit=HOST, variables=variables)
    assert run.failed
    assert run.changed == 0
    assert sentence in run.sentences

"""The module's comparison and its order of work, against a stand-in for Elasticsearch; the real one is in molecule/log_store."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROLE = Path(__file__).resolve().parents[1]
TEMPLATES = ROLE.parents[1] / "elk_templates"
KINDS = {
    "ilm_policies": "ilm_policy",
    "component_templates": "component_template",
    "index_templates": "index_template",
    "security_roles": "role",
    "slm_policies": "slm_policy",
}


def imported(name, file):
    """Import as Ansible does: a role's module_utils are part of ansible.module_utils."""
    spec = importlib.util.spec_from_file_location(name, ROLE / file)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


store_objects = imported("ansible.module_utils.store_objects", "module_utils/store_objects.py")
log_store = imported("log_store", "library/log_store.py")


REPOSITORY = {
    "kind": "snapshot_repository",
    "name": "logbastion",
    "body": {"type": "fs", "settings": {"location": "/srv/snapshots", "compress": True}},
}


def own_objects():
    return [REPOSITORY] + [
        {"kind": kind, "name": file.stem, "body": json.loads(file.read_text())}
        for directory, kind in KINDS.items()
        for file in sorted((TEMPLATES / directory).glob("*.json"))
    ]


class StandIn(log_store.Api):
    """Keeps what it is given, as words where Elasticsearch does, and notes every call that writes."""

    def __init__(self):
        super().__init__("https://stand-in:9200", "/ca.crt", "elastic", "", 1)
        self.stored, self.users, self.writes, self.streams = {}, {}, [], []
        self.winner = None
        self.features = {"ilm", "slm"}

    def call(self, method, path, body=None, auth=None):
        if path == "/_security/_authenticate":
            name, password = auth
            if self.users.get(name, {}).get("password") != password:
                raise log_store.ApiError("refused", 401)
            return {"roles": self.users[name]["roles"]}
        if path.endswith("/status"):
            if path.split("/")[1].lstrip("_") not in self.features:
                raise log_store.ApiError(f"GET {path} was refused: Incorrect HTTP method for uri [{path}]", 405)
            return {"operation_mode": "RUNNING"}
        if method == "GET" and path.startswith("/_resolve/index/"):
            return {"data_streams": [{"name": name} for name in self.streams]}
        if "_simulate_index" in path:
            return {"template": {"mappings": {"properties": self.properties()}}}
        if method == "GET":
            return self.read(path)
        self.writes.append((method, path))
        name = path.rsplit("/", 1)[1]
        if path.startswith("/_security/user/"):
            self.users[name] = body
        elif method == "PUT":
            self.stored[path] = json.loads(json.dumps(body))
        return {}

    def read(self, path):
        name = path.rsplit("/", 1)[1]
        store = self.users if path.startswith("/_security/user/") else self.stored
        key = name if store is self.users else path
        if key not in store:
            raise log_store.ApiError("not there", 404)
        if path.startswith("/_security/"):
            return {name: {**store[key], "transient_metadata": {"enabled": True}, "applications": []}}
        if path.startswith(("/_ilm/", "/_slm/")):
            policy = store[key].get("policy", store[key])
            return {name: {"version": 1, "modified_date": 1, "policy": policy}}
        if path.startswith("/_snapshot/"):
            return {
                name: {**store[key], "uuid": "x", "settings": store_objects.flat_settings(store[key]["settings"], "")}
            }
        kind = path.split("/")[1].lstrip("_")
        return {f"{kind}s": [{"name": name, kind: {**store[key], "created_date_millis": 1}}]}

    def properties(self):
        if self.winner is not None:
            return self.winner
        return self.stored["/_component_template/logbastion-event"]["template"]["mappings"]["properties"]


@pytest.fixture
def api():
    return StandIn()


def parameters(**changed):
    users = [{"name": "log_writer", "password": "first", "roles": ["log_writer"]}]
    return {"objects": own_objects(), "users": users, "roll_over": True} | changed


def test_a_bare_elasticsearch_gets_everything_components_first(api):
    result = log_store.load(api, parameters(), check=False)
    kinds = [label.split()[0] for label in result["written"]]
    assert kinds == [
        *["snapshot_repository"] + ["ilm_policy"] * 5 + ["component_template"] * 7 + ["index_template"] * 5,
        *["role"] * 5 + ["slm_policy"] * 4 + ["user"],
    ]
    assert len(api.writes) == len(kinds)


def test_a_second_run_writes_nothing(api):
    log_store.load(api, parameters(), check=False)
    api.writes.clear()
    assert log_store.load(api, parameters(), check=False)["changed"] is False
    assert api.writes == []


def test_check_mode_says_the_same_and_writes_nothing(api):
    said = log_store.load(api, parameters(), check=True)["written"]
    assert api.writes == []
    assert said == log_store.load(api, parameters(), check=False)["written"]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["template"]["mappings"]["properties"].pop("ecs"),
        lambda body: body["template"]["mappings"]["properties"].update(more={"type": "keyword"}),
        lambda body: body["template"]["mappings"]["properties"]["level"].update(ignore_above=5),
        lambda body: body["template"].update(settings={"index": {"number_of_shards": 2}}),
        lambda body: body.update(version=99),
        lambda body: body["_meta"].pop("reasons"),
    ],
)
def test_any_change_on_the_server_is_found_and_undone(api, change):
    log_store.load(api, parameters(), check=False)
    wanted = json.dumps(api.stored, sort_keys=True)
    change(api.stored["/_component_template/logbastion-event"])
    assert log_store.load(api, parameters(), check=False)["written"] == ["component_template logbastion-event"]
    assert json.dumps(api.stored, sort_keys=True) == wanted


def test_only_streams_whose_template_changed_begin_a_new_index(api):
    log_store.load(api, parameters(), check=False)
    api.streams = ["logs-django.audit-lab"]
    assert log_store.load(api, parameters(), check=False)["rolled_over"] == []
    api.stored["/_component_template/logbastion-event"]["version"] = 0
    api.writes.clear()
    assert log_store.load(api, parameters(), check=False)["rolled_over"] == ["logs-django.audit-lab"]
    assert ("POST", "/logs-django.audit-lab/_rollover") in api.writes
    api.stored["/_component_template/logbastion-event"]["version"] = 0
    api.writes.clear()
    assert log_store.load(api, parameters(roll_over=False), check=False)["rolled_over"] == []
    assert not any("_rollover" in path for _, path in api.writes)


def test_a_users_password_and_roles_are_compared_and_never_shown(api):
    log_store.load(api, parameters(), check=False)
    other = [{"name": "log_writer", "password": "second", "roles": ["log_writer"]}]
    result = log_store.load(api, parameters(users=other), check=False)
    assert result["written"] == ["user log_writer"]
    assert "second" not in json.dumps(result)
    assert api.users["log_writer"]["password"] == "second"
    api.users["log_writer"]["roles"] = ["superuser"]
    assert log_store.load(api, parameters(users=other), check=False)["diff"]["before"] == {
        "user log_writer": {"roles": ["superuser"], "password": "as given"}
    }


def person(**changed):
    return {
        "name": "ada",
        "password": "the first one",
        "roles": ["log_developer"],
        "update_password": "on_create",
    } | changed


def test_a_persons_password_is_set_once_and_roles_are_put_back(api):
    log_store.load(api, parameters(users=[person()]), check=False)
    assert api.users["ada"]["password"] == "the first one"
    api.users["ada"] |= {"password": "her own", "full_name": "Ada", "enabled": False, "metadata": {}}
    result = log_store.load(api, parameters(users=[person(password="another")]), check=False)
    assert result["changed"] is False
    wider = person(roles=["log_developer", "log_operator"])
    assert log_store.load(api, parameters(users=[wider]), check=True)["written"] == ["user ada"]
    assert log_store.load(api, parameters(users=[wider]), check=False)["written"] == ["user ada"]
    # No password: Elasticsearch keeps the one that a user has.
    assert api.users["ada"] == {
        "roles": ["log_developer", "log_operator"],
        "full_name": "Ada",
        "enabled": False,
        "metadata": {},
    }


def test_a_template_that_wins_over_ours_is_an_error(api):
    api.winner = {"@timestamp": {"type": "date"}}
    with pytest.raises(log_store.ApiError, match="higher priority"):
        log_store.load(api, parameters(), check=False)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"index": {"mapping": {"total_fields": {"limit": 250}}}}, {"index.mapping.total_fields.limit": "250"}),
        ({"codec": "best_compression"}, {"index": {"codec": "best_compression"}}),
        ({"index": {"hidden": True}}, {"index": {"hidden": "true"}}),
        ({"index": {"query": {"default_field": ["a", "b"]}}}, {"index.query.default_field": ["a", "b"]}),
    ],
)
def test_settings_mean_the_same_in_every_spelling(ours, theirs):
    assert store_objects.flat_settings(ours) == store_objects.flat_settings(theirs)


def test_settings_that_differ_stay_different():
    assert store_objects.flat_settings({"index": {"codec": "default"}}) != store_objects.flat_settings(
        {"codec": "best_compression"}
    )
    assert store_objects.flat_settings({"x": ["a", "b"]}) != store_objects.flat_settings({"x": ["b", "a"]})


def test_privileges_that_were_added_by_hand_are_found():
    ours = {"cluster": [], "indices": [{"names": ["a"], "privileges": ["read"]}]}
    assert store_objects.normal("role", ours) == store_objects.normal(
        "role", {**ours, "run_as": [], "transient_metadata": {}}
    )
    assert store_objects.normal("role", ours) != store_objects.normal("role", {**ours, "run_as": ["elastic"]})
    wider = {**ours, "indices": [{**ours["indices"][0], "allow_restricted_indices": True}]}
    assert store_objects.normal("role", ours) != store_objects.normal("role", wider)


def test_without_ilm_and_slm_the_rest_is_loaded_and_what_is_left_out_is_named(api):
    api.features = set()
    result = log_store.load(api, parameters(), check=False)
    assert [label.split()[0] for label in result["left_out"]] == [
        *["ilm_policy"] * 5 + ["component_template"] * 5 + ["slm_policy"] * 4
    ]
    assert not any("lifecycle" in path or "_ilm" in path or "_slm" in path for _, path in api.writes)
    assert "/_component_template/logbastion-event" in api.stored
    assert log_store.load(api, parameters(), check=False)["changed"] is False


def test_streams_begin_a_new_index_when_they_get_a_retention_policy(api):
    api.features = set()
    log_store.load(api, parameters(), check=False)
    api.features, api.streams = {"ilm", "slm"}, ["logs-django.audit-lab"]
    assert log_store.load(api, parameters(), check=False)["rolled_over"] == ["logs-django.audit-lab"]


def test_another_refusal_is_not_taken_for_a_missing_feature(api, monkeypatch):
    refused = log_store.ApiError("GET /_ilm/status was refused with status 403", 403)

    def refuse(*_):
        raise refused

    monkeypatch.setattr(api, "call", refuse)
    with pytest.raises(log_store.ApiError, match="403"):
        api.has("ilm")


def changed(path, name, **changes):
    return lambda stored: stored[f"{path}{name}"].get("policy", stored[f"{path}{name}"]).update(changes)


@pytest.mark.parametrize(
    ("change", "label"),
    [
        (changed("/_ilm/policy/", "logs-django.debug", phases={}), "ilm_policy logs-django.debug"),
        (changed("/_slm/policy/", "logs-django.audit", schedule="0 0 0 1 1 ?"), "slm_policy logs-django.audit"),
        (changed("/_snapshot/", "logbastion", type="s3"), "snapshot_repository logbastion"),
        (changed("/_snapshot/", "logbastion", settings={"location": "/tmp"}), "snapshot_repository logbastion"),
    ],
)
def test_a_changed_policy_or_repository_is_found(api, change, label):
    log_store.load(api, parameters(), check=False)
    change(api.stored)
    assert log_store.load(api, parameters(), check=False)["written"] == [label]


def test_what_elasticsearch_leaves_out_of_a_policy_is_its_default():
    short = {"policy": {"phases": {"hot": {"actions": {}}, "delete": {"min_age": "6d", "actions": {"delete": {}}}}}}
    long = {
        "phases": {
            "hot": {"min_age": "0ms", "actions": {}},
            "delete": {"min_age": "6d", "actions": {"delete": {"delete_searchable_snapshot": True}}},
        }
    }
    assert store_objects.normal("ilm_policy", short) == store_objects.normal("ilm_policy", long)

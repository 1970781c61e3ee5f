"""The module's comparison and its order of work, against a stand-in for Elasticsearch; the real one is in molecule/log_store."""

import importlib.util
import json
from pathlib import Path

import pytest

ROLE = Path(__file__).resolve().parents[1]
TEMPLATES = ROLE.parents[1] / "elk_templates"
KINDS = {"component_templates": "component_template", "index_templates": "index_template", "security_roles": "role"}

_spec = importlib.util.spec_from_file_location("log_store", ROLE / "library/log_store.py")
log_store = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(log_store)


def own_objects():
    return [
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

    def call(self, method, path, body=None, auth=None):
        if path == "/_security/_authenticate":
            name, password = auth
            if self.users.get(name, {}).get("password") != password:
                raise log_store.ApiError("refused", 401)
            return {"roles": self.users[name]["roles"]}
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
    assert kinds == ["component_template"] * 2 + ["index_template"] * 5 + ["role"] * 3 + ["user"]
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
    assert log_store.flat_settings(ours) == log_store.flat_settings(theirs)


def test_settings_that_differ_stay_different():
    assert log_store.flat_settings({"index": {"codec": "default"}}) != log_store.flat_settings(
        {"codec": "best_compression"}
    )
    assert log_store.flat_settings({"x": ["a", "b"]}) != log_store.flat_settings({"x": ["b", "a"]})


def test_privileges_that_were_added_by_hand_are_found():
    ours = {"cluster": [], "indices": [{"names": ["a"], "privileges": ["read"]}]}
    assert log_store.normal("role", ours) == log_store.normal("role", {**ours, "run_as": [], "transient_metadata": {}})
    assert log_store.normal("role", ours) != log_store.normal("role", {**ours, "run_as": ["elastic"]})
    wider = {**ours, "indices": [{**ours["indices"][0], "allow_restricted_indices": True}]}
    assert log_store.normal("role", ours) != log_store.normal("role", wider)

"""The module against the scenario's stand-in for Kibana, over TLS. What a real Kibana does was read in its sources, not tried."""

import copy
import json
import subprocess
import sys

import pytest
from kibana_parts import PASSWORD, ROLE, kibana_content

SAMPLES = ROLE.parents[1] / "molecule/kibana/saved_objects"
SPACE = {"id": "school", "name": "School"}


BUILT = ROLE.parents[1] / "elk_templates/dashboards/built"


def samples(directory=SAMPLES):
    lines = [line for file in sorted(directory.glob("*.ndjson")) for line in file.read_text().split("\n") if line]
    return [json.loads(line) for line in lines]


def parameters(**changed):
    return {"space": SPACE, "saved_objects": samples()} | changed


def bring(kibana, memory, check=False, **changed):
    return kibana_content.bring(kibana, parameters(**changed), memory, check=check)


LABELS = [
    "space school",
    "index-pattern:logs-django.application",
    "index-pattern:logs-django.security",
    "dashboard:logbastion-sample",
    "search:logbastion-sample-search",
]


def test_a_bare_kibana_gets_the_space_and_everything(kibana, stand_in):
    memory = {}
    assert bring(kibana, memory)["written"] == LABELS
    assert stand_in.spaces["school"]["name"] == "School"
    assert sorted(stand_in.objects) == sorted(f"school/{label}" for label in LABELS[1:])
    assert sorted(memory) == sorted(LABELS[1:])


def test_the_projects_own_dashboards_are_loaded_once_and_refer_to_what_is_there(kibana, stand_in):
    """Those of elk_templates/dashboards/built, which the role brings when nothing else is given."""
    own, memory = samples(BUILT), {}
    assert len(own) > 8
    written = bring(kibana, memory, saved_objects=own)["written"]
    assert sorted(written[1:]) == sorted(f"{thing['type']}:{thing['id']}" for thing in own)
    for thing in own:
        stored = stand_in.find("school", f"{thing['type']}:{thing['id']}")
        assert kibana_content.normal(stored)["attributes"].keys() == kibana_content.normal(thing)["attributes"].keys()
        for reference in stored["references"]:
            assert f"school/{reference['type']}:{reference['id']}" in stand_in.objects, (thing["id"], reference)
    writes = stand_in.writes
    assert bring(kibana, memory, saved_objects=own)["changed"] is False
    assert stand_in.writes == writes


def test_a_second_run_writes_nothing_although_kibana_has_migrated_a_dashboard(kibana, stand_in):
    memory = {}
    bring(kibana, memory)
    writes = stand_in.writes
    stored = stand_in.find("school", "dashboard:logbastion-sample")
    assert kibana_content.normal(stored) != kibana_content.normal(samples()[2])
    assert bring(kibana, memory) == {"changed": False, "written": [], "diff": {"before": {}, "after": {}}}
    assert stand_in.writes == writes


def test_without_its_memory_only_what_was_migrated_is_loaded_again(kibana):
    bring(kibana, {})
    assert bring(kibana, {})["written"] == ["dashboard:logbastion-sample"]


def test_check_mode_says_the_same_and_writes_nothing(kibana, stand_in):
    said = bring(kibana, {}, check=True)["written"]
    assert stand_in.writes == 0
    assert said == bring(kibana, {})["written"]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("dashboard:logbastion-sample", lambda thing: thing["attributes"].update(title="Mine")),
        ("dashboard:logbastion-sample", lambda thing: thing["attributes"].update(panelsJSON="[]")),
        ("dashboard:logbastion-sample", lambda thing: thing["attributes"].update(added="by hand")),
        ("dashboard:logbastion-sample", lambda thing: thing["references"].pop()),
        ("index-pattern:logs-django.security", lambda thing: thing["attributes"].update(title="*")),
        ("search:logbastion-sample-search", lambda thing: thing["attributes"].pop("columns")),
    ],
)
def test_what_somebody_changed_by_hand_is_told_and_put_back(kibana, stand_in, key, change):
    memory = {}
    bring(kibana, memory)
    before = copy.deepcopy(stand_in.find("school", key))
    change(stand_in.find("school", key))
    told = bring(kibana, memory, check=True)
    assert told["written"] == [key]
    assert told["diff"]["before"][key] != told["diff"]["after"][key]
    assert bring(kibana, memory)["written"] == [key]
    after = stand_in.find("school", key)
    assert (after["attributes"], after["references"]) == (before["attributes"], before["references"])
    assert bring(kibana, memory)["changed"] is False


@pytest.mark.parametrize(
    "name", ["coreMigrationVersion", "typeMigrationVersion", "version", "updated_at", "created_at", "managed"]
)
def test_what_is_kibanas_own_does_not_count(kibana, stand_in, name):
    memory = {}
    bring(kibana, memory)
    for thing in stand_in.objects.values():
        thing[name] = "another"
    assert bring(kibana, memory)["changed"] is False


def test_json_within_text_is_compared_by_meaning_and_references_without_order():
    thing = samples()[2]
    other = copy.deepcopy(thing)
    other["attributes"]["optionsJSON"] = ' {"useMargins":true}'.strip()
    other["references"].reverse()
    assert kibana_content.normal(other) == kibana_content.normal(thing)
    other["attributes"]["optionsJSON"] = '{"useMargins":false}'
    assert kibana_content.normal(other) != kibana_content.normal(thing)


def test_only_what_differs_is_sent(kibana, stand_in):
    memory = {}
    bring(kibana, memory)
    times = {key: thing["updated_at"] for key, thing in stand_in.objects.items()}
    changed = samples()
    changed[1]["attributes"]["name"] = "Security"
    assert bring(kibana, memory, saved_objects=changed)["written"] == ["index-pattern:logs-django.security"]
    assert [key for key, thing in stand_in.objects.items() if thing["updated_at"] != times[key]] == [
        "school/index-pattern:logs-django.security"
    ]


def test_what_people_made_themselves_stays(kibana, stand_in):
    memory = {}
    bring(kibana, memory)
    stand_in.spaces["school"]["color"] = "#112233"
    stand_in.objects["school/dashboard:mine"] = {**stand_in.find("school", "dashboard:logbastion-sample"), "id": "mine"}
    assert bring(kibana, memory)["changed"] is False
    assert bring(kibana, memory, space={"id": "school", "name": "The school"})["written"] == ["space school"]
    assert stand_in.spaces["school"] == {
        "id": "school", "name": "The school", "color": "#112233", "disabledFeatures": [],
    }  # fmt: skip
    assert "school/dashboard:mine" in stand_in.objects


def test_a_reference_to_nothing_is_an_error_and_nothing_is_loaded(kibana, stand_in):
    lonely = [thing for thing in samples() if thing["type"] == "search"]
    with pytest.raises(kibana_content.KibanaError, match=r"refers to index-pattern logs-django\.application, which is"):
        bring(kibana, {}, saved_objects=lonely)
    assert stand_in.objects == {}


def test_a_type_that_kibana_does_not_have_is_an_error(kibana):
    strange = [*samples(), {"type": "canvas-of-tomorrow", "id": "x", "attributes": {}, "references": []}]
    with pytest.raises(kibana_content.KibanaError, match="canvas-of-tomorrow"):
        bring(kibana, {}, saved_objects=strange)


def test_objects_of_another_space_are_not_copied_silently(kibana):
    bring(kibana, {})
    with pytest.raises(kibana_content.KibanaError, match="Another space of this Kibana has"):
        bring(kibana, {}, space={"id": "university", "name": "University"})


def test_a_wrong_password_is_an_error_that_does_not_show_it(stand_in):
    stranger = kibana_content.Kibana(stand_in.url, str(stand_in.ca_file), "elastic", "wrong password", 10)
    with pytest.raises(kibana_content.KibanaError, match="as elastic with status 401") as refused:
        bring(stranger, {})
    assert "wrong password" not in str(refused.value)


def test_an_unknown_authority_is_not_trusted(stand_in, tmp_path):
    import trustme  # noqa: PLC0415

    other = tmp_path / "other.crt"
    trustme.CA().cert_pem.write_to_path(other)
    with pytest.raises(kibana_content.KibanaError, match="certificate verify failed"):
        bring(kibana_content.Kibana(stand_in.url, str(other), "elastic", PASSWORD, 10), {})


class Run:
    """The module as a program, as Ansible runs it on a host."""

    def __init__(self, stand_in, directory):
        self.state = directory / "saved_objects.json"
        self.arguments = {
            "url": stand_in.url, "ca_path": str(stand_in.ca_file), "username": "elastic", "password": PASSWORD, "space": SPACE,
            "saved_objects": samples(), "state_file": str(self.state),
        }  # fmt: skip

    def __call__(self, check=False, **changed):
        given = json.dumps({"ANSIBLE_MODULE_ARGS": self.arguments | changed | {"_ansible_check_mode": check}})
        program = (
            f"import runpy, sys; sys.path.insert(0, {str(ROLE / 'tests')!r}); import kibana_parts; "
            f"sys.argv = ['kibana_content', {given!r}]; kibana_parts.kibana_content.main()"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def run(stand_in, tmp_path):
    return Run(stand_in, tmp_path)


def test_the_program_keeps_its_memory_closed_and_shows_no_password(run):
    assert run(check=True)["changed"] is True
    assert not run.state.exists()
    first = run()
    assert first["written"] == LABELS
    assert run.state.stat().st_mode & 0o777 == 0o600
    assert run()["changed"] is False
    assert PASSWORD not in json.dumps(first)


def test_a_damaged_memory_costs_one_more_import_and_is_made_anew(run):
    run()
    whole = run.state.read_text()
    run.state.write_text(whole[: len(whole) // 2])
    assert run()["written"] == ["dashboard:logbastion-sample"]
    assert run()["changed"] is False
    assert json.loads(run.state.read_text()) == json.loads(whole)


def test_in_check_mode_a_kibana_that_is_not_there_yet_is_no_error(run):
    away = {"url": "https://localhost:1"}
    told = run(check=True, **away)
    assert told["changed"] is True
    assert told["written"] == LABELS
    assert "does not run yet" in json.dumps(told["warnings"])
    assert "gave no usable answer" in run(**away)["msg"]


def test_clear_text_and_doubled_objects_are_refused(run, stand_in):
    assert "is not https" in run(url="http://localhost:5601")["msg"]
    assert "search:logbastion-sample-search more than once" in run(saved_objects=[*samples(), samples()[3]])["msg"]
    assert stand_in.writes == 0

"""Wrong input gets a sentence that says what to do, and the node goes on as it was."""

import json

import pytest
import testinfra

HOST = "elasticsearch-bookworm"
CASES = {
    "not a size": ({"heap_size": "lots"}, "elasticsearch_heap_size is 'lots'. Give a whole number with m or g"),
    "too much heap": ({"heap_size": "40g"}, "gains nothing above 31g"),
    "disk": ({"minimum_free_disk": "900 TB"}, "fewer than elasticsearch_minimum_free_disk (900 TB). Free some"),
    "not a node": ({"hosts": ["elasticsearch-trixie"]}, "is not in elasticsearch_hosts"),
    "unknown name": ({"hosts": [HOST, "nowhere.invalid"]}, "put them into DNS or into /etc/hosts"),
    "repeated": ({"settings": {"http.port": 1}}, "elasticsearch_settings repeats http.port"),
    "no option": ({"jvm_options": ["UseSerialGC"]}, "has UseSerialGC. Each entry is one option of java"),
    "two in one": ({"jvm_options": ["-Da=b -Dc=d"]}, "has -Da=b -Dc=d. Each entry is one option of java"),
    "heap by option": ({"jvm_options": ["-Xmx4g"]}, "Remove that there and use elasticsearch_heap_size"),
    "port in use": ({"http_port": 9281}, "in use by another program (process, service, name)"),
}
MISSPELT = "elasticsearch_heapsize"


@pytest.fixture(scope="module")
def answers(run_playbook, tmp_path_factory):
    """What the role said to each case, after a stranger has taken port 9281."""
    host = testinfra.get_host(f"podman://logbastion-{HOST}")
    host.check_output("systemd-run --quiet --unit=stranger python3 -m http.server 9281 --bind 127.0.0.1")
    file = tmp_path_factory.mktemp("refusals") / "answers.json"
    cases = [{"name": "right"}, *({"name": name, "variables": variables} for name, (variables, _) in CASES.items())]
    cases.append({"name": "misspelt", "fact": MISSPELT})
    try:
        run = run_playbook(
            playbook="refusals.yml", limit=HOST, variables={"refusal_cases": cases, "refusal_file": str(file)}
        )
        assert not run.failed, run.output
        return json.loads(file.read_text())
    finally:
        host.check_output("systemctl stop stranger.service")


def test_right_input_is_not_refused(answers):
    assert answers["right"] == "done"


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_gets_a_sentence(answers, case):
    assert CASES[case][1] in answers[case]


def test_the_stranger_on_the_port_is_named(answers):
    assert "stranger.service python3" in answers["port in use"]


def test_a_misspelt_variable_is_named(answers):
    assert f"knows no variable {MISSPELT}. Correct the spelling" in answers["misspelt"]


def test_a_node_without_data_asks_the_others_before_it_founds_a_cluster(run_playbook):
    wiped = {"elasticsearch_data_directory": "/var/lib/nothing-here"}
    run = run_playbook("--check", "--diff", limit=HOST, variables=wiped)
    assert not run.failed, run.output
    assert '+path.data: "/var/lib/nothing-here"' in run.output
    assert "initial_master_nodes" not in run.output


def test_a_cluster_is_not_founded_without_all_of_its_nodes(run_playbook):
    nobody_knows_one = {"elasticsearch_data_directory": "/var/lib/nothing-here", "elasticsearch_http_port": 9299}
    run = run_playbook("--check", limit=HOST, variables=nobody_knows_one)
    assert run.failed
    assert "does not exist yet, and this run is without elasticsearch-trixie" in run.sentences

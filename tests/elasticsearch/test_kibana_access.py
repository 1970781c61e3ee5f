"""What the role kibana makes in Elasticsearch, made by the role's own tasks in a real one: the service account's token, roles and users, and what each may."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from lab import settings
from lab.elasticsearch_process import Node

STREAMS = ("application", "security", "audit", "performance", "debug")
PEOPLE = {
    "ada": "log_developer", "grace": "log_operator", "mary": "log_security_officer", "ruth": "log_privacy_officer",
}  # fmt: skip
READS = {
    "ada": {"application", "performance", "debug"}, "grace": {"application", "performance", "debug"}, "mary": {"security", "audit"}, "ruth": {"audit"},
}  # fmt: skip
HOSTS = ("kibana1.example.org", "kibana2.example.org")
PLAYBOOK = """
- hosts: all
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: kibana, tasks_from: "{{ part }}"}
      loop: [service_token, access]
      loop_control: {loop_var: part}
"""


@dataclass(frozen=True)
class Deployment:
    """The role's tasks for Elasticsearch, run on this machine against the node of the tests."""

    node: Node
    directory: Path

    @property
    def passwords(self) -> Path:
        return self.directory / "secrets/passwords"

    def token_file(self, host: str) -> Path:
        return self.passwords / f"kibana_service_token.{host}"

    def token(self, host: str) -> str:
        return self.token_file(host).read_text().strip()

    def run(self, *options: str, fails: bool = False, **variables: Any) -> tuple[str, int]:
        """Return what ansible-playbook printed, and how many tasks changed something."""
        given = {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "logbastion_secrets_directory": str(self.directory / "secrets"),
            "kibana_elasticsearch_urls": [self.node.url],
            "kibana_elastic_password": self.node.passwords["elastic"],
            "kibana_space": "school",
            "kibana_users": [{"name": name, "roles": [role]} for name, role in PEOPLE.items()],
            "__kibana_certificates_directory": str(self.node.directory),
        }
        playbook = self.directory / "playbook.yml"
        playbook.write_text(PLAYBOOK)
        done = subprocess.run(
            [
                "ansible-playbook",
                "--inventory",
                f"{','.join(HOSTS)},",
                "--extra-vars",
                json.dumps(given | variables),
                *options,
                str(playbook),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=settings.PROJECT_ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(settings.PROJECT_ROOT / "ansible.cfg")},
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, output
        return output, sum(int(count) for count in re.findall(r"changed=(\d+)", output))

    def ask(self, name: str, method: str, path: str, body: Any = None) -> requests.Response:
        """Ask Elasticsearch as one of the people, with the first password."""
        password = (self.passwords / f"kibana_user.{name}").read_text().strip()
        return self.node.call(method, path, body, user=name, password=password)


@pytest.fixture(scope="module")
def deployment(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    made = Deployment(node, tmp_path_factory.mktemp("kibana"))
    made.directory.joinpath("secrets").mkdir(mode=0o700)
    output, changed = made.run("-v", "--diff")
    # The tokens and their files, the directory for them, roles and users.
    assert changed == 2 * len(HOSTS) + 2, output
    secrets = [file.read_text().strip() for file in made.passwords.iterdir()]
    assert len(secrets) == len(PEOPLE) + len(HOSTS)
    assert [secret for secret in (*secrets, node.passwords["elastic"]) if secret in output] == []
    return made


def who(node: Node, token: str) -> requests.Response:
    return requests.get(
        f"{node.url}/_security/_authenticate",
        headers={"Authorization": f"Bearer {token}"},
        verify=str(node.ca_file),
        timeout=30,
    )


def test_each_host_has_a_token_of_the_service_account_in_a_closed_file(deployment):
    tokens = [deployment.token(host) for host in HOSTS]
    assert [who(deployment.node, token).json()["username"] for token in tokens] == ["elastic/kibana"] * len(HOSTS)
    assert len(set(tokens)) == len(HOSTS)
    assert {deployment.token_file(host).stat().st_mode & 0o777 for host in HOSTS} == {0o600}


def test_the_service_account_keeps_kibanas_objects_and_reads_no_stream(deployment, environment):
    def ask(method: str, path: str, body: Any = None) -> int:
        authorization = {"Authorization": f"Bearer {deployment.token(HOSTS[0])}"}
        answer = requests.request(
            method,
            f"{deployment.node.url}{path}",
            json=body,
            headers=authorization,
            verify=str(deployment.node.ca_file),
            timeout=30,
        )
        return answer.status_code

    for stream in STREAMS:
        index = f"logs-django.{stream}-{environment}"
        deployment.node.asked("POST", f"/{index}/_doc?refresh=true", {"@timestamp": "2026-01-01T00:00:00Z"})
        assert ask("GET", f"/{index}/_search") == 403, stream
        assert ask("POST", f"/{index}/_doc", {"@timestamp": "2026-01-01T00:00:00Z"}) == 403, stream
    assert ask("PUT", f"/.kibana_tests_{environment}/_doc/1", {"type": "dashboard"}) == 201


def test_second_run_changes_nothing(deployment):
    before = [deployment.token(host) for host in HOSTS]
    output, changed = deployment.run()
    assert changed == 0, output
    assert [deployment.token(host) for host in HOSTS] == before


def test_a_token_that_was_deleted_or_lost_is_made_anew_and_the_old_one_is_worth_nothing(deployment):
    tokens = "/_security/service/elastic/kibana/credential"
    old = [deployment.token(host) for host in HOSTS]
    deployment.node.asked("DELETE", f"{tokens}/token/logbastion-kibana1_example_org")
    deployment.token_file(HOSTS[1]).unlink()
    deployment.run()
    assert [who(deployment.node, token).status_code for token in old] == [401, 401]
    assert [who(deployment.node, deployment.token(host)).status_code for host in HOSTS] == [200, 200]
    found = deployment.node.asked("GET", tokens)["tokens"]
    assert sorted(found) == ["logbastion-kibana1_example_org", "logbastion-kibana2_example_org"]


def test_a_wrong_password_of_elastic_gets_a_sentence_and_changes_nothing(deployment):
    kept = deployment.token(HOSTS[0])
    deployment.token_file(HOSTS[0]).unlink()
    output, changed = deployment.run("--limit", HOSTS[0], fails=True, kibana_elastic_password="not its password")
    said = re.sub(r"\s+", " ", output)
    assert "does not let elastic make a token for Kibana (status 401" in said
    assert changed == 0
    assert who(deployment.node, kept).status_code == 200
    deployment.token_file(HOSTS[0]).write_text(f"{kept}\n")


def test_each_reads_the_streams_of_the_role_and_no_other(deployment, environment):
    for number, stream in enumerate(STREAMS):
        document = {"@timestamp": "2026-01-01T00:00:00Z", "message": f"number {number}"}
        deployment.node.asked("POST", f"/logs-django.{stream}-{environment}/_doc?refresh=true", document)
    for name, streams in READS.items():
        found = {
            stream
            for stream in STREAMS
            if deployment.ask(name, "GET", f"/logs-django.{stream}-{environment}/_search").status_code == 200
        }
        assert found == streams, name
        counted = deployment.ask(name, "GET", f"/logs-django.*-{environment}/_search").json()["hits"]["total"]["value"]
        assert counted == len(streams), name


def test_nobody_writes_deletes_or_makes_users(deployment, environment):
    index = f"logs-django.audit-{environment}"
    deployment.node.asked("POST", f"/{index}/_doc?refresh=true", {"@timestamp": "2026-01-01T00:00:00Z"})
    for name in PEOPLE:
        for method, path, body in (
            ("POST", f"/{index}/_doc", {"@timestamp": "2026-01-01T00:00:00Z"}),
            ("DELETE", f"/{index}", None),
            ("PUT", "/_security/user/mallory", {"password": "mallory-mallory", "roles": ["superuser"]}),
            ("PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": "false"}}),
            ("GET", "/.kibana*/_search", None),
        ):
            answer = deployment.ask(name, method, path, body)
            empty = path.startswith("/.kibana") and answer.ok and answer.json()["hits"]["total"]["value"] == 0
            assert answer.status_code == 403 or empty, (name, method, path, answer.text)


def test_operator_sees_health_and_sizes_of_all_streams_without_their_events(deployment, environment):
    index = f"logs-django.security-{environment}"
    deployment.node.asked("POST", f"/{index}/_doc?refresh=true", {"@timestamp": "2026-01-01T00:00:00Z"})
    assert deployment.ask("grace", "GET", "/_cluster/health").json()["status"] in ("yellow", "green")
    assert deployment.ask("grace", "GET", f"/{index}/_stats").json()["_all"]["total"]["docs"]["count"] == 1
    assert deployment.ask("grace", "GET", f"/{index}/_search").status_code == 403
    assert deployment.ask("ada", "GET", "/_cluster/health").status_code == 403


def test_each_reads_dashboards_in_the_space_and_changes_nothing(deployment):
    """As Kibana does it: it registers what a privilege stands for, and asks whether somebody has it."""
    actions = {
        "feature_dashboard.read": ["login:", "saved_object:dashboard/get"],
        "feature_dashboard.all": ["login:", "saved_object:dashboard/get", "saved_object:dashboard/update"],
        "feature_discover.read": ["login:", "app:discover"],
        "feature_dev_tools.read": ["login:", "api:console"],
        "space_all": ["login:", "saved_object:dashboard/get", "saved_object:dashboard/update", "api:console"],
    }
    registered = {
        name: {"application": "kibana-.kibana", "name": name, "actions": listed, "metadata": {}}
        for name, listed in actions.items()
    }
    deployment.node.asked("PUT", "/_security/privilege", {"kibana-.kibana": registered})
    wanted = {
        "login:", "app:discover", "api:console", "saved_object:dashboard/get", "saved_object:dashboard/update",
    }  # fmt: skip
    question = {
        "application": [
            {
                "application": "kibana-.kibana",
                "resources": ["space:school", "space:default"],
                "privileges": sorted(wanted),
            }
        ]
    }
    for name in PEOPLE:
        found = deployment.ask(name, "POST", "/_security/user/_has_privileges", question).json()["application"]
        spaces = found["kibana-.kibana"]
        allowed = {action for action, granted in spaces["space:school"].items() if granted}
        console = {"api:console"} if name == "grace" else set()
        assert allowed == {"login:", "app:discover", "saved_object:dashboard/get"} | console, name
        assert not any(spaces["space:default"].values()), name


@pytest.fixture
def bring(node):
    """Write users as the role does, through its module but without a run of Ansible."""
    role = settings.PROJECT_ROOT / "roles/log_store"
    for name, file in (
        ("ansible.module_utils.store_objects", "module_utils/store_objects.py"),
        ("log_store", "library/log_store.py"),
    ):
        spec = importlib.util.spec_from_file_location(name, role / file)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    api = module.Api(node.url, str(node.ca_file), "elastic", node.passwords["elastic"], 30)

    def write(name, *roles, check=False):
        user = {"name": name, "password": "not her password", "roles": list(roles), "update_password": "on_create"}
        return module.load(api, {"objects": [], "users": [user], "roll_over": False}, check=check)

    return write


def test_a_password_that_somebody_has_changed_stays_and_a_role_is_put_back(deployment, bring):
    changed = "changed by herself 1"
    answer = deployment.ask("mary", "POST", "/_security/user/_password", {"password": changed})
    assert answer.status_code == 200, answer.text
    assert bring("mary", "log_security_officer")["changed"] is False
    deployment.node.asked("PUT", "/_security/user/mary", {"roles": ["superuser"], "full_name": "Mary"})
    told = bring("mary", "log_security_officer", check=True)["diff"]["before"]
    assert told == {"user mary": {"roles": ["superuser"]}}
    assert deployment.node.asked("GET", "/_security/user/mary")["mary"]["roles"] == ["superuser"]
    assert bring("mary", "log_security_officer")["written"] == ["user mary"]
    found = deployment.node.asked("GET", "/_security/user/mary")["mary"]
    assert (found["roles"], found["full_name"]) == (["log_security_officer"], "Mary")
    assert deployment.node.call("GET", "/_security/_authenticate", user="mary", password=changed).status_code == 200


def test_an_account_that_was_switched_off_stays_so(deployment, bring):
    deployment.node.asked("PUT", "/_security/user/ruth/_disable")
    bring("ruth", "log_privacy_officer", "log_developer")
    found = deployment.node.asked("GET", "/_security/user/ruth")["ruth"]
    assert (found["enabled"], sorted(found["roles"])) == (False, ["log_developer", "log_privacy_officer"])
    assert deployment.ask("ruth", "GET", "/_security/_authenticate").status_code == 401

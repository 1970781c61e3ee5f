"""playbooks/erase_user.yml, run by Ansible against directories that stand in for hosts, with a real Elasticsearch."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from logbastion.pseudonym_keys import new_key_line

from tests.elasticsearch.people import EMAIL, filled, indices, numbered, stored

ROOT = Path(__file__).parents[2]
OTHERS = [json.dumps(numbered(number, {"user_id": 123, "message": "12 of 12"})) for number in range(20)]
LETTER = json.dumps({"received": "2026-11-20T10:00:00Z", "from": "app1", "reason": "it is too long", "raw": "x 123"})


class Site:
    """Two hosts of one application, one of the ingest, and the control node's directory of secrets."""

    def __init__(self, directory: Path, node, environment: str) -> None:
        self.directory, self.node, self.environment = directory, node, environment
        self.hosts = {"django_application": ["app1", "app2"], "log_ingest": ["ingest1"], "elasticsearch": ["store1"]}
        self.variables: dict[str, dict[str, object]] = {}
        key = new_key_line("only")
        for host in ("app1", "app2"):
            for name in ("etc/school/logging", "logs", "spool", "venv/bin"):
                (directory / host / name).mkdir(parents=True)
            (directory / host / "etc/school/logging.env").write_text(
                f"LOGBASTION_ENVIRONMENT={environment}\nLOGBASTION_LOG_DIRECTORY={directory / host}/logs\n"
                f"LOGBASTION_SPOOL_DIRECTORY={directory / host}/spool\nLOGBASTION_CA_FILE={node.ca_file}\n"
                f"LOGBASTION_PSEUDONYM_KEYS_FILE={directory / host}/etc/school/logging/pseudonym-keys\n"
            )
            self._secret(directory / host / "etc/school/logging/pseudonym-keys", f"{key}\n")
            program = directory / host / "venv/bin/logbastion"
            program.write_text(
                f'#!/bin/sh\nPYTHONPATH={ROOT}/python_handlers/src exec {sys.executable} -m logbastion.cli "$@"\n'
            )
            program.chmod(0o755)
        for name in ("letters", "queue"):
            (directory / "ingest1" / name).mkdir(parents=True)
        (directory / "secrets/passwords").mkdir(parents=True, mode=0o700)
        self._secret(directory / "secrets/passwords/log_eraser", node.passwords["log_eraser"])
        self.person = directory / "person.yml"
        self._secret(self.person, yaml.safe_dump({"erase_user_id": 12, "erase_user_emails": [EMAIL]}))

    @staticmethod
    def _secret(path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text)

    def fill(self, *, queue: bool = False) -> None:
        """Give each place events of the person and of others."""
        own = [
            json.dumps(numbered(100 + number, fields))
            for number, fields in enumerate(({"user_id": 12}, {"message": EMAIL}))
        ]
        for host in ("app1", "app2"):
            for stream in ("application", "audit"):
                (self.directory / host / f"logs/{stream}.log").write_text(
                    "".join(f"{line}\n" for line in [*OTHERS, *own])
                )
        letter = json.loads(LETTER) | {"raw": own[1]}
        (self.directory / "ingest1/letters/dead-letters.jsonl").write_text(f"{LETTER}\n{json.dumps(letter)}\n")
        (self.directory / "ingest1/queue/ingest.qi").write_text("<OPB:1:qqueue:1:\n+iQueueSize:2:1:0:\n>End\n.\n")
        (self.directory / "ingest1/queue/ingest.00000001").write_text(
            f"+rawmsg:1:9:{own[1] if queue else OTHERS[0]}:\n>End\n.\n"
        )

    def lines(self, host: str, stream: str) -> list[str]:
        return (self.directory / host / f"logs/{stream}.log").read_text().splitlines()

    def run(self, *arguments: str | Path) -> tuple[int, str]:
        def block(group, hosts):
            return group, {"hosts": {host: self.variables.get(host, {}) for host in hosts}}

        inventory = self.directory / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"all": {"children": dict(block(*each) for each in self.hosts.items())}}))
        here = f"{self.directory}/{{{{ inventory_hostname }}}}"
        variables = {
            "ansible_become": False,
            "django_logging_application": "school",
            "django_logging_user": "root",
            "django_logging_virtualenv": f"{here}/venv",
            "erase_user_etc": f"{here}/etc",
            "erase_user_ingest_user": "root",
            "rsyslog_ingest_log_directory": f"{here}/letters",
            "rsyslog_ingest_queue_directory": f"{here}/queue",
            "erase_user_elasticsearch": self.node.url,
            "erase_user_clean_seconds": 0,
            "logbastion_secrets_directory": str(self.directory / "secrets"),
        }
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [
            program,
            "-i",
            inventory,
            "-v",
            "--diff",
            "-e",
            json.dumps(variables),
            "-e",
            f"@{self.person}",
            *arguments,
        ]
        temporary = self.directory / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_REMOTE_TMP": str(temporary),
            "ANSIBLE_TRANSPORT": "local",
            "TMPDIR": str(temporary),
        }
        done = subprocess.run(
            [*command, ROOT / "playbooks/erase_user.yml"],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    @property
    def left_behind(self) -> list[str]:
        """What lies about that should not, from the directory of what is lent."""
        return [
            path.name
            for path in (self.directory / "tmp").rglob("*")
            if ".erase" in path.name or path.name in ("keys", "logbastion.zip")
        ]


@pytest.fixture
def site(tmp_path, node, environment):
    tmp_path.chmod(stat.S_IRWXU)
    return Site(tmp_path, node, environment)


def test_every_host_and_elasticsearch_is_searched_and_nothing_of_the_person_is_left(site, node, environment):
    site.fill()
    events = filled(node, environment, "p1:else:aaaaaaaaaaaaaaaaaaaaaaaaaa", streams=("audit", "debug"), indices=1)

    code, output = site.run("--check")
    assert code == 0, output
    assert "ingest1, dead letters: ingest: letters: 2 searched, 1 found" in output
    assert "app1, Elasticsearch:" in output
    assert "elasticsearch: 38 searched, 14 found, 7 anonymised, 7 deleted, 0 held, 0 left" in output
    assert stored(node, environment) == events.before
    assert [len(site.lines(host, "audit")) for host in ("app1", "app2")] == [22, 22]

    code, output = site.run()
    assert code == 0, output
    assert "Nothing of the person is left in any of these places." in output
    assert "elasticsearch: 38 searched, 14 found, 7 anonymised, 7 deleted, 0 held, 0 left" in output
    for host in ("app1", "app2"):
        assert site.lines(host, "application")[: len(OTHERS)] == OTHERS
        audit = site.lines(host, "audit")
        assert audit[: len(OTHERS)] == OTHERS
        assert [json.loads(line)["event"]["id"] for line in audit[20:22]] == ["n100", "n101"]
        assert EMAIL not in "".join(
            path.read_text() for path in (site.directory / host / "logs").iterdir() if path.is_file()
        )
    letters = (site.directory / "ingest1/letters/dead-letters.jsonl").read_text()
    assert LETTER in letters
    assert EMAIL not in letters
    assert len(indices(node, environment)) == 2
    gone = {n for n in events.people if n not in stored(node, environment)}
    assert len(gone) == 7
    for secret in (EMAIL, node.passwords["log_eraser"], "user_id: 12", '"user_id": "12"'):
        assert secret not in output
    assert site.left_behind == []


def test_a_host_that_is_away_and_a_queue_that_still_has_the_person_fail_the_run(site):
    site.fill(queue=True)
    site.variables["app2"] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    code, output = site.run()
    assert code != 0
    assert "app2, application: it was not reached or said nothing, so nobody knows what is left there." in output
    assert "ingest1, queue: 1 events of the person are delivered and still in its files." in output
    # There is no such service here.
    assert "The ingest could not be restarted, look at the service logbastion-ingest there: " in output
    assert "The erasure is NOT complete: app2, ingest1." in output
    assert EMAIL not in "".join(site.lines("app1", "application"))
    assert site.left_behind == []


def test_what_does_not_say_whom_or_where_is_refused_before_anything_is_changed(site):
    site.fill()
    site.person.write_text(yaml.safe_dump({"erase_user_emails": [EMAIL]}))
    code, output = site.run()
    assert code != 0
    assert "erase_user_id is missing." in output

    site.person.write_text(yaml.safe_dump({"erase_user_id": 12, "erase_user_application": "shop"}))
    code, output = site.run()
    assert code != 0
    assert "No host of django_application has django_logging_application shop." in output
    assert len(site.lines("app1", "application")) == 22

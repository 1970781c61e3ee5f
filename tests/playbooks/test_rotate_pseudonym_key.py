"""The rotation of the key of pseudonyms, run by Ansible against directories of this machine that stand in for hosts."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

TODAY_DATE = datetime.datetime.now(datetime.UTC).date()
TODAY, DATE = TODAY_DATE.strftime("%Y%m%d"), TODAY_DATE.isoformat()
NOTE = re.compile(r"# [a-z0-9-]+: (not used since|destroyed) [0-9-]{10}")
DAY = datetime.timedelta(days=1)
OLD = "k0123456789 " + "0123456789abcdef" * 4
OTHER = "20250101 " + "fedcba9876543210" * 4


class Site:
    """Two hosts of one application and the control node's directory of secrets."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secrets = directory / "secrets"
        self.inventory = directory / "hosts.yml"
        hosts = {}
        for name in ("app1", "app2"):
            (directory / name / "logging").mkdir(parents=True)
            (directory / name / "log").mkdir()
            hosts[name] = None
        self.inventory.write_text(yaml.safe_dump({"django_application": {"hosts": hosts}}))

    def file(self, host: str) -> Path:
        return self.directory / host / "logging/pseudonym-keys"

    def lines(self, host: str) -> list[str]:
        return [line for line in self.file(host).read_text().splitlines() if not NOTE.fullmatch(line)]

    def notes(self, host: str) -> list[str]:
        return [line for line in self.file(host).read_text().splitlines() if NOTE.fullmatch(line)]

    def hold(self, host: str, text: str) -> None:
        (self.directory / host / "log/legal-hold").write_text(text)

    @property
    def kept(self) -> Path:
        return self.secrets / "passwords/pseudonym_keys_school"

    def write(self, host: str, *lines: str) -> None:
        self.file(host).write_text("".join(f"{line}\n" for line in lines))

    def run(self, *arguments: str, playbook: Path = ROOT / "playbooks/rotate_pseudonym_key.yml") -> tuple[int, str]:
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "django_logging_application": "school",
            "__django_logging_etc": f"{self.directory}/{{{{ inventory_hostname }}}}",
            "django_logging_group": "root",
            "django_logging_log_directory": f"{self.directory}/{{{{ inventory_hostname }}}}/log",
            "logbastion_secrets_directory": str(self.secrets),
        }
        command = [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            self.inventory,
            "-v",
            "--diff",
            "-e",
            json.dumps(variables),
            *arguments,
        ]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(
            [*command, playbook],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def changed(output: str) -> int:
    return sum(int(number) for number in re.findall(r"changed=(\d+)", output))


def key_of(line: str) -> str:
    return line.split()[1]


def test_all_hosts_get_one_new_key_once_and_nothing_is_shown(site):
    site.write("app1", "# ours", OLD)
    site.write("app2", OLD, OTHER)  # somebody has added one by hand
    asked = ("-e", "django_logging_pseudonym_key_rotate=true")

    code, output = site.run("--check", *asked)
    assert code == 0, output
    assert "A new one was asked for." in output
    assert not site.kept.exists()
    assert (site.lines("app1"), site.lines("app2")) == (["# ours", OLD], [OLD, OTHER])

    code, output = site.run("-e", "django_logging_pseudonym_key_max_days=100")
    assert code == 0, output
    assert "is more than 100 days, so a new one is due." in output
    first, second = site.lines("app1"), site.lines("app2")
    new = first[-1]
    assert re.fullmatch(TODAY + " [0-9a-f]{64}", new)
    assert first == ["# ours", OLD, OTHER, new]
    assert second == [OLD, OTHER, new]
    notes = [f"# 20250101: not used since {DATE}", f"# k0123456789: not used since {DATE}"]
    assert site.notes("app1") == site.notes("app2") == notes
    assert site.kept.read_text().splitlines() == [OLD, OTHER, new, *notes]
    assert stat.S_IMODE(site.kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(site.file("app1").stat().st_mode) == 0o640
    assert [line for line in (OLD, OTHER, new) if key_of(line) in output] == []
    assert TODAY in output

    code, output = site.run()
    assert code == 0, output
    assert changed(output) == 0
    assert (site.lines("app1"), site.lines("app2")) == (first, second)

    # A run that broke off after the first host is finished by the next one, without another key.
    site.write("app2", OLD, OTHER)
    code, output = site.run()
    assert code == 0, output
    assert site.lines("app2") == second
    assert site.notes("app2") == notes


def test_each_month_has_a_key_and_those_whose_time_is_over_are_destroyed_everywhere(site):
    """The longest identifiers_days of retention.yml is 1095; destroyed by hand on one host is destroyed on all."""
    older = f"20200101 {'89' * 4}{'0123456789abcdef' * 3}12345678"
    by_hand = f"20240601 {'0f1e2d3c4b5a6978' * 4}"
    over, not_over = TODAY_DATE - 1096 * DAY, TODAY_DATE - 1095 * DAY
    notes = [f"# 20200101: not used since {over}", f"# k0123456789: not used since {not_over}"]
    site.write("app1", OLD, older, OTHER, *notes, f"# 20240601: destroyed {DATE}")
    site.write("app2", older, OLD, by_hand, OTHER)
    site.hold("app2", "# nothing is held\nsecurity\n")
    code, output = site.run("-e", "django_logging_pseudonym_key_max_days=100000")
    assert code == 0, output
    assert "It is of an earlier month, so a new one is due." in output
    assert "20200101: 1095 days have passed since the last event. A legal hold on a host keeps the keys" in output
    new = site.lines("app1")[-1]
    assert new.startswith(TODAY)
    assert site.lines("app1") == [OLD, older, OTHER, new]
    assert set(site.lines("app2")) == {OLD, older, OTHER, new}
    assert by_hand.split()[1] not in site.kept.read_text()

    site.hold("app2", "# nothing is held\n")
    code, output = site.run()
    assert code == 0, output
    assert "They are destroyed: their pseudonyms say nothing of a person any more." in output
    assert "A new one is due next month" in output
    for file in (site.kept, site.file("app1"), site.file("app2")):
        text = file.read_text()
        assert [line.split()[1] for line in (older, by_hand) if line.split()[1] in text] == []
        assert OLD in text
        assert text.splitlines()[-2:] == [f"# 20200101: destroyed {DATE}", f"# 20240601: destroyed {DATE}"]
    assert [line for line in (OLD, older, by_hand, OTHER, new) if key_of(line) in output] == []
    site.write("app1", *site.lines("app1"), older)  # somebody brings a backup back
    code, output = site.run()
    assert code == 0, output
    assert older.split()[1] not in site.file("app1").read_text() + site.kept.read_text()


def test_the_first_key_is_destroyed_where_it_was_made_too(site):
    secret = "fedcba9876543210" * 4
    key_id = f"k{hashlib.sha256(secret.encode()).hexdigest()[:10]}"
    made = site.secrets / "passwords/pseudonym_key_school"
    made.parent.mkdir(parents=True, mode=0o700)
    made.write_text(f"{secret}\n")
    note = f"# {key_id}: not used since {TODAY_DATE - 2000 * DAY}"
    for host in ("app1", "app2"):
        site.write(host, f"{key_id} {secret}", f"{TODAY} {'0f1e2d3c4b5a6978' * 4}", note)
    code, output = site.run()
    assert code == 0, output
    assert not made.exists()
    assert [path for path in site.directory.rglob("*") if path.is_file() and secret in path.read_text()] == []


def test_what_cannot_be_right_is_refused_before_anything_is_changed(site):
    site.write("app1", OLD)
    code, output = site.run()
    assert code != 0
    assert "app2 has no" in output
    assert "Run playbooks/site.yml for it first." in output

    site.write("app2", OLD, "20250101 not-a-key-0123456789")
    code, output = site.run("-e", "django_logging_pseudonym_key_rotate=true")
    assert code != 0
    assert "Line 2 of" in output
    assert "not-a-key-0123456789" not in output

    code, output = site.run("--limit", "app1")
    assert code != 0
    assert "This run leaves out app2." in output
    assert site.lines("app1") == [OLD]
    assert not site.kept.exists()


def test_a_host_that_comes_after_a_rotation_gets_all_keys_of_the_control_node(site):
    site.write("app2", OLD)  # one that has keys keeps them
    site.kept.parent.mkdir(parents=True)
    site.kept.write_text(f"{OTHER}\n{OLD}\n")
    tasks = [{"ansible.builtin.include_role": {"name": "django_logging", "tasks_from": "pseudonym_keys"}}]
    playbook = site.directory / "install.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "django_application", "gather_facts": False, "tasks": tasks}]))
    code, output = site.run(playbook=playbook)
    assert code == 0, output
    assert site.file("app1").read_text() == f"{OTHER}\n{OLD}\n"
    assert site.lines("app2") == [OLD]
    assert stat.S_IMODE(site.file("app1").stat().st_mode) == 0o640
    assert key_of(OTHER) not in output

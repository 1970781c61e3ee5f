"""The lab under test: made from nothing by the documented commands, and gone afterwards.

The tests of this directory run in the order of their files and share one lab; every command's output is kept, so that it can be searched for secrets.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from elasticsearch.helpers import scan

from lab import deployment, hosts, main_job, stack

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Command:
    """A finished command."""

    exit_code: int
    output: str

    def changed(self) -> dict[str, int]:
        """Return what the play recaps in the output say: host to number of changed tasks, summed over the playbooks."""
        found: dict[str, int] = {}
        for host, number in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", self.output, re.MULTILINE):
            found[host] = found.get(host, 0) + int(number)
        return found


@dataclass
class Lab:
    """Runs commands against the lab and remembers what they printed."""

    transcript: list[str] = field(default_factory=list)

    def run(self, *command: str | Path, verbosity: int = 1) -> Command:
        environment = {
            **os.environ,
            "ANSIBLE_VERBOSITY": str(verbosity),
            "COLUMNS": "200",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        }
        result = subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        self.transcript.append(result.stdout)
        return Command(result.returncode, result.stdout)

    def lab(self, *words: str) -> Command:
        return self.run(sys.executable, "-m", "lab", *words)

    def playbook(self, *words: str | Path, playbook: str = "playbooks/site.yml") -> Command:
        wheel = next(deployment.WHEEL_DIRECTORY.glob("*.whl"), "logbastion")
        ansible = Path(sys.executable).with_name("ansible-playbook")
        return self.run(ansible, "-i", "inventories/lab", playbook, "-e", f"django_logging_package={wheel}", *words)


@pytest.fixture(scope="session")
def lab():
    """Return the lab without hosts; take everything down at the end."""
    found = Lab()
    assert found.lab("down", "--keep-others").exit_code == 0
    yield found
    down = found.lab("down", "--keep-others")
    assert down.exit_code == 0, down.output
    assert not {stack.OBSERVER, stack.APPLICATION} & set(hosts.existing())
    assert not stack.SECRETS.exists()


@pytest.fixture(scope="session")
def bare_check(lab) -> Command:
    """Return the main job in check mode on hosts where nothing is installed yet."""
    deployment.make_hosts()
    deployment.build_wheel()
    return lab.playbook("--check")


@pytest.fixture(scope="session")
def deployed(lab, bare_check) -> Command:
    """Return the first `up`."""
    return lab.lab("up")


@pytest.fixture(scope="session")
def deployed_again(lab, deployed) -> Command:
    """Return the second `up`, on a converged lab."""
    assert deployed.exit_code == 0, deployed.output[-5000:]
    return lab.lab("up")


@pytest.fixture
def running(deployed) -> None:
    """Need a lab that is up."""
    assert deployed.exit_code == 0, deployed.output[-5000:]


def documents(stream: str, query: dict) -> dict[str, dict]:
    """Return a stream's documents that match, by id; none when there is no such stream yet."""
    client = stack.elasticsearch(stack.READER_OF_STREAM[stream])
    hits = scan(client, index=stack.index(stream), query={"query": query}, ignore_unavailable=True)
    return {hit["_id"]: hit["_source"] for hit in hits}


def wait_until_complete() -> list[stack.StreamCount]:
    """Wait until every logged event is stored, and return the counts."""
    return main_job._poll(
        main_job._counts, lambda found: all(each.complete for each in found), main_job.STORED_WITHIN_SECONDS
    )

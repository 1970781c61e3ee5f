"""What the tests of all scenarios share: where the scenario is, and running its role again with other variables."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CONTAINER_PREFIX = "logbastion-"


@dataclass(frozen=True)
class Run:
    """One run of ansible-playbook: everything it printed, and what its recap says."""

    output: str
    failed: bool
    changed: int

    @property
    def sentences(self) -> str:
        """The output in one line with single blanks, so that a sentence is found however it was wrapped."""
        return re.sub(r"\s+", " ", self.output)


RunPlaybook = Callable[..., Run]


@pytest.fixture(scope="session")
def scenario_directory() -> Path:
    """Directory of the scenario under test."""
    return Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])


@pytest.fixture(scope="session")
def secrets_directory() -> Path:
    """`logbastion_secrets_directory` of the scenario, on the control node."""
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "secrets"


@pytest.fixture(scope="module")
def inventory_name(host: Any) -> str:
    """The name in the inventory of the host under test."""
    return str(host.backend.name).removeprefix(CONTAINER_PREFIX)


@pytest.fixture(scope="session")
def run_playbook(scenario_directory: Path) -> RunPlaybook:
    """Run a playbook of the scenario (`converge.yml` by default) with other variables.

    `limit` is a pattern of hosts; `variables` go in as extra variables, so with their types; further words are options of ansible-playbook.
    """

    def run(
        *options: str, playbook: str = "converge.yml", limit: str = "all", variables: dict[str, Any] | None = None
    ) -> Run:
        shared = scenario_directory.parent / "shared"
        done = subprocess.run(
            [
                "ansible-playbook",
                *("--inventory", str(shared / "inventory.yml")),
                *("--inventory", str(scenario_directory / "inventory.yml")),
                *("--limit", f"{limit},localhost"),
                *("--extra-vars", json.dumps(variables or {})),
                *options,
                str(scenario_directory / playbook),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"},
        )
        output = done.stdout + done.stderr
        return Run(output, done.returncode != 0, sum(int(count) for count in re.findall(r"changed=(\d+)", output)))

    return run


@pytest.fixture
def assert_each_is_refused(
    run_playbook: RunPlaybook, tmp_path: Path
) -> Callable[[dict[str, tuple[dict[str, Any], str]], str], Run]:
    """Ask the scenario's `refusals.yml` for one case after the other, in one run, on the hosts of a pattern.

    A case has a name, the variables that differ, and a sentence that the role must say (`done` when it must not refuse).
    """

    def check(cases: dict[str, tuple[dict[str, Any], str]], limit: str) -> Run:
        answers = tmp_path / "answers.json"
        run = run_playbook(
            playbook="refusals.yml",
            limit=limit,
            variables={
                "refusal_cases": [{"name": name, "variables": variables} for name, (variables, _) in cases.items()],
                "refusal_file": str(answers),
            },
        )
        assert not run.failed, run.output
        said = {name: " ".join(answer.split()) for name, answer in json.loads(answers.read_text()).items()}
        answers.unlink()
        assert {name: said[name] for name, (_, sentence) in cases.items() if sentence not in said[name]} == {}
        return run

    return check

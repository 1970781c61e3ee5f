"""What holds for every role: the argument specification is the truth, and the README and the defaults follow it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def load(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def options_of(role: Path) -> dict:
    specification = load(role / "meta/argument_specs.yml")["argument_specs"]
    return {name: option for entry in specification.values() for name, option in (entry.get("options") or {}).items()}


def test_there_are_roles():
    assert {role.name for role in ROLES} >= {
        "alertmanager", "certificates", "django_logging", "elasticsearch", "kibana", "log_store", "logstash", "package_repository", "prometheus", "rsyslog_ingest",
    }  # fmt: skip


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_are_those_of_the_argument_specification(role):
    specified = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
    assert load(role / "defaults/main.yml") == specified


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_option_is_named_after_the_role_typed_and_described(role):
    for name, option in options_of(role).items():
        assert name.startswith(f"{role.name}_"), name
        assert option.get("type"), name
        assert option.get("description"), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_internal_variables_are_named_as_such(role):
    for place in ("vars/main.yml",):
        for name in load(role / place) or {}:
            assert name.startswith(f"__{role.name}_"), f"{place}: {name}"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_readme_is_made_from_the_argument_specification(role, tmp_path):
    copy = tmp_path / role.name
    shutil.copytree(role, copy)
    command = [Path(sys.executable).with_name("aar-doc"), copy, "markdown"]
    subprocess.run(command, check=True, capture_output=True)
    assert (copy / "README.md").read_text(encoding="utf-8") == (role / "README.md").read_text(encoding="utf-8"), (
        "run `make docs`"
    )


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_role_has_a_scenario_on_both_debian_releases(role):
    inventory = load(ROOT / "molecule" / role.name / "inventory.yml")
    text = yaml.safe_dump(inventory)
    assert "bookworm" in text
    assert "trixie" in text

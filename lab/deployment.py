"""Deploying to the lab: the hosts, the package, and the same playbook that production uses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab import hosts, settings, stack
from lab.errors import LabError
from lab.progress import step
from lab.shell import run

SUITE_OF_HOST = {stack.OBSERVER: "bookworm", stack.APPLICATION: "trixie"}
WHEEL_DIRECTORY = settings.PROJECT_ROOT / "build/wheels"
INVENTORY = settings.PROJECT_ROOT / "inventories/lab"
LAB_PLAYBOOKS = settings.LAB_DIRECTORY / "playbooks"


def make_hosts() -> None:
    """Make the lab's two hosts, or start them."""
    for name, suite in SUITE_OF_HOST.items():
        with step(f"Host {name} (Debian {suite})"):
            hosts.create(name, suite)


def build_wheel() -> Path:
    """Build the package `logbastion` from this checkout and return the wheel; the same sources give the same bytes.

    Raises:
        LabError: when it cannot be built.
    """
    with step("Building the package logbastion"):
        for old in WHEEL_DIRECTORY.glob("*.whl"):
            old.unlink()
        run(
            [
                sys.executable,
                "-m",
                "build",
                "--no-isolation",
                "--wheel",
                "--outdir",
                WHEEL_DIRECTORY,
                settings.PROJECT_ROOT / "python_handlers",
            ],
            what="Building the package logbastion",
        )
    (wheel,) = WHEEL_DIRECTORY.glob("*.whl")
    return wheel


def run_playbook(playbook: Path, *arguments: str) -> None:
    """Run a playbook against the lab; its output goes to the terminal as it comes.

    Raises:
        LabError: when it fails.
    """
    ansible = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(settings.PROJECT_ROOT / "ansible.cfg")}
    command = [ansible, "-i", INVENTORY, playbook, *arguments]
    result = subprocess.run([str(word) for word in command], cwd=settings.PROJECT_ROOT, env=environment, check=False)
    if result.returncode != 0:
        raise LabError(
            f"{playbook.name} failed; what failed is said above, after 'fatal'. When it is mended, run `make up` again: it goes on from there."
        )


def deploy() -> None:
    """Run the main job against the lab, then start the example application.

    Raises:
        LabError: when a playbook fails.
    """
    wheel = build_wheel()
    with step("The stack: playbooks/site.yml"):
        run_playbook(settings.PROJECT_ROOT / "playbooks/site.yml", "-e", f"django_logging_package={wheel}")
    with step("The example application: lab/playbooks/example_application.yml"):
        run_playbook(LAB_PLAYBOOKS / "example_application.yml")


def remove(*, keep_others: bool = False) -> None:
    """Remove every host of the lab, its network and its secrets; downloads and images stay in the cache.

    Args:
        keep_others: leave hosts that `host create` made, for example those of a molecule scenario, and their network.
    """
    for name in hosts.existing():
        if keep_others and name not in SUITE_OF_HOST:
            continue
        with step(f"Removing the host {name}"):
            hosts.remove(name)
    if not hosts.existing():
        hosts.remove_network()
    if stack.SECRETS.exists():
        shutil.rmtree(stack.SECRETS)

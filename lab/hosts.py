"""Hosts: systemd containers on one network, made so that Ansible cannot tell them from small servers."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from lab import connection, machine, settings
from lab.errors import LabError
from lab.images import ensure_image
from lab.locking import cache_lock
from lab.repository import ensure_repository
from lab.shell import run, succeeds

BOOT_SECONDS = 60
BOOTED_STATES = {"running", "degraded"}
"""`degraded` is Debian 13 in a container: systemd-modules-load cannot load modules there, everything else runs."""

ADDITIONAL_AUTHORITIES = Path("/usr/local/share/ca-certificates")
"""Where Debian's administrators put authorities of their own (update-ca-certificates(8))."""

OPEN_FILES_DROP_IN = """\
# Lab only: the limit of open files of this machine is {limit} and cannot be raised; see lab/elasticsearch/open_files_limit.c.
[Service]
Environment=LD_PRELOAD=/usr/local/lib/logbastion-lab-open-files.so
"""


def container_name(name: str) -> str:
    """Return the container of the host `name`."""
    return settings.CONTAINER_PREFIX + name


def create(name: str, suite: str) -> None:
    """Make the host `name` with the Debian `suite` and wait until it has booted; a host that is there already is started if it stands still.

    Raises:
        LabError: when the suite is unknown, the host exists with another suite, podman fails, or the host does not boot in time.
    """
    if suite not in settings.SUITES:
        raise LabError(f"Unknown Debian suite {suite!r}: the lab has {', '.join(settings.SUITES)}.")
    container = container_name(name)
    if exists(name):
        found = _inspect(name)["Config"]["Labels"].get(f"{settings.LABEL}.suite")
        if found != suite:
            raise LabError(
                f"The host {name} exists with {found}, not {suite}. Remove it first: python -m lab host remove {name}"
            )
        if not _inspect(name)["State"]["Running"]:
            run(["podman", "start", container], what=f"Starting the host {name}")
    else:
        _start(name, suite)
    _wait_until_booted(name)
    # After the boot, which clears /tmp; again at each call, so that an interrupted one is made good.
    connection.authorize(container)
    _trust_what_this_machine_trusts(container)


def _start(name: str, suite: str) -> None:
    with cache_lock():
        image = ensure_image(suite)
        connection.ensure_key()
        repository = ensure_repository()
        ensure_network()
    limits = machine.highest_limits()
    container = container_name(name)
    try:
        run(
            [
                "podman", "--runtime", machine.runtime(), "run", "--detach",
                "--name", container, "--hostname", name, "--network", settings.NETWORK, "--network-alias", name,
                "--label", f"{settings.LABEL}=host", "--label", f"{settings.LABEL}.suite={suite}",
                # Privileged: systemd needs its cgroups and the roles set kernel parameters, as on a server of its own.
                "--systemd=always", "--privileged",
                "--ulimit", f"nofile={limits.open_files}:{limits.open_files}",
                "--ulimit", f"nproc={limits.processes}:{limits.processes}",
                "--volume", f"{repository}:{settings.REPOSITORY_MOUNT}:ro",
                image, "/sbin/init",
            ],
            what=f"Starting the host {name}",
        )  # fmt: skip
        if limits.open_files < settings.REQUIRED_OPEN_FILES:
            _pretend_open_files(container, limits.open_files)
    except BaseException:
        # Half a host would be taken for a whole one by the next run.
        remove(name)
        raise


def _trust_what_this_machine_trusts(container: str) -> None:
    """Give the host this machine's additional certificate authorities: behind a company's proxy it could not install packages otherwise."""
    known = run(["podman", "exec", container, "ls", ADDITIONAL_AUTHORITIES]).split()
    additional = [path for path in sorted(ADDITIONAL_AUTHORITIES.glob("*.crt")) if path.name not in known]
    for certificate in additional:
        run(["podman", "cp", certificate, f"{container}:{certificate}"])
    if additional:
        run(
            ["podman", "exec", container, "update-ca-certificates"],
            what=f"Adding certificate authorities to {container}",
        )


def _pretend_open_files(container: str, limit: int) -> None:
    build = settings.cache_directory() / "build"
    build.mkdir(parents=True, exist_ok=True)
    library = build / "logbastion-lab-open-files.so"
    source = settings.LAB_DIRECTORY / "elasticsearch/open_files_limit.c"
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], what="Compiling the open-files library")
    drop_in = build / "lab-open-files.conf"
    drop_in.write_text(OPEN_FILES_DROP_IN.format(limit=limit), encoding="utf-8")
    directory = "/etc/systemd/system/elasticsearch.service.d"
    run(["podman", "exec", container, "mkdir", "-p", directory])
    run(["podman", "cp", library, f"{container}:/usr/local/lib/{library.name}"])
    run(["podman", "cp", drop_in, f"{container}:{directory}/{drop_in.name}"])


def _wait_until_booted(name: str) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    state = "unknown"
    while time.monotonic() < deadline:
        state = system_state(name)
        if state in BOOTED_STATES:
            return
        time.sleep(0.2)
    raise LabError(
        f"The host {name} did not boot within {BOOT_SECONDS} s (systemd says {state!r}). "
        f"Look: podman exec {container_name(name)} systemctl --failed; then remove it: python -m lab host remove {name}"
    )


def system_state(name: str) -> str:
    """Return what `systemctl is-system-running` says on the host, or `unknown` while nothing answers."""
    result = subprocess.run(
        ["podman", "exec", container_name(name), "systemctl", "is-system-running"],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() or "unknown"


def remove(name: str) -> None:
    """Remove the host and everything in it; one that is not there is no error."""
    run(
        ["podman", "rm", "--force", "--volumes", "--time", "5", "--ignore", container_name(name)],
        what=f"Removing the host {name}",
    )


def exists(name: str) -> bool:
    """Tell whether the host is there, running or not."""
    return succeeds(["podman", "container", "exists", container_name(name)])


def address(name: str) -> str:
    """Return the host's IPv4 address on the lab's network.

    Raises:
        LabError: when there is no such host.
    """
    if not exists(name):
        raise LabError(
            f"There is no host {name}. `python -m lab status` lists those that are there; `make up` makes them."
        )
    return str(_inspect(name)["NetworkSettings"]["Networks"][settings.NETWORK]["IPAddress"])


def existing() -> list[str]:
    """Return the names of all hosts of the lab, running or not."""
    listed = run(["podman", "ps", "--all", "--filter", f"label={settings.LABEL}=host", "--format", "{{.Names}}"])
    return sorted(line.removeprefix(settings.CONTAINER_PREFIX) for line in listed.split())


def ensure_network() -> None:
    """Make the lab's network, on which hosts find each other by name."""
    if not succeeds(["podman", "network", "exists", settings.NETWORK]):
        run(
            ["podman", "network", "create", "--label", f"{settings.LABEL}=network", settings.NETWORK],
            what="Making the lab's network",
        )


def remove_network() -> None:
    """Remove the lab's network if it is there."""
    if succeeds(["podman", "network", "exists", settings.NETWORK]):
        run(["podman", "network", "rm", settings.NETWORK], what="Removing the lab's network")


def execute(name: str, *command: str | Path) -> str:
    """Run a command on the host as root and return its output.

    Raises:
        LabError: when it fails.
    """
    return run(["podman", "exec", container_name(name), *command])


def _inspect(name: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = json.loads(run(["podman", "container", "inspect", container_name(name)]))
    return found

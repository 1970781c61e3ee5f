"""What this machine offers to the lab, and a sentence for everything that is missing."""

import os
import platform
import resource
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.errors import LabError
from lab.shell import succeeds

COMMANDS = {
    "podman": "podman",
    "mmdebstrap": "mmdebstrap",
    "mvn": "maven",
    "javac": "default-jdk-headless",
    "dpkg-deb": "dpkg",
    "apt-ftparchive": "apt-utils",
    "gpg": "gnupg",
    "gcc": "gcc",
    "unzip": "unzip",
    "openssl": "openssl",
    "ssh": "openssh-client",
}
"""Command to the Debian package that has it."""


ENOUGH_PROCESSES = 16384
"""For a host; asking for the machine's own maximum is refused where podman runs below it."""


@dataclass(frozen=True)
class Limits:
    """Hard limits of a process on this machine that a host's processes inherit."""

    open_files: int
    processes: int


def highest_limits() -> Limits:
    """Return the highest hard limits that this process can give to a host."""
    return Limits(
        open_files=_highest(resource.RLIMIT_NOFILE, 1048576),
        processes=_highest(resource.RLIMIT_NPROC, ENOUGH_PROCESSES),
    )


def _highest(kind: int, wanted: int) -> int:
    soft, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return wanted
    try:
        # Allowed with CAP_SYS_RESOURCE, unless the machine forbids it: then what there is must do.
        resource.setrlimit(kind, (soft, wanted))
    except (ValueError, OSError):
        return hard
    return wanted


def runtime() -> str:
    """Return the OCI runtime that podman shall use.

    crun (podman's default) needs one cgroup hierarchy; where systemd's hybrid layout or cgroup v1 is mounted, runc works.

    Raises:
        LabError: when neither is installed.
    """
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    order = ("crun", "runc") if unified else ("runc", "crun")
    for name in order:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
        if found:
            return found
    raise LabError("podman has no OCI runtime: neither runc nor crun is installed. Install one: apt-get install runc")


def problems() -> Iterator[str]:
    """Yield a sentence for each thing that the lab needs and this machine lacks."""
    if platform.machine() != "x86_64":
        yield f"The lab was made for x86_64; this machine is {platform.machine()}: the native parts of Elasticsearch are left out of its package."
    if os.geteuid() != 0:
        yield "The lab needs root: its hosts are systemd containers that set kernel parameters. Run it as root or with sudo."
    for command, package in COMMANDS.items():
        if shutil.which(command, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            yield f"The command {command} is missing. Install it: apt-get install {package}"
    if not any(shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") for name in ("iptables", "nft")):
        yield "podman's network needs iptables. Install it: apt-get install iptables"
    if not Path("/sys/fs/cgroup").is_dir() or not any(Path("/sys/fs/cgroup").iterdir()):
        yield "No cgroups are mounted at /sys/fs/cgroup: systemd cannot run in a container here."
    available = _available_memory_mib()
    if available < settings.REQUIRED_MEMORY_MIB:
        yield f"Only {available} MiB of memory are available; the lab needs {settings.REQUIRED_MEMORY_MIB} MiB."
    free = _free_disk_mib(settings.cache_directory())
    if free < settings.REQUIRED_DISK_MIB:
        yield (
            f"Only {free} MiB are free where the lab keeps its cache ({settings.cache_directory()}); it needs {settings.REQUIRED_DISK_MIB} MiB. "
            "Set XDG_CACHE_HOME to a larger disk, or make room."
        )


def require() -> None:
    """Check this machine.

    Raises:
        LabError: with every sentence of `problems`, when there is one.
    """
    found = list(problems())
    if found:
        raise LabError("\n".join(found))
    if not succeeds(["podman", "info"]):
        raise LabError("podman is installed but does not answer: `podman info` says why.")


def _available_memory_mib() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def _free_disk_mib(place: Path) -> int:
    existing = place
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free // (1024 * 1024)

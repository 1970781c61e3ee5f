"""Names, versions and places of the lab: constants and two paths that depend on the environment."""

import os
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
LAB_DIRECTORY = PROJECT_ROOT / "lab"

ELASTICSEARCH_VERSION = "8.19.21"
ELASTICSEARCH_ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{ELASTICSEARCH_VERSION}:zip"
ELASTICSEARCH_SHA256 = "215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a"

NETWORK = "logbastion-lab"
CONTAINER_PREFIX = "logbastion-"
"""Every container of the lab starts with it, so that `down` finds its own and nothing else."""
LABEL = "logbastion.lab"

SUITES = ("bookworm", "trixie")
IMAGE_PACKAGES = (
    "ca-certificates",
    "dbus",
    "gnupg",
    "iproute2",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)
"""What a fresh Debian server has beside the minimal system; roles install everything else."""

REPOSITORY_MOUNT = "/srv/logbastion-repository"
"""Where every host sees the local package repository, read-only."""

REQUIRED_OPEN_FILES = 65535
"""Elasticsearch's bootstrap check of open files."""
REQUIRED_MEMORY_MIB = 3500
REQUIRED_DISK_MIB = 8000


def cache_directory() -> Path:
    """Return where downloads and images stay between runs: ``$XDG_CACHE_HOME/logbastion-lab``, by default below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "logbastion-lab"

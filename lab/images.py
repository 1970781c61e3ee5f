"""Host images: a minimal Debian with systemd, built from Debian's packages because there may be no image registry."""

import hashlib
import os
import tempfile
from pathlib import Path

from lab import settings
from lab.progress import step
from lab.shell import run, succeeds

HOOKS = (
    # Ansible speaks SSH with a server that podman starts for it (lab/connection.py); nothing of it listens.
    """ln -s /dev/null "$1/etc/systemd/system/ssh.service" """,
    """ln -s /dev/null "$1/etc/systemd/system/ssh.socket" """,
    """echo "d /run/sshd 0755 root root" > "$1/usr/lib/tmpfiles.d/sshd.conf" """,
)
"""What mmdebstrap runs on the finished root file system."""


def image_name(suite: str) -> str:
    """Return the local image of a Debian suite; its tag changes with what goes into it, so that an old image is never taken for a new one."""
    content = hashlib.sha256(" ".join((*settings.IMAGE_PACKAGES, *HOOKS)).encode()).hexdigest()[:12]
    return f"localhost/logbastion-lab-{suite}:{content}"


def ensure_image(suite: str) -> str:
    """Build the image of `suite` if it is not there yet and return its name.

    Raises:
        LabError: when mmdebstrap or podman fails.
    """
    name = image_name(suite)
    if succeeds(["podman", "image", "exists", name]):
        return name
    archive = settings.cache_directory() / "images" / f"{suite}-{name.rpartition(':')[2]}.tar"
    if not archive.exists():
        with step(f"Building the Debian {suite} root file system (about a minute)"):
            _bootstrap(suite, archive)
    with step(f"Importing the Debian {suite} image"):
        run(["podman", "import", "--change", "CMD=/sbin/init", archive, name], what=f"Importing {archive.name}")
    return name


def _bootstrap(suite: str, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    # Renamed only when complete: an interrupted build leaves no half image behind that a later run would take.
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        unfinished = Path(scratch) / "rootfs.tar"
        run(
            [
                "mmdebstrap",
                "--variant=minbase",
                f"--include={','.join(settings.IMAGE_PACKAGES)}",
                *(f"--customize-hook={hook.strip()}" for hook in HOOKS),
                suite,
                unfinished,
            ],
            env={**os.environ, "TMPDIR": scratch},
            what=f"Building the Debian {suite} root file system",
        )
        unfinished.rename(archive)

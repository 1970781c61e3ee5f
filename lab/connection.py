"""How Ansible reaches the hosts: SSH, as in production, through a pipe of podman instead of a port.

An SSH connection stays open from task to task, which makes a playbook four times as fast as podman's own connection plugin.
The inventories name the key and the pipe (inventories/lab/hosts.yml, molecule/shared/inventory.yml).
"""

from pathlib import Path

from lab import settings
from lab.shell import run


def private_key() -> Path:
    """Return the lab's own SSH key, in the cache; it opens nothing but the lab's hosts."""
    return settings.cache_directory() / "ssh/id_ed25519"


def ensure_key() -> Path:
    """Make the key, once, and return its public half.

    Raises:
        LabError: when ssh-keygen fails.
    """
    key = private_key()
    public = key.with_suffix(".pub")
    if not key.exists() or not public.exists():
        key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key.unlink(missing_ok=True)
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "logbastion-lab", "-f", key],
            what="Making the lab's SSH key",
        )
    return public


def authorize(container: str) -> None:
    """Let the lab's key log in as root on a running host.

    Raises:
        LabError: when podman fails.
    """
    script = "umask 077; mkdir -p /root/.ssh; cat > /root/.ssh/authorized_keys"
    public = ensure_key().read_text(encoding="ascii")
    run(
        ["podman", "exec", "--interactive", container, "sh", "-c", script],
        stdin=public,
        what=f"Giving {container} the lab's SSH key",
    )

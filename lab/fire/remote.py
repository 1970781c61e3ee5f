"""What is done on a host of the lab: files, services, settings that are gone when the host restarts."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab import hosts, stack
from lab.errors import LabError
from lab.shell import run

DIRECTORY = "/run/logbastion-fire"
"""On both hosts: whatever is put in place for a while. Below /run, so that no restart of a host finds it."""
_DROP_IN = "zz-logbastion-fire"
STARTED_WITHIN_SECONDS = 60


def shell(host: str, script: str) -> str:
    """Run a script as root and return its output.

    Raises:
        LabError: when it fails.
    """
    return hosts.execute(host, "sh", "-ec", script)


def write(host: str, path: str, content: str, *, mode: str = "0644", owner: str = "root:root") -> None:
    """Write a file, and the directory that it needs.

    Raises:
        LabError: when it cannot be written.
    """
    script = f"umask 077; mkdir -p $(dirname {path}); cat > {path}; chown {owner} {path}; chmod {mode} {path}; chmod 0755 {DIRECTORY} || true"
    run(
        ["podman", "exec", "--interactive", hosts.container_name(host), "sh", "-ec", script],
        stdin=content,
        what=f"Writing {path} on {host}",
    )


def read(host: str, path: str) -> str:
    """Return a file's text.

    Raises:
        LabError: when it cannot be read.
    """
    return hosts.execute(host, "cat", path)


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask until it is true.

    Raises:
        LabError: when it is not within that time; `what` says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise LabError(f"Waited {seconds:.0f} s in vain: {what}.")
        time.sleep(0.5)


class Environment:
    """Variables that a service gets for a while, by a drop-in below /run; each use has a name, and they add up."""

    _lock = threading.Lock()

    def __init__(self, host: str, service: str) -> None:
        self._host, self._service = host, service

    def set(self, name: str, variables: dict[str, str]) -> None:
        """Give the service these variables with its next start."""
        file = f"{DIRECTORY}/{self._service}-{name}.env"
        lines = "".join(f'{key}="{value}"\n' for key, value in variables.items())
        with self._lock:
            write(self._host, file, lines, mode="0600")
            # A file of variables, since those of the service's own files would win over `Environment=`.
            write(self._host, self._drop_in(name), f"[Service]\nEnvironmentFile={file}\n")
            shell(self._host, "systemctl daemon-reload")

    def unset(self, name: str) -> None:
        """Take them away with its next start; none is no error."""
        with self._lock:
            shell(
                self._host,
                f"rm -f {self._drop_in(name)} {DIRECTORY}/{self._service}-{name}.env; systemctl daemon-reload",
            )

    def restart(self) -> None:
        """Start the service anew."""
        shell(self._host, f"systemctl reset-failed {self._service}; systemctl restart {self._service}")

    def _drop_in(self, name: str) -> str:
        return f"/run/systemd/system/{self._service}.service.d/{_DROP_IN}-{name}.conf"


@contextmanager
def stopped(host: str, service: str) -> Iterator[None]:
    """Stop a service for a while."""
    shell(host, f"systemctl stop {service}")
    try:
        yield
    finally:
        shell(host, f"systemctl start {service}")


@contextmanager
def small_disk(host: str, path: str, size: str, owner: str, mode: str = "0750") -> Iterator[None]:
    """Put a small disk of its own at a path; what was written on it is gone afterwards."""
    shell(host, f"mkdir -p {path}; mount -t tmpfs -o size={size},mode={mode} tmpfs {path}; chown {owner} {path}")
    try:
        yield
    finally:
        shell(host, f"umount -l {path}")


application = Environment(stack.APPLICATION, stack.APPLICATION_NAME)


def restart_application() -> None:
    """Start the application anew and wait until it answers.

    Raises:
        LabError: when it does not.
    """
    application.restart()
    wait_until(application_answers, STARTED_WITHIN_SECONDS, "the application does not answer after its restart")


def application_answers() -> bool:
    """Say whether the health check answers."""
    asked = f"curl -sf --max-time 5 --cacert /etc/{stack.APPLICATION_NAME}/tls/ca.crt https://app:8443/healthz"
    fallback = (
        "python3 -c 'import ssl, urllib.request as r; "
        f'r.urlopen("https://app:8443/healthz", timeout=5, context=ssl.create_default_context(cafile="/etc/{stack.APPLICATION_NAME}/tls/ca.crt"))\''
    )
    with suppress(LabError):
        shell(stack.APPLICATION, f"command -v curl >/dev/null && {asked} || {fallback}")
        return True
    return False


def leftovers(host: str) -> bool:
    """Say whether a fire that was killed has left something on the host."""
    return bool(shell(host, f"ls -d {DIRECTORY} /run/systemd/system/*.service.d/{_DROP_IN}-*.conf 2>/dev/null || true"))


def clear(host: str) -> None:
    """Take away whatever fires put in place on a host; services have it until their next start."""
    shell(
        host,
        f"systemctl stop 'logbastion-fire-*' 2>/dev/null || true; "
        f"for place in $(findmnt -rno TARGET | grep {Path(DIRECTORY).name} || true); do umount -l $place; done; "
        f"rm -rf {DIRECTORY} /run/systemd/system/*.service.d/{_DROP_IN}-*.conf; systemctl daemon-reload",
    )

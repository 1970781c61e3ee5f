"""Programs of the fire on the hosts, as transient units: they end with their unit, and the journal has what they say."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab import settings, stack
from lab.fire import remote

_SOURCE = settings.LAB_DIRECTORY / "fire/application_program.py"
_ON_HOST = f"{remote.DIRECTORY}/application_program.py"
SPOOL = f"{remote.DIRECTORY}/spool"


def start(host: str, name: str, command: str, *properties: str) -> None:
    """Start a command as the unit `logbastion-fire-<name>`; one of that name that still runs is ended.

    Raises:
        LabError: when it cannot be started.
    """
    unit = f"logbastion-fire-{name}"
    options = " ".join(f"-p '{each}'" for each in properties)
    remote.shell(
        host,
        f"systemctl stop {unit} 2>/dev/null || true; systemctl reset-failed {unit} 2>/dev/null || true; "
        f"systemd-run --quiet --collect --unit={unit} {options} {command}",
    )


def stop(host: str, name: str) -> None:
    """End that unit; none is no error."""
    remote.shell(host, f"systemctl stop logbastion-fire-{name} 2>/dev/null || true")


def start_application_program(words: str, *, name: str = "program") -> None:
    """Start `application_program.py` with these words, as the application's user and with its settings."""
    app = stack.APPLICATION_NAME
    remote.write(stack.APPLICATION, _ON_HOST, _SOURCE.read_text(encoding="utf-8"))
    start(
        stack.APPLICATION,
        name,
        f"/opt/{app}/venv/bin/python {_ON_HOST} {words}",
        f"User={app}",
        f"EnvironmentFile=/etc/{app}/logging.env",
        "SupplementaryGroups=log-readers",
        "UMask=0027",
        "KillMode=mixed",
        "TimeoutStopSec=10",
    )


@contextmanager
def application_program(words: str, *, spool: bool = True) -> Iterator[None]:
    """Run it for a while, with a spool of its own that is thrown away afterwards."""
    if spool:
        make_spool()
        words = f"{words} --spool={SPOOL}"
    start_application_program(words)
    try:
        yield
    finally:
        stop(stack.APPLICATION, "program")
        if spool:
            remote.shell(stack.APPLICATION, f"rm -rf {SPOOL}")


def make_spool() -> None:
    """Make the directory of that spool, empty."""
    app = stack.APPLICATION_NAME
    remote.shell(
        stack.APPLICATION,
        f"mkdir -p {remote.DIRECTORY}; chmod 0755 {remote.DIRECTORY}; rm -rf {SPOOL}; "
        f"install -d -o {app} -g {app} -m 0750 {SPOOL}",
    )

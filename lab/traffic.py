"""Traffic for the example application, from the control node, with the application's own generator."""

import json
import sys
from pathlib import Path
from typing import Any

from lab import hosts, settings, stack
from lab.shell import run

GENERATOR = settings.PROJECT_ROOT / "python_handlers/example/traffic.py"
CREDENTIALS_ON_HOST = f"/var/lib/{stack.APPLICATION_NAME}/credentials.json"


def send(number_of_requests: int, seed: int = 1, *, attack: bool = False) -> dict[str, Any]:
    """Send numbered requests to the application and return the generator's summary (run, first and last number, requests by status).

    The control node stands for a proxy that the application trusts: visitors have addresses of their own, and with `attack` one of them
    guesses a password at the end and is blocked.

    Raises:
        LabError: when the application did not answer as expected; the sentence has the generator's own words.
    """
    summary = run(
        [
            sys.executable, GENERATOR, "--url", stack.url(stack.APPLICATION, 8443), "--ca", stack.AUTHORITY,
            "--requests", str(number_of_requests), "--credentials", credentials(), "--seed", str(seed), "--json",
            "--as-proxy", *(["--attack"] if attack else []),
        ],
        what="Sending traffic to the example application",
    )  # fmt: skip
    found: dict[str, Any] = json.loads(summary)
    return found


def credentials() -> Path:
    """Bring the example users' passwords to the control node: made on the host, readable by nobody else here either."""
    path = stack.SECRETS / "example_users.json"
    content = hosts.execute(stack.APPLICATION, "cat", CREDENTIALS_ON_HOST)
    path.touch(mode=0o600)
    path.write_text(content, encoding="utf-8")
    return path

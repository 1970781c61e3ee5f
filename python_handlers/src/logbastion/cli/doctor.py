"""``logbastion doctor``: what is unsafe on this host."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from typing import Final

from logbastion.cli.common import ATTENTION, OK, USAGE, CommandError, printable
from logbastion.diagnosis import ENVIRONMENT_VARIABLE, Finding, diagnose, environment_in_use, is_strict

NAME: Final = "doctor"
HELP: Final = "say what is unsafe on this host"
DESCRIPTION: Final = """\
Say what is unsafe on this host: files and directories that others may read, missing keys, certificates that end.

It reads the LOGBASTION_* variables of the application, so run it as the application's user and with its environment,
for example with: set -a; . /etc/<application>/logging.env; set +a
It changes nothing. Handlers and Django's settings are those of another process, which judges them itself:
manage.py check --tag logbastion"""

_PREFIX: Final = "LOGBASTION_"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    parser.add_argument(
        "--environment",
        default=os.environ.get(ENVIRONMENT_VARIABLE),
        help=f"judge as in this one (default: ${ENVIRONMENT_VARIABLE})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 1 when there is one.

    Raises:
        CommandError: nothing is configured in the environment variables, so there would be nothing to judge.

    """
    variables = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX) and value}
    if not variables:
        raise CommandError(
            "no LOGBASTION_ variable is set, so nothing can be looked at: run this with the application's environment",
            USAGE,
        )
    environment = arguments.environment or environment_in_use(variables)
    found = diagnose(environment, variables)
    if arguments.json:
        result = {
            "version": 1,
            "environment": environment,
            "strict": is_strict(environment),
            "findings": [dataclasses.asdict(finding) for finding in found],
        }
        print(json.dumps(result))
    else:
        print("\n".join(lines(environment, found)))
    return ATTENTION if found else OK


def lines(environment: str, found: list[Finding]) -> list[str]:
    """Return the lines for people; errors come first."""
    kind = "strict" if is_strict(environment) else "not strict"
    text = [printable(f"Judged as {environment} ({kind}).")]
    for finding in sorted(found, key=lambda one: one.level):
        text.append(printable(f"{finding.level.upper()} {finding.id}: {finding.message}"))
        text.append(printable(f"    {finding.hint}"))
    if not found:
        text.append("Nothing unsafe was found.")
    return text

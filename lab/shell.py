"""Running commands: quietly when they succeed, with their own words when they fail."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    what: str = "",
) -> str:
    """Run a command to its end and return its standard output.

    Raises:
        LabError: when the command is not installed or exits with another code than 0; the sentence has `what` and the end of its output.
    """
    words = [str(word) for word in command]
    purpose = what or shlex.join(words)
    try:
        result = subprocess.run(words, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(
            f"{purpose}: the command {words[0]} is not installed. `make venv` installs what the lab needs."
        ) from error
    if result.returncode != 0:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-15:])
        raise LabError(f"{purpose} failed (exit code {result.returncode}):\n{tail}")
    return result.stdout


def succeeds(command: Sequence[str | Path]) -> bool:
    """Tell whether a command can be run and exits with 0."""
    try:
        return subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False

"""Let Logstash check a pipeline before it takes the old one's place: check_pipeline.py FILE.

As the service's user and with a data directory of its own, because the one in use is locked. Logstash says "Configuration OK" also after an error about
a file that it cannot read, so both are looked for.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROGRAM = "/usr/share/logstash/bin/logstash"
SETTINGS = "/etc/logstash"
KEYSTORE_ENVIRONMENT = Path("/etc/default/logstash-keystore")
USER = "logstash"
SECONDS = 300


def complaints(output: str, exit_code: int) -> list[str]:
    """Return what is wrong according to Logstash; empty when it took the pipeline."""
    errors = [line.strip() for line in output.splitlines() if re.search(r"\[(ERROR|FATAL)\b|^ERROR", line)]
    if errors:
        return errors
    if exit_code or "Configuration OK" not in output:
        return [f"Logstash ended with {exit_code} and did not say that the configuration is right.", output.strip()]
    return []


def environment() -> Iterator[tuple[str, str]]:
    """Return the variables of the service, the keystore's password among them."""
    yield from os.environ.items()
    if KEYSTORE_ENVIRONMENT.exists():
        for line in KEYSTORE_ENVIRONMENT.read_text(encoding="utf-8").splitlines():
            name, separator, value = line.partition("=")
            if separator and not name.startswith("#"):
                yield name, value


def main() -> int:
    """Check the file named on the command line; 1 and Logstash's words when it is wrong."""
    with tempfile.TemporaryDirectory(prefix="logstash-check-") as scratch:
        pipeline = Path(scratch, "pipeline.conf")
        shutil.copyfile(sys.argv[1], pipeline)
        as_user = []
        if os.geteuid() == 0:
            as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
            for path in (Path(scratch), pipeline):
                shutil.chown(path, USER, USER)
        done = subprocess.run(
            [
                *as_user,
                PROGRAM,
                *("--path.settings", SETTINGS, "--path.data", f"{scratch}/data", "--path.logs", f"{scratch}/logs"),
                *("--path.config", str(pipeline), "--config.test_and_exit"),
            ],
            env=dict(environment()),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        found = complaints(done.stdout, done.returncode)
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

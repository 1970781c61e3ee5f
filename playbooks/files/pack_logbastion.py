"""Write the package logbastion of this repository, and the one package that it needs, into a zip that Python runs as it is.

For hosts on which it is not installed and on which nothing is to stay. Usage: pack_logbastion.py FILE
"""

import importlib.util
import os
import sys
import zipfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "python_handlers/src/logbastion"
NEEDED = "prometheus_client"


def main() -> int:
    """Write the file; 1 when the control node lacks what is to be in it."""
    found = importlib.util.find_spec(NEEDED)
    if found is None or not found.submodule_search_locations:
        sys.stderr.write(
            f"The Python that runs Ansible ({sys.executable}) has no {NEEDED}: make venv, and use .venv/bin.\n"
        )
        return 1
    descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for directory in (SOURCE, Path(found.submodule_search_locations[0])):
            for path in sorted(directory.rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    archive.write(path, path.relative_to(directory.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())

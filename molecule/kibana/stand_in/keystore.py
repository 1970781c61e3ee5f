#!/usr/bin/python3
"""Stand-in for kibana-keystore: the same command line and exit codes (src/cli/keystore); the file is JSON that a test can read."""

import json
import os
import pathlib
import sys


def main() -> None:
    """Run one command."""
    command, *words = sys.argv[1:]
    path = pathlib.Path(os.environ.get("KBN_PATH_CONF", "/etc/kibana"), "kibana.keystore")
    entries = json.loads(path.read_text())["entries"] if path.exists() else {}
    if command == "create":
        if path.exists():
            print("A Kibana keystore already exists. Overwrite? [y/N]")
            return
        path.write_text(json.dumps({"stand_in": "not a Kibana keystore", "entries": {}}))
        print(f"Created Kibana keystore in {path}")
    elif command == "list":
        print("\n".join(entries))
    elif command == "add" and "--stdin" in words:
        if not path.exists():
            print("ERROR: Kibana keystore not found. Use 'create' command to create one.")
            return
        text = sys.stdin.read().strip()
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        path.write_text(json.dumps({"stand_in": "not a Kibana keystore", "entries": {**entries, words[0]: value}}))
    else:
        sys.exit(f"error: unknown command '{command}'")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Stand-in for logstash-keystore: the same command line, prompts and exit codes; the file is JSON that a test can read."""

import hashlib
import json
import os
import pathlib
import sys


def password() -> str:
    """Return a hash of the password that the environment gives."""
    return hashlib.sha256(os.environ.get("LOGSTASH_KEYSTORE_PASS", "").encode()).hexdigest()


def load(path: pathlib.Path) -> dict[str, str]:
    """Return the entries; like the real one it does not open without the password."""
    content = json.loads(path.read_text())
    if content["password"] != password():
        sys.exit("ERROR: Can not access Logstash keystore")
    return dict(content["entries"])


def save(path: pathlib.Path, entries: dict[str, str]) -> None:
    """Write the file for its owner only."""
    path.touch(mode=0o600)
    path.write_text(json.dumps({"stand_in": "not a Logstash keystore", "password": password(), "entries": entries}))


def main() -> None:
    """Run one command."""
    option, directory, command, *names = sys.argv[1:]
    path = pathlib.Path(directory, "logstash.keystore")
    if option != "--path.settings" or not os.environ.get("LOGSTASH_KEYSTORE_PASS"):
        print("WARNING: The keystore password is not set. Continue without password protection on the keystore? [y/N]")
        return
    if command == "create":
        print("An Logstash keystore already exists. Overwrite ? [y/N]" if path.exists() else "Created")
        if not path.exists():
            save(path, {})
    elif command == "list":
        print("\n".join(["", *sorted(name.lower() for name in load(path))]))
    elif command == "add" and names[-1] == "--stdin":
        entries = load(path)
        value = sys.stdin.readline().rstrip("\n")
        if names[0] in entries or not value:
            print("ERROR: Value cannot be empty" if not value else "already exists. Overwrite ? [y/N]")
            return
        save(path, {**entries, names[0]: value})
    else:
        print("ERROR: Unrecognized command")


if __name__ == "__main__":
    main()

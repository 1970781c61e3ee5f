"""``python -m fuzz.one TARGET [libFuzzer's options and corpora]``: one target under atheris, until it fails."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["logbastion"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Hand over to libFuzzer, which does not return."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Rules for the names that become part of a data stream's name."""

from __future__ import annotations

import re
from typing import Final

DEFAULT_ENVIRONMENT: Final = "development"
_ENVIRONMENT: Final = re.compile(r"[a-z0-9_]{1,64}")


def checked_environment(name: str) -> str:
    """Return the environment's name.

    Raises:
        ValueError: it has other characters than small letters, digits and underscores. A hyphen would end the dataset
            part of ``logs-<dataset>-<environment>``.

    """
    if not isinstance(name, str) or not _ENVIRONMENT.fullmatch(name):
        raise ValueError(
            f"The environment {name!r} cannot be used: write 1 to 64 small letters, digits or underscores, "
            "because it becomes part of the name of a data stream."
        )
    return name

"""Where the files of an installation are: what ``LOGGING`` and the settings say, or else the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from django.conf import settings

from logbastion import pseudonyms

_FROM_HANDLERS: Final = {
    "directory": "LOGBASTION_LOG_DIRECTORY",
    "spool_directory": "LOGBASTION_SPOOL_DIRECTORY",
    "ca_file": "LOGBASTION_CA_FILE",
    "certificate_file": "LOGBASTION_CERTIFICATE_FILE",
    "key_file": "LOGBASTION_KEY_FILE",
    "password_file": "LOGBASTION_PASSWORD_FILE",
    "api_key_file": "LOGBASTION_API_KEY_FILE",
}
_FROM_SETTINGS: Final = (pseudonyms.VARIABLE, "LOGBASTION_METRICS_TOKEN_FILE")


def places() -> dict[str, str]:
    """Return the paths in use under the names of the environment variables. ``LOGGING`` and settings go first."""
    found = {name: value for name, value in os.environ.items() if name.startswith("LOGBASTION_")}
    configured = settings.LOGGING.get("handlers", {}) if isinstance(settings.LOGGING, Mapping) else {}
    for handler in configured.values():
        if str(handler.get("()", "")).startswith("logbastion."):
            found.update({name: str(handler[key]) for key, name in _FROM_HANDLERS.items() if handler.get(key)})
    for name in _FROM_SETTINGS:
        if getattr(settings, name, None):
            found[name] = str(getattr(settings, name))
    return found

"""The setting ``LOGBASTION_SECURITY_PAGE``: what it may say, and where the page reads.

=================== ================================================== ================================================
Key                 Default                                            Says
=================== ================================================== ================================================
``ELASTICSEARCH``   ``LOGBASTION_SECURITY_PAGE_ELASTICSEARCH``         ``host:port``, several with commas or as a list;
                                                                       without it the local files are read
``USERNAME``        ``LOGBASTION_SECURITY_PAGE_USERNAME``              of the credential that reads, and nothing else
``PASSWORD_FILE``   ``LOGBASTION_SECURITY_PAGE_PASSWORD_FILE``         a file with its password
``API_KEY_FILE``    ``LOGBASTION_SECURITY_PAGE_API_KEY_FILE``          a file with an API key, instead of both
``CA_FILE``         ``LOGBASTION_SECURITY_PAGE_CA_FILE``, or else      the authority that signed Elasticsearch's
                    ``LOGBASTION_CA_FILE``                             certificate
``LOG_DIRECTORY``   that of ``LOGGING``, or ``LOGBASTION_LOG_DIRECTORY`` where ``security.log`` is
``ENVIRONMENT``     that of the events of this process                 which stream is read
``SUPERUSER_ONLY``  ``True``                                           whether the permission alone is not enough
``PAGE_SIZE``       50                                                 events on a page, 1 to 500
``TIMEOUT``         5                                                  seconds for Elasticsearch's answer
=================== ================================================== ================================================

The names in capitals with ``LOGBASTION_`` are environment variables; the role ``django_logging`` sets them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

from logbastion import diagnosis
from logbastion.django.places import places
from logbastion.security_log import ElasticsearchLog, FileLog

SETTING: Final = "LOGBASTION_SECURITY_PAGE"
FROM_VARIABLES: Final = ("ELASTICSEARCH", "USERNAME", "PASSWORD_FILE", "API_KEY_FILE", "CA_FILE")
DEFAULTS: Final[dict[str, Any]] = {
    **dict.fromkeys(FROM_VARIABLES),
    "LOG_DIRECTORY": None,
    "ENVIRONMENT": None,
    "SUPERUSER_ONLY": True,
    "PAGE_SIZE": 50,
    "TIMEOUT": 5,
}
_MAX_PAGE: Final = 500


def page_settings() -> dict[str, Any]:
    """Return the setting with what the environment says and the defaults.

    Raises:
        ValueError: with a sentence, when it is no mapping, has an unknown key, or a value that cannot be.

    """
    given = getattr(settings, SETTING, None) or {}
    if not isinstance(given, Mapping):
        raise ValueError(f"{SETTING} must be a dict, and is of type {type(given).__name__}.")
    unknown = sorted(map(str, set(given) - set(DEFAULTS)))
    if unknown:
        raise ValueError(f"{SETTING} does not know {', '.join(unknown)}. It knows {', '.join(DEFAULTS)}.")
    variables = {name: os.environ.get(f"{SETTING}_{name}") or None for name in FROM_VARIABLES}
    found = {**DEFAULTS, **variables, **given}
    used = places()
    found["CA_FILE"] = found["CA_FILE"] or used.get("LOGBASTION_CA_FILE")
    found["LOG_DIRECTORY"] = found["LOG_DIRECTORY"] or used.get("LOGBASTION_LOG_DIRECTORY")
    if type(found["PAGE_SIZE"]) is not int or not 1 <= found["PAGE_SIZE"] <= _MAX_PAGE:
        raise ValueError(f"{SETTING}['PAGE_SIZE'] must be a whole number from 1 to {_MAX_PAGE}.")
    if type(found["TIMEOUT"]) not in (int, float) or not 0 < found["TIMEOUT"] <= 60:  # noqa: PLR2004
        raise ValueError(f"{SETTING}['TIMEOUT'] must be a number of seconds, more than 0 and at most 60.")
    if type(found["SUPERUSER_ONLY"]) is not bool:
        raise ValueError(f"{SETTING}['SUPERUSER_ONLY'] must be True or False.")
    return found


def elasticsearch_log(asked: Mapping[str, Any]) -> ElasticsearchLog | None:
    """Return what asks Elasticsearch; None where none is named.

    Raises:
        ValueError: a destination cannot be understood, or the credential is half given or missing.

    """
    if not asked["ELASTICSEARCH"]:
        if asked["USERNAME"] or asked["PASSWORD_FILE"] or asked["API_KEY_FILE"]:
            raise ValueError(f"{SETTING} has a credential, and no ELASTICSEARCH to use it for.")
        return None
    return ElasticsearchLog(
        asked["ELASTICSEARCH"],
        asked["ENVIRONMENT"] or diagnosis.environment_in_use(),
        ca_file=asked["CA_FILE"],
        username=asked["USERNAME"],
        password_file=asked["PASSWORD_FILE"],
        api_key_file=asked["API_KEY_FILE"],
        timeout=asked["TIMEOUT"],
    )


def file_log(asked: Mapping[str, Any]) -> FileLog | None:
    """Return what reads the local files; None where no directory is known."""
    return FileLog(asked["LOG_DIRECTORY"]) if asked["LOG_DIRECTORY"] else None

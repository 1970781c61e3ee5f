"""Takes Django's settings over into the library, which does not know Django."""

from __future__ import annotations

import os

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from logbastion import client_address, pseudonyms
from logbastion.pseudonym_keys import read_keys


def signals_are_on() -> bool:
    """Say whether the application is installed and ``LOGBASTION_SIGNALS`` is not False."""
    return apps.is_installed("logbastion.django") and bool(getattr(settings, "LOGBASTION_SIGNALS", True))


def apply_settings() -> None:
    """Apply ``LOGBASTION_TRUSTED_PROXIES`` and ``LOGBASTION_PSEUDONYM_KEYS_FILE``.

    A setting goes before the environment variable of the same name; both are checked now, when it does not cost an
    event.

    Raises:
        ImproperlyConfigured: with a sentence, when one of them cannot be used.

    """
    try:
        networks = getattr(settings, client_address.VARIABLE, None)
        client_address.set_trusted_proxies(networks)
        if networks is None:
            client_address.proxies_from_environment()
        path = getattr(settings, pseudonyms.VARIABLE, None)
        pseudonyms.configure_pseudonyms(path)
        used = path or os.environ.get(pseudonyms.VARIABLE)
        if used:
            read_keys(used)
    except (ValueError, TypeError) as error:
        problem = str(error)
    else:
        return
    raise ImproperlyConfigured(problem)

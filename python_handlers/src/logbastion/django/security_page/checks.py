"""What is wrong with the page of the security log, as findings of :mod:`logbastion.diagnosis_rules`."""

from __future__ import annotations

from typing import Final

from django.apps import apps
from django.urls import NoReverseMatch, reverse

from logbastion.diagnosis import certificate_findings, secret_file_findings
from logbastion.diagnosis_rules import Finding, breach
from logbastion.django.places import places
from logbastion.django.security_page.options import SETTING, elasticsearch_log, page_settings

_NEEDED: Final = ("logbastion.django", "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes")


def findings(environment: str) -> list[Finding]:
    """Return what is wrong: rules 040, 041 (the credential's file) and 070 to 072. Connects to nothing.

    Args:
        environment: its name.

    """
    missing = [name for name in _NEEDED if not apps.is_installed(name)]
    if missing:
        return breach(71, environment, f"The security log page needs {', '.join(missing)} in INSTALLED_APPS.")
    found = []
    try:
        reverse("admin:view_security_logs")
    except NoReverseMatch:
        found += breach(71, environment, "No address leads to the security log page: the admin has none.")
    try:
        asked = page_settings()
        store = elasticsearch_log(asked)
    except ValueError as error:
        return found + breach(70, environment, str(error))
    if store is None and not asked["LOG_DIRECTORY"]:
        text = f"{SETTING} names no Elasticsearch and there is no log directory: the page has nothing to read."
        found += breach(72, environment, text)
    if store is not None:
        used = places().values()  # those are looked at anyway
        for path in filter(None, (asked["PASSWORD_FILE"], asked["API_KEY_FILE"])):
            found += [] if path in used else secret_file_findings(str(path), environment)
        if asked["CA_FILE"] and asked["CA_FILE"] != places().get("LOGBASTION_CA_FILE"):
            found += certificate_findings(str(asked["CA_FILE"]), environment)
    return found

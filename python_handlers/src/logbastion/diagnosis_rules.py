"""What is judged about an installation: one table of rules, one finding for each breach.

The number names the rule and the letter its level, so that silencing a warning of development
(``SILENCED_SYSTEM_CHECKS``) does not silence the error of production. Which environments are strict is in
:mod:`logbastion.environments`: all but ``development`` and ``test``. In these a rule has its second level, or is
silent.

=====  ======  =========  ========================================================================================
Rule   Strict  Otherwise  Found when
=====  ======  =========  ========================================================================================
001    E001    silent     ``DEBUG`` is on. OWASP ASVS 5.0, 13.4.2.
002    W002    W002       ``CorrelationIdMiddleware`` is missing in ``MIDDLEWARE``, or not the first. ASVS 16.2.1.
003    E003    W003       A URL pattern captures log-in data, such as ``<token>``. ASVS 14.2.1.
004    W004    silent     The default cache is one for each process, or none. ASVS 6.3.1.
005    E005    W005       No handler of the root logger passes the gate: ``LOGGING`` is not made with it. 16.2.5.
006    E006    W006       A handler mails Django's error reports, which hold the request, or local variables. 16.2.5.
007    W007    silent     Detection counts in the memory of each process. As 004.
008    E008    W008       Detection sends to Redis over the network without TLS. ASVS 12.3.1.
009    W009    silent     Detection blocks, but no middleware refuses, or no proxies are declared. ASVS 4.1.3.
010    W010    silent     The environment's name is none of the four known ones; it has the rules of production.
020    E020    W020       The log directory gives others a right. PCI DSS v4.0.1, 10.3.1 and 10.3.2; ASVS 16.4.2.
021    E021    W021       A file in the log directory gives others a right. The same.
022    W022    W022       A file in the log directory belongs to somebody else than the directory.
023    E023    W023       The spool directory gives others a right. As 020.
030    E030    silent     No file of pseudonym keys is named. GDPR, Art. 4(5) and 32(1)(a).
031    E031    W031       The file of pseudonym keys cannot be used: it is missing, open, or has no valid key.
040    E040    W040       A private key or the file of a password, API key or token is open to others. ASVS 13.3.2.
041    E041    W041       A file that the configuration names is missing.
042    E042    W042       A certificate has expired. ASVS 12.3.1; RFC 5280, 4.1.2.5.
043    W043    W043       A certificate expires within 14 days.
050    E050    W050       A handler writes records that have not passed the redaction. ASVS 16.2.5.
051    E051    W051       A handler sends records over the network without TLS. ASVS 12.3.1 and 16.4.3.
052    E052    silent     A logger is below the least level of the environment, and a handler writes it. ASVS 13.4.2.
053    W053    silent     Events go to the console or into memory alone. PCI DSS v4.0.1, 10.3.3; ASVS 16.4.3.
060    W060    W060       The maintenance flag does nothing, or turns staff away: file or middleware missing, or order.
061    E061    W061       Others may write the maintenance flag or its directory. PCI DSS v4.0.1, 7.2.1; ASVS 13.4.1.
062    W062    W062       This process cannot write the directory of the maintenance flag.
063    W063    silent     Incidents are in the memory of each process. As 007.
064    E064    W064       The store of incidents is reached over the network without TLS. ASVS 12.3.1.
065    E065    E065       The store of incidents is a database that cannot be used.
070    E070    W070       ``LOGBASTION_SECURITY_PAGE`` cannot be used as it is. PCI DSS v4.0.1, 10.4.1.
071    E071    W071       The page of the security log cannot work in this project: what it needs is not installed.
072    E072    silent     The page of the security log has nothing to read. PCI DSS v4.0.1, 10.4.1.
099    W099    W099       Something could not be looked at.
=====  ======  =========  ========================================================================================

Rules 001 to 009 and 070 to 072 need Django and are made by :mod:`logbastion.django.checks`, the others by
:mod:`logbastion.diagnosis`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from logbastion.environments import ENVIRONMENTS, is_strict

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        strict: the level in a strict environment.
        otherwise: the level in the others; None is silent.
        hint: a sentence that says what to do.

    """

    strict: Level
    otherwise: Level | None
    hint: str


@dataclass(frozen=True)
class Finding:
    """One breach of a rule.

    Args:
        id: such as ``logbastion.E001``.
        level: ``error`` or ``warning``.
        message: a sentence that says what was found. It never holds the content of a file.
        hint: a sentence that says what to do.

    """

    id: str
    level: Level
    message: str
    hint: str


RULES: Final[dict[int, Rule]] = {
    1: Rule("error", None, "Set DEBUG = False: its error pages show settings and local variables to whoever asks."),
    2: Rule(
        "warning",
        "warning",
        "Put 'logbastion.django.middleware.CorrelationIdMiddleware' first in MIDDLEWARE: what runs before it has no "
        "correlation id.",
    ),
    3: Rule(
        "error",
        "warning",
        "Send it in a header or in the body: paths are kept by proxies, browsers and access logs.",
    ),
    4: Rule(
        "warning",
        None,
        "Use a cache that all workers share, such as Redis or Memcached: attempts that are spread over the workers are "
        "not counted together otherwise.",
    ),
    5: Rule("error", "warning", "Set LOGGING = logbastion.logging_config(...), and leave LOGGING_CONFIG as it is."),
    6: Rule(
        "error",
        "warning",
        "Remove the AdminEmailHandler: the redaction does not see what it mails. The event has the traceback; let an "
        "alert call people.",
    ),
    7: Rule(
        "warning",
        None,
        "Set STORE to 'redis' or 'database' in LOGBASTION_DETECTION: otherwise an attacker has as many times five "
        "attempts as there are workers.",
    ),
    8: Rule("error", "warning", "Use rediss:// and name ssl_ca_certs in REDIS_URL, or a Redis on this host."),
    9: Rule(
        "warning",
        None,
        "Put 'logbastion.django.detection.middleware.BlockedAddressMiddleware' after the CorrelationIdMiddleware, and "
        "set LOGBASTION_TRUSTED_PROXIES, to [] where clients connect directly: a proxy that nobody has declared would "
        "be blocked in place of its clients.",
    ),
    10: Rule(
        "warning",
        None,
        f"Use one of {', '.join(ENVIRONMENTS)}; where the data are real, staging or production.",
    ),
    20: Rule("error", "warning", "Run chmod 0750 on it (2750 keeps the group of new files)."),
    21: Rule("error", "warning", "Run chmod 0640 on it, and find out which program made it."),
    22: Rule(
        "warning",
        "warning",
        "Run chown on it, and run manage.py and the application as the same user: otherwise one cannot write what the "
        "other has made.",
    ),
    23: Rule("error", "warning", "Run chmod 0750 on it: the events that wait there are those of the logs."),
    30: Rule(
        "error",
        None,
        "Make a key with logbastion.pseudonym_keys.add_key, and name its file in LOGBASTION_PSEUDONYM_KEYS_FILE: "
        "without one the events of a person cannot be joined without the name.",
    ),
    31: Rule(
        "error",
        "warning",
        "Make a key with logbastion.pseudonym_keys.add_key if there is none; the file has mode 0600, or 0640 for the "
        "application's group.",
    ),
    40: Rule(
        "error",
        "warning",
        "Run chmod 0600 on it (0640 when the application reads it as a member of the group), and replace the secret if "
        "others could read it.",
    ),
    41: Rule("error", "warning", "Put the file there, or correct the path."),
    42: Rule("error", "warning", "Renew it: nothing can be sent with it."),
    43: Rule("warning", "warning", "Renew it before that day: nothing can be sent with an expired one."),
    50: Rule(
        "error",
        "warning",
        "Remove the handler, give it an EventFormatter, or add a logbastion.RedactionFilter as the last of its "
        "filters.",
    ),
    51: Rule(
        "error",
        "warning",
        "Send with logbastion's ingest, which demands TLS, or to a daemon on this host that does; for HTTPHandler and "
        "SMTPHandler set `secure`.",
    ),
    52: Rule("error", None, "Set the logger to INFO or above, and look for the fault in staging."),
    53: Rule(
        "warning",
        None,
        "Name log_directory or ingest in logging_config, or see to it that who runs the process keeps its standard "
        "error, and only for those who may read logs.",
    ),
    60: Rule(
        "warning",
        "warning",
        "Name one file in LOGBASTION_MAINTENANCE_FILE and in the response `maintenance`, and put 'logbastion.django."
        "incidents.middleware.MaintenanceMiddleware' into MIDDLEWARE after AuthenticationMiddleware.",
    ),
    61: Rule("error", "warning", "Use a directory of the application's own, such as /run/django-app: chmod 0750."),
    62: Rule(
        "warning",
        "warning",
        "Give the directory to the application's user (RuntimeDirectory= of its unit), and run this check as that "
        "user.",
    ),
    63: Rule(
        "warning",
        None,
        "Name a store that workers share: logging_config(incidents={'store': {'kind': 'redis', 'url': ...}}) or "
        "'database'. With one process, silence this.",
    ),
    64: Rule("error", "warning", "Use rediss:// and name ssl_ca_certs in the url, or a Redis on this host."),
    65: Rule(
        "error",
        "error",
        "Put 'logbastion.django.incidents' into INSTALLED_APPS, run migrate, and name a database of DATABASES that is "
        "PostgreSQL or SQLite.",
    ),
    70: Rule(
        "error",
        "warning",
        "Correct LOGBASTION_SECURITY_PAGE, or the environment variables that begin so: the module "
        "logbastion.django.security_page.options lists what they may say.",
    ),
    71: Rule(
        "error",
        "warning",
        "Put 'logbastion.django' and what django.contrib.admin needs into INSTALLED_APPS, and the admin into "
        "ROOT_URLCONF.",
    ),
    72: Rule(
        "error",
        None,
        "Name Elasticsearch in LOGBASTION_SECURITY_PAGE, or the directory of security.log (LOGBASTION_LOG_DIRECTORY).",
    ),
    99: Rule("warning", "warning", "Run this as the application's user, and look at it by hand if that does not help."),
}


def identifier(number: int, level: Level) -> str:
    """Return the id of a rule's finding, such as ``logbastion.E001``."""
    return f"logbastion.{level[0].upper()}{number:03}"


def breach(number: int, environment: str, message: str) -> list[Finding]:
    """Return the finding of a rule in an environment; an empty list where the rule is silent.

    Args:
        number: a key of :data:`RULES`.
        environment: its name.
        message: a sentence.

    Raises:
        KeyError: there is no such rule.

    """
    rule = RULES[number]
    level = rule.strict if is_strict(environment) else rule.otherwise
    return [] if level is None else [Finding(identifier(number, level), level, message, rule.hint)]

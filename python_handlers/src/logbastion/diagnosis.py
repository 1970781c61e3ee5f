"""Judges how an installation is set up: files, keys, certificates and handlers.

What is asked is in :mod:`logbastion.diagnosis_rules`, rule by rule. Nothing is changed, nothing is sent, and no
function here raises for what it finds: what cannot be looked at is a finding too (rule 099). A directory or a file that
the application makes itself and that is not there yet is no breach.

Directories are judged by the rights that others have, not those of the group: readers of logs may be members of it.
"""

from __future__ import annotations

import datetime
import os
import stat
from collections.abc import Callable, Mapping
from typing import Final

from logbastion.certificate_dates import MAX_FILE_BYTES, expiry_dates
from logbastion.diagnosis_rules import RULES, Finding, Level, breach
from logbastion.environments import ENVIRONMENTS, is_strict
from logbastion.logging_tree import environments_in_use, handler_findings
from logbastion.names import DEFAULT_ENVIRONMENT
from logbastion.pseudonym_keys import PseudonymKeyError, read_keys
from logbastion.pseudonyms import VARIABLE as KEYS_VARIABLE

__all__ = [
    "ENVIRONMENTS",
    "RULES",
    "Finding",
    "Level",
    "certificate_findings",
    "diagnose",
    "environment_findings",
    "environment_in_use",
    "handler_findings",
    "is_strict",
    "log_directory_findings",
    "pseudonym_key_findings",
    "secret_file_findings",
    "spool_findings",
]

ENVIRONMENT_VARIABLE: Final = "LOGBASTION_ENVIRONMENT"
EXPIRY_NOTICE: Final = datetime.timedelta(days=14)
"""How long before its end a certificate is reported."""
CERTIFICATE_VARIABLES: Final = ("LOGBASTION_CA_FILE", "LOGBASTION_CERTIFICATE_FILE")
SECRET_VARIABLES: Final = (
    "LOGBASTION_KEY_FILE",
    "LOGBASTION_PASSWORD_FILE",
    "LOGBASTION_API_KEY_FILE",
    "LOGBASTION_METRICS_TOKEN_FILE",
    "LOGBASTION_INCIDENTS_ALERTMANAGER_PASSWORD_FILE",
    "LOGBASTION_SECURITY_PAGE_PASSWORD_FILE",
    "LOGBASTION_SECURITY_PAGE_API_KEY_FILE",
)
_OTHERS: Final = 0o007
_SECRET_FORBIDDEN: Final = 0o037  # as for pseudonym keys: the group may read, others nothing


def environment_in_use(variables: Mapping[str, str] | None = None) -> str:
    """Return the name of the environment that this process is judged by.

    Asked are the formatters of the live handlers, which say what stands in the events, and ``LOGBASTION_ENVIRONMENT``.
    When they contradict each other a strict one counts, so that a wrong variable switches no check off; of several
    strict ones a known one. Without any it is ``development``.

    Args:
        variables: of the environment; by default those of the process.

    """
    given = (os.environ if variables is None else variables).get(ENVIRONMENT_VARIABLE)
    names = [*environments_in_use(), *([given] if given else [])]
    strict = sorted(filter(is_strict, names), key=lambda name: name not in ENVIRONMENTS)
    return next(iter([*strict, *names]), DEFAULT_ENVIRONMENT)


def diagnose(environment: str, variables: Mapping[str, str]) -> list[Finding]:
    """Return what is wrong on this host: all rules but those of Django and of handlers.

    Args:
        environment: its name.
        variables: ``LOGBASTION_LOG_DIRECTORY``, ``LOGBASTION_SPOOL_DIRECTORY``, ``LOGBASTION_PSEUDONYM_KEYS_FILE``, and
            those in :data:`CERTIFICATE_VARIABLES` and :data:`SECRET_VARIABLES`, with paths. An empty one counts as not
            set.

    """
    found = environment_findings(environment)
    logs, spool = variables.get("LOGBASTION_LOG_DIRECTORY"), variables.get("LOGBASTION_SPOOL_DIRECTORY")
    if logs:
        found += log_directory_findings(logs, environment)
    if spool:
        found += spool_findings(spool, environment)
    found += pseudonym_key_findings(variables.get(KEYS_VARIABLE), environment)
    for names, look in ((SECRET_VARIABLES, secret_file_findings), (CERTIFICATE_VARIABLES, certificate_findings)):
        for path in filter(None, map(variables.get, names)):
            found += look(path, environment)
    return found


def environment_findings(environment: str) -> list[Finding]:
    """Return rule 010: a name that is not in the table is strict, and may be meant for one that is not."""
    if environment in ENVIRONMENTS:
        return []
    return breach(10, environment, f"The environment {environment!r} is unknown and has the rules of production.")


def log_directory_findings(path: str, environment: str) -> list[Finding]:
    """Return what is wrong with the directory of the log files: rules 020, 021, 022.

    The files are those directly in it, whatever their names: rotated ones hold the same. Links are not followed.
    """

    def look() -> list[Finding]:
        directory = os.stat(path)
        found = _open_directory(20, "log directory", path, directory, environment)
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # rotated away meanwhile
                    continue
                if not stat.S_ISREG(status.st_mode):
                    continue
                if status.st_mode & _OTHERS:
                    sentence = f"The log file {entry.path} has mode {_mode(status)}, so others than its group have a "
                    found += breach(21, environment, f"{sentence}right to it.")
                if status.st_uid != directory.st_uid:
                    sentence = f"The log file {entry.path} belongs to the user {status.st_uid}, its directory to "
                    found += breach(22, environment, f"{sentence}{directory.st_uid}.")
        return found

    return _looked(f"The log directory {path}", environment, look, missing=None)


def spool_findings(path: str, environment: str) -> list[Finding]:
    """Return what is wrong with the directory of the spool: rule 023."""
    return _looked(
        f"The spool directory {path}",
        environment,
        lambda: _open_directory(23, "spool directory", path, os.stat(path), environment),
        missing=None,
    )


def pseudonym_key_findings(path: str | None, environment: str) -> list[Finding]:
    """Return what is wrong with the file of pseudonym keys: rules 030 and 031. The keys are read and forgotten."""
    if not path:
        return breach(30, environment, "No file of pseudonym keys is named.")

    def look() -> list[Finding]:
        os.stat(path)
        if not os.access(path, os.R_OK):
            raise PermissionError
        try:
            read_keys(path)
        except PseudonymKeyError as error:
            return breach(31, environment, str(error))
        return []

    return _looked("The file of pseudonym keys", environment, look, missing=31)


def secret_file_findings(path: str, environment: str) -> list[Finding]:
    """Return what is wrong with a file that holds a private key, a password or a token: rules 040 and 041.

    Only its mode is looked at, so that its content comes into no memory.
    """

    def look() -> list[Finding]:
        status = os.stat(path)
        if not status.st_mode & _SECRET_FORBIDDEN:
            return []
        return breach(
            40,
            environment,
            f"The secret file {path} has mode {_mode(status)}: only its owner may write it, only its group may also "
            "read it.",
        )

    return _looked(f"The file {path}", environment, look, missing=41)


def certificate_findings(path: str, environment: str, now: datetime.datetime | None = None) -> list[Finding]:
    """Return what is wrong with a file of certificates: rules 041, 042, 043. The one that expires first counts.

    Args:
        path: of a PEM file.
        environment: its name.
        now: with a time zone; by default the time that it is.

    """
    moment = now or datetime.datetime.now(datetime.timezone.utc)

    def look() -> list[Finding]:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES)
        end = min(expiry_dates(content.decode("ascii", "replace")))
        if end <= moment:
            return breach(42, environment, f"The certificate in {path} has expired on {end:%Y-%m-%d %H:%M} UTC.")
        if end - moment <= EXPIRY_NOTICE:
            return breach(43, environment, f"The certificate in {path} expires on {end:%Y-%m-%d %H:%M} UTC.")
        return []

    return _looked(f"The file {path}", environment, look, missing=41)


def _open_directory(number: int, what: str, path: str, status: os.stat_result, environment: str) -> list[Finding]:
    if not status.st_mode & _OTHERS:
        return []
    sentence = f"The {what} {path} has mode {_mode(status)}, so others than its group have a right to it."
    return breach(number, environment, sentence)


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"


def _looked(what: str, environment: str, look: Callable[[], list[Finding]], *, missing: int | None) -> list[Finding]:
    """Look, and make a finding of what prevents it.

    Args:
        what: the first words of the sentence. Without the path for pseudonym keys: it may be a key, by mistake.
        environment: its name.
        look: may raise anything.
        missing: the rule that a missing file breaks; None when it may be missing.

    """
    try:
        return look()
    except FileNotFoundError:
        return [] if missing is None else breach(missing, environment, f"{what} is missing.")
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except Exception as error:  # a damaged certificate, a path that is none
        reason = str(error) if isinstance(error, ValueError) else type(error).__name__
    return breach(99, environment, f"{what} could not be looked at: {reason}.")

"""``manage.py erase_user``: ``logbastion erase-user`` with what only the project knows about the person."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string

from logbastion.cli import common as cli_common
from logbastion.cli import erase_user, erasure
from logbastion.erasure.database import DatabaseLog
from logbastion.erasure.place import Place
from logbastion.erasure.subject import LEAST_IDENTIFIER

ERASABLE_LOGS = "LOGBASTION_ERASABLE_LOGS"


class Command(BaseCommand):  # type: ignore[misc, unused-ignore] # Django may be without types
    """Erases a person from the logs: files, archive, spool, and the tables that ``LOGBASTION_ERASABLE_LOGS`` names.

    While the account is still there, its address and user name are looked for, too.
    """

    help = f"{erase_user.HELP}; the account's address and user name are looked for, too, while it is there"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options, those of ``logbastion erase-user`` and one."""
        erase_user.add_arguments(parser)
        keys = getattr(settings, "LOGBASTION_PSEUDONYM_KEYS_FILE", None)
        if keys:
            parser.set_defaults(pseudonym_keys=keys)
        parser.add_argument(
            "--only-given", action="store_true", help="do not look the account up for its address and user name"
        )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Run; the exit code is that of ``logbastion erase-user``.

        Raises:
            CommandError: the arguments do not go together, or nothing could be begun.

        """
        arguments = argparse.Namespace(**options)
        try:
            person = erasure.person_of(arguments)
            if not arguments.only_given:
                person = _with_account(person)
            places = [*_database_logs(), *erasure.places_of(arguments, writes=not arguments.dry_run)]
            # The project's own logging tells of it, and ships that.
            code = erase_user.erase(arguments, person, places)
        except cli_common.CommandError as error:
            raise CommandError(str(error), returncode=error.code) from None
        if code:
            sys.exit(code)


def _with_account(person: erasure.Person) -> erasure.Person:
    model = get_user_model()
    try:
        user = model._default_manager.filter(pk=person.user_id).first()
    except (ValueError, TypeError, ValidationError):  # no primary key of this project
        user = None
    if user is None:
        return person
    email = getattr(user, model.get_email_field_name(), "") or ""
    name = user.get_username() or ""
    emails = [*person.emails, *([email] if email else [])]
    known = {one.casefold() for one in emails}
    more = [name] if len(name) >= LEAST_IDENTIFIER and name.casefold() not in known else []
    return person._replace(emails=emails, identifiers=[*person.identifiers, *more])


def _database_logs() -> list[Place]:
    found: list[Place] = []
    for path in getattr(settings, ERASABLE_LOGS, ()):
        try:
            found.append(DatabaseLog(import_string(path)()))
        except Exception as error:
            raise CommandError(f"{ERASABLE_LOGS}: {path} cannot be used: {type(error).__name__}: {error}") from error
    return found

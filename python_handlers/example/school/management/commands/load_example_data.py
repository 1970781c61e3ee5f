"""``manage.py load_example_data --credentials FILE``."""

import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from school.models import Membership, School, Student

SCHOOLS = ("Escola do Rio", "Escola da Serra", "Escola do Mar", "Escola da Ponte", "Escola do Vale")
STUDENTS = ("Ana", "Bruno", "Carla", "Duarte", "Eva", "Filipe")
USERS = (  # name, school, may see other schools
    ("teacher", 0, False),
    ("parent", 1, False),
    ("inspector", 2, True),
)
OFFICER = "officer"
OFFICER_MAY = (
    "admin.view_security_logs",
    "logbastion_detection.view_addressblock",
    "logbastion_detection.delete_addressblock",
)


class Command(BaseCommand):
    help = "Creates schools, students and users. Prints 'changed' or 'unchanged'; a second run changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--credentials",
            type=Path,
            required=True,
            help="JSON file for the generated passwords; written with mode 0600",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["credentials"]
        known = self._read(file)
        with transaction.atomic():
            changed = self._load_schools()
            passwords = {name: self._load_user(name, school, sees_all, known) for name, school, sees_all in USERS}
            officer, new = self._load_officer(known)
        users = [{"username": name, "password": password} for name, (password, _) in passwords.items()]
        if new or any(new for _, new in passwords.values()):
            self._write(file, {"users": users, "officer": {"username": OFFICER, "password": officer}})
            changed = True
        self.stdout.write("changed" if changed else "unchanged")

    def _read(self, file: Path) -> dict[str, str]:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            # A file from before there was an officer has none.
            everybody = [*content["users"], *filter(None, [content.get("officer")])]
            return {user["username"]: user["password"] for user in everybody}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandError(
                f"The file {file} cannot be used: {error}. Remove it; new passwords are made then."
            ) from None

    def _write(self, file: Path, content: dict[str, Any]) -> None:
        # mkstemp makes the file 0600; renamed into place, so nobody reads half of it.
        try:
            descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.name)
        except OSError as error:
            raise CommandError(f"The passwords cannot be written to {file}: {error}. No user can log in yet.") from None
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2)
            stream.write("\n")
        os.replace(temporary, file)

    def _load_schools(self) -> bool:
        changed = False
        for name in SCHOOLS:
            school, made = School.objects.get_or_create(name=name)
            changed |= made
            for student in STUDENTS:
                changed |= Student.objects.get_or_create(school=school, name=f"{student} {name.split()[-1]}")[1]
        return changed

    def _load_user(self, name: str, school: int, sees_all: bool, known: dict[str, str]) -> tuple[str, bool]:
        """Return the user's password and whether it is new."""
        users = get_user_model().objects
        user, _ = users.get_or_create(username=name, defaults={"email": f"{name}@example.org"})
        Membership.objects.get_or_create(
            user=user,
            defaults={"school": School.objects.get(name=SCHOOLS[school]), "may_see_other_schools": sees_all},
        )
        return self._password_of(user, known)

    def _load_officer(self, known: dict[str, str]) -> tuple[str, bool]:
        """Return the password of somebody who may see the security log and lift blocks, and whether it is new."""
        user, _ = get_user_model().objects.get_or_create(username=OFFICER, defaults={"is_staff": True})
        for permission in OFFICER_MAY:
            label, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=label, codename=codename))
        return self._password_of(user, known)

    @staticmethod
    def _password_of(user: Any, known: dict[str, str]) -> tuple[str, bool]:
        name = user.get_username()
        if name in known and user.check_password(known[name]):
            return known[name], False
        password = secrets.token_urlsafe(18)
        user.set_password(password)
        user.save(update_fields=["password"])
        return password, True

"""``manage.py blocked_addresses``: lists what is blocked, or lifts a block."""

from __future__ import annotations

import datetime
import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from logbastion.detection import security_detector


class Command(BaseCommand):  # type: ignore[misc, unused-ignore] # Django may be without types
    """Lists blocked addresses, or lifts the block of one, which is on record in ``security.events``."""

    help = "List blocked addresses, or lift the block of one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--lift", metavar="ADDRESS", help="lift the block of this address, or of its IPv6 /64")

    def handle(self, *_arguments: Any, lift: str | None, **_options: Any) -> None:
        """Run.

        Raises:
            CommandError: detection is off, the store is away, or there is no such address or block.

        """
        detector = security_detector()
        if detector is None:
            raise CommandError("Detection is off: set LOGBASTION_DETECTION.")
        try:
            if lift is None:
                self._list(detector.blocks.listed())
            elif detector.blocks.lift(lift, by=f"command:{_user()}") is None:
                raise CommandError(f"{lift} is not blocked.")
            else:
                self.stdout.write(f"Lifted the block of {lift}.")
        except ValueError as error:
            raise CommandError(str(error)) from None
        except (CommandError, KeyboardInterrupt):
            raise
        except Exception as error:  # of a store, each has its own
            raise CommandError(f"The store of detection fails: {type(error).__name__}.") from error

    def _list(self, blocks: list[Any]) -> None:
        for block in blocks:
            until = datetime.datetime.fromtimestamp(block.until, datetime.timezone.utc)
            mode = "noted only" if block.dry_run else "blocked"
            self.stdout.write(f"{block.network}  {mode} until {until:%Y-%m-%d %H:%M:%S} UTC, {block.reason}")
        if not blocks:
            self.stdout.write("No address is blocked.")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"

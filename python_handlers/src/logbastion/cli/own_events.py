"""Where the events of a command go that does something to logs: into the log itself, and to where that is shipped."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from logbastion.cli.common import USAGE, CommandError
from logbastion.files import StreamFileHandler
from logbastion.formatters import EventFormatter
from logbastion.names import DEFAULT_ENVIRONMENT
from logbastion.shipping.appending import SpoolAppendingHandler

SPOOL_VARIABLE: Final = "LOGBASTION_SPOOL_DIRECTORY"
LOGGER: Final = "system.log_management"
_appending: list[SpoolAppendingHandler] = []


def log_to(directory: Path, loggers: Sequence[str] = (LOGGER,)) -> None:
    """Write what is done to the log itself, where an auditor looks for it (PCI DSS v4.0.1, 10.2.1.6).

    Where the application has a spool (``LOGBASTION_SPOOL_DIRECTORY``), each event goes there, too, with the same id:
    the application ships it with its own. :func:`close_log` has to be called at the end.

    Args:
        directory: of the log files.
        loggers: names of those whose events are meant; their children's come with them.

    Raises:
        CommandError: ``LOGBASTION_ENVIRONMENT`` cannot be used.

    """
    formatter, spool = _formatter(), os.environ.get(SPOOL_VARIABLE)
    if spool and not _appending:
        _appending.append(SpoolAppendingHandler(spool))
        _appending[0].setFormatter(formatter)
    for name in loggers:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        present = (handler.directory for handler in logger.handlers if isinstance(handler, StreamFileHandler))
        if directory not in present:
            handler = StreamFileHandler(directory)
            handler.setFormatter(formatter)
            logger.addHandler(handler)
        for appending in _appending:
            logger.addHandler(appending)  # once, however often it is called


def _formatter() -> EventFormatter:
    """Return one that names service and environment as the application's does: they are part of the index's name."""
    service, environment = os.environ.get("LOGBASTION_SERVICE_NAME"), os.environ.get("LOGBASTION_ENVIRONMENT")
    try:
        return EventFormatter(service or "django", environment or DEFAULT_ENVIRONMENT)
    except ValueError as error:
        raise CommandError(f"LOGBASTION_ENVIRONMENT: {error}", USAGE) from error


def close_log() -> None:
    """Leave the events in the spool for the application, and say on standard error when they are not there."""
    while _appending:
        handler = _appending.pop()
        for logger in list(logging.Logger.manager.loggerDict.values()):
            if isinstance(logger, logging.Logger):
                logger.removeHandler(handler)
        handler.close()
        if handler.dropped:
            reason = handler.reason or "the disk took none"
            print(
                f"logbastion: {handler.dropped} events of this run are in the log files only and will not be shipped: "
                f"the spool {handler.directory} cannot be written ({reason})",
                file=sys.stderr,
            )


@contextlib.contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """Be the user who owns a directory meanwhile, when this is root, whose files there the owner could not use."""
    status = os.stat(directory)
    if os.geteuid() != 0 or status.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(_groups_of(status.st_uid, status.st_gid))
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _groups_of(uid: int, gid: int) -> list[int]:
    import pwd  # noqa: PLC0415 - for root alone

    try:
        entry = pwd.getpwuid(uid)
        return os.getgrouplist(entry.pw_name, gid)
    except KeyError:
        return [gid]

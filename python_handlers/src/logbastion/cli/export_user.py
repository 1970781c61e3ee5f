"""``logbastion export-user``: what the logs on this host hold on a person."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from pathlib import Path
from typing import Final

from logbastion.archives import ArchiveError
from logbastion.cli import erasure
from logbastion.cli.common import FAILED, OK, USAGE, CommandError
from logbastion.erasure.place import PlaceError
from logbastion.erasure.subject import SubjectError

NAME: Final = "export-user"
HELP: Final = "write what the logs hold on a person (GDPR, Art. 15)"
DESCRIPTION: Final = """\
Write every event about a person to one file of JSON lines, mode 0600, from the same places and by the same means as
`logbastion erase-user`: each line has place, file or index, and the event as it is. The same event is in it once for
each copy. Changes nothing.

Look through it before you hand it on: an event may name other people, too (Art. 15(4))."""

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    erasure.add_subject_arguments(parser)
    erasure.add_place_arguments(parser)
    parser.add_argument("--output", required=True, metavar="FILE", help="to write to; must not be there")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Export.

    Raises:
        CommandError: a place cannot be searched, so the file would not be complete; it is removed then.

    """
    person = erasure.person_of(arguments)
    manager = erasure.manager_of(arguments, erasure.places_of(arguments, writes=False), id_fields=person.id_fields)
    path = Path(arguments.output)
    counts: Counter[str] = Counter()
    try:
        descriptor = os.open(path, _NEW, 0o600)
    except OSError as error:
        raise CommandError(f"{path} cannot be made: {error.strerror}", USAGE) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for one in manager.export(person.user_id, emails=person.emails, identifiers=person.identifiers):
                counts[one.place] += 1
                body = {"event": one.event} if one.event is not None else {"text": one.text}
                file.write(json.dumps({"place": one.place, "where": one.where, **body}) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except (PlaceError, ArchiveError, SubjectError) as error:
        path.unlink()
        raise CommandError(f"the export would not be complete, so there is none: {error}", FAILED) from error
    except BaseException:
        path.unlink()
        raise
    places = {place.name: counts[place.name] for place in manager.places}
    if arguments.json:
        print(json.dumps({"version": 1, "file": str(path), "events": counts.total(), "places": places}))
        return OK
    print(erasure.table([("PLACE", "EVENTS"), *places.items()]))
    print(f"{counts.total()} events are in {path}.")
    return OK

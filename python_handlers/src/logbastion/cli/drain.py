"""``logbastion spool drain``: ships what processes that have ended have left."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, Final

from logbastion.cli.common import ATTENTION, OK, USAGE, CommandError, checked_directory, printable
from logbastion.shipping.spool import Spool
from logbastion.shipping.spool.survey import ProcessSurvey, Surveyor
from logbastion.shipping.status import ShippingStatus
from logbastion.shipping.transports.base import Transport
from logbastion.shipping.worker import ShippingWorker

NAME: Final = "drain"
HELP: Final = "ship what processes that have ended have left"
DESCRIPTION: Final = """\
Ship what processes that have ended have left in a spool, for example before a host is taken down for good.

Living processes ship their own events, and are left alone; a running application also takes over what its dead
processes have left, so this is needed only when none of it runs. It may be interrupted at any time: what was not
delivered stays. An event may arrive twice then; its event.id tells."""

_TRANSPORT_NAMES: Final = ("tcp", "http", "beats", "elasticsearch")
_POLL_SECONDS: Final = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    environment = os.environ.get
    parser.add_argument(
        "--transport",
        choices=_TRANSPORT_NAMES,
        default=environment("LOGBASTION_TRANSPORT") or "tcp",
        help="how to send (default: $LOGBASTION_TRANSPORT, or tcp)",
    )
    parser.add_argument(
        "--ingest",
        default=environment("LOGBASTION_INGEST"),
        metavar="HOST:PORT",
        help="where to, several separated by commas (default: $LOGBASTION_INGEST)",
    )
    for option, variable, text in (
        ("--ca-file", "CA_FILE", "PEM file of the authority that signed the receiver's certificate"),
        ("--certificate-file", "CERTIFICATE_FILE", "client certificate"),
        ("--key-file", "KEY_FILE", "its key"),
    ):
        name = f"LOGBASTION_{variable}"
        parser.add_argument(
            option, default=environment(name) or None, metavar="FILE", help=f"{text} (default: ${name})"
        )
    for option, variable, metavar, text in (
        ("--username", "USERNAME", "NAME", "for http and elasticsearch"),
        ("--password-file", "PASSWORD_FILE", "FILE", "holds its password, which itself is never an argument"),
        ("--api-key-file", "API_KEY_FILE", "FILE", "instead of user and password"),
    ):
        name = f"LOGBASTION_{variable}"
        parser.add_argument(
            option, default=environment(name) or None, metavar=metavar, help=f"{text} (default: ${name})"
        )
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="give up after so long (default: 600)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be shipped, and send nothing")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Ship; 1 when something is left."""
    root = checked_directory(arguments, writes=True)
    surveyor = Surveyor(root)
    left = _orphans(surveyor)
    result: dict[str, Any] = {"version": 1, "directory": root, "dry_run": arguments.dry_run}
    result |= dict.fromkeys(("shipped", "refused", "damaged"), 0)
    if left and not arguments.dry_run:
        transport, deadline = make_transport(arguments), time.monotonic() + arguments.timeout
        # Again when the receiver failed just at the end, which leaves what was under way.
        while left and time.monotonic() < deadline:
            part = _drain(root, surveyor, transport, deadline)
            result.update(part, **{name: result[name] + part[name] for name in ("shipped", "refused", "damaged")})
            left = _orphans(surveyor)
    result["left"] = sum(process.events for process in left)
    result["of_living_processes"] = sum(process.events for process in surveyor.survey().processes) - result["left"]
    if arguments.json:
        print(json.dumps(result))
    else:
        _print(result, len(left))
    return ATTENTION if result["left"] or result.get("refused") else OK


def make_transport(arguments: argparse.Namespace) -> Transport:
    """Return the transport that the arguments name.

    Raises:
        CommandError: they do not go together.

    """
    from logbastion.shipping.transports import named  # noqa: PLC0415 - status and --help need no network code

    if not arguments.ingest:
        raise CommandError("it is not said where to send: give --ingest, or set LOGBASTION_INGEST", USAGE)
    options = {
        name: getattr(arguments, name)
        for name in ("ca_file", "certificate_file", "key_file", "username", "password_file", "api_key_file")
    }
    try:
        return named.make_transport(arguments.transport, arguments.ingest, **options)
    except (ValueError, OSError) as error:
        raise CommandError(str(error), USAGE) from None


def _drain(root: str, surveyor: Surveyor, transport: Transport, deadline: float) -> dict[str, Any]:
    status = ShippingStatus()
    spool = Spool(root, dropped=status.dropped)
    worker = ShippingWorker(spool, transport, status, lambda _level, _kind, message, _facts: _say(message))
    worker.start()
    shown = None
    try:
        # What was read but not settled at the end is settled by the end of the connection.
        while time.monotonic() < deadline and (_orphans(surveyor) or not spool.is_read()):
            shown = _say_once(status.last_error or spool.unadoptable, shown)
            time.sleep(_POLL_SECONDS)
    finally:
        worker.stop(max(10.0, min(60.0, deadline - time.monotonic())))
        _say_once(status.last_error or spool.unadoptable, shown)
        spool.close()
    return {
        "shipped": status.acknowledged,
        "refused": status.refused,
        "damaged": spool.damaged,
        "last_error": status.last_error or spool.unadoptable,
    }


def _orphans(surveyor: Surveyor) -> list[ProcessSurvey]:
    return [process for process in surveyor.survey().processes if process.owner is None]


def _print(result: dict[str, Any], directories: int) -> None:
    if result["dry_run"]:
        print(f"{result['left']} events in {directories} directories would be shipped.")
    else:
        print(f"{result['shipped']} events were shipped, {result['refused']} refused, {result['left']} are left.")
    if result["of_living_processes"]:
        print(f"{result['of_living_processes']} events belong to living processes, which ship them themselves.")
    if result["damaged"]:
        print(
            f"{result['damaged']} damaged pieces of files were no events; they are in {result['directory']}/quarantine."
        )
    if result.get("refused"):
        print("Refused events are in the dead letters: logbastion spool dead-letters")


def _say_once(error: str | None, shown: str | None) -> str | None:
    if error is not None and error != shown:
        _say(error)
    return error


def _say(text: str) -> None:
    print(f"logbastion: {printable(text)}", file=sys.stderr)

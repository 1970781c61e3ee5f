"""Arguments and exit codes of the command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from logbastion.cli import (
    dead_letters,
    doctor,
    drain,
    erase_user,
    erasures,
    export_user,
    incidents,
    own_events,
    pseudonym_keys,
    restore,
    retention,
    status,
    verify,
)
from logbastion.cli.common import EXIT_CODES, FAILED, USAGE, CommandError

_EXIT_TEXT: Final = "exit codes:\n" + "\n".join(f"  {code}  {text}" for code, text in EXIT_CODES.items())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"logbastion: {message}. Add --help for more.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: without the command's name; by default those of the process.

    Returns:
        An exit code; see :data:`logbastion.cli.common.EXIT_CODES`.

    """
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except CommandError as error:
        print(f"logbastion: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"logbastion: {error}", file=sys.stderr)
        return FAILED
    finally:
        own_events.close_log()
    return code


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog="logbastion", description="Looks after the logging of an application.")
    areas = parser.add_subparsers(title="areas", metavar="AREA", required=True, parser_class=_Parser)
    text = "Events that wait on the disk for their receiver."
    spool = areas.add_parser("spool", help=text, description=text, epilog=_EXIT_TEXT, formatter_class=layout)
    commands = spool.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for command in (status, drain, dead_letters):
        made = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.DESCRIPTION,
            epilog=_EXIT_TEXT,
            formatter_class=layout,
        )
        made.add_argument(
            "--directory",
            default=os.environ.get("LOGBASTION_SPOOL_DIRECTORY"),
            help="the spool of the application (default: $LOGBASTION_SPOOL_DIRECTORY)",
        )
        command.add_arguments(made)
        made.set_defaults(run=command.run)
    for area in (doctor, retention, verify, restore, erase_user, export_user):
        made = areas.add_parser(
            area.NAME,
            help=area.HELP,
            description=area.DESCRIPTION,
            epilog=_EXIT_TEXT,
            formatter_class=layout,
        )
        area.add_arguments(made)
        made.set_defaults(run=area.run)
    pseudonym_keys.add_area(areas, formatter_class=layout)
    erasures.add_area(areas, epilog=_EXIT_TEXT, formatter_class=layout)
    incidents.add_area(areas, formatter_class=layout)
    return parser

"""Arguments of the commands that look for a person in Elasticsearch, too."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from logbastion.cli.common import USAGE, CommandError
from logbastion.erasure.elasticsearch import CLEAN_SECONDS, ElasticsearchPlace
from logbastion.retention.legal_hold import LegalHoldError, held_streams
from logbastion.streams import STREAMS

_USER: Final = "log_eraser"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    group = parser.add_argument_group("Elasticsearch")
    group.add_argument(
        "--elasticsearch",
        metavar="URL",
        help="https://host:port, several separated by commas; by default it is left out",
    )
    group.add_argument(
        "--elasticsearch-user", default=_USER, metavar="NAME", help=f"whom the role log_store makes (default: {_USER})"
    )
    group.add_argument(
        "--elasticsearch-password-file", metavar="FILE", help="the password of that user; read for each connection"
    )
    group.add_argument(
        "--elasticsearch-ca-file",
        default=os.environ.get("LOGBASTION_CA_FILE"),
        metavar="FILE",
        help="the authority that signed its certificate (default: $LOGBASTION_CA_FILE, or those of the system)",
    )
    group.add_argument(
        "--environment",
        action="append",
        metavar="NAME",
        help="whose streams are searched, since user 12 of another environment is another person; may be repeated "
        "(default: $LOGBASTION_ENVIRONMENT)",
    )
    group.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="NAME",
        help="only events of this application (service.name), where several with user numbers of their own share an "
        "environment; may be repeated",
    )
    group.add_argument(
        "--held",
        action="append",
        default=[],
        metavar="STREAM",
        help=f"one of {', '.join(STREAMS)} that a legal hold keeps in Elasticsearch, beside those of the file "
        "legal-hold in --log-directory; may be repeated",
    )
    group.add_argument(
        "--documents-per-second",
        type=float,
        default=0.0,
        metavar="NUMBER",
        help="read and written, at most (default: 0, as fast as Elasticsearch answers)",
    )
    group.add_argument(
        "--clean-seconds",
        type=float,
        default=CLEAN_SECONDS,
        metavar="NUMBER",
        help="how long to wait until old versions of documents are out of the files of the indices, which takes half a "
        f"minute; 0 leaves that to Elasticsearch's own merges (default: {CLEAN_SECONDS:.0f})",
    )


def place_of(arguments: argparse.Namespace) -> ElasticsearchPlace | None:
    """Return the place, None when none is named.

    Raises:
        CommandError: the arguments do not go together, or cannot be used.

    """
    if not arguments.elasticsearch:
        return None
    if not arguments.elasticsearch_password_file:
        raise CommandError("--elasticsearch needs --elasticsearch-password-file", USAGE)
    if not Path(arguments.elasticsearch_password_file).is_file():
        raise CommandError(f"there is no file {arguments.elasticsearch_password_file}")
    environments = arguments.environment or [os.environ.get("LOGBASTION_ENVIRONMENT", "")]
    if not all(environments):
        raise CommandError("--elasticsearch needs --environment, or LOGBASTION_ENVIRONMENT", USAGE)
    held = set(arguments.held)
    try:
        if arguments.log_directory:
            held |= held_streams(Path(arguments.log_directory))
        return ElasticsearchPlace(
            arguments.elasticsearch,
            user=arguments.elasticsearch_user,
            password_file=arguments.elasticsearch_password_file,
            ca_file=arguments.elasticsearch_ca_file,
            environments=environments,
            services=arguments.service,
            held=held,
            documents_per_second=arguments.documents_per_second,
            clean_seconds=arguments.clean_seconds,
        )
    except (ValueError, LegalHoldError) as error:
        raise CommandError(str(error), USAGE) from error

"""Which streams of a log directory nobody may compress, delete or change now."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from logbastion.streams import STREAMS

LEGAL_HOLD_FILE: Final = "legal-hold"
"""Names streams, one a line; ``#`` begins a comment."""


class LegalHoldError(Exception):
    """The legal hold cannot be understood, so nothing may be touched; the message is a sentence."""


def held_streams(directory: Path) -> set[str]:
    """Return the streams of a log directory that are under legal hold.

    Raises:
        LegalHoldError: the file cannot be read, or names something that is no stream.

    """
    try:
        text = (directory / LEGAL_HOLD_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as error:
        raise LegalHoldError(f"the legal hold cannot be read, so nothing is touched: {error}") from error
    held = {line.partition("#")[0].strip() for line in text.splitlines()} - {""}
    if unknown := held - set(STREAMS):
        raise LegalHoldError(
            f"{directory / LEGAL_HOLD_FILE} names {sorted(unknown)[0]!r}, which is no stream, so nothing is "
            f"touched; the streams are {', '.join(STREAMS)}"
        )
    return held

"""The file ``legal-hold`` of a log directory: streams of which nothing may go."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from logbastion.streams import STREAMS

LEGAL_HOLD_FILE: Final = "legal-hold"


class LegalHoldError(ValueError):
    """What is held cannot be understood, so nothing may be touched. The message says why."""


def held_streams(directory: Path) -> set[str]:
    """Return the streams under legal hold: the lines of the file; ``#`` begins a comment.

    Raises:
        LegalHoldError: the file cannot be read, or names what is no stream.

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

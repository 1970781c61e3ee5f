"""What an auditor reads of keys of pseudonyms: made, destroyed, and each night which there are. Never a key."""

from __future__ import annotations

import logging
from typing import Final

from logbastion.pseudonym_key_months import DESTROYED, ListedKey

MADE: Final = "pseudonym_key_made"
"""``event_type`` of the event on a new key."""
DESTROYED_EVENT: Final = "pseudonym_key_destroyed"
"""``event_type`` of the event on a destroyed one; it may come twice, after a command that was killed."""
STATE: Final = "pseudonym_key_state"
"""``event_type`` of the event of each night, which also tells of what a killed command could not."""
_logger = logging.getLogger("system.log_management")


def tell_made(key_id: str, by: str) -> None:
    """Log that a key was made, and by what."""
    extra = {"event_type": MADE, "pseudonym_id": key_id, "by": by}
    _logger.info("A key of pseudonyms was made: %s makes them from now on", key_id, extra=extra)


def tell_destroyed(key: ListedKey, by: str) -> None:
    """Log that a key was destroyed, and by what.

    Args:
        key: as it was known before.
        by: ``retention`` (its time was over) or ``command``.

    """
    extra = {
        "event_type": DESTROYED_EVENT,
        "pseudonym_id": key.key_id,
        "by": by,
        "used_from": str(key.used_from or ""),
        "used_until": str(key.used_until or ""),
    }
    _logger.info(
        "The key of pseudonyms %s was destroyed: its pseudonyms say nothing of a person any more",
        key.key_id,
        extra=extra,
    )


def tell_state(listed: list[ListedKey]) -> None:
    """Log which keys there are, the current one last, and which were destroyed."""
    alive = [key.key_id for key in listed if key.state != DESTROYED]
    gone = [f"{key.key_id} on {key.destroys_on}" for key in listed if key.state == DESTROYED]
    extra = {"event_type": STATE, "pseudonym_ids": alive, "destroyed_ids": gone[-12:], "destroyed_count": len(gone)}
    _logger.info("Keys of pseudonyms: %d, of which %s makes them", len(alive), alive[-1], extra=extra)

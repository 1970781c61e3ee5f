"""The detector of this process: what sees each failed log-in, and what :func:`trigger_ip_block` asks."""

from __future__ import annotations

import logging

from logbastion.detection.detector import SecurityEventDetector
from logbastion.detection.stores.base import Block
from logbastion.events import observe_failed_logins

_detector: SecurityEventDetector | None = None


def configure_detection(detector: SecurityEventDetector | None) -> None:
    """Make a detector that of this process; None switches detection off.

    From now on it sees every failed log-in that :func:`logbastion.log_authentication_attempt` logs, whether Django's
    signals or the application called it.
    """
    global _detector  # noqa: PLW0603 - one setting of the process, written when it starts
    _detector = detector
    observe_failed_logins(detector.track_failed_login if detector is not None else None)


def security_detector() -> SecurityEventDetector | None:
    """Return the detector of this process, or None when detection is off."""
    return _detector


def trigger_ip_block(ip_address: str, reason: str = "by_the_application") -> Block | None:
    """Block an address for a time (guide, "Security Event Detection"). Never raises.

    Args:
        ip_address: of a client, as :func:`logbastion.get_client_ip` gives it: never from a header that a client writes.
        reason: a word of yours for the event.

    Returns:
        The block, with ``dry_run`` where none is enforced; None when there is none: the address is exempt or no
        address, blocking is off, or the store is away.

    """
    if _detector is None:
        logging.getLogger("system.log_management").error(
            "An address was to be blocked, but detection is off: set LOGBASTION_DETECTION.",
            extra={"event_type": "detection_is_off"},
        )
        return None
    return _detector.trigger_ip_block(ip_address, reason)

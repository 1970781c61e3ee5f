"""``block_address``: blocks the address that an incident came from, by :mod:`logbastion.detection`."""

from __future__ import annotations

from typing import Final

from logbastion.detection import trigger_ip_block
from logbastion.incidents.reports import IncidentReport, Phase


class BlockAddress:
    """Needs ``LOGBASTION_DETECTION``, whose mode, allow-list and own proxies hold.

    The address is the one in this package's own events on ``accounts.auth`` and ``security.events``; without such an
    address nothing is blocked.
    """

    phases: Final = ("opened",)
    for_all: Final = False
    cooldown: Final = 60.0

    def __call__(self, report: IncidentReport, _phase: Phase) -> str:
        """Block."""
        if report.source_ip is None:
            return "no address is known"
        block = trigger_ip_block(report.source_ip, f"incident_{report.pattern.id}")
        if block is None:
            return "not blocked: the address is exempt, blocking is off, or its store is away"
        return f"{'would be blocked' if block.dry_run else 'blocked'} for {block.remaining:.0f} s"

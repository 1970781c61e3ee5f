"""What happens to a stream whose spool is full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from logbastion.streams import APPLICATION, AUDIT, DEBUG, PERFORMANCE, SECURITY

MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True)
class Block:
    """The logging call waits for room, at most so long; then its event is dropped."""

    seconds: float = 0.1


@dataclass(frozen=True)
class DropOldest:
    """The oldest segment, about 1 MiB of events, is deleted."""


@dataclass(frozen=True)
class DropNewest:
    """The event that finds no room is dropped."""


Policy = Block | DropOldest | DropNewest


@dataclass(frozen=True)
class LaneLimit:
    """How much of a stream may wait, and what happens beyond.

    Args:
        bytes: on the disk, of one process; the directories of dead processes are not counted.
        policy: see the classes of this module.

    Raises:
        ValueError: less than 64 KiB, or a negative time.

    """

    bytes: int
    policy: Policy

    def __post_init__(self) -> None:
        if self.bytes < 64 * 1024:
            raise ValueError("A stream's spool needs room for at least 65536 bytes.")
        if isinstance(self.policy, Block) and not self.policy.seconds >= 0:
            raise ValueError("A logging call cannot wait for less than no time: Block(seconds) needs 0 or more.")


DEFAULT_LIMITS: Final[Mapping[str, LaneLimit]] = {
    SECURITY: LaneLimit(256 * MEBIBYTE, Block(0.1)),
    AUDIT: LaneLimit(256 * MEBIBYTE, Block(0.1)),
    APPLICATION: LaneLimit(256 * MEBIBYTE, DropOldest()),
    PERFORMANCE: LaneLimit(64 * MEBIBYTE, DropOldest()),
    DEBUG: LaneLimit(64 * MEBIBYTE, DropOldest()),
}
"""Evidence (security, audit) waits and keeps what it has; the rest keeps what is new."""

EVIDENCE: Final = (SECURITY, AUDIT)

MEMORY_SHARES: Final[Mapping[str, int]] = {SECURITY: 2, AUDIT: 2, APPLICATION: 2, PERFORMANCE: 1, DEBUG: 1}
"""Eighths of the memory that stands in for the disk: a flood in one stream takes no room from another."""

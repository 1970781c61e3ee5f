"""What a store does, and the arithmetic of windows and blocks that those in Python share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

SHOWN: Final = 50
"""The most members that a verdict names."""
MAX_KEYS: Final = 500_000
"""Subjects that a store remembers; beyond them it forgets whoever was seen longest ago.

An address takes three: 10,000 new ones a minute fill it in a quarter of an hour, so the guide's window stays whole.
"""
MAX_BLOCKS: Final = 100_000
_MAX_GROWTHS: Final = 64


@dataclass(frozen=True)
class Observation:
    """One thing that has happened, for one rule.

    Args:
        key: the subject's.
        member: what is counted; the same member again is not counted twice, but is newer.
        window: seconds.
        threshold: from which number on it is an attack.
        cooldown: seconds in which the same key alerts once.
        cap: members that are kept, the newest.

    """

    key: str
    member: str
    window: float
    threshold: int
    cooldown: float
    cap: int


@dataclass(frozen=True)
class Verdict:
    """What a store says to an observation.

    Args:
        count: members within the window, this one included.
        alert: whether this observation is the one to alert on; of all processes one gets True.
        members: the newest first, when ``alert``; at most 50.

    """

    count: int
    alert: bool
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class BlockPlan:
    """How long an address is blocked: ``seconds``, then ``growth`` times as long each time, up to ``max_seconds``.

    Args:
        seconds: of the first block.
        growth: at least 1.
        max_seconds: of any block.
        memory_seconds: after the end of a block, until it is forgotten.

    Raises:
        ValueError: a number is out of its range.

    """

    seconds: float = 900.0
    growth: float = 4.0
    max_seconds: float = 86_400.0
    memory_seconds: float = 604_800.0

    def __post_init__(self) -> None:
        if not (0 < self.seconds <= self.max_seconds and self.growth >= 1 and self.memory_seconds >= 0):
            raise ValueError("A block needs 0 < seconds <= max_seconds, a growth of at least 1 and a memory.")

    def length(self, number: int) -> float:
        """Return the seconds of an address's block of this number, from 1 on."""
        return min(self.seconds * self.growth ** min(number - 1, _MAX_GROWTHS), self.max_seconds)


@dataclass(frozen=True)
class Block:
    """A network that is blocked.

    Args:
        network: an IPv4 address or an IPv6 /64.
        since: seconds since 1970.
        until: the same.
        number: of its blocks, this one included.
        reason: a word.
        dry_run: whether it is only noted.
        remaining: seconds until the end, by the store's clock.
        new: whether the call has made it; False for one that was there.

    """

    network: str
    since: float
    until: float
    number: int
    reason: str
    dry_run: bool
    remaining: float
    new: bool = False


class Store(Protocol):
    """Where counts and blocks are. Each method is one atomic step for all processes, and raises when it cannot."""

    def record(self, observations: Sequence[Observation]) -> list[Verdict]:
        """Note what has happened now, and say for each observation what it makes."""

    def add_block(self, network: str, plan: BlockPlan, reason: str, dry_run: bool) -> Block:
        """Block a network, longer than the last time. One that is blocked stays as it is.

        A block that is only noted gives way to one that is enforced.
        """

    def find_block(self, network: str) -> Block | None:
        """Return the block of a network, if it has one now."""

    def remove_block(self, network: str) -> Block | None:
        """Lift the block of a network and forget earlier ones; returns what was lifted."""

    def blocks(self) -> list[Block]:
        """Return what is blocked now, the first to end first; at most 1000."""


LISTED: Final = 1000


def advance(times: dict[str, float], quiet_until: float, observation: Observation, now: float) -> tuple[Verdict, float]:
    """Note an observation in a subject's times (member to seconds); returns the verdict and the new ``quiet_until``."""
    begin = now - observation.window
    for member in [member for member, at in times.items() if at <= begin]:
        del times[member]
    times.pop(observation.member, None)  # a dict keeps the order of entry, and this is the newest
    times[observation.member] = now
    for member in sorted(times, key=times.__getitem__)[: max(0, len(times) - observation.cap)]:
        del times[member]
    count = len(times)
    if count < observation.threshold or now < quiet_until:
        return Verdict(count, False), quiet_until
    newest = sorted(times, key=times.__getitem__, reverse=True)[:SHOWN]
    return Verdict(count, True, tuple(newest)), now + observation.cooldown


def stays(block: Block | None, dry_run: bool) -> bool:
    """Say whether a block that is there now stands in the way of a new one."""
    return block is not None and block.remaining > 0 and (dry_run or not block.dry_run)

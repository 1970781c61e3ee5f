"""In the memory of one process: for tests, and for a program that has one process.

Under several workers each would count alone, so that an attacker has the threshold times the number of workers.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from logbastion.detection.stores.base import (
    LISTED,
    MAX_BLOCKS,
    MAX_KEYS,
    Block,
    BlockPlan,
    Observation,
    Verdict,
    advance,
    stays,
)


class MemoryStore:
    """Counts and blocks of one process; threads may share it.

    Args:
        clock: seconds since 1970.
        max_keys: subjects that are remembered.
        max_blocks: blocks that are remembered.

    """

    def __init__(
        self, clock: Callable[[], float] = time.time, max_keys: int = MAX_KEYS, max_blocks: int = MAX_BLOCKS
    ) -> None:
        self._clock, self._max_keys, self._max_blocks = clock, max_keys, max_blocks
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, tuple[dict[str, float], float]] = OrderedDict()
        self._blocks: OrderedDict[str, tuple[Block, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many subjects are remembered."""
        return len(self._windows)

    def record(self, observations: Sequence[Observation]) -> list[Verdict]:
        """Note what has happened now."""
        with self._lock:
            now = self._clock()
            verdicts = []
            for observation in observations:
                times, quiet_until = self._windows.pop(observation.key, ({}, 0.0))
                verdict, quiet_until = advance(times, quiet_until, observation, now)
                self._windows[observation.key] = times, quiet_until
                verdicts.append(verdict)
            while len(self._windows) > self._max_keys:
                self._windows.popitem(last=False)
            return verdicts

    def add_block(self, network: str, plan: BlockPlan, reason: str, dry_run: bool) -> Block:
        """Block a network."""
        with self._lock:
            now = self._clock()
            known = self._known(network, now)
            if known is not None and stays(known, dry_run):
                return known
            number = known.number + 1 if known is not None else 1
            seconds = plan.length(number)
            made = Block(network, now, now + seconds, number, reason, dry_run, seconds, new=True)
            self._blocks[network] = replace(made, new=False), now + seconds + plan.memory_seconds
            self._blocks.move_to_end(network)
            while len(self._blocks) > self._max_blocks:
                self._blocks.popitem(last=False)
            return made

    def find_block(self, network: str) -> Block | None:
        """Return the block of a network, if it has one now."""
        with self._lock:
            known = self._known(network, self._clock())
            return known if known is not None and known.remaining > 0 else None

    def remove_block(self, network: str) -> Block | None:
        """Lift the block of a network."""
        found = self.find_block(network)
        with self._lock:
            self._blocks.pop(network, None)
        return found

    def blocks(self) -> list[Block]:
        """Return what is blocked now."""
        with self._lock:
            now = self._clock()
            known = [self._known(network, now) for network in list(self._blocks)]
        found = [block for block in known if block is not None and block.remaining > 0]
        return sorted(found, key=lambda block: block.until)[:LISTED]

    def _known(self, network: str, now: float) -> Block | None:
        block, forget = self._blocks.get(network, (None, 0.0))
        if block is None or now >= forget:
            self._blocks.pop(network, None)
            return None
        return replace(block, remaining=max(0.0, block.until - now))

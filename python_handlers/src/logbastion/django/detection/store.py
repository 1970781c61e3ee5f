"""In the project's database, where there is no Redis: locked rows, the server's clock, short time-outs.

Each step is one transaction. It takes its rows in the order of their keys, so that two steps never wait for each other.
PostgreSQL and SQLite are what is tested. PostgreSQL gets a connection of its own (see :func:`own_connection`): in the
connection of a view under ``ATOMIC_REQUESTS`` a failure would be forgotten when the view's transaction is rolled back,
and its row would stay locked as long as the view takes. SQLite has one writer at a time and gets none.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.db import connections, transaction

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
from logbastion.django.connection import own_connection
from logbastion.django.detection.models import AddressBlock, Subject

__all__ = ["DatabaseStore", "own_connection"]
_PRUNED: Final = 0.01
_AT_ONCE: Final = 10_000
_ATTEMPTS: Final = 3


class DatabaseStore:
    """Counts and blocks in the database.

    Args:
        using: the connection that counts and blocks; see :func:`own_connection`.
        reads: the connection that asks for blocks, once for each request; by default the same.
        clock: seconds since 1970; None is PostgreSQL's own, which all hosts share, and for SQLite that of the host.
        max_keys: subjects that are remembered.
        max_blocks: blocks that are remembered.
        pruned: the share of failures after which what is over, and surplus subjects, are removed.

    """

    def __init__(
        self,
        using: str = "default",
        *,
        reads: str | None = None,
        clock: Callable[[], float] | None = None,
        max_keys: int = MAX_KEYS,
        max_blocks: int = MAX_BLOCKS,
        pruned: float = _PRUNED,
    ) -> None:
        self._using, self._reads, self._clock = using, reads or using, clock
        self._max_keys, self._max_blocks, self._pruned = max_keys, max_blocks, pruned

    def record(self, observations: Sequence[Observation]) -> list[Verdict]:
        """Note what has happened now."""
        with transaction.atomic(using=self._using):
            rows = self._locked(Subject, sorted({one.key for one in observations}))
            now = self._time(self._using)  # after the locks: others have waited for theirs, too
            verdicts = []
            for one in observations:
                row = rows[one.key]
                verdict, row.quiet_until = advance(row.times, row.quiet_until, one, now)
                row.seen_at, row.forget_at = now, max(now + one.window, row.quiet_until)
                verdicts.append(verdict)
            fields = ["times", "quiet_until", "seen_at", "forget_at"]
            # As an upsert, which is half the work of an update of several rows.
            Subject.objects.using(self._using).bulk_create(
                rows.values(), update_conflicts=True, unique_fields=["key"], update_fields=fields
            )
        if random.random() < self._pruned:  # noqa: S311 - no secret
            self._prune(now)
        return verdicts

    def add_block(self, network: str, plan: BlockPlan, reason: str, dry_run: bool) -> Block:
        """Block a network."""
        with transaction.atomic(using=self._using):
            row = self._locked(AddressBlock, [network])[network]
            now = self._time(self._using)
            known = _block(row, now)
            if stays(known, dry_run):
                return known
            row.number = row.number + 1 if now < row.forget_at else 1
            length = plan.length(row.number)
            row.since, row.until, row.forget_at = now, now + length, now + length + plan.memory_seconds
            row.reason, row.dry_run = reason[:64], dry_run
            row.save(using=self._using, force_update=True)
            self._limit(AddressBlock, "until", self._max_blocks)
        return _block(row, now, new=True)

    def find_block(self, network: str) -> Block | None:
        """Return the block of a network, if it has one now."""
        row = AddressBlock.objects.using(self._reads).filter(network=network).first()
        if row is None:
            return None
        found = _block(row, self._time(self._reads))
        return found if found.remaining > 0 else None

    def remove_block(self, network: str) -> Block | None:
        """Lift the block of a network."""
        with transaction.atomic(using=self._using):
            row = AddressBlock.objects.using(self._using).select_for_update().filter(network=network).first()
            if row is None:
                return None
            found = _block(row, self._time(self._using))
            row.delete(using=self._using)
        return found if found.remaining > 0 else None

    def blocks(self) -> list[Block]:
        """Return what is blocked now."""
        now = self._time(self._reads)
        rows = AddressBlock.objects.using(self._reads).filter(until__gt=now).order_by("until")[:LISTED]
        return [_block(row, now) for row in rows]

    def _locked(self, model: Any, keys: list[str]) -> dict[str, Any]:
        """Return the rows, new ones too; nobody else has them until the transaction ends."""
        rows = model.objects.using(self._using)
        for _ in range(_ATTEMPTS):
            # The first statement writes, so SQLite takes its lock here and not in the middle.
            rows.bulk_create([model(pk=key) for key in keys], ignore_conflicts=True)
            locked = {row.pk: row for row in rows.select_for_update().filter(pk__in=keys).order_by("pk")}
            if len(locked) == len(keys):
                return locked
        raise RuntimeError("rows of detection are removed faster than they are made")

    def _time(self, using: str) -> float:
        if self._clock is not None:
            return self._clock()
        connection = connections[using]
        if connection.vendor != "postgresql":
            return time.time()
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())::double precision")
            return float(cursor.fetchone()[0])

    def _prune(self, now: float) -> None:
        with transaction.atomic(using=self._using):
            for model in (Subject, AddressBlock):  # the addresses, too, are personal data
                self._delete(model.objects.using(self._using).filter(forget_at__lt=now).order_by("forget_at"), _AT_ONCE)
            self._limit(Subject, "seen_at", self._max_keys)

    def _limit(self, model: Any, order: str, most: int) -> None:
        rows = model.objects.using(self._using)
        extra = rows.count() - most
        if extra > 0:
            self._delete(rows.order_by(order), min(extra, _AT_ONCE))

    def _delete(self, rows: Any, number: int) -> None:
        # What somebody has locked is in use; to wait for it here could be to wait for each other.
        skip = connections[self._using].features.has_select_for_update_skip_locked
        keys = list(rows.select_for_update(skip_locked=skip).values_list("pk", flat=True)[:number])
        rows.model.objects.using(self._using).filter(pk__in=keys).delete()


def _block(row: Any, now: float, *, new: bool = False) -> Block:
    remaining = max(0.0, row.until - now)
    return Block(row.network, row.since, row.until, row.number, row.reason, row.dry_run, remaining, new)

"""The guide's ``RETENTION_POLICIES``, read from ``policies.json`` (made from ``elk_templates/retention.yml``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from logbastion.streams import STREAMS

LEGAL_MINIMUM: Final = "legal_minimum"
PRIVACY_MAXIMUM: Final = "privacy_maximum"
BACKUP_INTERVAL_DAYS: Final = {"none": 0, "daily": 1, "weekly": 7}
"""The guide's ``backup_frequency`` to days between two backups; 0 is never."""


@dataclass(frozen=True)
class RetentionPolicy:
    """How long the events of one stream live on a host. Periods are whole days, the names are the guide's.

    Args:
        stream: one of :data:`logbastion.streams.STREAMS`.
        retention_days: when events are deleted.
        compression_after_days: when files are compressed.
        rounding: ``legal_minimum`` (no event goes before its time) or ``privacy_maximum`` (none stays beyond it). Files
            are deleted as a whole, so one of the two has to give way.
        archive_to_cold_storage_after_days: when files move to the archive, where there is one; 0 is never.
        backup_frequency: how often files that are not yet there are copied to it: ``daily``, ``weekly`` or ``none``.
        identifiers_days: for how long a person's events can be found by their pseudonyms; 0 is as long as they live.
            The key is destroyed afterwards (:mod:`logbastion.pseudonym_key_months`).

    Raises:
        ValueError: the periods contradict each other, or the stream or rounding is not known.

    """

    stream: str
    retention_days: int
    compression_after_days: int
    rounding: str
    archive_to_cold_storage_after_days: int = 0
    backup_frequency: str = "none"
    identifiers_days: int = 0

    def __post_init__(self) -> None:
        if self.stream not in STREAMS:
            raise ValueError(f"There is no stream {self.stream!r}; the streams are {', '.join(STREAMS)}.")
        if self.rounding not in (LEGAL_MINIMUM, PRIVACY_MAXIMUM):
            raise ValueError(f"rounding is {self.rounding!r}, but must be {LEGAL_MINIMUM} or {PRIVACY_MAXIMUM}.")
        if not 1 <= self.compression_after_days < self.retention_days:
            raise ValueError(
                f"{self.stream}: compression after {self.compression_after_days} days and deletion after "
                f"{self.retention_days} must follow each other in this order, the first after one day or more."
            )
        cold = self.archive_to_cold_storage_after_days
        if cold and not self.compression_after_days < cold < self.retention_days:
            raise ValueError(
                f"{self.stream}: the archive after {cold} days must come after compression "
                f"({self.compression_after_days}) and before deletion ({self.retention_days})."
            )
        if not 0 <= self.identifiers_days <= self.retention_days:
            raise ValueError(
                f"{self.stream}: identifiers_days is {self.identifiers_days}, but must be from 0 to retention_days "
                f"({self.retention_days}): what is deleted has no identifiers."
            )
        if self.backup_frequency not in BACKUP_INTERVAL_DAYS:
            raise ValueError(
                f"{self.stream}: backup_frequency is {self.backup_frequency!r}, but must be one of "
                f"{', '.join(BACKUP_INTERVAL_DAYS)}."
            )

    @property
    def identifiers_kept_days(self) -> int:
        """Return for how many days a person's events can be found by their pseudonyms."""
        return self.identifiers_days or self.retention_days


def _read() -> Mapping[str, RetentionPolicy]:
    source = json.loads(files("logbastion.retention").joinpath("policies.json").read_text(encoding="utf-8"))
    return MappingProxyType({name: RetentionPolicy(**body) for name, body in source.items()})


RETENTION_POLICIES: Final[Mapping[str, RetentionPolicy]] = _read()
"""The guide's name of a class (``security_logs``) to its periods."""

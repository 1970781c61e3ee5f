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


@dataclass(frozen=True)
class RetentionPolicy:
    """How long the events of one stream live on a host. Periods are whole days, the names are the guide's.

    Args:
        stream: one of :data:`logbastion.streams.STREAMS`.
        retention_days: when events are deleted.
        compression_after_days: when files are compressed.
        rounding: ``legal_minimum`` (no event goes before its time) or ``privacy_maximum`` (none stays beyond it). Files
            are deleted as a whole, so one of the two has to give way.

    Raises:
        ValueError: the periods contradict each other, or the stream or rounding is not known.

    """

    stream: str
    retention_days: int
    compression_after_days: int
    rounding: str

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


def _read() -> Mapping[str, RetentionPolicy]:
    source = json.loads(files("logbastion.retention").joinpath("policies.json").read_text(encoding="utf-8"))
    return MappingProxyType({name: RetentionPolicy(**body) for name, body in source.items()})


RETENTION_POLICIES: Final[Mapping[str, RetentionPolicy]] = _read()
"""The guide's name of a class (``security_logs``) to its periods."""

"""``logbastion_certificate_expiry_timestamp_seconds{name}``: when what shipping trusts and shows ends.

The files are read when they are asked about, so that a renewed certificate shows with the next scrape, and whichever
worker answers says the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from logbastion.certificate_dates import MAX_FILE_BYTES, expiry_dates

METRIC: Final = "logbastion_certificate_expiry_timestamp_seconds"
NAMES: Final = ("ca", "client")
"""Values of the label ``name``: the authority that the receiver has to show, the certificate that is shown to it."""

_files: dict[str, str] = {}
_dates: dict[str, tuple[tuple[int, int, int], float | None]] = {}


def watch_certificates(files: Mapping[str, str | None]) -> None:
    """Publish the dates of these files instead of those before.

    Args:
        files: by name, one of :data:`NAMES`; None for one that is not used.

    Raises:
        ValueError: a name is none of them.

    """
    unknown = sorted(set(files) - set(NAMES))
    if unknown:
        raise ValueError(f"{unknown} name no certificate that shipping uses: take one of {', '.join(NAMES)}.")
    kept = {name: str(path) for name, path in files.items() if path}
    _files.clear()
    _files.update(kept)


class CertificateCollector(Collector):
    """Collects the gauge: seconds since 1970, of the certificate of each file that expires first.

    A file that cannot be read, or has no certificate, has no value: an alert on ``absent()`` tells.
    """

    def describe(self) -> Iterable[Metric]:
        """Return the name, so that registering does not collect."""
        return [GaugeMetricFamily(METRIC, "", labels=["name"])]

    def collect(self) -> Iterable[Metric]:
        """Return the gauge."""
        gauge = GaugeMetricFamily(
            METRIC, "When the first certificate of the file expires that shipping uses", labels=["name"]
        )
        for name, path in sorted(_files.items()):
            expiry = _expiry(path)
            if expiry is not None:
                gauge.add_metric([name], expiry)
        return [gauge]


def _expiry(path: str) -> float | None:
    """Return the date, from memory when the file is the same: a bundle of public authorities takes milliseconds."""
    try:
        facts = os.stat(path)
        version = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
        known = _dates.get(path)
        if known is not None and known[0] == version:
            return known[1]
        expiry = _first_expiry(path) if facts.st_size <= MAX_FILE_BYTES else None
    except OSError:
        return None
    _dates[path] = (version, expiry)
    return expiry


def _first_expiry(path: str) -> float | None:
    try:
        return min(expiry_dates(Path(path).read_text(encoding="ascii", errors="replace"))).timestamp()
    except ValueError:
        return None

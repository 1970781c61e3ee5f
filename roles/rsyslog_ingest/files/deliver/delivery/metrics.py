"""What the delivery counts, as a file in Prometheus' text format, which a node exporter serves (its textfile collector)."""

import os
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime

# A rule asks for 300 seconds (alertmanager/rules/ingest_alerts.yml), so that is an edge.
EDGES_SECONDS = (1, 5, 15, 60, 300, 900, 3600)
SECONDS_BETWEEN_WRITES = 5.0

DEAD_LETTERS = "logbastion_ingest_dead_letters_total"
STORED = "logbastion_ingest_events_stored_total"
DELAY = "logbastion_ingest_delay_seconds"
OLDEST = "logbastion_ingest_oldest_timestamp_seconds"

_HELP = {
    STORED: ("counter", "Events that Elasticsearch has, one that it had before among them"),
    DEAD_LETTERS: ("counter", "Lines in the dead-letter file: invalid (no event) or refused (by Elasticsearch)"),
    DELAY: ("histogram", "From @timestamp to receipt (arrival), from receipt to Elasticsearch's answer (storage)"),
    OLDEST: ("gauge", "Receipt of the oldest event that waited for Elasticsearch since the last writing; 0: none"),
}


_BUCKETS = {
    stage: [(float(edge), f'{DELAY}_bucket{{stage="{stage}",le="{edge}"}}') for edge in (*EDGES_SECONDS, "+Inf")]
    for stage in ("arrival", "storage")
}


def seconds_of(time_text: object) -> float | None:
    """Return the Unix time of an RFC 3339 text (UTC where it names no zone); None when it is none."""
    try:
        moment = datetime.fromisoformat(str(time_text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def write(path: str, samples: dict[str, float], texts: dict[str, tuple[str, str]]) -> None:
    """Put a file of metrics in the place of the old one, whole; `texts` are type and help by name.

    Raises:
        OSError: when it cannot be written; the old one stays.
    """
    lines = []
    for name, (kind, text) in texts.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        parts = {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
        lines += [f"{sample} {value!r}" for sample, value in samples.items() if sample.partition("{")[0] in parts]
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(path + ".new", path)


class DeliveryMetrics:
    """The delivery's counters, on disk across restarts, so that nothing counted is lost on the way to Prometheus."""

    def __init__(self, path: str) -> None:
        """Go on from the file that a process before has left, if there is one."""
        self._path = path
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._samples = dict.fromkeys(self._names(), 0.0)
        self._samples.update(self._left_behind())
        self._in_hand: float | None = None
        self._oldest: float | None = None

    @staticmethod
    def _names() -> Iterable[str]:
        yield STORED
        yield from (f'{DEAD_LETTERS}{{reason="{reason}"}}' for reason in ("invalid", "refused"))
        for stage, buckets in _BUCKETS.items():
            yield from (name for _, name in buckets)
            yield from (f'{DELAY}_{part}{{stage="{stage}"}}' for part in ("sum", "count"))
        yield OLDEST

    def _left_behind(self) -> dict[str, float]:
        try:
            with open(self._path, encoding="ascii") as file:
                pairs = [line.rpartition(" ")[::2] for line in file if not line.startswith("#")]
            return {name: float(value) for name, value in pairs if name in self._samples}
        except (OSError, ValueError):
            # The first process of all; or a file that this program has not written. Counting anew is what a counter may do.
            return {}

    def take(self, received: str) -> None:
        """Tell that an event received then is waiting for Elasticsearch."""
        moment = seconds_of(received)
        if moment is not None:
            with self._lock:
                self._in_hand = min(moment, self._in_hand or moment)
                self._oldest = min(moment, self._oldest or moment)
            self._changed.set()

    def drop(self) -> None:
        """Tell that nothing is waiting any more."""
        with self._lock:
            self._in_hand = None
        self._changed.set()

    def stored(self, times: Iterable[tuple[float | None, float | None]]) -> None:
        """Count events that Elasticsearch has just taken: their own time and that of their receipt, where known."""
        now = time.time()
        with self._lock:
            for created, received in times:
                self._samples[STORED] += 1
                self._observe("arrival", created, received)
                self._observe("storage", received, now)
        self._changed.set()

    def _observe(self, stage: str, begin: float | None, end: float | None) -> None:
        if begin is None or end is None:
            return
        # Clocks of two hosts differ: an event from the future has taken no time.
        seconds = max(end - begin, 0.0)
        for edge, name in _BUCKETS[stage]:
            if seconds <= edge:
                self._samples[name] += 1
        self._samples[f'{DELAY}_sum{{stage="{stage}"}}'] += seconds
        self._samples[f'{DELAY}_count{{stage="{stage}"}}'] += 1

    def dead(self, reason: str, count: int) -> None:
        """Count lines in the dead-letter file; `reason` is `invalid` or `refused`."""
        with self._lock:
            self._samples[f'{DEAD_LETTERS}{{reason="{reason}"}}'] += count
        self._changed.set()

    def save(self) -> None:
        """Write the file.

        Raises:
            OSError: when it cannot be written.
        """
        with self._lock:
            self._samples[OLDEST] = self._oldest or 0.0
            if self._oldest != self._in_hand:
                # What has gone meanwhile is shown this once.
                self._oldest = self._in_hand
                self._changed.set()
            write(self._path, self._samples, _HELP)

    def keep_saving(self) -> None:
        """Write the file whenever something has changed, at most every few seconds, in a thread of its own."""
        threading.Thread(target=self._save_changes, daemon=True).start()

    def _save_changes(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            try:
                self.save()
            except OSError:
                # Events go before figures; the file's age, which the node exporter tells, shows it.
                self._changed.set()
            time.sleep(SECONDS_BETWEEN_WRITES)

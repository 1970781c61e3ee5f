"""Rsyslog's own statistics of its queue (impstats), as a file in Prometheus' text format."""

import json
import os
import shutil
from typing import BinaryIO

from delivery.configuration import Configuration
from delivery.metrics import write

FILE = "queue.prom"
# The name that rsyslog.conf gives the ruleset whose queue this is.
QUEUE = "ingest"

EVENTS = "logbastion_ingest_queue_events"
BYTES = "logbastion_ingest_queue_bytes"
MAXIMUM_BYTES = "logbastion_ingest_queue_maximum_bytes"
AVAILABLE_BYTES = "logbastion_ingest_disk_available_bytes"

_HELP = {
    EVENTS: ("gauge", "Events in the queue on disk"),
    BYTES: ("gauge", "What the files of the queue take; a file goes when all of it is delivered"),
    MAXIMUM_BYTES: ("gauge", "What they may take; then senders are held up"),
    AVAILABLE_BYTES: ("gauge", "Room on the disk of the queue"),
}


def serve(source: BinaryIO, configuration: Configuration) -> None:
    """Write the file at each line about the queue that rsyslog sends, until its end.

    The file is as old as rsyslog's last sign of life.
    """
    path = os.path.join(configuration.metrics_directory, FILE)
    for line in source:
        try:
            statistics = json.loads(line)
        except ValueError:
            continue
        if statistics.get("name") == QUEUE and statistics.get("origin") == "core.queue":
            write(path, figures(int(statistics["size"]), configuration), _HELP)


def figures(events: int, configuration: Configuration) -> dict[str, float]:
    """Return the figures of a queue with so many events in it, by name."""
    used = 0
    for entry in os.scandir(configuration.queue_directory):
        try:
            used += entry.stat().st_size
        except FileNotFoundError:
            # Delivered between the two looks.
            continue
    return {
        EVENTS: float(events),
        BYTES: float(used),
        MAXIMUM_BYTES: float(configuration.queue_maximum_bytes),
        AVAILABLE_BYTES: float(shutil.disk_usage(configuration.queue_directory).free),
    }

"""The conversation with rsyslog (omprog): take a batch, deliver it, answer for it."""

import os
import syslog
import time
from typing import BinaryIO

from delivery.configuration import Configuration
from delivery.dead_letters import keep_dead_letters
from delivery.events import Event, Line, RejectedError, examine
from delivery.metrics import DeliveryMetrics, seconds_of
from delivery.store import Elasticsearch, NotDeliveredError, chunks, store

BEGIN = b"BEGIN TRANSACTION"
COMMIT = b"COMMIT TRANSACTION"
METRICS_FILE = "delivery.prom"

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
# omprog takes 4095 characters for one answer: more than a day of dots. After that it starts this program anew and loses nothing.
SECONDS_BETWEEN_DOTS = 30.0


class Courier:
    """Takes batches from rsyslog and answers for them."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._elasticsearch = Elasticsearch(configuration)
        self.metrics = DeliveryMetrics(os.path.join(configuration.metrics_directory, METRICS_FILE))

    def serve(self, source: BinaryIO, answers: BinaryIO) -> None:
        """Answer rsyslog line by line (omprog, confirmMessages and useTransactions) until its end."""
        self.metrics.keep_saving()
        batch: list[Line] = []
        self._answer(answers, "OK")
        for text in source:
            line = text.rstrip(b"\n")
            if line == BEGIN:
                batch = []
                self._answer(answers, "OK")
            elif line == COMMIT:
                self._commit(batch, answers)
                batch = []
            else:
                batch.append(Line.parse(line))
                self.metrics.take(batch[-1].received)
                self._answer(answers, "DEFER_COMMIT")

    @staticmethod
    def _answer(answers: BinaryIO, text: str) -> None:
        answers.write(text.encode("ascii", "replace") + b"\n")
        answers.flush()

    def _commit(self, batch: list[Line], answers: BinaryIO) -> None:
        """Deliver a batch, however long it takes.

        rsyslog is never told to try again: it would take the batch apart and send each event in a request of its own. A dot tells it
        that the answer is still to come (omprog's keep-alive).
        """
        pause = FIRST_PAUSE_SECONDS
        last_dot = time.monotonic()
        while True:
            try:
                dead = self.deliver(batch)
                break
            except (NotDeliveredError, OSError) as error:
                if pause == FIRST_PAUSE_SECONDS:
                    syslog.syslog(syslog.LOG_ERR, f"Events wait in the queue: {error}")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            if time.monotonic() - last_dot > SECONDS_BETWEEN_DOTS:
                answers.write(b".")
                answers.flush()
                last_dot = time.monotonic()
        if pause != FIRST_PAUSE_SECONDS:
            syslog.syslog(syslog.LOG_NOTICE, "Events are delivered again.")
        if dead:
            syslog.syslog(syslog.LOG_WARNING, f"{dead} lines went to {self._configuration.dead_letter_file}.")
        self.metrics.drop()
        self._answer(answers, "OK")

    def deliver(self, batch: list[Line]) -> int:
        """Store a batch; return how many lines went to the dead-letter file.

        Raises:
            NotDeliveredError: when Elasticsearch does not take all events now; nothing is in the dead-letter file then.
            OSError: when the dead-letter file cannot be written.
        """
        events: list[Event] = []
        invalid: list[tuple[Line, str]] = []
        refused: list[tuple[Line, str]] = []
        for line in batch:
            try:
                events.append(examine(line, self._configuration))
            except RejectedError as error:
                invalid.append((line, str(error)))
        for chunk in chunks(events):
            refused += store(chunk, self._elasticsearch)
        # Last, so that a batch that is sent again has left no dead letter twice.
        if invalid or refused:
            keep_dead_letters(self._configuration.dead_letter_file, invalid + refused)
        self._count(events, invalid, refused)
        return len(invalid) + len(refused)

    def _count(self, events: list[Event], invalid: list[tuple[Line, str]], refused: list[tuple[Line, str]]) -> None:
        """Count a batch that is done with. One that is delivered again after a kill is counted again."""
        gone = {id(line) for line, _ in refused}
        self.metrics.stored(
            (event.created, seconds_of(event.line.received)) for event in events if id(event.line) not in gone
        )
        self.metrics.dead("invalid", len(invalid))
        self.metrics.dead("refused", len(refused))

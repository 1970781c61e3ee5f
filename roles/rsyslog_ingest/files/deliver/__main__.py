"""Hand events from rsyslog's queue to Elasticsearch; rsyslog starts this program (omprog) and waits for its answers.

rsyslog keeps a batch in its queue on disk until this program has answered OK to its end. OK is answered only when every event of
the batch is either stored (or was stored before) or in the dead-letter file, synced. In all other cases rsyslog sends the batch again.

Why not rsyslog's own output omelasticsearch: it looks at the refusal of a single document, but when Elasticsearch refuses a whole
request (401 after a changed password, 413, 429, 503 while it starts) it takes the batch out of the queue and writes it to a file.

Standard library only, since it runs on a fresh host.
"""

import argparse
import os
import sys
import syslog

from delivery import queue_statistics
from delivery.configuration import Configuration, ConfigurationError
from delivery.courier import METRICS_FILE, Courier
from delivery.metrics import DeliveryMetrics
from delivery.store import Elasticsearch, NotDeliveredError


def main() -> int:
    """Deliver for rsyslog, or write its queue's figures, or do one of the small things that the options name."""
    parser = argparse.ArgumentParser(prog="deliver", description="Hands events from rsyslog's queue to Elasticsearch.")
    parser.add_argument("configuration", help="path of deliver.json")
    parser.add_argument("--check", action="store_true", help="only check the configuration file")
    parser.add_argument("--log-in", action="store_true", help="only log in to Elasticsearch, and say who one is")
    parser.add_argument("--begin-metrics", action="store_true", help="only write the file of counters, at 0 if new")
    parser.add_argument("--queue-statistics", action="store_true", help="write rsyslog's statistics of its queue")
    arguments = parser.parse_args()
    try:
        configuration = Configuration.read(arguments.configuration)
        if arguments.check:
            return 0
        if arguments.log_in:
            print(Elasticsearch(configuration).log_in())
            return 0
        if arguments.begin_metrics:
            DeliveryMetrics(os.path.join(configuration.metrics_directory, METRICS_FILE)).save()
            return 0
        if arguments.queue_statistics:
            queue_statistics.serve(sys.stdin.buffer, configuration)
            return 0
    except (ConfigurationError, NotDeliveredError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    syslog.openlog("logbastion-ingest-deliver", syslog.LOG_PID, syslog.LOG_DAEMON)
    Courier(configuration).serve(sys.stdin.buffer, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main())

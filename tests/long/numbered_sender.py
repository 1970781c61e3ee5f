"""Logs numbered events until it is killed or has logged the last one; says in shared memory how far it has come.

The number in the progress file is that of the last logging call that has returned, so it survives `kill -9`.
"""

import argparse
import json
import logging
import mmap
import os
import random
import struct
import sys
import time
from pathlib import Path

from logbastion.formatters import EventFormatter
from logbastion.shipping.handler import ShippingHandler
from logbastion.shipping.transports.elasticsearch import ElasticsearchTransport

EVIDENCE = ("accounts.auth", "finances.payments")
OTHERS = ("performance", "business.search", "school.views")
LOGGERS = EVIDENCE + OTHERS
"""One for each stream that is not `debug`, and one that nobody has named."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spool", required=True)
    parser.add_argument("--destination", required=True)
    parser.add_argument("--ca-file", required=True)
    parser.add_argument("--password-file", required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--progress", required=True, type=Path)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--last", type=int, required=True)
    parser.add_argument("--children", type=int, default=0, help="how many forks share the range")
    parser.add_argument("--clock-jumps", action="store_true")
    parser.add_argument("--evidence-every", type=int, help="so few events are of security and audit")
    parser.add_argument("--wait", type=float, default=0, help="seconds for what still waits when all is logged")
    parser.add_argument("--counts", type=Path, help="file for the handler's counts at the end")
    arguments = parser.parse_args()

    transport = ElasticsearchTransport(
        arguments.destination,
        ca_file=arguments.ca_file,
        username="log_writer",
        password_file=arguments.password_file,
        send_timeout=5.0,
        response_timeout=10.0,
    )
    handler = ShippingHandler(transport, spool_directory=arguments.spool)
    handler.setFormatter(EventFormatter(service_name="numbered", environment=arguments.environment))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if arguments.clock_jumps:
        jump_the_clock()
    progress = mmap.mmap(os.open(arguments.progress, os.O_RDWR), 8 * (1 + arguments.children))
    ranges = split(arguments.first, arguments.last, 1 + arguments.children)
    slot = 0
    # The parent logs before it forks, so that it has a thread, a lock and descriptors that a child must not use.
    for child in range(1, 1 + arguments.children):
        log(ranges[0][0] + child - 1, 0, progress, None)
        if os.fork() == 0:
            slot = child
            break
    first, last = ranges[slot]
    for number in range(first + (arguments.children if slot == 0 else 0), last + 1):
        log(number, slot, progress, arguments.evidence_every)
    if slot == 0:
        for _ in range(arguments.children):
            os.wait()
    handler.wait(arguments.wait)
    logging.shutdown()
    if arguments.counts:
        arguments.counts.write_text(json.dumps(handler.stats()))
    return 0


def split(first: int, last: int, parts: int) -> list[tuple[int, int]]:
    edges = [first + (last + 1 - first) * part // parts for part in range(parts + 1)]
    return [(edges[part], edges[part + 1] - 1) for part in range(parts)]


def log(number: int, slot: int, progress: mmap.mmap, evidence_every: int | None) -> None:
    if evidence_every is None:
        name = LOGGERS[number % len(LOGGERS)]
    elif number % evidence_every:
        name = OTHERS[number % len(OTHERS)]
    else:
        name = EVIDENCE[number // evidence_every % len(EVIDENCE)]
    logging.getLogger(name).info(
        "Numbered event", extra={"n": number, "event_type": "numbered", "user_id": number % 97}
    )
    struct.pack_into("<Q", progress, 8 * slot, number)


def jump_the_clock() -> None:
    """Let the wall clock stand a day before or behind, changing at random; the monotonic clock goes on as it is."""
    real, offset, chance = time.time, [0.0], random.Random(os.getpid())
    real_ns = time.time_ns

    def moved() -> float:
        if chance.random() < 0.001:
            offset[0] = chance.choice((-86400.0, 0.0, 86400.0))
        return real() + offset[0]

    time.time = moved
    time.time_ns = lambda: real_ns() + int(offset[0] * 1e9)


if __name__ == "__main__":
    sys.exit(main())

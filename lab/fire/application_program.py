"""A second process of the example application on its host, as a management command is: same package, user, settings and metrics, a spool of its own.

What it logs reaches neither the lab's log files nor its ingest, but for a few events of `damaged`; so nothing of the application's own is lost or added.
"""

import argparse
import logging
import logging.config
import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from logbastion import log_authentication_attempt, logging_config, metric_files
from logbastion.shipping.handler import ShippingHandler
from logbastion.shipping.spool import DEFAULT_LIMITS, LaneLimit
from logbastion.shipping.transports.tcp import TcpTransport
from logbastion.shipping.transports.udp import UdpTransport
from logbastion.shipping_metrics import ShippingMetrics

MEBIBYTE = 1024 * 1024
NOBODY = "127.0.0.1:1"
"""Where nobody listens."""
SCRAPED_SECONDS = 8
"""In which Prometheus has seen the new counters at 0."""
LOGGER_OF_STREAM = {"application": "business.fire", "security": "security.events"}


def spooling(arguments: argparse.Namespace) -> ShippingHandler:
    """Return a handler whose receiver is away for ever, so that all events stay in its spool."""
    limits = dict(DEFAULT_LIMITS)
    if arguments.room:
        limits[arguments.stream] = LaneLimit(arguments.room * MEBIBYTE, limits[arguments.stream].policy)
    transport = TcpTransport(NOBODY, ca_file=os.environ["LOGBASTION_CA_FILE"])
    return ShippingHandler(
        transport, spool_directory=arguments.spool, limits=limits, publish=ShippingMetrics(), exit_timeout=0
    )


def flood(arguments: argparse.Namespace) -> None:
    """Log events of 60 kB that nobody takes: as fast as it goes up to so many mebibytes, then two a second."""
    logger = logging.getLogger(LOGGER_OF_STREAM[arguments.stream])
    logger.addHandler(spooling(arguments))
    logger.setLevel("INFO")
    logger.propagate = False
    for number in count(1):
        logger.info("fire %d %s", number, "ordinary words of a long message " * 1800)
        if number * 60_000 > arguments.fast * MEBIBYTE:
            time.sleep(0.5)


def oversized(arguments: argparse.Namespace) -> None:
    """Log events that do not fit into the datagrams by which this process ships: the transport refuses them."""
    logger = logging.getLogger("business.fire")
    logger.propagate = False
    transport = UdpTransport("127.0.0.1:9", max_bytes=2000, send_timeout=0.2)
    logger.addHandler(ShippingHandler(transport, spool_directory=arguments.spool, publish=ShippingMetrics()))
    for number in count(1):
        logger.warning("fire %d %s", number, "too long for a small datagram " * 100)
        time.sleep(1)


def write_spool(arguments: argparse.Namespace) -> None:
    """Leave a hundred events in a spool and die, as by `kill -9`."""
    logger = logging.getLogger("business.fire")
    logger.propagate = False
    transport = TcpTransport(NOBODY, ca_file=os.environ["LOGBASTION_CA_FILE"])
    logger.addHandler(ShippingHandler(transport, spool_directory=arguments.spool))
    for number in range(1, 101):
        logger.warning("Event %d of a spool that will be damaged", number)
    os.kill(os.getpid(), signal.SIGKILL)


def read_spool(arguments: argparse.Namespace) -> None:
    """Ship what a dead process has left, to the lab's ingest."""
    logger = logging.getLogger("business.fire")
    logger.propagate = False
    transport = TcpTransport(
        os.environ["LOGBASTION_INGEST"],
        ca_file=os.environ["LOGBASTION_CA_FILE"],
        certificate_file=os.environ["LOGBASTION_CERTIFICATE_FILE"],
        key_file=os.environ["LOGBASTION_KEY_FILE"],
    )
    handler = ShippingHandler(transport, spool_directory=arguments.spool, publish=ShippingMetrics())
    logger.addHandler(handler)
    logger.warning("Shipping of a damaged spool begins")
    while True:
        time.sleep(1)


def guess(arguments: argparse.Namespace) -> None:
    """Report failed log-ins, thirty a second, each for another address: more than two cores can hash passwords for."""
    del arguments
    _only_count()
    for number in count(1):
        log_authentication_attempt(f"visitor{number}@example.org", success=False, failure_reason="invalid_credentials")
        time.sleep(1 / 30)


def bottom(arguments: argparse.Namespace) -> None:
    """Log at the bottom of a recursion, where nothing can be redacted any more."""
    logger = logging.getLogger("business.fire")
    logger.propagate = False
    logger.addHandler(spooling(arguments))

    def dive(left: int) -> None:
        if left:
            dive(left - 1)
        else:
            logger.warning("Logged at the bottom of a recursion", extra={"path": {"a": {"b": ["c"]}}})

    while True:
        for distance in range(20, 60, 2):
            depth = sys.getrecursionlimit() - distance
            try:
                dive(depth)
            except RecursionError:
                continue
        time.sleep(1)


def failing_response(arguments: argparse.Namespace) -> None:
    """See an incident whose response, a post to Alertmanager, reaches nobody."""
    del arguments
    response = {
        "destinations": NOBODY,
        "ca_file": os.environ["LOGBASTION_CA_FILE"],
    }
    _only_count(incidents={"responses": {"alertmanager": response}})
    time.sleep(SCRAPED_SECONDS)
    while True:
        logging.getLogger("business.fire").error("smtplib.SMTPServerDisconnected: please run connect() first")
        time.sleep(2)


def _only_count(**more: object) -> None:
    """Configure logging as the application does, without file and ingest; events go to the journal of this unit."""
    for name in ("LOGBASTION_LOG_DIRECTORY", "LOGBASTION_INGEST", "LOGBASTION_SPOOL_DIRECTORY"):
        os.environ.pop(name, None)
    logging.config.dictConfig(logging_config(**more))  # type: ignore[arg-type]


WHAT: dict[str, Callable[[argparse.Namespace], None]] = {
    "flood": flood,
    "oversized": oversized,
    "write-spool": write_spool,
    "read-spool": read_spool,
    "guess": guess,
    "bottom": bottom,
    "failing-response": failing_response,
}


def main() -> None:
    """Do one of these until stopped; then the gauges of this process go with it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--spool", type=Path)
    parser.add_argument("--stream", default="application", choices=LOGGER_OF_STREAM)
    parser.add_argument("--room", type=int, default=0, help="mebibytes of a stream; 0 for the default")
    parser.add_argument("--fast", type=float, default=0.0, help="mebibytes that are logged without a pause")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        WHAT[arguments.what](arguments)
    finally:
        metric_files.bury(os.environ["PROMETHEUS_MULTIPROC_DIR"], os.getpid())


if __name__ == "__main__":
    main()

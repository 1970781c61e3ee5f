"""What the small programs of these tests share: a logger that ships to the test's receiver, and numbered events."""

from __future__ import annotations

import logging
import os

from logbastion.shipping import ShippingHandler, TcpTransport

LOG = logging.getLogger("business.servers")


def connect() -> None:
    """Do what an application does once, where it configures its logging."""
    files = {name: os.environ[f"TEST_{name.upper()}"] for name in ("ca_file", "certificate_file", "key_file")}
    transport = TcpTransport(os.environ["TEST_SINK"], **files)
    timeout = float(os.environ.get("TEST_EXIT_TIMEOUT", "20"))
    handler = ShippingHandler(transport, spool_directory=os.environ["TEST_SPOOL"], exit_timeout=timeout)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    LOG.addHandler(handler)


def log_numbers(first: int, last: int) -> None:
    for number in range(first, last):
        LOG.info("number", extra={"n": number, "by": os.getpid()})

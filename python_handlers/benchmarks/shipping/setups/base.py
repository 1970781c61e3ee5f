"""What a way of shipping has to say of itself to be measured."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.shipping.event import ARGUMENTS, LOGGER, MESSAGE, fields

Log = Callable[[str], None]
"""Logs the event with this mark."""


@dataclass(frozen=True)
class Target:
    """Where to.

    Args:
        host: a name that the certificate is for.
        port: of the sink.
        ca_file: the authority that has signed the sink's certificate.
        directory: for what the set-up keeps; the same again when a killed sender is started again.

    """

    host: str
    port: int
    ca_file: str
    directory: Path


class Setup(Protocol):
    """One way of shipping. Its libraries are imported by :meth:`start`, so that they count into the memory it takes."""

    title: str
    """For the table."""
    wire: str
    """``lines``, ``frames`` (four bytes of length, then that much) or ``http``."""
    tls: bool
    """Whether it speaks TLS to the sink; those that cannot are measured in clear on loopback."""
    keeps: frozenset[str]
    """The measures in which it promises that nothing is lost: ``flow``, ``outage``, ``stall``, ``kill``,
    ``kill_down``, ``exit``, ``fork``."""
    burst: int
    """Events that take it a few seconds: enough that its start and its intervals do not decide its rate."""
    patience: float
    """Seconds without any arrival after which nothing more is to come; 0 when nothing is sent at all."""
    patience_after_trouble: float
    """The same after the sink was away or did not read: what a set-up waits before it tries again, and a little."""

    def start(self, target: Target) -> Log:
        """Configure it in this process and return the function that logs an event."""
        ...

    def stop(self) -> None:
        """Do what its documentation asks an application to do at its end, beyond ``logging.shutdown``."""
        ...


def through_logging(handler: logging.Handler) -> Log:
    """Return a function that logs an event on a logger which has only this handler."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    info = logger.info

    def log(marked: str) -> None:
        info(MESSAGE, *ARGUMENTS, extra=fields(marked))

    return log

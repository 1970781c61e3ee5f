"""logbastion's ShippingHandler with its TCP transport."""

# ruff: noqa: PLC0415 - imported late, see Setup
from __future__ import annotations

from typing import Any, Final

from benchmarks.shipping.setups.base import Log, Target, through_logging

_EVERYTHING: Final = frozenset({"flow", "outage", "stall", "kill", "kill_down", "exit", "fork"})


class _PassOn:
    """A gate that does nothing, in the way in which the package's own is asked."""

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        return event

    def judge(self, content: dict[str, Any], _stream: str) -> dict[str, Any]:
        return content


class Ours:
    """The handler as it comes.

    Args:
        durability: ``process`` or ``host``; None keeps events in memory only.
        gate: with the gate that the package has by default, or with one that does nothing.

    """

    wire = "lines"
    tls = True
    patience = 3.0
    patience_after_trouble = 20.0  # its pauses between attempts grow to fifteen seconds

    def __init__(self, durability: str | None, *, gate: bool) -> None:
        self._durability = durability
        self._gate = gate
        kind = f"spool, durability {durability}" if durability else "memory only"
        self.title = f"logbastion, {kind}{'' if gate else ', no gate'}"
        # In memory there is room for 8 MiB; what is more is dropped, counted and told.
        self.keeps = _EVERYTHING if durability else frozenset({"fork"})
        self.burst = 4_000 if durability == "host" else 40_000

    def start(self, target: Target) -> Log:
        """See :class:`.base.Setup`."""
        from logbastion.shipping import ShippingHandler
        from logbastion.shipping.transports import TcpTransport

        transport = TcpTransport(f"{target.host}:{target.port}", ca_file=target.ca_file)
        options: dict[str, Any] = {} if self._gate else {"gate": _PassOn()}
        if self._durability:
            options |= {"spool_directory": target.directory / "spool", "durability": self._durability}
        return through_logging(ShippingHandler(transport, **options))

    def stop(self) -> None:
        """Nothing beyond ``logging.shutdown``."""

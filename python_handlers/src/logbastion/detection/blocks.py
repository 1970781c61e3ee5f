"""Blocks of addresses: for a time, longer each time, never of those who must not be blocked, each one on record."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from typing import Any, Final, Literal

from logbastion.client_address import proxies_in_use
from logbastion.detection.breaker import Breaker
from logbastion.detection.stores.base import Block, BlockPlan, Store
from logbastion.detection.subjects import Address, address_of, network_of

Mode = Literal["off", "dry_run", "enforce"]
MODES: Final[tuple[Mode, ...]] = ("off", "dry_run", "enforce")


class Blocks:
    """Blocks, lifts and lists. Events go to ``security.events``: ``ip_blocked`` and ``ip_block_lifted``.

    Never blocked are the allowed networks, which are looked at first, the own proxies (see
    :class:`logbastion.TrustedProxies`) and this host: a proxy on it that nobody has declared would stand for everybody.

    Args:
        store: see :mod:`logbastion.detection.stores`.
        breaker: the detector's.
        mode: ``enforce``; ``dry_run`` notes and counts what would be refused; ``off`` does nothing.
        plan: how long.
        allowed_networks: addresses and networks in CIDR notation.

    Raises:
        ValueError: with a sentence, when the mode or a network is none.

    """

    def __init__(
        self,
        store: Store,
        breaker: Breaker,
        *,
        mode: Mode = "enforce",
        plan: BlockPlan | None = None,
        allowed_networks: Iterable[str] = (),
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"Blocking has the modes {', '.join(MODES)}, and not {mode!r}.")
        self._store, self._breaker = store, breaker
        self.mode: Mode = mode
        self.plan = plan if plan is not None else BlockPlan()
        self._allowed = tuple(_network(entry) for entry in allowed_networks)

    def is_exempt(self, address: Address) -> bool:
        """Say whether an address is never blocked."""
        return (
            any(address in network for network in self._allowed)
            or address.is_loopback
            or proxies_in_use().trusts(address)
        )

    def trigger(self, ip_address: object, reason: str) -> Block | None:
        """Block an address; see :func:`logbastion.detection.trigger_ip_block`. Never raises."""
        address = address_of(ip_address)
        if self.mode == "off" or address is None:
            return None
        if self.is_exempt(address):
            self._log(logging.WARNING, "An address that is never blocked was to be blocked", "ip_block_refused",
                      source_ip=str(address), reason=reason)  # fmt: skip
            return None
        dry_run = self.mode != "enforce"
        block = self._breaker.call(
            "block", lambda: self._store.add_block(network_of(address), self.plan, reason, dry_run)
        )
        if block is not None and block.new:
            self._log(
                logging.WARNING,
                "Address would be blocked" if dry_run else "Address blocked",
                "ip_blocked",
                source_ip=str(address),
                network=block.network,
                reason=reason,
                block_seconds=round(block.remaining),
                block_number=block.number,
                dry_run=dry_run,
            )
        return block

    def refusal(self, ip_address: object) -> Block | None:
        """Return the block under which a request is, also one that is only noted. Never raises."""
        if self.mode == "off":
            return None
        address = address_of(ip_address)
        if address is None or self.is_exempt(address):
            return None
        network = network_of(address)
        return self._breaker.call("request", lambda: self._store.find_block(network))

    def lift(self, ip_address: str, by: str) -> Block | None:
        """Lift the block of an address or of its network; returns what was lifted.

        Args:
            ip_address: an address, or the network as :meth:`listed` shows it.
            by: who does it, for the event.

        Raises:
            ValueError: it is no address.
            Exception: of the store, when that is away.

        """
        address = address_of(str(ip_address).partition("/")[0])
        if address is None:
            raise ValueError(f"{ip_address!r} is no address.")
        lifted = self._store.remove_block(network_of(address))
        if lifted is not None:
            self._log(
                logging.WARNING,
                "Block of an address lifted",
                "ip_block_lifted",
                source_ip=str(address),
                network=lifted.network,
                lifted_by=by,
                remaining_seconds=round(lifted.remaining),
                dry_run=lifted.dry_run,
            )
        return lifted

    def listed(self) -> list[Block]:
        """Return what is blocked now, the first to end first.

        Raises:
            Exception: of the store, when that is away.

        """
        return self._store.blocks()

    @staticmethod
    def _log(level: int, message: str, event_type: str, **values: Any) -> None:
        try:
            extra = {"event_type": event_type, **values}
            logging.getLogger("security.events").log(level, message, extra=extra)
        except Exception:  # a handler that raises: the block stays
            return


def _network(entry: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(str(entry))
    except ValueError as error:
        raise ValueError(f"The allowed network {entry!r} is none ({error}). Write 10.0.0.0/8 or 192.0.2.7.") from None
    if network.prefixlen == 0:
        raise ValueError(f"The allowed network {entry!r} is everybody: to block nobody, set the mode off.")
    return network

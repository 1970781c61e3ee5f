"""``SecurityEventDetector``: sees guessed passwords and unusual access to data (guide, "Security Event Detection").

Each failed log-in is noted in the store under the keys of its address and its account, in one step; the rules are in
:mod:`logbastion.detection.rules`. A successful log-in takes nothing back: an attacker with an account of their own
would log in between two guesses.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from logbastion.detection.blocks import Blocks
from logbastion.detection.breaker import Breaker
from logbastion.detection.rules import CAP, RULES, Rule
from logbastion.detection.stores.base import Block, Observation, Store, Verdict
from logbastion.detection.stores.memory import MemoryStore
from logbastion.detection.subjects import Subjects, account_of, address_of, network_of
from logbastion.events import masked_email
from logbastion.pseudonyms import EMAIL, pseudonym_of

LOGGER: Final = "security.events"
_MINUTE: Final = 60
_MAX_SCHOOL: Final = 64


class SecurityEventDetector:
    """The detector with the guide's methods. None of them raises, and with the store away each of them lets go on.

    Args:
        store: see :mod:`logbastion.detection.stores`; without one the memory of this process, which is right for tests
            and for a program of one process only.
        key: a secret that all processes share, for the keys in the store; without one a random one.
        rules: by name; see :data:`logbastion.detection.rules.RULES`.
        blocks: what blocks addresses; without it nothing is blocked.
        breaker: shared with ``blocks``.
        allowed_users: ids of those who may see more than three schools, or a function that says so of an id.

    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        key: bytes | None = None,
        rules: Mapping[str, Rule] = RULES,
        blocks: Blocks | None = None,
        breaker: Breaker | None = None,
        allowed_users: Collection[Any] | Callable[[Any], bool] = (),
    ) -> None:
        self._store: Store = store if store is not None else MemoryStore()
        self._breaker = breaker if breaker is not None else Breaker()
        self._subjects = Subjects(key if key is not None else secrets.token_bytes(32))
        self._rules = dict(rules)
        self._allowed_users = allowed_users
        self.blocks = blocks if blocks is not None else Blocks(self._store, self._breaker, mode="off")

    def track_failed_login(self, ip_address: str | None, email: Any) -> None:
        """Note a failed log-in, and alert and block when it is one too many.

        Args:
            ip_address: of the client, as :func:`logbastion.get_client_ip` gives it; None or a text that is no address
                counts for the account alone.
            email: the address or user name that was typed; empty counts for the address alone, because whoever types
                nothing is not one account.

        """
        try:
            self._track(ip_address, email)
        except Exception as error:  # a hostile argument: the log-in goes on
            _report(error)

    def detect_data_access_anomalies(
        self, user_id: Any, accessed_schools: Iterable[Any], ip_address: str | None = None
    ) -> None:
        """Note that a user has read data of schools, and alert at more than three within an hour.

        Args:
            user_id: primary key of the user.
            accessed_schools: ids of the schools of this access; those of the last hour are added.
            ip_address: of the client, for the event.

        """
        try:
            self._watch_schools(user_id, accessed_schools, ip_address)
        except Exception as error:
            _report(error)

    def alert_brute_force_attack(self, ip_address: str | None, email: Any, attempt_count: int | None = None) -> None:
        """Log a brute-force attack as the guide has it, and block its address."""
        try:
            rule = self._rules["address"]
            count = attempt_count if attempt_count is not None else rule.threshold
            self._alert(rule, count, ip_address, email)
        except Exception as error:
            _report(error)

    def trigger_ip_block(self, ip_address: str | None, reason: str = "brute_force_attack") -> Block | None:
        """Block an address; see :func:`logbastion.detection.trigger_ip_block`."""
        return self.blocks.trigger(ip_address, reason)

    def _track(self, ip_address: Any, email: Any) -> None:
        address, account = address_of(ip_address) if ip_address else None, account_of(email)
        network = network_of(address) if address is not None else ""
        observed: list[tuple[Rule, Observation]] = []
        for rule in self._rules.values():
            if rule.subject == "user":
                continue
            subject = network if rule.subject == "address" else account
            counted = {"failures": secrets.token_hex(8), "addresses": network, "accounts": account}[rule.counts]
            if subject and counted:
                member = counted if rule.counts == "failures" else self._subjects(rule.counts, counted)
                observed.append((rule, self._observation(rule, subject, member)))
        if not observed:
            return
        verdicts = self._breaker.call("failed_login", lambda: self._store.record([one for _, one in observed]))
        for (rule, _), verdict in zip(observed, verdicts or ()):  # noqa: B905 - Python 3.10, and both have one length
            if verdict.alert:
                self._alert(rule, verdict.count, str(address) if address is not None else None, email)

    def _watch_schools(self, user_id: Any, accessed_schools: Iterable[Any], ip_address: str | None) -> None:
        rule = self._rules.get("schools")
        if rule is None or user_id is None or self._may(user_id):
            return
        schools = list(dict.fromkeys(str(school)[:_MAX_SCHOOL] for school in accessed_schools))[:CAP]
        if not schools:
            return
        observations = [self._observation(rule, str(user_id), school) for school in schools]
        verdicts: list[Verdict] = self._breaker.call("data_access", lambda: self._store.record(observations)) or []
        if any(verdict.alert for verdict in verdicts):
            # The one that crossed the threshold need not be the last of this access.
            seen = {school for verdict in verdicts for school in verdict.members} | set(schools)
            self._log(
                rule,
                user_id=user_id if isinstance(user_id, int) else str(user_id),
                schools_accessed=sorted(seen),
                school_count=max(verdict.count for verdict in verdicts),
                time_window_minutes=round(rule.window_seconds / _MINUTE),
                source_ip=ip_address,
                risk_score=0.5,
            )

    def _may(self, user_id: Any) -> bool:
        if callable(self._allowed_users):
            return bool(self._allowed_users(user_id))
        return user_id in self._allowed_users

    def _observation(self, rule: Rule, subject: str, member: str) -> Observation:
        key = f"{rule.name}:{self._subjects(rule.subject, subject)}"
        return Observation(key, member, rule.window_seconds, rule.threshold, rule.cooldown_seconds, CAP)

    def _alert(self, rule: Rule, count: int, ip_address: str | None, email: Any) -> None:
        told = rule.subject == "account" or rule.counts == "failures"
        try:
            self._log(
                rule,
                # Of an account that many addresses guess at, the last one says little; of many accounts the last, too.
                source_ip=ip_address if rule.subject == "address" else None,
                target_email=masked_email(email) if told else None,
                target_pseudonym=pseudonym_of(EMAIL, email) if told else None,
                attempt_count=count,
                counted=rule.counts,
                time_window_minutes=round(rule.window_seconds / _MINUTE),
                recommended_action="block_ip_temporarily" if rule.blocks else "watch_and_inform_the_owner",
            )
        finally:  # a handler that fails does not let the attacker go on
            if rule.blocks and ip_address is not None:
                self.trigger_ip_block(ip_address, rule.alert_type)

    @staticmethod
    def _log(rule: Rule, **values: Any) -> None:
        extra = {"event_type": rule.alert_type, "alert_type": rule.alert_type, "severity": rule.severity, **values}
        present = {name: value for name, value in extra.items() if value is not None}
        logging.getLogger(LOGGER).log(rule.level, rule.message, extra=present)


def _report(error: Exception) -> None:
    try:
        # Without the error's text and traceback: what was typed may be in them.
        logging.getLogger("system.log_management").error(
            "Detection could not judge an event: %s", type(error).__name__, extra={"event_type": "detection_failed"}
        )
    except Exception:  # logging itself is broken, and the log-in goes on
        return

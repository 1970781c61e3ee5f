"""What is taken for an attack, who is blocked, and what happens when the store is away."""

import logging
import random
import sys

import pytest
from detection_helpers import KEY, START, detector_with, fail

from logbastion.client_address import set_trusted_proxies
from logbastion.detection import (
    RULES,
    MemoryStore,
    Rule,
    SecurityEventDetector,
    configure_detection,
    security_detector,
    trigger_ip_block,
)
from logbastion.detection.rules import changed_rules
from logbastion.detection.subjects import account_of
from logbastion.events import log_authentication_attempt

ATTACKER = "192.0.2.7"
PROXY = "10.0.0.5"


class Request:
    def __init__(self, peer, forwarded=None):
        self.META = {"REMOTE_ADDR": peer}
        if forwarded is not None:
            self.META["HTTP_X_FORWARDED_FOR"] = forwarded


class TestOneAddress:
    def test_the_fifth_failure_is_an_attack_and_the_fourth_is_none(self, detector, attack_events):
        fail(detector, 4)
        assert attack_events.records == []
        fail(detector, 1)
        assert attack_events.types == ["brute_force_attack", "ip_blocked"]
        attack = attack_events.records[0]
        assert (attack.name, attack.levelname) == ("security.events", "CRITICAL")
        assert attack.getMessage() == "SECURITY ALERT: Brute force attack detected"
        assert (attack.alert_type, attack.severity, attack.source_ip) == ("brute_force_attack", "HIGH", ATTACKER)
        assert (attack.attempt_count, attack.time_window_minutes) == (5, 15)
        assert attack.target_email == "m***@example.org"
        assert attack.recommended_action == "block_ip_temporarily"

    @pytest.mark.parametrize(("last", "seen"), [(899.999, True), (900.0, False)])
    def test_the_window_slides(self, detector, clock, attack_events, last, seen):
        fail(detector, 1)
        clock.now = START + 600
        fail(detector, 3)
        clock.now = START + last
        fail(detector, 1)
        assert bool(attack_events.records) is seen

    def test_one_alert_while_it_lasts_and_another_after_the_cooldown(self, detector, clock, attack_events):
        fail(detector, 25)
        assert attack_events.types.count("brute_force_attack") == 1
        clock.now += 899
        fail(detector, 4)
        assert attack_events.types.count("brute_force_attack") == 1
        clock.now += 1
        fail(detector, 1)
        assert attack_events.types.count("brute_force_attack") == 2

    def test_others_are_not_meant(self, detector, attack_events):
        fail(detector, 4)
        fail(detector, 4, "192.0.2.8", "joao@example.org")
        assert attack_events.records == []

    def test_ipv6_counts_by_64(self, detector, attack_events):
        for number in range(5):
            fail(detector, 1, f"2001:db8:1:2::{number:x}", f"user{number % 2}@example.org")
        assert attack_events.of("ip_blocked")[0].network == "2001:db8:1:2::/64"
        assert detector.blocks.refusal("2001:db8:1:2:ffff::1") is not None
        assert detector.blocks.refusal("2001:db8:1:3::1") is None

    def test_an_ipv4_address_has_one_spelling(self, detector, attack_events):
        fail(detector, 3)
        fail(detector, 2, f"::ffff:{ATTACKER}")
        assert attack_events.types == ["brute_force_attack", "ip_blocked"]

    def test_slowly_over_a_day(self, detector, clock, attack_events):
        for number in range(30):
            fail(detector, 1, name=f"user{number % 3}@example.org")
            clock.now += 600
        assert attack_events.types == ["slow_guessing"]
        assert (attack_events.records[0].source_ip, attack_events.records[0].attempt_count) == (ATTACKER, 30)


class TestAccounts:
    def test_one_account_from_many_addresses_is_told_and_nobody_is_blocked(self, detector, attack_events):
        for number in range(5):
            fail(detector, 1, f"192.0.2.{number}")
        assert attack_events.types == ["distributed_guessing"]
        assert attack_events.records[0].target_email == "m***@example.org"
        assert not hasattr(attack_events.records[0], "source_ip")
        assert detector.blocks.listed() == []

    def test_one_account_from_one_address_many_times_is_not_that(self, detector, attack_events):
        fail(detector, 10)
        assert "distributed_guessing" not in attack_events.types

    def test_many_accounts_from_one_address(self, detector, clock, attack_events):
        for number in range(5):
            clock.now += 600  # too slow for five within 15 minutes
            fail(detector, 1, name=f"user{number}@example.org")
        assert attack_events.types == ["password_spraying", "ip_blocked"]
        assert not hasattr(attack_events.records[0], "target_email")

    def test_one_account_slowly(self, detector, clock, attack_events):
        for number in range(20):
            fail(detector, 1, f"192.0.2.{number % 4}")
            clock.now += 1800
        assert attack_events.types == ["slow_guessing"]

    @pytest.mark.parametrize(
        "name",
        [
            "MARIA@example.org",
            " maria@example.org ",
            "\uff4daria@example.org",  # full-width
            "ma\u200bria@example.org",  # a space without width
            "maria@example.org\u202e",
            "\U0001d426aria@example.org",  # mathematical bold
        ],
    )
    def test_spellings_of_one_account(self, name):
        assert account_of(name) == "maria@example.org"

    def test_letters_of_another_script_are_another_account_and_count_for_the_address(self, detector, attack_events):
        cyrillic = "m\u0430ria@example.org"
        assert account_of(cyrillic) != account_of("maria@example.org")
        fail(detector, 3)
        fail(detector, 2, name=cyrillic)
        assert attack_events.types == ["brute_force_attack", "ip_blocked"]


class TestWhatClientsSend:
    @pytest.mark.parametrize("name", ["", "   ", "\u200b", None, 7, b"maria"])
    def test_empty_names_are_nobodys_account(self, detector, attack_events, name):
        for number in range(30):
            detector.track_failed_login(f"198.51.100.{number}", name)
        assert attack_events.records == []  # from 30 addresses, and no account is guessed at
        for _ in range(5):
            detector.track_failed_login(ATTACKER, name)
        assert attack_events.types == ["brute_force_attack", "ip_blocked"]

    @pytest.mark.parametrize("address", [None, "", "unknown", "a" * 100_000, "192.0.2.7, 192.0.2.8", 7.5, object()])
    def test_without_an_address_only_the_account_counts(self, detector, attack_events, address):
        fail(detector, 19, address)
        assert attack_events.records == []
        fail(detector, 1, address)
        assert attack_events.types == ["slow_guessing"]
        assert detector.blocks.listed() == []

    def test_a_forged_header_neither_hides_the_sender_nor_blocks_another(self, detector, attack_events):
        configure_detection(detector)
        for number in range(5):
            request = Request(ATTACKER, f"203.0.113.{number}")
            log_authentication_attempt("maria@example.org", False, "invalid_credentials", request)
        assert [block.network for block in detector.blocks.listed()] == [ATTACKER]

    def test_behind_a_trusted_proxy_the_right_most_address_counts(self, detector, attack_events):
        set_trusted_proxies([PROXY])
        configure_detection(detector)
        for number in range(5):
            request = Request(PROXY, f"203.0.113.{number}, {ATTACKER}")
            log_authentication_attempt("maria@example.org", False, "invalid_credentials", request)
        assert [block.network for block in detector.blocks.listed()] == [ATTACKER]

    def test_a_successful_login_neither_counts_nor_forgives(self, detector, attack_events):
        configure_detection(detector)
        for success in (False, False, True, False, False, True, False):
            log_authentication_attempt("maria@example.org", success, None, Request(ATTACKER))
        assert attack_events.types == ["brute_force_attack", "ip_blocked"]

    def test_the_detector_sees_what_a_failing_handler_does_not(self, detector, attack_events):
        class Failing(logging.Handler):
            def emit(self, record):
                raise RuntimeError

        configure_detection(detector)
        handler = Failing()
        logging.getLogger("accounts.auth").addHandler(handler)
        try:
            for _ in range(5):
                log_authentication_attempt("maria@example.org", False, None, Request(ATTACKER))
        finally:
            logging.getLogger("accounts.auth").removeHandler(handler)
        assert "brute_force_attack" in attack_events.types

    @pytest.mark.integration
    def test_ten_thousand_addresses_a_minute(self, clock, attack_events):
        store = MemoryStore(clock, max_keys=3000)
        detector = detector_with(store)
        for number in range(10_000):
            clock.now = START + number * 0.006
            detector.track_failed_login(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", f"u{number}")
        assert len(store) == 3000
        assert attack_events.records == []
        fail(detector, 5)
        assert attack_events.types == ["brute_force_attack", "ip_blocked"]

    @pytest.mark.integration
    def test_of_20_000_bursts_of_five_none_is_missed(self, clock, attack_events):
        rules = {"address": RULES["address"]}
        detector = SecurityEventDetector(MemoryStore(clock), key=KEY, rules=rules)
        chance = random.Random(8)
        failures = []
        for burst in range(20_000):
            begin = START + chance.uniform(0, 86_400)
            within = sorted(chance.uniform(0, 899.999) for _ in range(3))
            address = f"10.{burst >> 16}.{burst >> 8 & 255}.{burst & 255}"
            failures += [(begin + after, address) for after in (0.0, *within, 899.999)]
        for at, address in sorted(failures):
            clock.now = at
            detector.track_failed_login(address, "")
        found = [record.source_ip for record in attack_events.of("brute_force_attack")]
        assert len(found) == len(set(found)) == 20_000


class TestSchools:
    def test_the_fourth_school_within_an_hour(self, detector, clock, attack_events):
        detector.detect_data_access_anomalies(7, [1, 2])
        clock.now += 1800
        detector.detect_data_access_anomalies(7, [2, 3], ATTACKER)
        assert attack_events.records == []
        detector.detect_data_access_anomalies(7, [4], ATTACKER)
        (event,) = attack_events.records
        assert (event.event_type, event.levelname, event.severity) == ("data_access_anomaly", "WARNING", "MEDIUM")
        assert (event.user_id, event.school_count, event.source_ip) == (7, 4, ATTACKER)
        assert event.schools_accessed == ["1", "2", "3", "4"]

    def test_the_hour_rolls(self, detector, clock, attack_events):
        detector.detect_data_access_anomalies(7, [1, 2])
        clock.now += 3600
        detector.detect_data_access_anomalies(7, [3, 4])
        assert attack_events.records == []

    def test_many_at_once_alert_once(self, detector, attack_events):
        detector.detect_data_access_anomalies(7, range(1, 300))
        detector.detect_data_access_anomalies(7, range(1, 300))
        assert attack_events.types == ["data_access_anomaly"]

    @pytest.mark.parametrize("allowed", [{7}, [7, 9], lambda user_id: user_id == 7])
    def test_staff_who_may(self, clock, attack_events, allowed):
        detector = detector_with(clock=clock, allowed_users=allowed)
        detector.detect_data_access_anomalies(7, range(10))
        assert attack_events.records == []
        detector.detect_data_access_anomalies(8, range(10))
        assert attack_events.types == ["data_access_anomaly"]

    def test_users_are_apart(self, detector, attack_events):
        for user in range(20):
            detector.detect_data_access_anomalies(user, [1, 2, 3])
        assert attack_events.records == []


class TestOfTheProcess:
    def test_without_one_nothing_is_seen_and_blocking_says_so(self, attack_events):
        configure_detection(None)
        log_authentication_attempt("maria@example.org", False)
        assert security_detector() is None
        assert trigger_ip_block(ATTACKER) is None
        assert attack_events.types == ["detection_is_off"]

    def test_blocking_by_the_application(self, detector, attack_events):
        configure_detection(detector)
        assert security_detector() is detector
        assert trigger_ip_block(ATTACKER, "too_many_payments").reason == "too_many_payments"

    def test_the_guides_alert_by_hand(self, detector, attack_events):
        detector.alert_brute_force_attack(ATTACKER, "maria@example.org")
        assert attack_events.types == ["brute_force_attack", "ip_blocked"]

    def test_the_store_holds_neither_names_nor_addresses(self, clock, attack_events):
        store = MemoryStore(clock)
        fail(detector_with(store), 4)
        assert "maria" not in repr(vars(store))
        assert ATTACKER not in repr(vars(store))

    def test_redis_is_asked_for_by_nobody_who_does_not_use_it(self, monkeypatch):
        from logbastion.detection.stores.redis import RedisStore

        monkeypatch.setitem(sys.modules, "redis", None)
        with pytest.raises(ValueError, match=r"pip install 'logbastion\[redis\]'"):
            RedisStore.from_url("redis://127.0.0.1")


class TestRules:
    def test_the_guides_thresholds(self):
        assert (RULES["address"].threshold, RULES["address"].window_seconds) == (5, 900)
        assert (RULES["schools"].threshold, RULES["schools"].window_seconds) == (4, 3600)

    def test_other_numbers(self, clock, attack_events):
        detector = detector_with(clock=clock, rules=changed_rules({"address": {"threshold": 3, "blocks": False}}))
        fail(detector, 3)
        assert attack_events.types == ["brute_force_attack"]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"adress": {"threshold": 3}}, "has no rule 'adress'"),
            ({"address": {"treshold": 3}}, "has no rule 'address' with treshold"),
            ({"address": {"threshold": 1}}, "a threshold from 2 to 256"),
            ({"address": {"window_seconds": 90_000}}, "a window of at most a day"),
            ({"account": {"blocks": True}}, "cannot block"),
        ],
    )
    def test_wrong_ones_say_so(self, changes, sentence):
        with pytest.raises(ValueError, match=sentence):
            changed_rules(changes)

    def test_a_rule_of_ones_own(self):
        with pytest.raises(ValueError, match="and a cooldown"):
            Rule("x", "address", "failures", 5, 60, 0, "x", 30, "LOW", "x")

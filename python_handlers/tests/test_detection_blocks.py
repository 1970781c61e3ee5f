"""Who is blocked and for how long, and what happens when the store is away."""

import logging

import pytest
from detection_helpers import detector_with, fail, unchecked

from logbastion.client_address import set_trusted_proxies
from logbastion.detection import BlockPlan, Blocks, Breaker, MemoryStore

ATTACKER = "192.0.2.7"
PROXY = "10.0.0.5"


class BrokenStore:
    """Fails at each step, as long as it is told to."""

    def __init__(self, store):
        self.store, self.broken, self.calls = store, True, 0

    def __getattr__(self, name):
        def step(*arguments):
            self.calls += 1
            if self.broken:
                raise ConnectionError("redis://:password@host is away")
            return getattr(self.store, name)(*arguments)

        return step


class TestBlocks:
    def test_it_ends_and_grows_up_to_the_cap_and_is_forgotten(self, detector, clock):
        lengths = []
        for _ in range(5):
            block = detector.trigger_ip_block(ATTACKER)
            lengths.append(block.remaining)
            clock.now += block.remaining - 0.001
            assert detector.blocks.refusal(ATTACKER).network == ATTACKER
            clock.now += 0.001
            assert detector.blocks.refusal(ATTACKER) is None
        assert lengths == [900, 3600, 14_400, 57_600, 86_400]
        clock.now += 604_801
        assert detector.trigger_ip_block(ATTACKER).remaining == 900

    def test_one_that_is_blocked_stays_so_and_is_told_once(self, detector, clock, attack_events):
        first = detector.trigger_ip_block(ATTACKER)
        clock.now += 100
        again = detector.trigger_ip_block(ATTACKER)
        assert (first.new, again.new, again.remaining) == (True, False, 800)
        assert attack_events.types == ["ip_blocked"]

    def test_dry_run_blocks_nobody_and_gives_way(self, clock, attack_events):
        store = MemoryStore(clock)
        dry = detector_with(store, mode="dry_run").trigger_ip_block(ATTACKER)
        assert (dry.dry_run, attack_events.records[0].dry_run) == (True, True)
        assert attack_events.records[0].getMessage() == "Address would be blocked"
        real = detector_with(store).trigger_ip_block(ATTACKER)
        assert (real.dry_run, real.new) == (False, True)
        assert detector_with(store, mode="dry_run").trigger_ip_block(ATTACKER).dry_run is False

    def test_off(self, clock, attack_events):
        detector = detector_with(clock=clock, mode="off")
        fail(detector, 5)
        assert attack_events.types == ["brute_force_attack"]
        assert detector.blocks.refusal(ATTACKER) is None

    @pytest.mark.parametrize("address", ["198.51.100.20", "2001:db8:1::1", PROXY, "127.0.0.1", "::1"])
    def test_never_blocked(self, clock, attack_events, address):
        set_trusted_proxies([PROXY])
        detector = detector_with(clock=clock, allowed_networks=["198.51.100.0/24", "2001:db8:1::/48"])
        fail(detector, 5, address)
        assert attack_events.types == ["brute_force_attack", "ip_block_refused"]
        assert detector.blocks.listed() == []

    def test_the_allow_list_is_read_before_the_blocks(self, clock, attack_events):
        store = MemoryStore(clock)
        detector_with(store).trigger_ip_block(ATTACKER)
        assert detector_with(store, allowed_networks=[ATTACKER]).blocks.refusal(ATTACKER) is None

    def test_lifting_is_told_with_who_did_it(self, detector, attack_events):
        detector.trigger_ip_block("2001:db8::1")
        lifted = detector.blocks.lift("2001:db8::/64", "maria")
        assert lifted.network == "2001:db8::/64"
        assert (attack_events.records[1].event_type, attack_events.records[1].lifted_by) == ("ip_block_lifted", "maria")
        assert detector.blocks.refusal("2001:db8::1") is None
        assert detector.blocks.lift("2001:db8::1", "maria") is None
        assert len(attack_events.records) == 2
        with pytest.raises(ValueError, match="is no address"):
            detector.blocks.lift("everybody", "maria")

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"mode": "yes"}, "Blocking has the modes off, dry_run, enforce"),
            ({"allowed_networks": ["10.0.0.1/8"]}, "Write 10.0.0.0/8"),
            ({"allowed_networks": ["::/0"]}, "is everybody"),
        ],
    )
    def test_wrong_settings_say_so(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            Blocks(MemoryStore(), Breaker(), **options)

    @pytest.mark.parametrize("values", [{"seconds": 0}, {"growth": 0.5}, {"seconds": 99_999}, {"memory_seconds": -1}])
    def test_wrong_plans_say_so(self, values):
        with pytest.raises(ValueError, match="A block needs"):
            BlockPlan(**values)


class TestAway:
    def test_logins_and_requests_go_on_and_are_counted(self, clock, attack_events):
        before = [unchecked(operation) for operation in ("failed_login", "data_access", "block", "request")]
        store = BrokenStore(MemoryStore(clock))
        detector = detector_with(store, breaker=Breaker(5, clock))
        fail(detector, 3)
        detector.detect_data_access_anomalies(7, range(10))
        assert detector.trigger_ip_block(ATTACKER) is None
        assert detector.blocks.refusal(ATTACKER) is None
        after = [unchecked(operation) for operation in ("failed_login", "data_access", "block", "request")]
        assert [new - old for new, old in zip(after, before, strict=True)] == [3, 1, 1, 1]
        assert store.calls == 1  # it is left alone for a while
        assert attack_events.types == ["detection_store_away"]
        assert "password" not in attack_events.records[0].getMessage()

    def test_it_is_tried_again_and_its_return_is_told(self, clock, attack_events):
        store = BrokenStore(MemoryStore(clock))
        detector = detector_with(store, breaker=Breaker(5, clock))
        fail(detector, 1)
        clock.now += 5
        fail(detector, 1)
        assert store.calls == 2
        clock.now += 5
        store.broken = False
        fail(detector, 5)
        assert attack_events.types == [
            "detection_store_away",
            "detection_store_back",
            "brute_force_attack",
            "ip_blocked",
        ]

    def test_lifting_and_listing_say_so(self, clock):
        detector = detector_with(BrokenStore(MemoryStore(clock)))
        with pytest.raises(ConnectionError):
            detector.blocks.lift(ATTACKER, "maria")
        with pytest.raises(ConnectionError):
            detector.blocks.listed()

    def test_hostile_arguments_and_handlers(self, detector, attack_events):
        class Hostile:
            def __str__(self):
                raise RuntimeError

            def __iter__(self):
                raise RuntimeError

        detector.track_failed_login(Hostile(), "m")
        detector.detect_data_access_anomalies(Hostile(), [1])
        detector.detect_data_access_anomalies(7, Hostile())
        assert attack_events.types == ["detection_failed"] * 3

        class Failing(logging.Handler):
            def emit(self, record):
                raise RuntimeError

        handler = Failing()
        logging.getLogger("security.events").addHandler(handler)
        try:
            fail(detector, 5)
        finally:
            logging.getLogger("security.events").removeHandler(handler)
        assert detector.blocks.refusal(ATTACKER) is not None

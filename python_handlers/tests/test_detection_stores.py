"""Each store counts and blocks alike; Redis and PostgreSQL are real servers, with many processes at once."""

import os

import pytest
from detection_crowd import crowd
from detection_helpers import (
    START,
    RedisServer,
    detector_with,
    directory,
    fail,
    logged,
    postgresql,
    redis_server,
    unchecked,
)

from logbastion.detection import BlockPlan, Breaker, MemoryStore
from logbastion.detection.stores.base import Observation
from logbastion.detection.stores.redis import RedisStore, in_the_open

NETWORK = "192.0.2.7"
FAILURES = int(os.environ.get("DETECTION_FAILURES", "2000"))
"""In PostgreSQL, which takes ten times as long as Redis; `make test-long` has 10,000."""


@pytest.fixture(scope="module")
def redis_url():
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="module")
def postgresql_server():
    with postgresql() as settings:
        yield settings


@pytest.fixture(scope="module")
def postgresql_alias(postgresql_server):
    import django_detection_site

    with django_detection_site.migrated(postgresql_server) as alias:
        yield alias


def memory(request, clock, **options):
    return MemoryStore(clock, **options)


def in_redis(request, clock, **options):
    url = request.getfixturevalue("redis_url")
    store = RedisStore.from_url(url, timeout=30, clock=clock, prefix=f"{{{request.node.name}}}:", **options)
    return store


def in_sqlite(request, clock, **options):
    import django_detection_site

    return django_detection_site.empty_store("default", clock, **options)


def in_postgresql(request, clock, **options):
    import django_detection_site

    return django_detection_site.empty_store(request.getfixturevalue("postgresql_alias"), clock, **options)


SERVERS = [pytest.param(made, marks=pytest.mark.integration) for made in (in_redis, in_postgresql)]


@pytest.fixture(params=[memory, in_sqlite, *SERVERS])
def make(request, clock):
    return lambda **options: request.param(request, clock, **options)


@pytest.fixture
def store(make):
    return make()


def seen(member, key="address:1", **changes):
    values = {"window": 900.0, "threshold": 5, "cooldown": 900.0, "cap": 256, **changes}
    return Observation(key, member, **values)


class TestWindows:
    def test_the_fifth_alerts_once_until_the_cooldown_is_over(self, store, clock):
        verdicts = []
        for number in range(7):
            clock.now += 1
            verdicts += store.record([seen(str(number))])
        assert [verdict.count for verdict in verdicts] == [1, 2, 3, 4, 5, 6, 7]
        assert [verdict.alert for verdict in verdicts] == [False] * 4 + [True, False, False]
        assert verdicts[4].members == ("4", "3", "2", "1", "0")
        clock.now = START + 5 + 900
        (late,) = store.record([seen("8", window=86_400.0)])
        assert late.alert

    @pytest.mark.parametrize(("after", "count"), [(899.999_999, 2), (900.0, 1)])
    def test_the_edge_of_the_window(self, store, clock, after, count):
        store.record([seen("a")])
        clock.now += after
        assert store.record([seen("b")])[0].count == count

    def test_the_same_member_is_counted_once_and_is_newer(self, store, clock):
        store.record([seen("a")])
        clock.now += 600
        assert store.record([seen("a")])[0].count == 1
        clock.now += 600
        assert store.record([seen("b")])[0].count == 2

    def test_several_at_once_also_of_one_subject(self, store):
        answers = store.record([seen("a"), seen("b"), seen("a", "account:1"), seen("c")])
        assert [answer.count for answer in answers] == [1, 2, 1, 3]

    def test_of_one_subject_no_more_than_the_cap_is_kept(self, store, clock):
        for number in range(30):
            clock.now += 1
            (verdict,) = store.record([seen(str(number), cap=10, threshold=10)])
        assert verdict.count == 10

    def test_subjects_are_bounded_and_those_longest_unseen_are_forgotten(self, make, clock):
        store = make(max_keys=10)
        if hasattr(store, "_pruned"):
            store._pruned = 1.0  # each time, and not one time in a hundred
        for number in range(50):
            clock.now += 1
            store.record([seen("a", f"address:{number}")])
        clock.now += 1
        assert store.record([seen("b", "address:49")])[0].count == 2
        assert store.record([seen("b", "address:1")])[0].count == 1


class TestBlocks:
    def test_growth_end_and_memory(self, store, clock):
        plan = BlockPlan(10, 3, 50, 100)
        lengths = []
        for _ in range(4):
            made = store.add_block(NETWORK, plan, "why", False)
            lengths.append((made.number, made.remaining, made.new))
            assert store.find_block(NETWORK).until == made.until
            clock.now += made.remaining
            assert store.find_block(NETWORK) is None
        assert lengths == [(1, 10, True), (2, 30, True), (3, 50, True), (4, 50, True)]
        clock.now += 101
        assert store.add_block(NETWORK, plan, "why", False).number == 1

    def test_what_is_blocked_stays_and_what_is_noted_gives_way(self, store, clock):
        plan = BlockPlan()
        noted = store.add_block(NETWORK, plan, "why", True)
        assert (noted.dry_run, noted.reason, noted.since) == (True, "why", START)
        clock.now += 10
        real = store.add_block(NETWORK, plan, "because", False)
        assert (real.new, real.dry_run, real.reason) == (True, False, "because")
        clock.now += 10
        for dry_run in (True, False):
            again = store.add_block(NETWORK, plan, "again", dry_run)
            assert (again.new, again.dry_run, again.reason, again.until) == (False, False, "because", real.until)

    def test_lists_in_the_order_of_their_ends_and_lifts(self, store, clock):
        store.add_block("2001:db8::/64", BlockPlan(100), "why", False)
        store.add_block(NETWORK, BlockPlan(50), "why", False)
        assert [block.network for block in store.blocks()] == [NETWORK, "2001:db8::/64"]
        clock.now += 50
        assert [block.network for block in store.blocks()] == ["2001:db8::/64"]
        assert store.remove_block("2001:db8::/64").remaining == 50
        assert store.remove_block("2001:db8::/64") is None
        assert store.blocks() == []

    def test_are_bounded(self, make, clock):
        store = make(max_blocks=5)
        for number in range(20):
            clock.now += 1
            store.add_block(f"10.0.0.{number}", BlockPlan(), "why", False)
        assert [block.network for block in store.blocks()] == [f"10.0.0.{number}" for number in range(15, 20)]


def test_the_database_keeps_no_address_longer_than_it_must(request, clock):
    store = in_sqlite(request, clock, pruned=1.0)
    from logbastion.django.detection.models import AddressBlock, Subject  # now Django is set up

    store.add_block(NETWORK, BlockPlan(10, 1, 10, 100), "why", False)
    store.record([seen("a")])
    clock.now += 109
    store.record([seen("b")])
    assert AddressBlock.objects.count() == 1
    clock.now += 901
    store.record([seen("c", "address:2")])
    assert (AddressBlock.objects.count(), [row.key for row in Subject.objects.all()]) == (0, ["address:2"])


def assert_exact(told):
    alerts, blocked, types = told
    attackers = {f"10.1.0.{number}": 1 for number in range(100)}
    assert alerts == attackers
    assert blocked == attackers
    assert types == {"ip_blocked"}


@pytest.mark.integration
class TestRedis:
    def test_eight_processes_lose_no_failure_and_alert_once(self):
        import redis

        with redis_server() as server:
            assert_exact(crowd("redis", server.url, 8, 10_000, 200))
            client = redis.Redis.from_url(server.url, decode_responses=True)
            counts = [client.zcard(key) for key in client.scan_iter("{logbastion}:address:*") if ":quiet" not in key]
        assert sorted(counts) == [4] * 100 + [96] * 100  # 10,000 in all

    def test_the_servers_clock_and_the_expiry_of_its_keys(self, redis_url):
        store = RedisStore.from_url(redis_url, timeout=30, prefix="{clock}:")
        store.record([seen("a", window=60.0)])
        client = store._client
        assert 0 < client.pttl("{clock}:address:1") <= 60_000
        assert 0 < client.pttl("{clock}:subjects") <= 86_400_000
        assert store.add_block(NETWORK, BlockPlan(10, 1, 10, 10), "why", False).remaining == 10
        assert 10_000 < client.pttl(f"{{clock}}:block:{NETWORK}") <= 20_000

    def test_stopped_and_started_in_the_middle(self, clock):
        with logged() as events, directory() as path:
            server = RedisServer(path)
            server.start()
            try:
                detector = detector_with(RedisStore.from_url(server.url), breaker=Breaker(5, clock))
                fail(detector, 4)
                before = unchecked("failed_login")
                server.stop()
                fail(detector, 100)
                assert detector.blocks.refusal(NETWORK) is None
                assert unchecked("failed_login") == before + 100
                server.start()
                clock.now += 5
                fail(detector, 5)
                assert detector.blocks.refusal(NETWORK) is not None
            finally:
                server.stop()
        expected = ["detection_store_away", "detection_store_back", "brute_force_attack", "ip_blocked"]
        assert events.types == expected

    def test_ever_more_addresses_stay_within_the_bound(self, redis_url, clock):
        store = RedisStore.from_url(redis_url, timeout=30, clock=clock, prefix="{bound}:", max_keys=1000)
        detector = detector_with(store)
        for number in range(2000):
            clock.now = START + number * 0.006
            detector.track_failed_login(f"10.0.{number >> 8}.{number & 255}", f"user{number}")
        keys = sum(1 for _ in store._client.scan_iter("{bound}:*", 1000))
        assert keys == 1001  # and the index
        assert detector.blocks.listed() == []


@pytest.mark.integration
class TestPostgreSQL:
    def test_eight_processes_lose_no_failure_and_alert_once(self, postgresql_server, postgresql_alias):
        import django_detection_site

        from logbastion.django.detection.models import Subject

        django_detection_site.empty_store(postgresql_alias)
        assert_exact(crowd("database", postgresql_server, 8, FAILURES, 200))
        rows = Subject.objects.using(postgresql_alias).filter(key__startswith="address:")
        counts = [len(times) for times in rows.values_list("times", flat=True)]
        assert sorted(counts) == [4] * 100 + [FAILURES // 100 - 4] * 100  # all of them

    def test_its_own_clock_and_connection(self, postgresql_alias):
        import time

        import django_detection_site
        from django.db import connections, transaction

        from logbastion.django.detection.store import DatabaseStore, own_connection

        django_detection_site.empty_store(postgresql_alias)
        own = own_connection(postgresql_alias)
        try:
            store = DatabaseStore(own, reads=postgresql_alias)
            with pytest.raises(RuntimeError), transaction.atomic(using=postgresql_alias):
                made = store.add_block(NETWORK, BlockPlan(), "why", False)
                assert store.record([seen("a")])[0].count == 1
                raise RuntimeError  # the view has failed, and its transaction is rolled back
            assert store.record([seen("b")])[0].count == 2
            assert store.find_block(NETWORK).until == made.until
            assert abs(made.since - time.time()) < 3600
            with connections[own].cursor() as cursor:
                cursor.execute("SHOW lock_timeout")
                assert cursor.fetchone() == ("1s",)
        finally:
            connections[own].close()
            del connections[own], connections.settings[own]

    def test_a_row_that_stays_locked_holds_no_login_up(self, postgresql_alias):
        import django_detection_site
        from django.db import connections, transaction

        from logbastion.django.detection.models import Subject
        from logbastion.django.detection.store import DatabaseStore, own_connection

        django_detection_site.empty_store(postgresql_alias)
        own = own_connection(postgresql_alias)
        try:
            detector = detector_with(DatabaseStore(own))
            fail(detector, 1)
            before = unchecked("failed_login")
            with transaction.atomic(using=postgresql_alias):
                assert Subject.objects.using(postgresql_alias).select_for_update().count() >= 1
                list(Subject.objects.using(postgresql_alias).select_for_update())
                fail(detector, 1)
            assert unchecked("failed_login") == before + 1
        finally:
            connections[own].close()
            del connections[own], connections.settings[own]


class TestAddressesOfRedis:
    @pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "ssl_check_hostname=false"])
    def test_tls_is_verified(self, option):
        with pytest.raises(ValueError, match="must not switch the verification of TLS off"):
            RedisStore.from_url(f"rediss://redis.example.org/0?{option}")

    def test_a_password_from_a_file(self, tmp_path):
        file = tmp_path / "password"
        file.write_text("secret\n")
        store = RedisStore.from_url("redis://127.0.0.1", password_file=str(file))
        assert store._client.connection_pool.connection_kwargs["password"] == "secret"
        with pytest.raises(ValueError, match="The password of Redis cannot be read"):
            RedisStore.from_url("redis://127.0.0.1", password_file=str(tmp_path / "none"))

    @pytest.mark.parametrize(
        ("url", "host"),
        [
            ("redis://redis.example.org/0", "redis.example.org"),
            ("redis://10.0.0.9:6379", "10.0.0.9"),
            ("redis://localhost", None),
            ("redis://127.0.0.1:6379/0", None),
            ("redis://[::1]", None),
            ("rediss://redis.example.org", None),
            ("unix:///run/redis.sock", None),
        ],
    )
    def test_which_send_in_clear(self, url, host):
        assert in_the_open(url) == host

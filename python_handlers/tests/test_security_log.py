"""The questions to the security stream, answered from files: pages without a gap or a double, bounds, damaged lines."""

import datetime
import gzip
import itertools
import os
import random
import socket

import pytest
from django_security_site import NOW, event, write

from logbastion.security_log import Cursor, ElasticsearchLog, FileLog, LogAwayError, Query
from logbastion.security_log.elasticsearch import body_of
from logbastion.security_log.query import cursor_of, moment_of

DAY, MINUTE = datetime.timedelta(days=1), datetime.timedelta(minutes=1)


def asked(**values):
    return Query(**{"since": NOW - DAY, "until": NOW + MINUTE, "size": 10, **values})


def messages(found):
    return [each["message"] for each in found.events]


def pages(log, query, direction="older"):
    """Go through the pages; returns the messages of each."""
    seen = []
    while True:
        found = log.search(query)
        seen.append(messages(found))
        if not (found.older if direction == "older" else found.newer):
            return seen
        edge = found.events[-1 if direction == "older" else 0]
        query = asked(cursor=cursor_of(edge), direction=direction)


@pytest.fixture
def log(tmp_path):
    return FileLog(tmp_path)


class TestPages:
    def test_each_event_is_on_one_page_whatever_the_order_of_the_lines(self, log, tmp_path):
        events = [event(number) for number in range(95)]
        random.Random(1).shuffle(events)
        write(tmp_path / "security.log", events)
        seen = pages(log, asked())
        assert [len(page) for page in seen] == [10] * 9 + [5]
        assert [name for page in seen for name in page] == [f"event {number}" for number in reversed(range(95))]

    def test_new_events_move_no_page_and_the_way_back_meets_the_same(self, log, tmp_path):
        write(tmp_path / "security.log", [event(number) for number in range(30)])
        first = log.search(asked())
        write(tmp_path / "security.log", [event(number) for number in range(40)])
        second = log.search(asked(cursor=cursor_of(first.events[-1])))
        assert messages(second) == [f"event {number}" for number in range(19, 9, -1)]
        back = log.search(asked(cursor=cursor_of(second.events[0]), direction="newer"))
        assert messages(back) == messages(first)
        assert (back.newer, back.older, first.newer, first.older) == (True, True, False, True)

    def test_events_of_one_moment_are_put_in_order_by_their_ids(self, log, tmp_path):
        same = [{**event(number), "@timestamp": event(0)["@timestamp"]} for number in range(25)]
        write(tmp_path / "security.log", same)
        assert [name for page in pages(log, asked()) for name in page] == [f"event {n}" for n in reversed(range(25))]
        oldest = asked(cursor=Cursor("2020-01-01T00:00:00Z", ""), direction="newer")
        assert messages(log.search(oldest)) == [f"event {n}" for n in reversed(range(10))]


class TestFilters:
    @pytest.mark.parametrize(
        ("values", "numbers"),
        [
            ({}, [5, 4, 3, 2, 1]),
            ({"event_type": "ip_blocked"}, [2]),
            ({"address": "192.0.2.7"}, [3, 1]),
            ({"address": "192.0.2.0/24"}, [4, 3, 1]),
            ({"address": "2001:db8::/32"}, [5]),
            ({"correlation_id": "c-3"}, [3]),
            ({"pseudonyms": ("p1:old:a", "p1:k1:b")}, [4, 3, 2]),
            ({"address": "192.0.2.7", "correlation_id": "c-3"}, [3]),
            ({"correlation_id": "c-"}, []),
        ],
    )
    def test_each_and_together(self, log, tmp_path, values, numbers):
        events = [
            event(1, security={"source_ip": "192.0.2.7"}),
            event(2, event_type="ip_blocked", extra={"list": [{"x": "p1:old:a"}]}),
            event(3, security={"source_ip": "192.0.2.7"}, correlation_id="c-3", extra={"email_pseudonym": "p1:k1:b"}),
            event(4, security={"source_ip": "192.0.2.8"}, message="to [redacted:email:p1:k1:b]"),
            event(5, security={"source_ip": "2001:db8::1"}, correlation_id="c-5"),
        ]
        write(tmp_path / "security.log", events)
        found = log.search(asked(**values))
        assert [int(each["event"]["id"][-8:]) for each in found.events] == numbers
        assert found.total == len(numbers) == sum(bar.events for bar in found.bars)

    def test_types_are_those_one_can_choose_from(self, log, tmp_path):
        events = [event(1), event(2), event(3, event_type="ip_blocked"), event(4, event_type=["no", "text"])]
        write(tmp_path / "security.log", events)
        found = log.search(asked(event_type="ip_blocked"))
        assert found.types == [("authentication_attempt", 2), ("ip_blocked", 1)]
        assert found.total == 1

    def test_time_and_bars(self, log, tmp_path):
        moments = [2 * DAY, datetime.timedelta(hours=5), datetime.timedelta(hours=5), datetime.timedelta(0)]
        write(tmp_path / "security.log", [event(n, ago, level=level) for n, (ago, level) in enumerate(
            zip(moments, ["INFO", "WARNING", "INFO", "CRITICAL"], strict=True))])  # fmt: skip
        found = log.search(asked())
        assert found.total == 3
        assert sorted((bar.events, bar.severe) for bar in found.bars if bar.events) == [(1, 1), (2, 1)]
        assert log.search(asked(since=NOW - 3 * DAY)).total == 4


@pytest.mark.parametrize(
    ("span", "step"), [(MINUTE, 60), (60 * MINUTE, 300), (DAY, 1800), (7 * DAY, 6 * 3600), (365 * DAY, 8 * 86400)]
)
def test_there_are_at_most_fifty_bars_and_none_is_missing(span, step):
    query = asked(since=NOW - span, until=NOW)
    bars = query.bars({})
    assert query.step_seconds == step
    assert len(bars) <= 50
    assert {after.begin - before.begin for before, after in itertools.pairwise(bars)} in ({step}, set())


class TestFiles:
    def test_rotated_files_are_read_and_compressed_ones_are_named(self, log, tmp_path):
        for number, name in enumerate(("security.log.20261101T020000Z", "security.log.1", "security.log-20261031")):
            write(tmp_path / name, [event(number, DAY / 2)])
        write(tmp_path / "security.log", [event(9)])
        for name in ("audit.log", "security.log.bak~", "other-security.log"):
            write(tmp_path / name, [event(7)])
        (tmp_path / "security.log.20261001T020000Z.gz").write_bytes(gzip.compress(b"{}\n"))
        found = log.search(asked())
        assert sorted(messages(found)) == ["event 0", "event 1", "event 2", "event 9"]
        assert found.notes == ["1 compressed files are not read: their events are not shown and not counted."]

    def test_what_is_older_than_the_question_is_not_read(self, log, tmp_path):
        write(tmp_path / "security.log", [event(1)])
        old = tmp_path / "security.log.1"
        write(old, [event(2, 3 * DAY)])
        os.utime(old, (0, 0))
        older = tmp_path / "security.log.2"
        older.write_text("no event\n" * 100)
        os.utime(older, (-9, -9))
        found = log.search(asked())
        assert (messages(found), found.notes) == (["event 1"], [])

    def test_damaged_lines_are_counted_and_hide_nothing(self, log, tmp_path):
        write(tmp_path / "security.log", [event(number) for number in range(3)])
        whole = (tmp_path / "security.log").read_bytes()
        rubbish = b"\xff\xfe\n{}\n[]\n" + b'{"@timestamp":"yesterday"}\n' + b"[" * 100_000 + b"\n\n"
        (tmp_path / "security.log").write_bytes(whole[:200] + b"\n" + rubbish + whole + whole[:100])
        found = log.search(asked())
        assert messages(found) == ["event 2", "event 1", "event 0"]
        assert found.notes == ["7 lines are no events and are not shown."]

    def test_no_more_is_read_than_the_bound_and_it_is_said(self, tmp_path):
        write(tmp_path / "security.log", [event(number) for number in range(20_000)])
        size = (tmp_path / "security.log").stat().st_size
        bound = 2 * 1024 * 1024
        found = FileLog(tmp_path, max_bytes=bound).search(asked())
        assert found.notes == [
            "Only the last 2 MiB of the files were read: older events are not shown and not counted."
        ]
        assert messages(found)[0] == "event 19999"
        assert 0.9 * 20_000 * bound / size < found.total < 20_000 * bound / size
        whole = FileLog(tmp_path).search(asked())
        assert (whole.total, whole.notes) == (20_000, [])

    def test_of_two_files_the_older_one_is_cut(self, tmp_path):
        for number, name in enumerate(("security.log", "security.log.1")):
            write(tmp_path / name, [event(n, number * DAY / 4) for n in range(1000)])
        size = (tmp_path / "security.log").stat().st_size
        exactly = FileLog(tmp_path, max_bytes=size).search(asked())
        assert exactly.total == 1000
        assert len(exactly.notes) == 1
        more = FileLog(tmp_path, max_bytes=size + size // 2).search(asked())
        assert 1400 < more.total < 1501

    def test_links_and_other_files_are_left_alone(self, log, tmp_path):
        write(tmp_path / "elsewhere", [event(1)])
        (tmp_path / "security.log").symlink_to(tmp_path / "elsewhere")
        os.mkfifo(tmp_path / "security.log.1")
        assert log.search(asked()).events == []

    def test_a_directory_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            FileLog(tmp_path / "nowhere").search(asked())


class TestElasticsearch:
    @pytest.mark.parametrize(
        "values",
        [
            {},
            {"username": "reader"},
            {"password_file": "/p"},
            {"username": "r", "password_file": "/p", "api_key_file": "/k"},
        ],
    )
    def test_needs_one_whole_credential(self, values):
        with pytest.raises(ValueError, match=r"credential|user name"):
            ElasticsearchLog("localhost:9200", "test", **values)

    def test_with_nobody_there_it_says_so(self, tmp_path):
        (tmp_path / "password").write_text("p")
        store = ElasticsearchLog("localhost:1", "test", username="reader", password_file=tmp_path / "password")
        with pytest.raises(LogAwayError, match="Elasticsearch is away: no destination answers: localhost:1"):
            store.search(asked())
        (tmp_path / "password").unlink()
        with pytest.raises(LogAwayError, match="the credentials cannot be read"):
            store.search(asked())

    def test_one_that_answers_nothing_is_given_up(self, tmp_path):
        (tmp_path / "password").write_text("p")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            place = f"127.0.0.1:{silent.getsockname()[1]}"
            store = ElasticsearchLog(place, "test", username="u", password_file=tmp_path / "password", timeout=0.5)
            with pytest.raises(LogAwayError, match="Elasticsearch is away"):
                store.search(asked())

    def test_an_event_without_an_id_has_a_place_too(self):
        assert body_of(asked(cursor=Cursor("2026-11-26T00:00:00Z", "")))["search_after"] == [
            "2026-11-26T00:00:00Z",
            None,
        ]


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:00.5Z", 500_000),
        ("1970-01-01T00:00:00.000001999Z", 1),
        ("1970-01-01T00:00:00+00:00", 0),
    ],
)
def test_moments(text, microseconds):
    assert moment_of(text) == microseconds


@pytest.mark.parametrize("text", [None, 7, "", "1970-01-01", "1970-13-01T00:00:00Z", "1970-01-01T00:00:00+01:00"])
def test_what_is_no_moment(text):
    with pytest.raises(ValueError):  # noqa: PT011 - of the standard library, too
        moment_of(text)

"""The spool of one process: order, bounds, policies, settling."""

import os
import random
import stat
import threading

import pytest
from spool_helpers import KIB, adopt_all, numbers, put, record, segments, small, take

from logbastion.shipping.spool import Block, DropNewest, DropOldest, Spool, writer
from logbastion.shipping.spool.segments import FileSegment
from logbastion.streams import STREAMS


@pytest.fixture
def spool(tmp_path):
    made = Spool(tmp_path / "spool")
    yield made
    made.close()


def test_what_was_appended_is_read_once_in_order(spool):
    assert put(spool, 0, 20_000) == list(range(20_000))
    assert take(spool) == list(range(20_000))
    assert spool.read(500, 256 * KIB) is None
    assert spool.is_empty()


def test_nothing_is_made_before_the_first_event_and_nothing_is_left_after_the_last(tmp_path):
    spool = Spool(tmp_path / "spool")
    assert not (tmp_path / "spool").exists()
    put(spool, 0, 10)
    take(spool)
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


def test_modes_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        spool = Spool(tmp_path / "spool")
        put(spool, 0, 10)
    finally:
        os.umask(before)
    directories = [tmp_path / "spool", *(tmp_path / "spool").iterdir()]
    files = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    assert len(directories) == 2
    assert {path.name for path in files} == {"owner.lock", "application.00000001.spool", "application.position"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o750}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    spool.close()


def test_segments_are_deleted_when_they_are_settled(spool, tmp_path):
    put(spool, 0, 15_000, size=200)
    assert len(segments(tmp_path)) == 0
    assert len(segments(tmp_path / "spool")) >= 3
    take(spool)
    assert len(segments(tmp_path / "spool")) == 1
    assert spool.lanes["application"].bytes <= 1024 * KIB


def test_rewind_reads_again_what_is_not_settled(spool):
    put(spool, 0, 1000)
    first = spool.read(100, 256 * KIB)
    spool.settle(first)
    second = spool.read(100, 256 * KIB)
    spool.settle(second, 40)
    spool.read(100, 256 * KIB)
    spool.rewind()
    assert take(spool) == list(range(140, 1000))


def test_settling_is_in_order(spool):
    put(spool, 0, 1000)
    first, second = spool.read(100, 256 * KIB), spool.read(100, 256 * KIB)
    with pytest.raises(ValueError, match="in the order"):
        spool.settle(second)
    spool.settle(first)
    spool.rewind()
    with pytest.raises(ValueError, match="in the order"):
        spool.settle(second)
    assert take(spool) == list(range(100, 1000))


def test_partial_settling_survives_a_restart(tmp_path):
    """Left as by a killed process: the next one begins with the first event that was not settled."""
    for settled in (0, 1, 37, 99, 100):
        root = tmp_path / str(settled)
        first = Spool(root)
        put(first, 0, 300)
        first.settle(first.read(100, 256 * KIB), settled)
        first.close()
        second = Spool(root)
        assert adopt_all(second) == list(range(settled, 300))
        second.close()
        assert list(root.iterdir()) == []


@pytest.mark.parametrize("settled", [0, 40, 100])
def test_a_released_batch_costs_no_memory_and_nothing_is_lost_of_it(spool, settled):
    """Where in the file a part of it ends is not known any more, so it is read again from its start."""
    put(spool, 0, 300)
    batch = spool.read(100, 256 * KIB)
    batch.release()
    assert batch.events == []
    assert batch.unsettled == 100
    assert numbers(spool.oldest()) == [0]
    spool.settle(batch, settled)
    assert batch.unsettled == 100 - settled
    assert not spool.is_empty()
    spool.rewind()
    assert take(spool) == list(range(100 if settled == 100 else 0, 300))


def test_a_batch_in_memory_is_not_released():
    spool = Spool(None)
    put(spool, 0, 10)
    batch = spool.read(100, 256 * KIB)
    batch.release()
    assert numbers(batch.events) == list(range(10))
    spool.close()


def test_fullness_is_that_of_the_fullest_stream(tmp_path):
    spool = Spool(tmp_path / "spool", limits={"application": small(DropNewest(), 1024)})
    assert spool.fullness == 0
    put(spool, 0, 1000)
    put(spool, 0, 10, stream="debug")
    assert spool.fullness == spool.lanes["application"].bytes / (1024 * KIB) > 0.1
    spool.close()
    memory = Spool(None, memory_bytes=1024 * KIB)
    put(memory, 0, 500)
    assert memory.fullness == memory.memory_bytes / (1024 * KIB * 2 // 8) > 0.2
    memory.close()


def test_a_batch_has_bounds(spool):
    put(spool, 0, 100, size=1000)
    assert len(spool.read(7, 256 * KIB).events) == 7
    assert 1 <= len(spool.read(500, 10_000).events) <= 10
    spool.append("security", record(1, 300 * KIB))
    assert len(spool.read(500, 1000).events) == 1  # a single event may be larger than a batch


def test_an_event_larger_than_a_segment_is_kept(spool):
    for number in range(3):
        assert spool.append("audit", record(number, 2 * 1024 * KIB))
    assert take(spool) == [0, 1, 2]


def test_a_line_break_in_a_payload_breaks_no_record(spool):
    spool.append("audit", b'{"n":1,\n"m":2}')
    spool.append("audit", b"")
    assert spool.read(10, KIB).events == [b'{"n":1, "m":2}', b""]


def test_an_unknown_stream_is_application(spool):
    assert spool.append("nonsense", record(1))
    assert spool.read(10, KIB).stream == "application"


def test_evidence_comes_first_and_nobody_starves(spool):
    for stream in STREAMS:
        put(spool, 0, 400, stream)
    order = []
    while (batch := spool.read(10, 256 * KIB)) is not None:
        order.append(batch.stream)
        spool.settle(batch)
    assert order.count("security") == 40
    early = order[:40]
    assert sum(stream in ("security", "audit") for stream in early) == 30
    assert set(early) == set(STREAMS)


@pytest.mark.parametrize("size", [50, 1000, 7000])
def test_drop_oldest_keeps_the_newest_within_the_bound(tmp_path, size):
    dropped = []
    spool = Spool(tmp_path, limits={"application": small(DropOldest())}, dropped=lambda *facts: dropped.append(facts))
    assert put(spool, 0, 3000, size=size) == list(range(3000))
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= 64 * KIB
    lost = sum(count for _, _, count in dropped)
    assert {facts[:2] for facts in dropped} == {("application", "spool_full")}
    assert take(spool) == list(range(lost, 3000))
    spool.close()


def test_drop_oldest_while_reading_counts_each_event_once(tmp_path):
    """Some are settled, some handed over, some unread when their segment goes: delivered or counted, never both."""
    generator = random.Random(7)
    dropped = []
    spool = Spool(tmp_path, limits={"application": small(DropOldest())}, dropped=lambda *facts: dropped.append(facts))
    delivered, waiting, next_number = [], [], 0
    for _ in range(400):
        put(spool, next_number, next_number + (some := generator.randrange(60)))
        next_number += some
        if generator.random() < 0.4 and (batch := spool.read(generator.randrange(1, 80), 256 * KIB)):
            waiting.append(batch)
        if waiting and generator.random() < 0.25:
            batch = waiting.pop(0)
            delivered += numbers(batch.events)
            spool.settle(batch)
        if generator.random() < 0.05:
            spool.rewind()
            waiting.clear()
    spool.rewind()
    delivered += take(spool)
    assert len(delivered) == len(set(delivered))
    assert delivered == sorted(delivered)
    assert sum(count for _, _, count in dropped) > 0
    assert len(delivered) + sum(count for _, _, count in dropped) == next_number
    spool.close()


def test_a_segment_that_goes_while_it_is_read_is_counted_or_delivered(tmp_path, monkeypatch):
    dropped = []
    spool = Spool(tmp_path, limits={"application": small(DropOldest())}, dropped=lambda *facts: dropped.append(facts))
    put(spool, 0, 100)
    real = FileSegment.read

    def read(segment, *arguments):
        parsed = real(segment, *arguments)
        monkeypatch.undo()
        put(spool, 100, 1500)  # by another thread, just before the reader says what it has read
        return parsed

    monkeypatch.setattr(FileSegment, "read", read)
    found = take(spool)
    lost = sum(count for _, _, count in dropped)
    assert lost > 100
    assert found == list(range(lost, 1500))
    spool.close()


def test_drop_newest_keeps_the_oldest(tmp_path):
    dropped = []
    spool = Spool(tmp_path, limits={"debug": small(DropNewest())}, dropped=lambda *facts: dropped.append(facts))
    kept = put(spool, 0, 2000, "debug")
    assert kept == list(range(len(kept)))
    assert 0 < len(kept) < 2000
    assert sum(count for _, _, count in dropped) == 2000 - len(kept)
    assert take(spool) == kept
    assert put(spool, 0, 10, "debug") == list(range(10))
    spool.close()


def test_block_waits_for_room_and_loses_nothing_when_it_comes(tmp_path):
    spool = Spool(tmp_path, limits={"audit": small(Block(30))})
    kept = []
    writer = threading.Thread(target=lambda: kept.extend(put(spool, 0, 3000, "audit")))
    writer.start()
    found = []
    while writer.is_alive() or not spool.is_empty():
        found += take(spool)
    writer.join()
    assert kept == found == list(range(3000))
    spool.close()


def test_block_is_bounded_and_then_drops_the_newest(tmp_path):
    dropped = []
    spool = Spool(tmp_path, limits={"audit": small(Block(0.01))}, dropped=lambda *facts: dropped.append(facts))
    kept = put(spool, 0, 600, "audit")
    assert kept == list(range(len(kept)))
    assert len(dropped) == 600 - len(kept) > 0
    spool.close()


def test_the_thread_that_makes_room_does_not_wait_for_it(tmp_path, monkeypatch):
    dropped = []
    spool = Spool(tmp_path, limits={"audit": small(Block(30))}, dropped=lambda *facts: dropped.append(facts))
    waited = []
    monkeypatch.setattr(writer.time, "sleep", lambda _seconds: waited.append(take(spool)))
    spool.reading_thread = threading.get_ident()
    kept = put(spool, 0, 600, "audit")
    assert kept == list(range(len(kept)))
    assert dropped == [("audit", "spool_full", 1)] * (600 - len(kept)) != []
    assert not waited
    spool.reading_thread = None
    assert spool.append("audit", record(600))
    assert waited == [kept]
    spool.reading_thread = threading.get_ident()
    spool.close()
    assert spool.reading_thread is None  # there is none any more, and another thread may get its number


def test_a_full_lane_costs_no_other_lane(tmp_path):
    limits = {"application": small(DropNewest()), "debug": small(DropOldest())}
    spool = Spool(tmp_path, limits=limits)
    put(spool, 0, 3000, "application")
    put(spool, 0, 3000, "debug")
    assert put(spool, 0, 3000, "security") == list(range(3000))
    assert take(spool, "security") == list(range(3000))
    spool.close()


def test_many_threads_lose_and_double_nothing(spool):
    def write(first):
        for number in range(first, first + 2000):
            assert spool.append(STREAMS[number % 5], record(number))

    threads = [threading.Thread(target=write, args=(index * 2000,)) for index in range(6)]
    for thread in threads:
        thread.start()
    found = []
    while any(thread.is_alive() for thread in threads) or not spool.is_empty():
        found += take(spool)
    assert sorted(found) == list(range(12_000))
    assert all(
        [n for n in found if n // 2000 == index and n % 5 == stream]
        == [n for n in range(index * 2000, index * 2000 + 2000) if n % 5 == stream]
        for index in range(6)
        for stream in range(5)
    )


def test_after_close_events_are_kept_for_the_next_process(tmp_path):
    spool = Spool(tmp_path)
    put(spool, 0, 10)
    spool.close()
    put(spool, 10, 20)
    assert adopt_all(spool) == list(range(20))
    spool.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"durability": "disk"}, "process or host"),
        ({"limits": {"nonsense": small(DropOldest())}}, "no stream 'nonsense'"),
        ({"memory_bytes": 1}, "at least 65536"),
    ],
)
def test_wrong_arguments_get_a_sentence(tmp_path, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Spool(tmp_path, **arguments)


def test_wrong_limits_get_a_sentence():
    with pytest.raises(ValueError, match="65536"):
        small(DropOldest(), kib=1)
    with pytest.raises(ValueError, match="Block"):
        small(Block(-1))


@pytest.mark.integration
def test_threads_that_append_while_it_is_closed_lose_nothing(tmp_path):
    spool = Spool(tmp_path)
    kept = []
    stop = threading.Event()

    def log():
        number = 0
        while not stop.is_set():
            if spool.append("application", record(number)):
                kept.append(number)
            number += 1

    thread = threading.Thread(target=log)
    thread.start()
    for closed in range(30):
        while len(kept) < 50 * (closed + 1):
            pass
        spool.close()
    stop.set()
    thread.join()
    spool.close()
    assert sorted(adopt_all(Spool(tmp_path))) == kept


def test_the_sending_thread_gets_a_turn_while_events_in_memory_are_logged_without_a_break(monkeypatch, spool):
    turns = []
    monkeypatch.setattr(writer.time, "sleep", turns.append)
    memory = Spool(None, memory_bytes=1024 * KIB)  # 256 KiB of it for this stream
    put(memory, 0, 10)
    assert turns == []
    put(memory, 10, 10_000)  # the oldest make room
    assert 10_000 // 64 - 20 < len(turns) <= 10_000 // 64
    assert set(turns) == {0}
    turns.clear()
    put(spool, 0, 1000)  # each write to a file is one
    assert turns == []

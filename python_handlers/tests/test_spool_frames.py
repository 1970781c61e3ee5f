"""Frames, positions and damage: every byte cut, every bit turned, at the places where it can hurt."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spool_helpers import record

from logbastion.shipping.spool.frames import OVERHEAD, frame, parse, unframe
from logbastion.shipping.spool.position import decode_position, encode_position


def test_a_frame_is_a_line_with_the_checksum_of_its_payload():
    line = frame(b"123456789")
    assert line == b"cbf43926 123456789\n"  # the check value of CRC-32 (RFC 1952, IEEE 802.3)
    assert len(line) == len(b"123456789") + OVERHEAD
    assert unframe(line[:-1]) == b"123456789"


def test_records_come_back_in_order_and_not_more_than_wanted():
    records = [record(number) for number in range(10)]
    block = b"".join(map(frame, records))
    assert parse(block, 100, final=False).events == records
    part = parse(block, 3, final=True)
    assert part.events == records[:3]
    assert part.end == sum(len(frame(payload)) for payload in records[:3])
    assert parse(block[part.end :], 100, final=True).events == records[3:]


@pytest.mark.parametrize("final", [False, True])
def test_a_block_torn_at_every_byte_gives_the_records_before(final):
    records = [record(number, 5) for number in range(3)]
    block = b"".join(map(frame, records))
    ends = [sum(len(frame(payload)) for payload in records[: count + 1]) for count in range(3)]
    for cut in range(len(block) + 1):
        found = parse(block[:cut], 100, final)
        whole = sum(end <= cut for end in ends)
        # Of the last record, only the line break may be missing: its checksum shows that the rest is there.
        intact = whole + 1 if final and cut + 1 in ends else whole
        assert found.events == records[:intact], cut
        at_border = cut in (0, *ends) or intact > whole
        assert [damage.torn for damage in found.damage] == ([] if at_border or not final else [True]), cut
        assert found.end == (cut if final else max([0, *[end for end in ends if end <= cut]]))


def test_every_turned_bit_costs_its_own_record_only():
    records = [record(number, 3) for number in range(3)]
    block = b"".join(map(frame, records))
    start, end = len(frame(records[0])), len(frame(records[0])) + len(frame(records[1]))
    for place in range(start, end):
        for bit in range(8):
            damaged = bytearray(block)
            damaged[place] ^= 1 << bit
            found = parse(bytes(damaged), 100, final=True)
            if place == end - 1:  # the line break between two records: both are there to the last byte
                assert found.events == records, (place, bit)
                assert not found.damage
            else:
                assert found.events == [records[0], records[2]], (place, bit)
                assert found.damage, (place, bit)
            assert found.end == len(block)


@settings(max_examples=300)
@given(st.binary(max_size=300), st.integers(0, 3), st.booleans())
def test_rubbish_is_never_an_event_and_never_stops_the_reader(rubbish, where, final):
    records = [record(number, 3) for number in range(3)]
    lines = [frame(payload) for payload in records]
    lines.insert(where, rubbish + b"\n")
    block = b"".join(lines)
    found = parse(block, 100, final)
    assert found.events == records
    assert found.end == len(block)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8), st.integers(0, 2**32))
def test_turned_bits_at_random_places(places, seed):
    records = [record(number, seed % 200) for number in range(20)]
    block = bytearray(b"".join(map(frame, records)))
    for place in places:
        block[place % len(block)] ^= 1 << (seed + place) % 8
    found = parse(bytes(block), 100, final=True)
    assert set(found.events) <= set(records)
    assert [payload for payload in records if payload in found.events] == found.events
    assert len(found.events) >= 20 - len(places)
    assert found.end == len(block)


def test_two_records_that_lost_the_line_break_between_them_are_both_saved():
    tricky = b'{"n":1,"text":"deadbeef {not a head"}'
    joined = frame(tricky)[:-1] + b"?" + frame(record(2))[:-1] + b"?" + frame(record(3))
    found = parse(joined + frame(record(4)), 100, final=False)
    assert found.events == [tricky, record(2), record(3), record(4)]
    assert not found.damage


def test_positions_of_events_behind_damage():
    block = b"rubbish\n" + frame(record(1)) + b"more rubbish\n" + frame(record(2))
    found = parse(block, 100, final=False)
    assert found.ends == [8 + len(frame(record(1))), len(block)]


def test_a_position_comes_back():
    assert decode_position(encode_position((7, 123_456))) == (7, 123_456)
    assert len(encode_position((0, 0))) == len(encode_position((99_999_999, 10**12)))


def test_a_damaged_position_begins_again():
    line = encode_position((7, 123_456))
    for place in range(len(line)):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[place] ^= 1 << bit
            assert decode_position(bytes(damaged)) == (0, 0), place
    for cut in range(len(line)):
        assert decode_position(line[:cut]) == (0, 0)

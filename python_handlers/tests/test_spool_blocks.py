"""A segment is read in blocks, so that no thread waits long for the interpreter; the events do not depend on them."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spool_helpers import KIB, numbers, record

from logbastion.shipping.spool import segments
from logbastion.shipping.spool.frames import frame
from logbastion.shipping.spool.segments import FileSegment


def written(path, content, *, closed=True):
    path.write_bytes(content)
    return FileSegment(str(path), 1, size=len(content), closed=closed)


def read_all(segment, limit, max_events=1000, max_bytes=640 * KIB):
    """Return the batches and the damage that reading to the limit gives."""
    batches, damage, place = [], [], 0
    while place < limit:
        parsed = segment.read(place, limit, max_events, max_bytes)
        assert parsed.end, "reading would never end"
        assert parsed.ends is None or len(parsed.ends) == len(parsed.events)
        batches.append(parsed.events)
        damage += [(place + found.offset, found.line, found.torn) for found in parsed.damage]
        place += parsed.end
    return batches, damage


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 200) | st.integers(0, 3000), min_size=1, max_size=60),
    bounds=st.tuples(st.integers(64, 2000), st.integers(1, 70), st.integers(64, 20_000)),
    turned=st.none() | st.integers(0, 10**6),
    cut=st.integers(0, 30),
)
def test_blocks_of_any_size_give_the_same(tmp_path_factory, sizes, bounds, turned, cut):
    block, max_events, max_bytes = bounds
    content = bytearray(b"".join(frame(record(number, size)) for number, size in enumerate(sizes)))
    if turned is not None:
        content[turned % len(content)] ^= 0x10
    content = bytes(content[: len(content) - cut])
    segment = written(tmp_path_factory.mktemp("segment") / "s", content)
    with pytest.MonkeyPatch.context() as patch:
        whole = read_all(segment, len(content), 10**6, 10**8)
        patch.setattr(segments, "_BLOCK_BYTES", block)
        batches, damage = read_all(segment, len(content), max_events, max_bytes)
    segment.release()
    assert list(chain(*batches)) == list(chain(*whole[0]))
    assert damage == whole[1]
    for batch in batches:
        assert len(batch) <= max_events or turned is not None
        assert sum(map(len, batch)) <= max_bytes or len(batch) == 1 or turned is not None


def test_a_batch_is_of_many_blocks_and_each_is_read_alone(tmp_path, monkeypatch):
    content = b"".join(frame(record(number, 400)) for number in range(2000))
    segment = written(tmp_path / "s", content)
    asked = []
    read = segments.os.pread
    monkeypatch.setattr(segments.os, "pread", lambda *given: asked.append(given[1]) or read(*given))
    yielded = []
    monkeypatch.setattr(segments.os, "sched_yield", lambda: yielded.append(len(asked)))
    parsed = segment.read(0, len(content), 1400, 640 * KIB)
    assert numbers(parsed.events) == list(range(1400))
    assert parsed.ends is None
    assert len(asked) == 4
    assert max(asked) == segments._BLOCK_BYTES
    assert yielded == [1, 2, 3]  # between them, other threads have the processor
    segment.release()


def test_nothing_behind_the_limit_is_read(tmp_path):
    """It may be half written."""
    records = [frame(record(number, 400)) for number in range(1000)]
    limit = sum(map(len, records[:700]))
    segment = written(tmp_path / "s", b"".join(records), closed=False)
    found = segment.read(0, limit, 2000, 640 * KIB)
    assert (numbers(found.events), found.end) == (list(range(700)), limit)
    segment.release()


def test_an_unfinished_line_at_the_end_of_a_file_that_grows_is_left(tmp_path):
    whole = b"".join(frame(record(number, 400)) for number in range(1000))
    segment = written(tmp_path / "s", whole + frame(record(1000))[:-5], closed=False)
    found = segment.read(0, segment.size, 2000, 640 * KIB)
    assert numbers(found.events) == list(range(1000))
    assert found.end == len(whole)
    assert segment.read(found.end, segment.size, 2000, 640 * KIB).end == 0
    segment.release()

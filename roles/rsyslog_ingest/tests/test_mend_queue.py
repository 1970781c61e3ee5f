"""States that a killed rsyslogd leaves behind, as it writes them."""

import pytest
from mend_queue import Queue, State


def information(write, read, count=3, size=300):
    """Return a .qi file; `write` and `read` are a segment's number and an offset."""

    def number(name, value, kind=2):
        return f"+{name}:{kind}:{len(str(value))}:{value}:\n"

    def stream(position):
        return f"<Obj:1:strm:1:\n{number('iCurrFNum', position[0])}+pszFName:1:6:ingest:\n{number('iCurrOffs', position[1])}{number('strtOffs', 0)}>End\n.\n"

    queue = f"<OPB:1:qqueue:1:\n{number('iQueueSize', count)}{number('tVars.disk.sizeOnDisk', size)}>End\n.\n"
    return (queue + stream(write) + stream(read)).encode()


@pytest.fixture
def directory(tmp_path):
    def make(state, **segments):
        if state is not None:
            (tmp_path / "ingest.qi").write_bytes(state)
        for name, content in segments.items():
            (tmp_path / f"ingest.0000000{name[1:]}").write_bytes(content)
        return tmp_path

    return make


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.is_file())


def test_consistent_queue_is_left_alone(directory):
    place = directory(information((2, 5), (1, 3)), s1=b"x" * 9, s2=b"y" * 5)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    assert Queue(place, "ingest").mend() == []
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_empty_directory_is_left_alone(tmp_path):
    assert Queue(tmp_path, "ingest").mend() == []


def test_what_was_never_confirmed_is_cut_off(directory):
    place = directory(information((2, 5), (1, 0)), s1=b"x" * 9, s2=b"yyyyyZZZ")
    (sentence,) = Queue(place, "ingest").mend()
    assert sentence.startswith("3 bytes at the end of ")
    assert (place / "ingest.00000002").read_bytes() == b"yyyyy"
    assert (place / "ingest.00000001").read_bytes() == b"x" * 9


def test_segment_that_was_deleted_before_the_state_was_written(directory):
    place = directory(information((12, 5), (9, 7), size=1000))
    (place / "ingest.00000010").write_bytes(b"x" * 40)
    (place / "ingest.00000012").write_bytes(b"y" * 5)
    (sentence,) = Queue(place, "ingest").mend()
    assert "ingest.00000010 is read next" in sentence
    state = State((place / "ingest.qi").read_bytes())
    assert (state.get("read", b"iCurrFNum"), state.get("read", b"iCurrOffs")) == (10, 0)
    assert (state.get("write", b"iCurrFNum"), state.get("write", b"iCurrOffs")) == (12, 5)
    assert state.get("queue", b"tVars.disk.sizeOnDisk") == 45
    assert b"+iCurrFNum:2:2:10:\n" in state.content
    assert Queue(place, "ingest").mend() == []


def test_segment_that_was_begun_but_never_named_is_put_aside(directory):
    place = directory(information((1, 2), (1, 0)), s1=b"xx", s2=b"new")
    (sentence,) = Queue(place, "ingest").mend()
    assert "begun but never named" in sentence
    assert names(place) == ["ingest.00000001", "ingest.qi"]
    assert [path.read_bytes() for path in (place / "quarantine").iterdir()] == [b"new"]


@pytest.mark.parametrize("state", [None, b"", information((1, 2), (1, 0))[:90], b"rubbish"])
def test_queue_without_a_readable_state_is_put_aside_whole(directory, state):
    place = directory(state, s1=b"xx", s2=b"yy")
    assert len(Queue(place, "ingest").mend()) == (2 if state is None else 3)
    assert names(place) == []
    assert {b"xx", b"yy"} <= {path.read_bytes() for path in (place / "quarantine").iterdir()}


def test_what_is_delivered_goes_and_a_crash_in_between_is_completed(directory):
    place = directory(information((2, 5), (2, 5), count=0), s2=b"yyyyyZZ")
    cut, removed = Queue(place, "ingest").mend()
    assert cut.startswith("2 bytes at the end of ")
    assert removed == "The queue is empty; 5 bytes of delivered messages are removed."
    assert names(place) == []
    directory(information((2, 5), (2, 5), count=0))
    assert len(Queue(place, "ingest").mend()) == 1
    assert names(place) == []


@pytest.mark.parametrize(
    "state",
    [information((2, 5), (2, 5), count=1), information((2, 5), (2, 4), count=0), information((2, 5), (1, 5), count=0)],
)
def test_what_may_wait_stays_whatever_half_of_the_state_says(directory, state):
    place = directory(state, s1=b"xxxxx", s2=b"yyyyy")
    assert Queue(place, "ingest").mend() == []
    assert names(place) == ["ingest.00000001", "ingest.00000002", "ingest.qi"]

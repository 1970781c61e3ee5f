"""Spool files that are cut, flipped, zeroed or gone: what is whole is delivered, what is not is set aside and told."""

import json
import os
import random
import shutil

import spool_helpers
from spool_helpers import KIB, adopt_all, put, record, segments, take

from logbastion.shipping.spool import Spool
from logbastion.shipping.spool.frames import OVERHEAD

drops, make = spool_helpers.drops, spool_helpers.make


def dead_spool(root, count=300):
    spool = Spool(root)
    put(spool, 0, count)
    spool.close()
    return segments(root)[0]


def quarantined(root):
    return [json.loads(line) for path in root.glob("quarantine/*.jsonl") for line in path.read_text().splitlines()]


def test_a_segment_cut_anywhere_loses_its_last_record_only(make, tmp_path):
    generator = random.Random(3)
    for round_ in range(40):
        root = tmp_path / str(round_)
        path = dead_spool(root)
        data = path.read_bytes()
        cut = generator.randrange(len(data))
        os.truncate(path, cut)
        spool = make(root)
        whole = data[:cut].count(b"\n")
        missing_end = data[cut : cut + 1] == b"\n"
        assert adopt_all(spool) == list(range(whole + missing_end))
        at_border = missing_end or cut == 0 or data[cut - 1 : cut] == b"\n"
        assert spool.damaged == (0 if at_border else 1)
        assert len(quarantined(root)) == spool.damaged


def test_turned_bits_are_quarantined_and_the_rest_is_delivered_once(make, tmp_path):
    generator = random.Random(4)
    for round_ in range(40):
        root = tmp_path / str(round_)
        path = dead_spool(root)
        data = bytearray(path.read_bytes())
        places = generator.sample(range(len(data)), generator.randrange(1, 12))
        for place in places:
            data[place] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
        spool = make(root)
        found = adopt_all(spool)
        assert found == sorted(set(found))
        assert len(found) >= 300 - len(places)
        assert 300 - len(found) <= spool.damaged
        kept = quarantined(root)
        assert len(kept) == spool.damaged
        for entry in kept:
            raw = entry["text"].encode("utf-8", "surrogateescape")
            assert bytes(data)[entry["offset"] :].startswith(raw)
            assert entry["segment"].endswith("/application.00000001.spool")
        assert {path.name for path in root.iterdir()} <= {"quarantine"}  # the directory of the dead is gone


def test_quarantine_is_private_and_bounded(make, tmp_path):
    root = tmp_path / "spool"
    path = dead_spool(root)
    with path.open("ab") as file:
        for _ in range(300):
            file.write(b"\xff" * 60_000 + b"\n")
    spool = make(root)
    assert adopt_all(spool) == list(range(300))
    assert spool.damaged == 300
    (file,) = (root / "quarantine").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o750
    assert file.stat().st_size <= 4 * 1024 * KIB


def test_a_run_of_zeros_as_after_a_loss_of_power(make, tmp_path):
    path = dead_spool(tmp_path / "spool")
    with path.open("ab") as file:
        file.write(b"\0" * 9_000_000)
    spool = make()
    assert adopt_all(spool) == list(range(300))
    assert spool.damaged >= 1


def test_damage_is_told_once_however_often_it_is_read(make, tmp_path):
    path = dead_spool(tmp_path / "spool")
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    spool = make()
    spool.maintain()
    for _ in range(3):
        assert take(spool, settle=False) == list(range(1, 300))
        spool.rewind()
    assert adopt_all(spool) == list(range(1, 300))
    assert spool.damaged == 1


def test_partial_settling_around_damage_never_skips_an_event(make, tmp_path):
    for settled in range(12):
        root = tmp_path / str(settled)
        path = dead_spool(root, 12)
        lines = path.read_bytes().splitlines(keepends=True)
        lines[3:3] = [b"rubbish\n"]
        lines[8] = lines[8][:-1] + b"#"  # its line break is gone: two records in one line
        path.write_bytes(b"".join(lines))
        first = Spool(root)
        first.maintain()
        first.settle(first.read(500, 256 * KIB), settled)
        first.close()
        again = adopt_all(make(root))
        assert again == list(range(again[0], 12))
        assert settled - 1 <= again[0] <= settled  # at most the first of the joined two comes twice


def test_a_missing_position_begins_again_and_a_missing_segment_goes_on(make, tmp_path):
    root = tmp_path / "spool"
    first = Spool(root)
    put(first, 0, 20_000, size=200)
    first.settle(first.read(100, 256 * KIB))
    first.close()
    next(root.glob("*/application.position")).unlink()
    paths = segments(root)
    assert len(paths) > 3
    lost = paths[1].read_bytes().count(b"\n")
    paths[1].unlink()
    found = adopt_all(make())
    assert found[:100] == list(range(100))
    assert len(found) == 20_000 - lost


def test_a_position_behind_the_end_begins_the_segment_again(make, tmp_path):
    root = tmp_path / "spool"
    first = Spool(root)
    put(first, 0, 100)
    first.settle(first.read(90, 256 * KIB))
    first.close()
    os.truncate(segments(root)[0], 10 * (len(record(5)) + OVERHEAD))
    assert adopt_all(make()) == list(range(10))


def test_the_directory_is_deleted_under_a_running_process(make, tmp_path, drops):
    spool = make()
    put(spool, 0, 100)
    shutil.rmtree(tmp_path / "spool")
    spool.maintain()
    spool.maintain()
    kept = put(spool, 100, 200)
    found = take(spool)
    assert kept == list(range(100, 200))
    assert set(found) >= set(range(100, 200))
    assert len(found) + sum(count for _, _, count in drops) >= 200
    assert segments(tmp_path / "spool")


def test_the_file_is_shortened_under_a_running_process(make, tmp_path):
    spool = make()
    put(spool, 0, 100)
    batch = spool.read(50, 256 * KIB)
    spool.settle(batch)
    os.truncate(segments(tmp_path / "spool")[0], 200)
    put(spool, 100, 150)
    spool.maintain()
    put(spool, 150, 200)
    assert set(take(spool)) >= set(range(100, 200))


def test_memory_is_for_what_waits_and_not_for_what_is_under_way():
    dropped = []
    spool = Spool(None, memory_bytes=512 * KIB, dropped=lambda *what: dropped.append(what))
    number = 0
    while not dropped:  # 128 KiB are application's
        put(spool, number, number + 1)
        number += 1
    dropped.clear()
    under_way = take(spool, settle=False)
    assert len(under_way) > 100
    again = put(spool, number, number + len(under_way) - 10)
    assert dropped == []
    assert take(spool, settle=False) == again
    spool.rewind()
    assert take(spool) == under_way + again
    assert spool.memory_bytes == 0
    # All that waits counts again after a connection was lost.
    put(spool, 0, len(under_way) - 10)
    take(spool, settle=False)
    put(spool, 0, len(under_way) - 10)
    spool.rewind()
    put(spool, 0, 1)
    assert sum(count for _, _, count in dropped) > 0
    spool.close()

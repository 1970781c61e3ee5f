"""The benchmark's own parts: it must count right, and say clearly what did not arrive."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_a_receiver_takes_whole_events_only():
    from benchmarks.shipping.sink import frames, http, lines

    assert lines(b"a\nb\nhalf") == (b"a\nb\n", b"half")
    assert lines(b"half") == (b"", b"half")
    framed = struct.pack(">L", 3) + b"abc"
    assert frames(framed + framed[:5]) == (framed, framed[:5])
    request = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    assert http(request + b"POST") == (b"body", b"POST")
    assert http(request[:-1]) == (b"", request[:-1])


def test_numbers_lost_doubled_and_lines_that_are_no_json():
    from benchmarks.shipping.event import mark
    from benchmarks.shipping.sink import Tally

    tally = Tally()
    for number in (0, 1, 1, 4):
        tally.take(json.dumps({"mark": mark(number)}).encode() + b"\n", check=True)
    tally.take(b'{"mark": "#00000005#"\n', check=True)
    report = tally.report(0, 10)
    assert (report["arrived"], report["lost"], report["doubled"], report["not_json"]) == (4, 6, 1, 1)
    assert tally.report(2, 4)["lost"] == 2


def test_every_set_up_sends_each_number_once_in_an_event():
    from benchmarks.shipping.event import MARK, fields, mark

    assert MARK.findall(json.dumps(fields(mark(7))).encode()) == [b"00000007"]
    assert len(fields("")) == 5


LOSS = {"lost": 3, "events": 10, "doubled": 0, "unfinished": False, "not_json": 0}


def test_speeds_are_compared_within_each_round():
    from benchmarks.shipping.table import table

    caller = {"median": 1.0, "p99": 2.0, "maximum": 3.0}
    speeds = {"ours": (3000, 6000, 4000), "pla": (100, 100, 100), "logging": (None, None, None)}
    results = {
        name: {
            "flow": [{"caller_us": caller, "cpu_us": 1.0} | ({"events_per_second": one} if one else {}) for one in of]
        }
        for name, of in speeds.items()
    }
    rows = [line.split("|") for line in table(results, markdown=True).splitlines()[:5]]
    place = next(index for index, cell in enumerate(rows[0]) if "times as fast" in cell)
    assert [row[place].strip() for row in rows[2:]] == ["1.0", "40.0", "-"]


def test_a_broken_promise_is_a_sentence_and_a_loss_that_was_announced_is_none():
    from benchmarks.shipping.table import broken_promises

    results = {"ours": {"kill": [LOSS]}, "socket": {"kill": [LOSS], "flow": [LOSS]}, "pla": {"outage": [LOSS]}}
    found = broken_promises(results)
    assert [sentence.split(":")[0] for sentence in found] == ["ours, kill", "socket, flow"]
    assert "3 of 10" in found[0]
    assert broken_promises({"ours": {"fork": [{**LOSS, "lost": 0, "doubled": 2}]}})
    assert broken_promises({"pla": {"kill": [{"failed": "sender ended"}]}}) == ["pla, kill: sender ended"]
    assert broken_promises({"pla": {"kill": [{**LOSS, "not_json": 1}]}})


def test_the_table_adds_losses_up_and_says_what_was_in_clear():
    from benchmarks.shipping.table import table

    late = {**LOSS, "unfinished": True, "doubled": 2}
    shown = table(
        {"socket": {"outage": [{**LOSS, "caller_us": {"maximum": 5.0}}, {**late, "caller_us": {"maximum": 7}}]}}
    )
    assert "6+ / 20 (2 twice)" in shown
    assert "SocketHandler (pickle) (plain)" in shown


def test_the_table_of_a_document_has_the_same_cells():
    from benchmarks.shipping.table import table

    results = {"socket": {"outage": [{**LOSS, "caller_us": {"maximum": 5.0}}]}}
    head, rule, row, *_ = table(results, markdown=True).splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == ["SocketHandler (pickle) (plain)", "3 / 10"]
    assert head.count("|") == rule.count("|") == row.count("|")


def test_the_share_of_the_gate_is_what_a_call_costs_more_with_it():
    from benchmarks.redaction import share

    said = share([(40.0, 30.0), (50.0, 30.0), (40.0, 20.0)])
    assert said == "40.0 us with the gate, 30.0 us without: share of the gate 40 % (25 to 50 %)"


def run(tmp_path, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.shipping", "--output", str(tmp_path / "made" / "bench.json"), *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [("--only", "nobody"), ("--measure", "x"), ("--repeat", "0"), ("--repeat", "21")])
def test_wrong_arguments_are_refused(tmp_path, arguments):
    assert run(tmp_path, *arguments).returncode == 2


def test_help_names_the_set_ups():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.shipping", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "pla-sqlite-tuned" in done.stdout


@pytest.mark.integration
def test_a_quick_run_counts_what_was_sent_and_writes_what_it_found(tmp_path):
    done = run(tmp_path, "--quick", "--only", "ours,socket", "--measure", "flow,kill,fork")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "made" / "bench.json").read_text())
    assert report["complete"]
    assert report["in_clear"] == ["socket"]
    assert report["machine"]["cores"] >= 1
    ours = report["results"]["ours"]
    assert ours["flow"][0]["lost"] == ours["kill"][0]["lost"] == ours["fork"][0]["lost"] == 0
    assert ours["fork"][0]["child_arrived"] == 100
    assert report["results"]["socket"]["flow"][0]["events"] == 10_000
    assert "SocketHandler (pickle) (plain)" in done.stdout


@pytest.mark.integration
def test_no_time_left_is_said(tmp_path):
    done = run(tmp_path, "--quick", "--only", "logging", "--minutes", "0")
    assert done.returncode == 0
    assert "The time was over" in done.stdout
    assert json.loads((tmp_path / "made" / "bench.json").read_text())["complete"] is False

"""What a receiver refuses: kept as dead letters, counted, told, and in nobody's way."""

import json

import fake_transport
import pytest
from conftest import eventually
from fake_transport import log_numbers

from logbastion.shipping import worker

pytestmark = pytest.mark.integration

no_long_waits, transport, ship = fake_transport.no_long_waits, fake_transport.transport, fake_transport.ship


@pytest.mark.parametrize("late", [False, True])
def test_refused_events_are_dead_letters_with_their_reason_and_the_rest_is_delivered(
    ship, logger, transport, tmp_path, late
):
    transport.late = late
    transport.refuse = {3: "mapper_parsing_exception: [n]", 700: "too long", 999: "no"}
    handler = ship()
    log_numbers(logger, 0, 1000)
    assert handler.wait(20)
    eventually(lambda: [message["event_type"] for message in transport.messages()] == ["events_refused"])
    handler.close()
    assert transport.numbers() == [n for n in range(1000) if n not in transport.refuse]
    (file,) = (tmp_path / "spool" / "dead_letters").iterdir()
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    assert {letter["event"]["extra"]["n"]: letter["reason"] for letter in letters} == transport.refuse
    assert len(letters) == 3
    assert {letter["stream"] for letter in letters} == {"application"}
    assert file.stat().st_mode & 0o777 == 0o600
    counts = handler.counts()
    assert (counts.refused, counts.acknowledged, counts.dropped) == (3, 998, {})
    assert "reason" not in json.dumps(transport.messages())


def test_refusals_are_told_with_their_number_and_now_and_then_only(ship, logger, transport, monkeypatch):
    monkeypatch.setattr(worker, "_HOUSEKEEPING_SECONDS", 0.01)
    transport.refuse = dict.fromkeys(range(200), "no")
    rounds = []
    handler = ship(publish=rounds.append)

    def told():
        return [message["extra"]["refused_events"] for message in transport.messages()]

    def some_rounds():
        before = len(rounds)
        eventually(lambda: handler.wait(0) and len(rounds) > before + 3)

    log_numbers(logger, 0, 100)
    eventually(told)
    log_numbers(logger, 100, 200)
    some_rounds()
    assert len(told()) == 1
    monkeypatch.setattr(worker, "_REFUSALS_TOLD_SECONDS", 0)
    eventually(lambda: sum(told()) >= 200)
    some_rounds()
    handler.close()
    assert sum(told()) == 200
    assert len(told()) == 2


def test_a_dead_letter_that_cannot_be_written_is_counted_and_stops_nothing(ship, logger, transport, tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "dead_letters").write_text("a file in the way")
    transport.refuse = {1: "no"}
    handler = ship()
    log_numbers(logger, 0, 3)
    assert handler.wait(20)
    handler.close()
    assert transport.numbers() == [0, 2]
    assert handler.counts().dropped == {("application", "dead_letters_failed"): 1}
    assert "refused events could not be kept" in handler.counts().last_error


def test_refused_events_without_a_directory_are_counted(ship, logger, transport):
    transport.refuse = {1: "no"}
    handler = ship(spool_directory=None)
    log_numbers(logger, 0, 3)
    assert handler.wait(20)
    handler.close()
    assert transport.numbers() == [0, 2]
    assert handler.counts().refused == 1
    assert handler.counts().failures == 0

"""The second corpus: uncommon names, syntaxes of other languages, objects; read back from every output's raw bytes."""

from __future__ import annotations

import json
import logging
import random
from collections import Counter

import pytest
from conftest import eventually
from corpus import Item
from red_team import KINDS, all_items, carriers, leaks, ordinary_lines, some_carriers

from logbastion import EventFormatter, RedactionFilter, ShippingHandler, StreamFileHandler, TcpTransport
from logbastion.redaction.engine import standard_redactor

pytestmark = pytest.mark.integration

EACH_IN = 15
# Carriers in which everything is taken out, whatever it is: parameters of statements, cookies, what is nested too deep.
OTHERS_TREAT = ("sql_params", "simple_cookie", "request", "very_deep_extra")


@pytest.fixture(scope="module")
def items():
    found = all_items()
    assert len(found) >= 2000
    assert len(KINDS) >= 20
    return found


class Collected(logging.Handler):
    """Keeps the bytes of every record."""

    def __init__(self, formatter):
        super().__init__()
        self.formatter = formatter
        self.lines = []

    def emit(self, record):
        self.lines.append(self.formatter.format_bytes(record))


def leaked_pairs(items, logger, handler):
    number, found, pairs = Counter(), [], set()
    for item in items:
        for name, log in some_carriers(item, number[item.kind], EACH_IN):
            handler.lines.clear()
            log(logger)
            assert handler.lines
            pairs.add((item.kind, name))
            if leaks(item, b"\n".join(handler.lines)):
                found.append((item.kind, name, item.known_field, item.value[:60]))
        number[item.kind] += 1
    return found, pairs


def test_nothing_leaks(items, logger):
    """Each secret in fifteen carriers; together the secrets of a kind go through all of them."""
    handler = Collected(EventFormatter())
    logger.addHandler(handler)
    leaked, pairs = leaked_pairs(items, logger, handler)
    assert leaked == []
    for kind in KINDS:
        first = next(item for item in items if item.kind == kind)
        assert len({name for pair, name in pairs if pair == kind}) >= 0.9 * len(list(carriers(first))), kind


def test_without_the_gate_the_secrets_are_in_the_lines(items, logger):
    """Or a carrier that carries nothing would look like a gate that finds everything."""
    handler = Collected(EventFormatter(gate=lambda event: event))
    logger.addHandler(handler)
    sample = items[::4]
    leaked, _ = leaked_pairs(sample, logger, handler)
    assert len(leaked) > 0.97 * EACH_IN * len(sample)


def test_nothing_leaks_through_the_filter_for_handlers_made_by_hand(items, logger):
    lines = []

    class Plain(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record).encode("utf-8", "replace"))

    handler = Plain()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(RedactionFilter())
    logger.addHandler(handler)
    leaked = []
    for number, item in enumerate(items):
        name, log = some_carriers(item, number, 1)[0]
        lines.clear()
        log(logger)
        if leaks(item, b"\n".join(lines)):
            leaked.append((item.kind, name, item.value[:60]))
    assert leaked == []


def test_nothing_leaks_into_file_spool_or_wire(items, logger, sink, certificates, tmp_path):
    """Every third secret in one carrier, drawn by lot, read back from what was really written and sent."""
    items = items[::3]
    chance = random.Random(5)
    logs = tmp_path / "logs"
    logs.mkdir()
    sink.stop()  # so that the spool keeps all of them
    shipping = ShippingHandler(TcpTransport(sink.address, **certificates.client), spool_directory=tmp_path / "spool")
    for handler in (StreamFileHandler(logs), shipping):
        if handler.formatter is None:
            handler.setFormatter(EventFormatter())
        logger.addHandler(handler)
    number = 0

    def give_number(record):
        record.corpus_number = number
        return True

    logger.addFilter(give_number)
    for number, item in enumerate(items):  # noqa: B007 - the filter reads it
        chance.choice(list(carriers(item)))[1](logger)
    spooled = [
        line[9:] for file in sorted((tmp_path / "spool").glob("*/*.spool")) for line in file.read_bytes().splitlines()
    ]
    written = [line for file in logs.iterdir() for line in file.read_bytes().splitlines()]
    sink.start()
    eventually(lambda: len(sink.lines) >= len(items), 60)
    for lines in (spooled, written, sink.lines):
        by_number = {json.loads(line)["extra"]["corpus_number"]: line for line in lines if b"corpus_number" in line}
        assert len(by_number) == len(items)
        raw = [by_number[number].replace(b'"corpus_number":%d' % number, b"") for number in range(len(items))]
        assert [item.text for item, line in zip(items, raw, strict=True) if leaks(item, line)] == []


# With what must go: the network, 24 bits or 48, may stay.
ADDRESSES = (
    ("203.0.113.77", "203.0.113.77"),
    ("198.51.100.9", "198.51.100.9"),
    ("2001:db8:85a3::8a2e:370:7334", "8a2e:370:7334"),
    ("2001:db8:a:1::ff", "a:1::ff"),
)


@pytest.mark.parametrize(
    ("name", "kept"), [("business.search", False), ("performance", False), ("security.events", True)]
)
def test_addresses_of_the_network_go_or_stay_as_the_stream_says(name, kept):
    """Personal data (GDPR, recital 30) but where they serve security (recital 49)."""
    handler = Collected(EventFormatter())
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        for address, personal in ADDRESSES:
            item = Item("ip", f"client_address={address}", address, (personal,), "client_address")
            for carrier, log in carriers(item):
                if any(carrier.startswith(other) for other in OTHERS_TREAT):
                    continue
                handler.lines.clear()
                log(logger)
                written = bool(leaks(item, b"".join(handler.lines)))
                assert written == kept, (carrier, address, handler.lines)
    finally:
        logger.removeHandler(handler)


def test_ordinary_lines_stay_as_they_are():
    redact = standard_redactor().redact_text
    lines = ordinary_lines(count=5000)
    changed = [(line, redact(line)) for line in lines if redact(line) != line]
    assert len(changed) < 0.005 * len(lines), changed

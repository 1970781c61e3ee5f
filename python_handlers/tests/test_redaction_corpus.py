"""The corpus through everything that writes: not one secret in the raw bytes, and ordinary lines as they were."""

import json
import logging
import random

import pytest
from conftest import eventually
from corpus import CARRIERS, all_items, leaks, ordinary_lines

from logbastion import EventFormatter, ShippingHandler, StreamFileHandler, TcpTransport
from logbastion.redaction.engine import standard_redactor

pytestmark = pytest.mark.integration

PER_KIND = 64


@pytest.fixture(scope="module")
def items():
    found = all_items(per_kind=PER_KIND)
    assert len(found) >= 2000
    assert len({item.kind for item in found}) >= 20
    return found


@pytest.fixture
def formatted(logger):
    """The bytes of every record that was logged since they were last taken."""
    lines = []

    class Formatted(logging.Handler):
        def emit(self, record):
            lines.append(formatter.format_bytes(record))

    formatter = EventFormatter()
    logger.addHandler(Formatted())
    return lines


@pytest.mark.parametrize("carrier", CARRIERS)
def test_nothing_leaks(items, formatted, logger, carrier):
    leaked = []
    for item in items:
        if CARRIERS[carrier].suits(item):
            formatted.clear()
            CARRIERS[carrier].log(logger, item)
            assert formatted
            if leaks(item, b"".join(formatted)):
                leaked.append((item.kind, item.text[:120]))
    assert leaked == []


def test_nothing_leaks_into_file_spool_or_wire(items, logger, sink, certificates, tmp_path):
    """Each secret in one carrier, drawn by lot, read back from the raw bytes of what was really written and sent."""
    chance = random.Random(11)
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
        chance.choice([carrier for carrier in CARRIERS.values() if carrier.suits(item)]).log(logger, item)
    spooled = [line[9:] for file in sorted((tmp_path / "spool").glob("*/*.spool")) for line in read_lines(file)]
    written = [line for file in logs.iterdir() for line in read_lines(file)]
    sink.start()
    eventually(lambda: len(sink.lines) >= len(items), 60)
    for lines in (spooled, written, sink.lines):
        by_number = {json.loads(line)["extra"]["corpus_number"]: line for line in lines if b"corpus_number" in line}
        assert len(by_number) == len(items)
        # The number is the test's own, and may be equal to a security code.
        raw = [by_number[number].replace(b'"corpus_number":%d' % number, b"") for number in range(len(items))]
        assert [item.text for item, line in zip(items, raw, strict=True) if leaks(item, line)] == []


def read_lines(path):
    return path.read_bytes().splitlines()


def test_ordinary_lines_stay_as_they_are():
    redact = standard_redactor().redact_text
    lines = ordinary_lines(count=5000)
    changed = [(line, redact(line)) for line in lines if redact(line) != line]
    assert len(changed) < 0.005 * len(lines), changed

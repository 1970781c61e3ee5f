"""The corpus itself: its secrets are valid and many, its carriers carry, its ordinary lines hold nothing secret."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from corpus import CARRIERS, KINDS, Item, all_items, items_of, leaks, ordinary_lines
from corpus.carriers import Carrier
from corpus.leaks import readings

from logbastion import EventFormatter

pytestmark = pytest.mark.integration

CORPUS = Path(__file__).parent / "corpus"
LINES = ordinary_lines()


class Collector(logging.Handler):
    """Keeps what would be written if nothing were removed."""

    def __init__(self) -> None:
        super().__init__()
        self.formatter = EventFormatter(gate=lambda event: event)
        self.raw: list[bytes] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert isinstance(self.formatter, EventFormatter)
        self.raw.append(self.formatter.format_bytes(record))


@pytest.fixture
def collector(logger: logging.Logger) -> Collector:
    made = Collector()
    logger.addHandler(made)
    return made


def carried(carrier: Carrier, item: Item, logger: logging.Logger, collector: Collector) -> bytes:
    collector.raw.clear()
    carrier.log(logger, item)
    assert len(collector.raw) == 1
    return collector.raw[0]


def passes_luhn(number: str) -> bool:
    doubled = {str(figure): (2 * figure) // 10 + (2 * figure) % 10 for figure in range(10)}
    right_to_left = number[::-1]
    return (sum(map(int, right_to_left[0::2])) + sum(doubled[figure] for figure in right_to_left[1::2])) % 10 == 0


def passes_mod_97(iban: str) -> bool:
    rest = 0
    for char in iban[4:] + iban[:4]:
        for figure in str(ord(char) - 55) if char.isalpha() else char:
            rest = (rest * 10 + int(figure)) % 97
    return rest == 1


def test_enough_of_everything():
    items = all_items()
    counts = Counter(item.kind for item in items)
    assert len(items) >= 2000
    assert len(counts) >= 22
    assert min(counts.values()) >= 100
    assert set(counts) == set(KINDS)
    assert len(CARRIERS) >= 15
    for kind, count in counts.items():
        assert len({item.secret for item in items if item.kind == kind}) == count
        assert sum(carrier.suits(items_of(kind, count=1)[0]) for carrier in CARRIERS.values()) >= 15, kind


def test_the_page_tells_the_figures():
    page = (CORPUS / "README.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (yes|no) \|", page, re.MULTILINE)
    counts = Counter(item.kind for item in all_items())
    assert rows == [(name, str(counts[name]), "yes" if kind.context_needed else "no") for name, kind in KINDS.items()]
    assert f"{len(KINDS)} kinds, {len(all_items())} secrets" in page
    listed = re.search(r"## Carriers\s+(\d+): (.*?)\.\n", page, re.DOTALL)
    assert listed
    assert int(listed[1]) == len(CARRIERS)
    assert re.findall(r"`(\w+)`", listed[2]) == list(CARRIERS)


def test_items_are_whole():
    for item in all_items():
        assert item.secret
        assert all(len(secret) >= 3 for secret in item.secret)
        assert all(secret in item.value for secret in item.secret)
        assert leaks(item, item.text.encode())
        assert (item.known_field is not None) >= KINDS[item.kind].context_needed, item
        if KINDS[item.kind].context_needed:
            assert item.text != item.value


def test_the_seed_decides():
    program = "import corpus; print(ascii((corpus.all_items(7, 3), corpus.ordinary_lines(7, 99))))"
    printed = ascii((all_items(7, 3), ordinary_lines(7, 99)))
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": f"{CORPUS.parent}", "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60, text=True)
        assert done.stdout.strip() == printed
    assert all_items(7, 3)[0] == all_items(7, 1)[0]
    assert not set(all_items(7, 3)) & set(all_items(8, 3))
    assert ordinary_lines(7, 99) != ordinary_lines(8, 99)


def test_cards():
    found = set()
    for item in items_of("card"):
        number = re.sub(r"[ .-]", "", item.value)
        assert number.isdecimal()
        assert passes_luhn(number)
        found.add((len(number), "".join(sorted(set(item.value) - set(number)))))
    assert found == {(length, separator) for length in range(13, 20) for separator in ("", " ", "-", ".")}


def test_ibans():
    lengths = {"PT": 25, "ES": 24, "FR": 27, "DE": 22, "GB": 22}
    found = Counter()
    for item in items_of("iban"):
        compact = item.value.replace(" ", "")
        assert len(compact) == lengths[compact[:2]]
        assert passes_mod_97(compact)
        if compact[:2] == "PT":
            assert compact[2:4] == "50"
            assert int(compact[4:]) % 97 == 1
        found[compact[:2], " " in item.value] += 1
    assert len(found) == 10


def test_tax_numbers():
    for item in items_of("nif"):
        number = item.value.removeprefix("PT").replace(" ", "")
        assert len(number) == 9
        rest = sum(int(figure) * weight for figure, weight in zip(number, range(9, 0, -1), strict=True)) % 11
        assert rest == 0 or (rest == 1 and number[-1] == "0")


def test_forms_of_tokens():
    upper = {"aws_access_key_id": r"A[KS]IA[A-Z2-7]{16}", "google_api_key": r"AIza[\w-]{35}"}
    upper |= {"github_token": r"gh[pousr]_\w{36}|github_pat_\w{82}", "sendgrid_key": r"SG\.[\w-]{22}\.[\w-]{43}"}
    upper |= {"gitlab_token": r"gl(pat|dt|ptt|rt)-[\w-]{20}", "telegram_token": r"\d{9,10}:AA[\w-]{33}"}
    for kind, form in upper.items():
        assert all(re.fullmatch(form, item.value) for item in items_of(kind)), kind
    for item in items_of("jwt"):
        header, payload, _ = (base64.urlsafe_b64decode(part + "==") for part in item.value.split("."))
        assert json.loads(header)["typ"] == "JWT"
        assert json.loads(payload)["jti"]
    for item in items_of("basic"):
        assert b":" in base64.b64decode(item.value.split(" ")[1], validate=True)
    for item in items_of("pem_private_key"):
        lines = item.value.split("\n")
        assert lines[0].startswith("-----BEGIN ")
        assert lines[-1] == lines[0].replace("BEGIN", "END")
        assert len(item.secret) >= 2


def test_passwords_are_odd_inside_or_plain():
    odd, plain = Counter(), 0
    for kind in ("password_english", "password_portuguese"):
        for item in items_of(kind):
            inside = [char for char in item.value if not char.isalnum()]
            assert len(item.value) >= 8
            assert len(inside) >= 2 or item.value.isalnum()
            plain += not inside
            assert item.value[0].isalnum()
            assert item.value[-1].isalnum()
            odd.update(inside)
    assert set("!@#$%^&*+-_=?~,;:/. '\"\\<>{}[]()") <= set(odd)
    assert 10 <= plain <= 30


@pytest.mark.parametrize("name", CARRIERS)
def test_carriers_carry(name, logger, collector):
    """Without an engine every secret is in the line, and is found there: a leak test on top can fail."""
    carrier = CARRIERS[name]
    for item in filter(carrier.suits, all_items(per_kind=27)):
        raw = carried(carrier, item, logger, collector)
        assert set(item.secret) <= set(leaks(item, raw)), (name, item)


@pytest.mark.parametrize("name", CARRIERS)
def test_carriers_words_hold_no_secret(name, logger, collector):
    """With the secret taken out of the item, nothing of it is in the line: a leak that is found is one."""
    carrier = CARRIERS[name]
    for item in filter(carrier.suits, all_items(per_kind=27)):
        raw = carried(carrier, item.emptied(), logger, collector)
        assert leaks(item, raw) == [], (name, item)


@pytest.mark.parametrize("name", CARRIERS)
def test_carriers_words_hold_no_long_number(name, logger, collector):
    """Else a short code would be found that is not the item's."""
    raw = carried(CARRIERS[name], Item("card", "~", "~", ("~",)), logger, collector)
    event = json.loads(raw)
    words = json.dumps([event["message"], event.get("extra"), event.get("error")])
    assert not re.search(r"(?<![0-9A-Za-z])\d{3}", next(readings(words.encode())))


def test_exclusions_are_few_and_have_reasons():
    for carrier in CARRIERS.values():
        assert set(carrier.excluded) <= set(KINDS)
        assert all(len(reason) > 20 for reason in carrier.excluded.values())
    excluded = sum(len(carrier.excluded) for carrier in CARRIERS.values())
    assert excluded / (len(CARRIERS) * len(KINDS)) < 0.02


SECRET = "Açúcar'7&\"x\\k9"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps({"a": SECRET}),
        json.dumps({"a": SECRET}, ensure_ascii=False),
        json.dumps(json.dumps(json.dumps({"a": SECRET}))),
        json.dumps({"a": SECRET}).replace("&", "\\u0026"),
        repr({"a": SECRET}),
        json.dumps({"message": repr(SECRET)}),
        "a=A%C3%A7%C3%BAcar%277%26%22x%5Ck9&b=1",
        json.dumps({"message": "SET a = '" + SECRET.replace("'", "''") + "'"}),
    ],
)
def test_leaks_sees_through_escapes(written):
    item = Item("password_english", "", SECRET, (SECRET,), "password")
    assert SECRET in leaks(item, written.encode())
    assert leaks(item, written.replace("7", "8").encode(), halves=False) == []


def test_leaks_sees_a_plus_beside_percent_signs():
    item = Item("email", "", "ana+b!c@example.org", ("ana+b!c",))
    assert leaks(item, b"to=ana+b%21c%40example.org") == ["ana+b!c"]
    assert leaks(item, b"to=ana%2Bb%21c%40example.org") == ["ana+b!c"]
    assert leaks(item, b"to=***%40example.org") == []


def test_leaks_finds_halves_but_not_what_may_stay():
    item = items_of("card", count=2)[1]
    card = replace(item, secret=("4" + "1" * 14 + "2",))
    assert leaks(card, b"card ************1112") == []
    assert leaks(card, b"card 41111111********") == ["41111111"]
    assert leaks(card, b"card 41111111********", halves=False) == []


def test_leaks_of_short_codes_spare_times_and_longer_numbers():
    item = replace(items_of("cvv", count=1)[0], secret=("123",))
    frame = b'{"@timestamp":"2026-01-01T00:01:23.123Z","pid":123,"x":91234,"h":"a123f","s":"File \\"a.py\\", line 123"}'
    assert leaks(item, frame) == []
    assert leaks(item, frame + b'"cvv 123"') == ["123"]


def test_ordinary_lines_are_many_and_mixed():
    assert len(LINES) == 5000
    assert len(set(LINES)) > 4500
    assert not [line for line in LINES if "{" in line or "}" in line]
    for word in ("senha", "palavra-passe", "token", "password", "código", "cartão", "NIF", "IBAN", "cookie", "API key"):
        assert sum(word in line for line in LINES) >= 4, word
    assert 0.2 < sum(not line.isascii() for line in LINES) / len(LINES) < 0.5


def test_ordinary_lines_have_a_few_long_numbers():
    long = re.compile(r"(?<!\d)(\d{9}|\d{13,16})(?!\d)")
    assert 0.02 < sum(bool(long.search(line)) for line in LINES) / len(LINES) < 0.04


def test_ordinary_lines_hold_no_secret():
    written = "\n".join(LINES)
    assert not re.search(r"\w@[\w-]+\.\w", written)
    assert not re.search(r"(?<![\d.])\d{1,3}(\.\d{1,3}){3}(?![\d.])", written)
    assert not re.search(r"\+\d{6}|\b9[1236]\d \d{3} \d{3}\b", written)
    assert not re.search(r"eyJ|-----BEGIN|Bearer [\w-]{8}|Basic [\w+/]{8}", written)
    assert not re.search(
        r"(?i)(password|passwd|pwd|senha|passe|secret|cvv|cvc|otp|api_key|sessionid)['\"]?\s*[=:]", written
    )
    ibans = re.findall(r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b", written)
    assert not [found for found in ibans if passes_mod_97(found)]


def test_sources_hold_no_whole_token():
    """What a scanner of pushed commits would stop at is put together at run time only."""
    tokens = re.compile(
        r"[sr]k_(live|test)_\w{10}|whsec_\w{10}|gh[pousr]_\w{20}|github_pat_\w{20}|glpat-[\w-]{20}|xox[abpr]-\w{8}"
        r"|A[KS]IA[A-Z0-9]{16}|AIza[\w-]{30}|SG\.[\w-]{20}|\d{9}:AA[\w-]{30}|hooks\.slack\.com/services/T\w+"
        r"|-----BEGIN [A-Z ]*PRIVATE KEY|AccountKey=\w{20}|eyJ\w{20}"
    )
    sources = [*CORPUS.glob("*"), Path(__file__)]
    found = [path.name for path in sources if path.is_file() and tokens.search(path.read_text())]
    assert found == []
    for kind in ("jwt", "stripe_key", "github_token", "pem_private_key", "telegram_token", "slack_webhook"):
        assert any(tokens.search(item.text) for item in items_of(kind)), kind


def test_a_generator_that_runs_out_says_so(monkeypatch):
    same = replace(KINDS["cvv"], generate=lambda rng, number: Item("cvv", "cvv=123", "123", ("123",), "cvv"))
    monkeypatch.setitem(KINDS, "cvv", same)
    with pytest.raises(RuntimeError, match="cvv"):
        items_of("cvv", count=2)

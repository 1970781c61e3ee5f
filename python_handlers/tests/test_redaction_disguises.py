"""Secrets behind signs that look like others, signs that nobody sees, and escapes of other languages."""

import pytest

from logbastion.redaction import Redactor
from logbastion.redaction.encodings import plain_signs

REDACTOR = Redactor()
VALUE = "Zq7Rk2Wv9TbXc4Lm"
EMAIL = "[redacted:email]"
CARD = "[redacted:card:1486]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"password=\u201c{VALUE}\u201d", 'password="[redacted:password]"'),
        (f"password\uff1d{VALUE}", "password=[redacted:password]"),
        (f"pass\u200bword={VALUE}", "password=[redacted:password]"),
        (f"pass\u00adword: {VALUE}", "password: [redacted:password]"),
        (f"&quot;password&quot;:&quot;{VALUE}&quot;", '"password":"[redacted:password]"'),
        (f"senha &equals; {VALUE}", "senha = [redacted:password]"),
        (f"{{\\x22password\\x22: \\x22{VALUE}\\x22}}", '{"password": "[redacted:password]"}'),
        (f"Token:\u00a0Bearer\u00a0{VALUE}", "Token: [redacted:secret] [redacted:authorization]"),
        ("ana.sousa\uff20escola.example", EMAIL),
        ("ana.sousa&commat;escola.example", EMAIL),
        ("ana.sousa\\x40escola.example", EMAIL),
        ("4539\u200b5787\u200b6362\u200b1486", CARD),
        ("4539\u20135787\u20136362\u20131486", CARD),
        ("".join(chr(ord(digit) + 0xFEE0) for digit in "4539578763621486"), CARD),
    ],
)
def test_a_disguised_secret_is_found(text, expected):
    assert REDACTOR.redact_text(text) == expected
    assert REDACTOR.redact_text(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "O aluno disse \u201col\u00e1\u201d \u2013 tudo bem",
        "Ant\u00f3nio\u2019s caf\u00e9: \u20ac12,50 \u2013 pago",
        "2026\u201111\u201124 10:00 &amp; 11:00 &lt;sala 3&gt;",
        "fam\u00edlia \U0001f468\u200d\U0001f469\u200d\U0001f467 inscrita",
        "caminho C:\\x\\u00e9 e \\xe9",
    ],
)
def test_without_a_secret_every_sign_stays(text):
    assert REDACTOR.redact_text(text) == text


def test_signs_are_made_plain_one_for_one_or_left_out():
    assert plain_signs("a\uff1db\u200bc\u2014d\u00a0e\u00e9") == "a=bc-d e\u00e9"

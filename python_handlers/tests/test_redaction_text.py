"""What is found in texts, what is left alone, and that nothing is found twice."""

import random
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logbastion.cards import is_card_number
from logbastion.redaction import Redactor
from logbastion.redaction import text as text_module
from logbastion.redaction.markers import MARKER, marker
from logbastion.redaction.numbers import is_nif

REDACTOR = Redactor()
SK = "sk" + "_live_"
PEM = "-----BEGIN {0}PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1234\nabcd==\n-----END {0}PRIVATE KEY-----"

FOUND = [
    ("password=hunter2 next", "password=[redacted:password] next"),
    ("login, password: 'S3cr3t!x'", "login, password: '[redacted:password]'"),
    ('{"password": "a\\"b", "x": 1}', '{"password": "[redacted:password]", "x": 1}'),
    ('{\\"password\\": \\"hunter2\\"}', '{\\"password\\": \\"[redacted:password]\\"}'),
    ("new_password1=abc&next=/home", "new_password1=[redacted:password]&next=/home"),
    ("User(password=hunter2, name=x)", "User(password=[redacted:password], name=x)"),
    ("palavra passe: gato", "palavra passe: [redacted:password]"),
    ("a senha é Gato#123", "a senha é [redacted:password]"),
    ("logged in with password hunter2!", "logged in with password [redacted:password]"),
    ("card 4111 1111 1111 1111 ok", "card [redacted:card:1111] ok"),
    ("4111-1111-1111-1111", "[redacted:card:1111]"),
    ("378282246310005", "[redacted:card:0005]"),
    ("room 12 4111.1111.1111.1111 12/27", "room 12 [redacted:card:1111] 12/27"),
    ("card number: 1234 5678", "card number: [redacted:card]"),
    ("IBAN PT50 0002 0123 1234 5678 9015 4 for a student", "IBAN [redacted:iban] for a student"),
    ("pt50000201231234567890154", "[redacted:iban]"),
    ("cvv 123, cvc: 4567", "cvv [redacted:card_check], cvc: [redacted:card_check]"),
    ("mail joao.silva+x@sub.escola.pt now", "mail [redacted:email] now"),
    ("joão@escola.pt", "[redacted:email]"),
    ("joao%40escola.pt and q=a%26email%3Djoao%40escola.pt", "[redacted:email] and q=a&email=[redacted:email]"),
    ("joao\\u0040escola.pt", "[redacted:email]"),
    ("joao&#64;escola.pt", "[redacted:email]"),
    ("Key (email)=(x@y.pt) already exists.", "Key (email)=([redacted:email]) already exists."),
    ("https://u:p%40ss@host/x?token=abc123&y=2", "https://[redacted:password]@host/x?token=[redacted:secret]&y=2"),
    ("Authorization: Bearer abc.def.ghi12345", "Authorization: [redacted:authorization]"),
    ("sent Bearer abc.def.ghi12345 along", "sent Bearer [redacted:authorization] along"),
    ("Cookie: sessionid=abc; csrftoken=def", "Cookie: [redacted:cookie]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[redacted:token]"),
    (f"using {SK}4eC39HqLyjWDarjtT1zdp7dc now", "using [redacted:token] now"),
    ("ghp" + "_" + "a1B2" * 9, "[redacted:token]"),
    ("AKIA" + "IOSFODNN7EXAMPLE", "[redacted:token]"),
    ("NIF 123456789 e tel 912 345 678", "NIF [redacted:nif] e tel [redacted:phone]"),
    ("call +351 912 345 678, or +44 20 7946 0958", "call [redacted:phone], or [redacted:phone]"),
    ("O seu código é 123456", "O seu código é [redacted:code]"),
    ("Your verification code is 492 113", "Your verification code is [redacted:code]"),
    ("IP 203.0.113.77 and 2001:db8:1:2::3", "IP 203.0.113.0 and 2001:db8:1::"),
    ("INSERT INTO u (id, password) VALUES (1, 'x')", "INSERT INTO u (id, password) VALUES[redacted:password]"),
    ("nome=João Silva, idade=10", "nome=[redacted:name], idade=10"),
    ("User(first_name='Ana', last_name='Costa')", "User(first_name='[redacted:name]', last_name='[redacted:name]')"),
    ("Login failed with password 'correcthorse'", "Login failed with password '[redacted:password]'"),
    ("the password is dragon", "the password is [redacted:password]"),
    ("a senha do aluno é dragao17", "a senha do aluno é [redacted:password]"),
    ("senha do aluno: gatinho", "senha do aluno: [redacted:password]"),
    ("changed password from abc12345 to def67890", "changed password from [redacted:password] to [redacted:password]"),
    ("mysql -u root -pS3cret x", "mysql -u root -p[redacted:password] x"),
    ("curl -u admin:S3cret https://x", "curl -u [redacted:password] https://x"),
    ("run --password S3cret now", "run --password [redacted:password] now"),
    ("<password>hunter2</password>", "<password>[redacted:password]</password>"),
    ("[('password', 'hunter2')]", "[('password', '[redacted:password]')]"),
    ("SELECT 1 WHERE a = %s; args=('x', 7); alias=d", "SELECT 1 WHERE a = %s; args=[redacted:sql_parameters]; alias=d"),
    ("SELECT 1; args=('a)b', [1, (2)])", "SELECT 1; args=[redacted:sql_parameters]"),
    ("id4111111111111111 and 4111_1111_1111_1111", "id[redacted:card:1111] and [redacted:card:1111]"),
    ("tel. 300 123 456", "tel. [redacted:phone]"),
    ("-----BEGIN+PRIVATE+KEY-----%0AMII%2B", "[redacted:secret]"),
    (PEM.format("RSA "), "[redacted:secret]"),
    (PEM.format("")[:60], "[redacted:secret]"),
    ("user|password|Hunter2x", "user|password|[redacted:password]"),
    ("password:\n  Hunter2!x\nnext", "password:\n  [redacted:password]\nnext"),
    ("a palavra passe:\r\ngato1234", "a palavra passe:\r\n[redacted:password]"),
    ("otp:\n123456", "otp:\n[redacted:code]"),
    ("ana(at)x.pt, ana [at] x [dot] pt", "[redacted:email], [redacted:email]"),
    ("ana@localhost", "[redacted:email]"),
    ("SELECT 1 WHERE a = %s params=('x)', 7)", "SELECT 1 WHERE a = %s params=[redacted:sql_parameters]"),
    ("UPDATE a SET b=?\n[parameters: ('x', 7)]\n", "UPDATE a SET b=?\n[parameters: [redacted:sql_parameters]\n"),
    # What the fuzzer found: a match of something else that reaches over the beginning, or goes on behind the end.
    ("AB12CDEFGHIJK PT50000201231234567890154", "AB12CDEFGHIJK [redacted:iban]"),
    ("to +351 912 345 678 -82001", "to [redacted:phone] -82001"),
]
LEFT_ALONE = [
    "A senha foi alterada com sucesso",
    "password reset requested for user 17",
    "token expired",
    "status code 404, error code 500123",
    "código postal 1000-001",
    "código de erro 12345",
    "o cartão foi recusado",
    "commit 3f2a9bc8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2",
    "0190c5f0-7e4e-7bbb-8d2c-3a5a6a9c0d11",
    "GET /schools/3/search?q=maths 200 12ms",
    "2024-05-12 10:30:22,123 INFO started",
    "epoch 1716459000 1716459000123 1716459000123456",
    "version v1.2.3.4, release 10.2.0.1",
    "order 1234567890123 eur 12.50",
    "git clone git@github.com:school/app.git",
    "@login_required",
    "csrf token missing. (/x)",
    "Task tasks.send[0a1b2c3d-0000-4444-8888-123456789abc] succeeded in 0.12s",
    "127.0.0.1 and ::1",
    "std::vector<int> a::b",
    "password: None",
    "Your password must contain at least 8 characters",
    "password: must contain at least 8 characters",
    "password is checked with argon2",
    "A palavra-passe do utilizador 94756865 expira dentro de 29 dias",
    "o telefone da escola 9570462 não está preenchido",
    "git push -u origin main",
    "(0.002) SELECT 1 FROM a WHERE b = 7",
    "basic authentication is off",
    "id|password|email",
    "cat /etc/passwd | base64",
    "password:\n  min_length: 8",
    "password:\n- required",
    "celery@localhost ready, root@localhost",
    "call with params=(1, 2)",
    "if x[at].y",
    "7.º B tem 24 alunos, 98,5 % de presenças",
    "FT 2024/123 de 1.234,56 EUR",
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_found(text, expected):
    assert REDACTOR.redact_text(text) == expected


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_left_alone(text):
    assert REDACTOR.redact_text(text) == text


@pytest.mark.parametrize("text", [text for text, _ in FOUND] + LEFT_ALONE)
def test_once_is_enough(text):
    once = REDACTOR.redact_text(text)
    assert REDACTOR.redact_text(once) == once


def test_addresses_are_kept_where_they_serve_security():
    assert REDACTOR.redact_text("from 203.0.113.77", "security") == "from 203.0.113.77"
    assert REDACTOR.redact_text("from 203.0.113.77", "performance") == "from 203.0.113.0"


@pytest.mark.parametrize("inside", ["4111111111111111", "a@b.pt", "PT50000201231234567890154"])
def test_nothing_hides_in_brackets_that_look_like_a_marker(inside):
    assert inside not in REDACTOR.redact_text(f"[redacted:{inside}] and [redacted:card:{inside}]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see 41111111...[90 characters cut]", "see ...[90 characters cut]"),
        ("see it ...[90 characters cut]", "see it ...[90 characters cut]"),
        ("a@b.pt [redacted:email]...[90 characters cut]", "[redacted:email] [redacted:email]...[90 characters cut]"),
        ("x" * 3000 + "...[90 characters cut]", "x" * 1976 + "...[90 characters cut]"),
        ("...[90 characters cut]", "...[90 characters cut]"),
        ("see 4111111...[90 characters cut] more", "see 4111111...[90 characters cut] more"),
    ],
)
def test_half_a_secret_at_the_end_of_a_shortened_text_is_taken_away(text, expected):
    assert Redactor().redact_text(text) == expected


def test_a_marker_is_made_of_harmless_characters_only():
    assert marker("card", "4242") == "[redacted:card:4242]"
    assert marker("card", "]<script>") == "[redacted:card]"
    assert MARKER.fullmatch(marker("email", "p1:k1:abcdefgh"))


PIECES = [
    *("password", "senha", "Token ", "código é ", "Cookie: ", "Bearer ", "INSERT INTO a (pin) VALUES (", "x", "é"),
    *("=", ": ", '"', "'", "\\", "&", ";", "(", ")", "]", " ", "\n", "%40", "\\u0040", "&#64;", "\ud800"),
    *("4111111111111111", "a@b.pt", "https://", "u:p@h", "eyJabcdefgh.abcdefgh.abc", "912 345 678", "1.2.3.4"),
    *("PT50000201231234567890154", "123456", "-----BEGIN PRIVATE KEY-----", "[redacted:card:1111]", "[redacted:"),
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12).map("".join))
@example("password=[redacted:password]")
def test_whatever_comes_in_comes_out_once_and_stays(text):
    once = REDACTOR.redact_text(text)
    assert REDACTOR.redact_text(once) == once


def test_random_cards_and_tax_numbers_in_any_company():
    chance = random.Random(7)
    for _ in range(400):
        card = with_check_digit("4" + "".join(chance.choices("0123456789", k=14)))
        assert is_card_number(card)
        separator = chance.choice(["", " ", "-", ".", "\u00a0"])
        written = separator.join(re.findall("....", card))
        text = f"{chance.choice(['', 'ref 7 ', 'a='])}{written}{chance.choice(['', ' 12/29', ', ok'])}"
        redacted = REDACTOR.redact_text(text)
        assert written not in redacted, text
        assert f"[redacted:card:{card[-4:]}]" in redacted, text


def with_check_digit(digits):
    return next(digits + last for last in "0123456789" if is_card_number(digits + last))


def test_tax_numbers():
    assert is_nif("123456789")
    assert not is_nif("123456780")
    assert not is_nif("400000000")


@settings(max_examples=500)
@given(text=st.text("0123456789 \n\t/(_#aZ", max_size=40))
@example(text="123456789")
@example(text="123/456/789")
@example(text="x12345678 9")
@example(text="PT50 0002 0123 1234 5678 9015 4")
def test_the_short_look_for_numbers_sees_what_the_long_one_sees(text):
    assert text_module._may_have_plain_number(text) == text_module._may_have_number(text)

# ruff: noqa: S608 - statements to be looked at
"""Names and values that stand apart: forms, tables, SQL, arguments with names, named tuples."""

import json
import logging
from typing import NamedTuple

import pytest

from logbastion import EventFormatter, RedactionFilter
from logbastion.redaction import Redactor

REDACTOR = Redactor()
VALUE = "Zq7!Rk2Wv9"


@pytest.mark.parametrize(
    "text",
    [
        f"passwd | {VALUE} | ok",
        f"| senha | {VALUE} |",
        f"newPassword\n{VALUE}\n",
        f"client_secret: |\n  {VALUE}\nnext: 1",
        f"[api-key] {VALUE}",
        f"**senha:** {VALUE}",
        f"refreshToken -> {VALUE}",
        f"login refused (user_pass {VALUE})",
        f"['run', '--db-password', '{VALUE}', 'now']",
        f'run --client-secret "{VALUE}" now',
        f'<input type="text" name="palavra_passe" value="{VALUE}">',
        f'<input value="{VALUE}" name="palavra_passe">',
        f"<tr><th>senha</th><td>{VALUE}</td></tr>",
        f"<senha>{VALUE[:4]}&lt;{VALUE[4:]}</senha>",
        f'{{"name": "password", "value": "{VALUE}"}}',
        f'--b7\r\nContent-Disposition: form-data; name="senha"\r\n\r\n{VALUE}\r\n--b7--',
        f"b'--b7\\r\\nContent-Disposition: form-data; name=\"senha\"\\r\\n\\r\\n{VALUE}\\r\\n--b7--'",
        f"SELECT 1 FROM conta WHERE senha LIKE '%{VALUE}%'",
        f"SELECT 1 FROM conta WHERE senha IN ('a', '{VALUE}')",
        f"UPDATE conta SET senha = 'a''{VALUE}' WHERE id = 3",
        f"query failed, params=('{VALUE}', 3)",
        f"<Q: (AND: ('password__iexact', '{VALUE}'), ('id', 3))>",
        f"invalid passwd, got '{VALUE}'",
        f"received value '{VALUE}' for passwd",
        f"user%5Bsenha%5D=%3C{VALUE}%2C%20b&a=1",
        f"senha=['a]', '{VALUE}']",
        f'{{"a": 1, "passwd": "{VALUE}...',
        f'Authorization: Digest username="ana", realm="x", response="{VALUE}"',
        f"Password for user ana: {VALUE}",
        f"credentials ana:{VALUE}",
        f"login with ana:{VALUE} failed",
        f"field 'password' with value '{VALUE}'",
        f"password was changed from {VALUE} to x",
        f"a senha dele é {VALUE}",
        f"jdbc:oracle:thin:svc/{VALUE}@//db:1521/XE",
        f"/reset/MQ/0148138187-{'3f' * 16}/{VALUE}"[: -len(VALUE) - 1],
    ],
)
def test_a_value_that_stands_apart_from_its_name_is_found(text):
    redacted = REDACTOR.redact_text(text)
    assert VALUE not in redacted
    assert "3f3f3f" not in redacted
    assert VALUE[4:] not in redacted
    assert "[redacted:" in redacted
    assert REDACTOR.redact_text(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [
        '(0.001) SELECT "auth_user"."id", "auth_user"."password", "auth_user"."last_login" FROM "auth_user" LIMIT 21',
        "changed fields: ['password', 'last_login']",
        "changed fields: ['email', 'phone']",
        "PASSWORD_HASHERS = ['django.contrib.auth.hashers.Argon2PasswordHasher']",
        "CSRF_COOKIE_AGE=31449600",
        "SESSION_COOKIE_SAMESITE: Lax",
        "password: This field is required.",
        "pin: campo em falta",
        "senha: campo obrigatório",
        "nome do ficheiro: pauta_40.pdf",
        "palavra-chave de pesquisa: dinossauros",
        "tokens used: 5646 of 43502",
        "?sort=-criado_em&sig=1&v=7",
        "order 269265415 was shipped",
        "    token = get_token(request)",
        '    api_key = os.environ["API_KEY"]',
        "    user = authenticate(request, username=username, password=password)",
        "cat /etc/passwd | base64",
        "user=ana pass=[redacted:password] host=x",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert REDACTOR.redact_text(text) == text


class Form(NamedTuple):
    """A form as an application keeps it."""

    password: str
    ok: bool


def written(logger, make_handler, *arguments, **options):
    handler = make_handler()
    logger.addHandler(handler)
    logger.warning(*arguments, **options)
    logger.removeHandler(handler)
    return handler.lines[0]


def in_event():
    class Handler(logging.Handler):
        lines = []  # noqa: RUF012 - of one call

        def emit(self, record):
            self.lines.append(formatter.format(record))

    formatter = EventFormatter()
    Handler.lines = []
    return Handler()


def in_plain_text():
    class Handler(logging.Handler):
        def emit(self, record):
            self.lines.append(self.format(record))

    handler = Handler()
    handler.lines = []
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(RedactionFilter())
    return handler


@pytest.mark.parametrize("output", [in_event, in_plain_text])
def test_an_argument_with_a_name_is_treated_by_it(logger, output):
    line = written(logger, output, "user %(user)d chose %(senha)s, %(senha)r", {"user": 17, "senha": VALUE})
    assert VALUE not in line
    assert "user 17 chose [redacted:password], '[redacted:password]'" in line


def test_a_marker_is_no_number_so_the_message_comes_without_its_arguments(logger):
    event = json.loads(written(logger, in_event, "pin %(pin)d", {"pin": 4711}))
    assert event["message"] == "pin %(pin)d"
    assert event["extra"]["logging_error"] == "The message and its arguments do not fit: TypeError"
    assert "4711" not in event["message"]


def test_a_named_tuple_keeps_its_names_and_so_loses_what_they_name(logger):
    event = json.loads(
        written(logger, in_event, "saved", extra={"form": Form(VALUE, True), "forms": [Form(VALUE, False)]})
    )
    assert event["extra"] == {"form": {"ok": True}, "forms": [{"ok": False}]}


def test_pairs_and_fields_with_names_and_values(logger):
    extra = {
        "headers": [("Accept", "*/*"), ("X-Api-Key", VALUE)],
        "fields": [{"name": "password", "value": VALUE}, {"name": "turma", "value": "7.º B"}],
        "changed": ["password", "last_login"],
        "raw": {b"senha": VALUE, b"turma": 7},
    }
    event = json.loads(written(logger, in_event, "saved", extra=extra))
    assert event["extra"] == {
        "headers": [["Accept", "*/*"], ["X-Api-Key", "[redacted:secret]"]],
        "fields": [{"name": "password"}, {"name": "turma", "value": "7.º B"}],
        "changed": ["password", "last_login"],
        "raw": {"turma": 7},
    }


def test_a_key_under_a_name_that_may_mean_anything(logger):
    opaque = "90vv6izk8x3ed8uprnjzrrgzdyxkrkyr"
    extra = {"sessao": opaque, "session": 3, "key": "turma:7:horario", "hash": opaque}
    event = json.loads(written(logger, in_event, "saved", extra=extra))
    assert event["extra"] == {
        "sessao": "[redacted:token]",
        "session": 3,
        "key": "turma:7:horario",
        "hash": "[redacted:token]",
    }

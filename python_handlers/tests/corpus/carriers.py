"""The ways in which a secret gets into a log.

A carrier logs one item through a logger, by one call. Its own words are the same for every item and hold no figures of
three or more digits, so that a short code found in the output is the item's.
"""

from __future__ import annotations

import json
import linecache
import logging
import re
import urllib.parse
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from corpus.items import Item

Log = Callable[[logging.Logger, Item], None]


@dataclass(frozen=True)
class Carrier:
    """One way to log an item.

    Attributes:
        name: its key in ``CARRIERS``.
        log: logs the item by one call.
        excluded: kinds that make no sense in it, with the reason.

    """

    name: str
    log: Log
    excluded: Mapping[str, str] = field(default_factory=dict)

    def suits(self, item: Item) -> bool:
        """Say whether the item's kind makes sense in this carrier."""
        return item.kind not in self.excluded


CARRIERS: Final[dict[str, Carrier]] = {}

_LINES: Final = {"pem_private_key": "a line of a header or a URL holds no line breaks"}
_KEY: Final = dict.fromkeys(
    ("pem_private_key", "jwt", "bearer", "cookie", "azure_storage_key", "password_hash"),
    "keys are cut at 256 bytes, and what is longer is no key that anybody uses",
)
_REAL_HEADERS: Final = ("Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key")


def carrier(excluded: Mapping[str, str] | None = None) -> Callable[[Log], Log]:
    """Register a function as the carrier of its name."""

    def register(log: Log) -> Log:
        CARRIERS[log.__name__] = Carrier(log.__name__, log, dict(excluded or {}))
        return log

    return register


def _identifier(name: str) -> str:
    return name.replace("-", "_")


def _header(item: Item) -> str:
    """Return the header that would hold the item."""
    if item.field in _REAL_HEADERS:
        return item.field
    words = re.sub("(?<=[a-z])(?=[A-Z])", "_", _identifier(item.field)).split("_")
    return "X-" + "-".join(word.capitalize() for word in words)


def _body(item: Item) -> dict[str, Any]:
    return {"id": 17, "form": "matricula", "aluno": {item.field: item.value}, "aceite": True}


@carrier()
def message(logger: logging.Logger, item: Item) -> None:
    logger.warning("could not finish: " + item.text + " (attempt 2)")


@carrier()
def percent_args(logger: logging.Logger, item: Item) -> None:
    logger.warning("could not finish: %s (attempt %d)", item.text, 2)


@carrier()
def percent_repr(logger: logging.Logger, item: Item) -> None:
    logger.info(f"saved with {item.field}=%r by user %d", item.value, 17)


@carrier()
def dict_args(logger: logging.Logger, item: Item) -> None:
    logger.info("step %(step)d: %(what)s", {"step": 3, "what": item.text})


@carrier()
def fstring(logger: logging.Logger, item: Item) -> None:
    logger.error(f"pagamento por concluir [{item.text}], nova tentativa")


@carrier()
def extra_text(logger: logging.Logger, item: Item) -> None:
    logger.info("form refused", extra={"comment": item.text})


@carrier()
def extra_field(logger: logging.Logger, item: Item) -> None:
    logger.info("form refused", extra={item.field: item.value})


@carrier()
def nested_extra(logger: logging.Logger, item: Item) -> None:
    logger.info(
        "form refused", extra={"payload": {"pages": [{"page": 1}, {"page": 2, "answers": {item.field: item.value}}]}}
    )


@carrier()
def nested_text(logger: logging.Logger, item: Item) -> None:
    logger.info("steps done", extra={"steps": ["begin", ("checked", item.text), {"last": item.text}]})


@dataclass
class Submission:
    """A form as an application keeps it."""

    form: str
    answers: dict[str, str]


@carrier()
def dataclass_extra(logger: logging.Logger, item: Item) -> None:
    logger.info("form refused", extra={"submission": Submission("matricula", {item.field: item.value})})


@carrier()
def bytes_extra(logger: logging.Logger, item: Item) -> None:
    logger.info("odd answer", extra={"raw": f"begin {item.text} end".encode()})


@carrier()
def exception(logger: logging.Logger, item: Item) -> None:
    try:
        raise ValueError(f"cannot use {item.text} here")
    except ValueError:
        logger.exception("job failed")


@carrier()
def exception_dict(logger: logging.Logger, item: Item) -> None:
    try:
        raise ValueError({item.field: item.value, "form": "matricula"})
    except ValueError:
        logger.error("job failed", exc_info=True)


@carrier()
def chained_exception(logger: logging.Logger, item: Item) -> None:
    try:
        try:
            raise ConnectionError(item.text)
        except ConnectionError as cause:
            raise RuntimeError("the payment service is away") from cause
    except RuntimeError:
        logger.exception("job failed")


@carrier()
def source_line(logger: logging.Logger, item: Item) -> None:
    source = f"def call():\n    return submit({_identifier(item.field)}={item.value!r})\ncall()\n"
    name = f"<call {zlib.crc32(source.encode()):x}>"
    # Without a modification time the traceback takes the source from here.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        exec(compile(source, name, "exec"), {})  # noqa: S102 - the corpus's own source, to have its line in a traceback
    except NameError:
        logger.exception("job failed")


@carrier(_LINES)
def url_query(logger: logging.Logger, item: Item) -> None:
    query = urllib.parse.urlencode({"page": 2, item.field: item.value, "lang": "pt"}, quote_via=urllib.parse.quote)
    logger.warning(f"GET https://escola.example/api/pagamentos?{query} took too long")


@carrier(_LINES)
def header_line(logger: logging.Logger, item: Item) -> None:
    logger.warning(f"upstream got\r\nHost: api.example.org\r\n{_header(item)}: {item.value}\r\nAccept: */*\r\n")


@carrier(_LINES)
def headers_extra(logger: logging.Logger, item: Item) -> None:
    headers = {"Host": "api.example.org", _header(item): item.value, "Accept": "*/*"}
    logger.info("upstream answered", extra={"upstream": {"headers": headers}})


@carrier(_LINES)
def cookie_header(logger: logging.Logger, item: Item) -> None:
    pairs = f"{_identifier(item.field)}={urllib.parse.quote(item.value, safe='')}"
    if item.kind == "cookie":
        pairs = item.value
    logger.info(f"request with Cookie: theme=dark; {pairs}; lang=pt")


@carrier()
def json_body(logger: logging.Logger, item: Item) -> None:
    logger.info("body was %s", json.dumps(_body(item), ensure_ascii=False))


@carrier()
def json_escaped(logger: logging.Logger, item: Item) -> None:
    """The body with escapes where JSON allows but does not ask for them, as PHP and Java write it."""
    text = json.dumps(_body(item)).replace("/", "\\/")
    for char in "@&+'<>=":
        text = text.replace(char, f"\\u{ord(char):04x}")
    logger.info("body was %s", text)


@carrier()
def json_twice(logger: logging.Logger, item: Item) -> None:
    logger.info("queued " + json.dumps({"task": "send", "body": json.dumps(_body(item))}))


@carrier()
def form_body(logger: logging.Logger, item: Item) -> None:
    logger.info("POST data: " + urllib.parse.urlencode({"form": "matricula", item.field: item.value, "ok": "1"}))


@carrier()
def sql_literal(logger: logging.Logger, item: Item) -> None:
    quoted = item.value.replace("'", "''")
    assignment = f"{_identifier(item.field)} = '{quoted}'"
    logger.info("UPDATE escola_registo SET " + assignment + ", ativo = TRUE WHERE id = 17")  # noqa: S608 - for the log only


@carrier()
def sql_parameters(logger: logging.Logger, item: Item) -> None:
    statement = f'INSERT INTO "escola_registo" ("{_identifier(item.field)}", "id") VALUES (%s, %s)'  # noqa: S608 - as above
    logger.info(f"(0.01) {statement}; args=({item.value!r}, 17); alias=default")


class Payment:
    """An object whose text shows what it holds."""

    def __init__(self, item: Item) -> None:
        self.item = item

    def __repr__(self) -> str:
        return f"<Payment id=17 {self.item.field}={self.item.value!r} state='open'>"


@carrier()
def object_repr(logger: logging.Logger, item: Item) -> None:
    logger.info("cannot close %r", Payment(item))


@carrier(_KEY)
def dict_key(logger: logging.Logger, item: Item) -> None:
    logger.info("counted", extra={"counts": {"other": 4, item.text: 2}})


@carrier()
def multiline(logger: logging.Logger, item: Item) -> None:
    logger.warning(f"import stopped:\n  line 1: ok\n  line 2: {item.text}\n  line 3: ok\nnothing was saved")


@carrier()
def long_message(logger: logging.Logger, item: Item) -> None:
    """The secret is at the far end of 12 000 characters, and of 200 000 for one item of sixteen."""
    length = 200_000 if zlib.crc32(item.text.encode()) % 16 == 0 else 12_000
    words = "a turma foi importada sem erros; "
    logger.info(words * (length // len(words)) + item.text)

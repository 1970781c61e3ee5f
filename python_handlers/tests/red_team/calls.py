"""Ways to hand a name and a value to a logging call without writing them into a text first."""

from __future__ import annotations

import collections
import dataclasses
import enum
import http.cookies
import io
import logging
import os
import re
import types
import typing
from collections.abc import Callable
from typing import Any, Final
from unittest.mock import Mock

from corpus.items import Item

# Requests ask for the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_settings")

Call = Callable[[logging.Logger, str, str], None]
CALLS: Final[dict[str, Call]] = {}


def _call(function: Call) -> Call:
    CALLS[function.__name__] = function
    return function


def log(name: str, logger: logging.Logger, item: Item) -> None:
    """Log the item by the call of that name."""
    CALLS[name](logger, item.known_field or "x", item.value)


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name)


@_call
def percent_s_of_dict(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw %s", {name: value})


@_call
def percent_r_of_value(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning(f"{name}=%r user=%d", value, 3)


@_call
def name_and_value_are_arguments(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("%s: %s", name, value)


@_call
def named_argument(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning(f"saw %({name})s", {name: value})


@_call
def value_without_its_name_in_message(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw %(a)s", {"a": {"b": [{name: value}]}})


@_call
def bytes_argument(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw %s", f"{name}={value!r}".encode())


@_call
def bytes_value(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"form": {name: value.encode()}})


@_call
def bytes_key(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"form": {name.encode(): value}})


@_call
def bytearray_and_view(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"a": {name: bytearray(value.encode())}, "b": {name: memoryview(value.encode())}})


@_call
def deep_extra(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"a": [{"b": ({"c": {name: value}},)}]})


@_call
def very_deep_extra(logger: logging.Logger, name: str, value: str) -> None:
    whole: Any = {name: value}
    for _ in range(40):
        whole = {"d": [whole]}
    logger.warning("saw", extra={"a": whole})


@_call
def cyclic_extra(logger: logging.Logger, name: str, value: str) -> None:
    whole: dict[str, Any] = {name: value}
    whole["again"] = whole
    logger.warning("saw", extra={"a": whole})


@_call
def list_under_name(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"form": {name: [value, value]}})


@_call
def dict_under_name(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"form": {name: {"old": value, "new": value}}})


@_call
def pairs(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"headers": [("Accept", "*/*"), (name, value)]})


@_call
def name_and_value_fields(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"fields": [{"name": name, "value": value}]})


@_call
def containers(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning(
        "saw",
        extra={
            "a": collections.OrderedDict([(name, value)]),
            "b": types.MappingProxyType({name: value}),
            "c": collections.ChainMap({}, {name: value}),
            "d": collections.deque([{name: value}]),
            "e": collections.UserDict({name: value}),
            "f": frozenset([f"{name}={value!r}"]),
        },
    )


@_call
def namespace(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"a": types.SimpleNamespace(**{_word(name): value})})


@_call
def namespace_as_argument(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw %s", types.SimpleNamespace(**{_word(name): value}))


@_call
def named_tuple(logger: logging.Logger, name: str, value: str) -> None:
    made = collections.namedtuple("Form", [_word(name).strip("_"), "ok"])
    logger.warning("saw %s", made(value, True), extra={"form": made(value, True)})


@_call
def data_class(logger: logging.Logger, name: str, value: str) -> None:
    made = dataclasses.make_dataclass("Form", [(_word(name), str), ("ok", bool)], frozen=True)
    logger.warning("saw %s", made(value, True), extra={"form": made(value, True)})


@_call
def slotted_object(logger: logging.Logger, name: str, value: str) -> None:
    class Form:
        __slots__ = (_word(name),)

        def __repr__(self) -> str:
            return f"<Form {name}={value!r}>"

    form = Form()
    setattr(form, _word(name), value)
    logger.warning("saw %r", form, extra={"form": form, "forms": {"a": [form]}})


@_call
def enumeration(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"form": {name: enum.Enum("Choice", {"ONE": value}).ONE}})


@_call
def text_subclass(logger: logging.Logger, name: str, value: str) -> None:
    class Safe(str):
        __slots__ = ()

    logger.warning("saw %s", {Safe(name): Safe(value)}, extra={"form": {Safe(name): Safe(value)}})


@_call
def querydict(logger: logging.Logger, name: str, value: str) -> None:
    from django.http import QueryDict

    sent = QueryDict(mutable=True)
    sent.appendlist(name, value)
    logger.warning("saw %s", sent, extra={"form": sent})


@_call
def request(logger: logging.Logger, name: str, value: str) -> None:
    from django.http import HttpRequest, QueryDict

    made = HttpRequest()
    made.method, made.path = "POST", "/x"
    made.POST = QueryDict(mutable=True)
    made.POST[name] = value
    made.META = {"HTTP_X": "1", f"HTTP_{_word(name).upper()}": value, "SERVER_NAME": "a", "SERVER_PORT": "80"}
    made.COOKIES = {name: value}
    logger.warning(
        "saw %s", made, extra={"request": made, "meta": made.META, "cookies": made.COOKIES, "post": made.POST}
    )


@_call
def wsgi_environ(logger: logging.Logger, name: str, value: str) -> None:
    environ = {"REQUEST_METHOD": "GET", f"HTTP_{_word(name).upper()}": value, "wsgi.input": io.BytesIO(b"x")}
    logger.warning("saw", extra={"environ": environ})


@_call
def simple_cookie(logger: logging.Logger, name: str, value: str) -> None:
    cookie: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
    cookie[_word(name)] = value
    logger.warning("saw %s", cookie, extra={"cookie": cookie})


@_call
def argument_of_exception(logger: logging.Logger, name: str, value: str) -> None:
    try:
        raise ValueError("refused", {name: value})
    except ValueError:
        logger.exception("failed")


@_call
def exception_as_argument(logger: logging.Logger, name: str, value: str) -> None:
    logger.error("failed: %s / %r", KeyError(f"{name}={value!r}"), RuntimeError({name: value}))


@_call
def exception_in_extra(logger: logging.Logger, name: str, value: str) -> None:
    logger.error("failed", extra={"error_seen": ValueError({name: value})})


@_call
def during_handling(logger: logging.Logger, name: str, value: str) -> None:
    try:
        try:
            raise KeyError({name: value})
        except KeyError:
            raise RuntimeError("later") from ValueError(f"{name}: {value!r}")
    except RuntimeError:
        logger.exception("failed")


@_call
def hidden_context(logger: logging.Logger, name: str, value: str) -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise RuntimeError(f"{name}={value!r}") from None
    except RuntimeError:
        logger.exception("failed")


@_call
def exception_with_notes(logger: logging.Logger, name: str, value: str) -> None:
    error = ValueError("refused")
    error.__notes__ = [f"{name}={value!r}"]  # what add_note() does from 3.11 on
    try:
        raise error
    except ValueError:
        logger.exception("failed")


@_call
def exception_with_own_text(logger: logging.Logger, name: str, value: str) -> None:
    class RefusedError(Exception):
        def __str__(self) -> str:
            return f"{name} was refused: {value!r}" if name else ""

    try:
        raise RefusedError
    except RefusedError:
        logger.exception("failed: %s", name)


@_call
def line_of_source(logger: logging.Logger, name: str, value: str) -> None:
    import linecache

    source = f"configure({_word(name)}={value!r}, retries=missing)\n"
    linecache.cache["<red>"] = (len(source), None, [source], "<red>")
    try:
        exec(compile(source, "<red>", "exec"), {"configure": dict})  # noqa: S102 - our own source, for its line
    except NameError:
        logger.exception("failed")


@_call
def syntax_error(logger: logging.Logger, name: str, value: str) -> None:
    try:
        compile(f"{_word(name)} = {value!r} oops", "<red>", "exec")
    except SyntaxError:
        logger.exception("failed")


@_call
def text_in_extra(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"comment": f"{name}={value!r}", "comments": [f"{name}: {value!r}"]})


@_call
def name_of_field_is_text(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning(
        "saw", extra={"counts": {f"{name}={value!r}"[:200]: 1}} if len(value) < 150 else {"a": {name: value}}
    )


@_call
def prefix_and_case(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning(
        "saw", extra={"a": {f"old_{name}": value, name.upper(): value, f"user.{name}": value, f" {name} ": value}}
    )


@_call
def typed_dict(logger: logging.Logger, name: str, value: str) -> None:
    made = typing.TypedDict("made", {name: str})  # type: ignore[operator,misc]
    logger.warning("saw", extra={"form": made(**{name: value})})


@_call
def lazy_text(logger: logging.Logger, name: str, value: str) -> None:
    class Lazy:
        def __str__(self) -> str:
            return f"{name}={value!r}"

    logger.warning(Lazy(), extra={"lazy": Lazy()})


@_call
def mock_object(logger: logging.Logger, name: str, value: str) -> None:
    made = Mock()
    made.__repr__ = lambda self: f"<Mock {name}={value!r}>"  # type: ignore[method-assign,assignment]
    logger.warning("saw %r", made, extra={"mock": made})


@_call
def long_list(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning("saw", extra={"rows": [{"id": 1}] * 50 + [{name: value}] + [{"id": 2}] * 50})


@_call
def number(logger: logging.Logger, name: str, value: str) -> None:
    """As a number, where it is one: nothing in it says any more that it was a text."""
    logger.warning("saw", extra={"form": {name: int(value) if value.isdecimal() and value[0] != "0" else value}})


@_call
def number_in_message(logger: logging.Logger, name: str, value: str) -> None:
    logger.warning(f"saw {name}=%s", int(value) if value.isdecimal() and value[0] != "0" else repr(value))

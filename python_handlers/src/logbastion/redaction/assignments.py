"""Finds values behind their names and a sign: ``password=...``, ``"token": "..."``, ``Cookie: ...``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from logbastion.redaction.classification import Classification, Kind, folded
from logbastion.redaction.markers import MARK, Finding
from logbastion.redaction.prose import is_no_word

_SEPARATOR: Final = re.compile(r"=>|:=|==?|:(?!//)|\|")
_NAME_SIGNS: Final = "_.$%-"
_LONGEST_NAME: Final = 80
_CLOSING: Final = "\"'`\\ \t)]>*"
_OPENING: Final = re.compile(r"[ \t]{0,4}(?:[bBuUrRfF]{1,2}(?=['\"]))?(\\{0,4})([\"'`(\[{<]?)")
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}", "<": ">"}
_LOOK_BACK: Final = 80
# A password may hold quotes and brackets of its own: those end it that something follows which ends a value.
_END_OF_TOKEN: Final = re.compile(
    r"\s|[\"'`](?=[\s,;:)\]}>&]|$)|<(?=/[A-Za-z]|(?:br|p|li|td|div|span)\b)|[&;][\w.%\[\]\-]{1,64}=|,[\w.]{1,64}[=:]|[,;]\s|\\[nrt\"']|$"
)
_END_OF_PHRASE: Final = re.compile(r"[,;|&<>\"'\r\n\t)\]}]|\\[nrt\"']|\s[\w.\-]{1,64}[=:]|\s[-\u2013\u2014]\s|\.\s|$")
_END_OF_LINE: Final = re.compile(r"[\r\n]|[\"'](?=[\s,;:)\]}>&\"']|$)|\\[nr\"']|$")
_END_OF_HEADER: Final = re.compile(r"[\r\n]|\\[nr]|$")  # the value of an HTTP header ends with its line
# Without quotes, on a line of its own below "password:"; and behind "password|", where other names stand as often.
_ON_NEXT_LINE: Final = re.compile(
    r"[ \t]{0,4}(?:\r?\n|\\r\\n|\\n)[ \t]{0,16}([^\s\"'`\\]{3,256})[ \t]{0,4}(?=[\r\n\"']|\\[rn]|\Z)"
)
_BEHIND_BAR: Final = re.compile(r"([^\s|\"'`<>]{3,256})")
_BEHIND_SPACE: Final = re.compile(r"[ \t]{1,4}[\"'`]?([^\s\"'`]{3,256})")
_WORDS_OF_SOMEBODY: Final = 4
_SECRETS: Final = ("password", "secret", "session", "code", "card_check")
_PAIR: Final = re.compile(r"[\w.\-]{1,64}[=:]")
_CODE: Final = re.compile(r"\d{3,8}")
_BEHIND_QUOTE: Final = ("", *",}]):;&>. \t\r\n'\"\\")
_ITEM: Final = re.compile(r"[\s,]{0,8}[bBuUrR]{0,2}(\\{0,4})([\"'])")
_MOST_LISTED: Final = 64
_DIGITS: Final = re.compile(r"[\d \-.xX*\u2022]{3,40}")
_SURNAME_FIRST: Final = re.compile(
    r"[A-Z\u00c0-\u00de][\w\u00c0-\u024f'\-]{1,40},[ +](?=[A-Z\u00c0-\u00de][a-z\u00df-\u024f])"
)
_TRAILING: Final = ",;.)]} \t"
_LONGEST_PHRASE: Final = 200

_FEWEST_DIGITS: Final = 4
# "password: This field is required.", "pin: campo em falta"
_COMPLAINT: Final = re.compile(
    r"(?i)[ \t](?:this|that|may|must|should|cannot|please|enter|ensure|the|a|an|no|field|value|campo|este|esta|o"
    r"|indique|introduza|use|too|obrigat[o\u00f3]ri[ao]|inv[a\u00e1]lid[ao])[ \t]"
    r"(?=[A-Za-z\u00c0-\u024f]{2,24}(?![^\s.,:;!?]))"
)
# A line of a program, as tracebacks show it: "    token = get_token(request)". Only without a text in quotes.
_INDENTED: Final = re.compile(r"[ ]{4,40}[^\s\"'][^\r\n\"']{0,160}\Z")
_EXPRESSION: Final = re.compile(
    r"[ ]?(?:await )?([A-Za-z_]{2,40}(?:\.[A-Za-z_]{2,40}){0,6})([(\[.,)]?)"
    r"(?:[\"'][A-Z_]{2,40}[\"'])?[^\"'\r\n]{0,200}(?=[\r\n]|\Z)"
)
_NOTHING: Final = frozenset(
    {
        *("none", "null", "nil", "true", "false", "yes", "no", "sim", "nao", "ok", "n/a", "-"),
        *("must", "should", "cannot", "can", "not", "is", "include", "omit", "same-origin"),
        *("empty", "missing", "required", "invalid", "expired", "undefined", "unknown", "redacted"),
        *("***", "****", "*****", "********", "<redacted>", "[filtered]"),
    }
)
# Names that may mean anything; a secret if what follows is long and no word.
_MAYBE: Final = re.compile(r"(?i)(?<![A-Za-z])(?:key|chave|hash|code|ticket|state|nonce|k|h|s|t|c)[\"']?\s?\Z")
_SIGNATURE: Final = re.compile(
    r"(?i)(?<![A-Za-z])(?:signature|assinatura|sign|auth|hmac|mac|sess\u00e3o|sessao|session|sess)[\"']?\s?\Z"
)
_SIGNED: Final = re.compile(r"\s?[\"']?((?=[A-Za-z+/=_\-]{0,40}[0-9])[A-Za-z0-9+/=_\-:.]{20,})")
_SHORT_SIGNATURE: Final = re.compile(r"((?=[A-Za-z+/_\-]{0,40}[0-9])[A-Za-z0-9+/=_\-:.%]{6,})")
_OPAQUE: Final = re.compile(
    r"\s?[\"']?((?=[A-Za-z0-9_\-]{0,40}[0-9])(?=[A-Za-z0-9_\-]{0,40}[A-Z])(?=[A-Za-z0-9_\-]{0,40}[a-z])[A-Za-z0-9_\-]{20,})"
)
_OF: Final = frozenset({"do", "da", "de", "dos", "das", "of", "for"})
# "nome do ficheiro: ..." names no person, "palavra-chave de pesquisa: ..." opens no door.
_THINGS: Final = frozenset(
    {
        *("turma", "ficheiro", "tarefa", "pesquisa", "disciplina", "escola", "curso", "campo", "tabela", "coluna"),
        *("evento", "servico", "documento", "pasta", "grupo", "modelo", "variavel", "produto", "sala", "refeicao"),
        *("file", "task", "class", "school", "course", "field", "table", "column", "event", "service", "group"),
    }
)
_QUALIFIERS: Final = frozenset(
    {
        *("provisoria", "temporaria", "nova", "novo", "atual", "actual", "antiga", "antigo", "inicial", "mestra"),
        *("temporary", "new", "old", "current", "initial", "given", "used", "value", "valor", "hash"),
        *("is", "was", "e", "era", "foi", "sera"),
    }
)
_HEADER: Final = re.compile(r"(?:\A|[\r\n'\"]|\\[rn])[A-Za-z][A-Za-z0-9]{0,30}-[A-Za-z0-9\-]{1,60}\Z")
_QUERY_NAME: Final = re.compile(r"[?&][\w.%\[\]\-]{1,64}\Z")
_QUERY_VALUE: Final = re.compile(r"[^&=\r\n\[]{1,128}(?=&[\w.%\[\]\-]{1,64}=)")
_FARTHEST_CLOSER: Final = 4096


def find_assignments(text: str, classification: Classification) -> Iterator[Finding]:
    """Yield values behind a name and ``=`` or ``:``. To be asked of texts that have one of them."""
    after = 0
    for separator in _SEPARATOR.finditer(text):
        if separator.start() < after:
            continue
        kind = _named_before(text, separator.start(), classification)
        if kind is None:
            far = _of_somebody(text, separator, classification)
            if far is not None:
                after = far.end
                yield far
                continue
            opaque = _opaque(text, separator)
            if opaque and separator.group() != "|":
                after = opaque.end()
                yield Finding(opaque.start(1), opaque.end(1), "secret")
            continue
        start = separator.start()
        if separator.group() == "=" and _is_code(text, separator):
            continue
        if separator.group() == ":" and _COMPLAINT.match(text, separator.end()):
            continue
        if separator.group() == ":" and _HEADER.search(text, max(0, start - 96), start):
            kind = replace(kind, value="header")
        if separator.group() == "|":
            found = _plain_word(_BEHIND_BAR.match(text, separator.end()), kind)
        else:
            found = _in_query(text, separator, kind) or _value(text, separator.end(), kind)
            found = found or _plain_word(_ON_NEXT_LINE.match(text, separator.end()), kind)
        if found is not None:
            after = found.end
            yield found


def _opaque(text: str, separator: re.Match[str]) -> re.Match[str] | None:
    """Return what looks like a key behind a name that may mean anything."""
    name = (text, max(0, separator.start() - 12), separator.start())
    maybe = _MAYBE.search(*name)
    if maybe:
        in_url = text[maybe.start() - 1 : maybe.start()] in ("?", "&", "#", ";")
        return (_SIGNED if in_url else _OPAQUE).match(text, separator.end())
    signature = _SIGNATURE.search(*name)
    if signature is None:
        return None
    in_url = text[signature.start() - 1 : signature.start()] in ("?", "&")
    return (_SHORT_SIGNATURE if in_url else _SIGNED).match(text, separator.end())


def _named_before(text: str, place: int, classification: Classification) -> Kind | None:
    end = place
    floor = max(0, place - 8)
    while end > floor and text[end - 1] in _CLOSING:
        end -= 1
    words = _words_before(text, end)
    if not words:
        return None
    kind = classification.kind_of(words[-1])
    while kind is None and len(words) > 1 and folded(words[-1]) in _QUALIFIERS:
        words.pop()
        # "tokens used: 120" counts them.
        kind = classification.kind_of(words[-1]) if folded(words[-1]) != "tokens" else None
    if kind is None and len(words) > 2 and folded(words[-2]) in _OF and folded(words[-1]) not in _THINGS:  # noqa: PLR2004 - "senha do aluno: ..."
        kind = classification.kind_of(words[-3])
    if kind is None and len(words) > 1:
        kind = next(
            (found for count in range(2, len(words) + 1) if (found := classification.kind_of_phrase(words[-count:]))),
            None,
        )
    return kind if kind is not None and kind.in_text and kind.treatment != "keep" else None


def _of_somebody(text: str, separator: re.Match[str], classification: Classification) -> Finding | None:
    """Return what looks like a password behind ``Password for user ana: ...``."""
    if separator.group() != ":":
        return None
    words = _words_before(text, separator.start())
    if len(words) < _WORDS_OF_SOMEBODY or folded(words[-3]) not in _OF or folded(words[-1]) in _THINGS:
        return None
    kind = classification.kind_of(words[-4])
    value = _BEHIND_SPACE.match(text, separator.end())
    return _plain_word(value, kind) if kind is not None and kind.in_text and value is not None else None


def _words_before(text: str, end: int) -> list[str]:
    """Return the name that ends there, and up to three words before it."""
    floor = max(0, end - _LONGEST_NAME)
    start = end
    while start > floor and (text[start - 1].isalnum() or text[start - 1] in _NAME_SIGNS):
        start -= 1
    if start == end:
        return []
    words = [text[start:end]]
    if text[start - 1 : start] in (" ", "\t"):
        words = [*text[max(0, start - _LOOK_BACK) : start].rsplit(None, 3)[-3:], *words]
    return words


def _is_code(text: str, separator: re.Match[str]) -> bool:
    """Say whether a line of a program assigns what another name holds: there is no secret in it."""
    value = _EXPRESSION.match(text, separator.end())
    if value is None:
        return False
    floor = max(0, separator.start() - 201)
    begin = max(text.rfind("\n", floor, separator.start()) + 1, floor)
    if not _INDENTED.match(text, begin, separator.start()):
        return False
    name = value.group(1)
    return bool(value.group(2) in ("(", "[") or "." in name or _words_before(text, separator.start())[-1:] == [name])


def _plain_word(match: re.Match[str] | None, kind: Kind) -> Finding | None:
    """Return what stands where a value may stand or something else: if it looks like one, and no word or pair."""
    if match is None or kind.kind not in _SECRETS or _PAIR.match(match.group(1)):
        return None
    value = match.group(1)
    if kind.kind in ("code", "card_check"):
        is_value = _CODE.fullmatch(value) is not None
    else:
        is_value = not value.startswith(MARK) and is_no_word(value, kind.kind)
    return _trimmed(match.string, match.start(1), match.end(1), kind) if is_value else None


def _in_query(text: str, separator: re.Match[str], kind: Kind) -> Finding | None:
    """Return a value between ``?name=`` or ``&name=`` and the next ``&other=``: there it may hold spaces."""
    if separator.group() != "=" or not _QUERY_NAME.search(text, max(0, separator.start() - 66), separator.start()):
        return None
    value = _QUERY_VALUE.match(text, separator.end())
    return _trimmed(text, separator.end(), value.end(), kind) if value else None


def _value(text: str, place: int, kind: Kind) -> Finding | None:
    opening = _OPENING.match(text, place)
    if opening is None:
        return None
    backslashes, quote = opening.groups()
    start = opening.end()
    if backslashes and not quote:
        start = opening.start(1)
        quote = ""
    if text.startswith(MARK, start):
        return None
    if quote and quote in "\"'`":
        return _quoted(text, start, len(backslashes), quote, kind)
    if quote in ("(", "["):
        listed = _listed(text, start, kind)
        if listed is not None:
            return listed
    if quote and kind.value not in ("line", "header", "email"):
        closing = text.find(_CLOSERS[quote], start, start + _FARTHEST_CLOSER)
        end = closing if closing >= 0 else _end_of(text, start, kind)
    else:
        end = _end_of(text, start, kind)
    return _trimmed(text, start, end, kind)


def _listed(text: str, start: int, kind: Kind) -> Finding | None:
    """Return all of a list of quoted texts: a bracket inside one of them does not end the list."""
    first, last = -1, start
    for _ in range(_MOST_LISTED):
        opening = _ITEM.match(text, last)
        if opening is None:
            break
        item = _quoted(text, opening.end(), len(opening.group(1)), opening.group(2), kind)
        if first < 0:
            first = opening.start(1)
        last = opening.end() if item is None else item.end
        last += len(opening.group(1)) + 1
    return Finding(first, min(last, len(text)), kind.kind) if first >= 0 else None


def _quoted(text: str, start: int, level: int, quote: str, kind: Kind) -> Finding | None:
    """Return what lies between quotes; one that is escaped inside does not end it.

    Args:
        text: in which it lies.
        start: behind the opening quote.
        level: how many backslashes the quotes have themselves: 1 in JSON inside a string, 3 in JSON inside that.
        quote: the sign.
        kind: of the name before.

    """
    place = text.find(quote, start)
    while place >= 0:
        backslashes = 0
        while place - backslashes > start and text[place - backslashes - 1] == "\\":
            backslashes += 1
        # An escaped quote has twice as many and one more; each escaped backslash before it adds a multiple.
        if backslashes % (2 * (level + 1)) == level:
            if level == 0 and backslashes and text[place + 1 : place + 2] not in _BEHIND_QUOTE:  # JSON in a repr
                place = text.find(quote, place + 1)
                continue
            if level == 0 and place > start and text[place + 1 : place + 2] == quote:  # doubled: SQL, CSV
                place = text.find(quote, place + 2)
                continue
            end = place - level
            return Finding(start, end, kind.kind) if end > start else None
        place = text.find(quote, place + 1)
    # It was cut off, or begins something else: to the end of the line.
    return _trimmed(text, start, _END_OF_HEADER.search(text, start).start(), kind)  # type: ignore[union-attr]


def _end_of(text: str, start: int, kind: Kind) -> int:
    if kind.value == "header":
        pattern = _END_OF_HEADER
    elif kind.value == "line":
        pattern = _END_OF_LINE
    elif kind.value == "phrase":
        pattern = _END_OF_PHRASE
        if kind.kind == "name" and (surname := _SURNAME_FIRST.match(text, start)):
            start = surname.end()
    elif kind.value == "digits":
        digits = _DIGITS.match(text, start)
        return digits.end() if digits else _END_OF_TOKEN.search(text, start).start()  # type: ignore[union-attr]
    else:
        pattern = _END_OF_TOKEN
    found = pattern.search(text, start)
    end = found.start() if found else len(text)
    if pattern is _END_OF_LINE:
        end = _behind_quoted(text, start, end)
    return min(end, start + _LONGEST_PHRASE) if kind.value == "phrase" else end


def _behind_quoted(text: str, start: int, end: int) -> int:
    """Return the end of a line of pairs, in which ``name="..."`` does not end it (RFC 6265, 4.1.1)."""
    while end > start and text[end : end + 1] == '"' and text[end - 1] == "=":
        closing = text.find('"', end + 1, end + _FARTHEST_CLOSER)
        if closing < 0:
            return end
        found = _END_OF_LINE.search(text, closing + 1)
        end = found.start() if found else len(text)
    return end


def _trimmed(text: str, start: int, end: int, kind: Kind) -> Finding | None:
    while end > start and text[end - 1] in _TRAILING:
        end -= 1
    while start < end and text[start] in " \t":
        start += 1
    if start >= end or _says_nothing(text[start:end], kind):
        return None
    return Finding(start, end, kind.kind)


def _says_nothing(value: str, kind: Kind) -> bool:
    plain = folded(value)
    if plain in _NOTHING or plain.startswith(("nao ", "not ", "sem ")):
        return True
    if plain.isdigit() and len(plain) < _FEWEST_DIGITS and kind.kind in ("secret", "session"):
        return True  # "?sig=1", "token: 3"
    # "E-mail: ..." in prose is followed by an address or by words; the address is found for itself.
    return kind.value == "email" and "@" not in value and "%40" not in value

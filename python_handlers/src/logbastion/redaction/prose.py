"""Finds what a sentence gives away: ``a senha é ...``, ``your code is ...``, ``cvv 123``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from logbastion.redaction.classification import folded
from logbastion.redaction.markers import MARK, Finding

_LETTERS: Final = "A-Za-z\u00c0-\u024f"
_ACCESS: Final = (
    "verifica[c\u00e7][a\u00e3]o|confirma[c\u00e7][a\u00e3]o|acesso|autentica[c\u00e7][a\u00e3]o|sms|entrada|login"
    "|utiliza[c\u00e7][a\u00e3]o [u\u00fa]nica"
)
_NAMES: Final = (
    *("passwords?", "passwd", "pwd", "passphrase", "passcode", "senhas?", "palavras?[ \\-]passe", "segredo", "secret"),
    *("api[ \\-]key", "chave(?: da| de)? api", "tokens?", "session(?: id| key)?", "cookie"),
    *("cvv2?", "cvc2?", "c[o\u00f3]digo de seguran[c\u00e7]a", "security code"),
    *("otp", "totp", "pin", "2fa(?: code)?", "mfa(?: code)?", "one[ \\-]time (?:code|password|passcode)"),
    *("(?:verification|confirmation|login|auth(?:entication)?) code", "security pin"),
    f"c[o\u00f3]digo(?: (?:de|do|da) (?:{_ACCESS})| sms| otp)?",
    "code",
)
_NAME: Final = re.compile(rf"(?i)(?<![{_LETTERS}])({'|'.join(_NAMES)})(?![{_LETTERS}])")
_JOINS: Final = (
    *("is", "was", "are", "\u00e9", "e", "era", "foi", "of", "for", "set to", "changed to", "alterada para"),
    *("definida como", "para", ":", "=", "->", "with", "com", "no", "number", "n\\.?\u00ba", "user", "utilizador"),
)
_QUALIFIERS: Final = (
    *("provis[o\u00f3]ria", "tempor[a\u00e1]ria", "nova", "novo", "actual", "atual", "antiga", "inicial"),
    *("temporary", "new", "old", "current", "initial"),
)
_JOIN: Final = re.compile(
    rf"(?i)(?:[ \t](?:{'|'.join(_QUALIFIERS)}))?[ \t:]{{1,3}}(?:(?:{'|'.join(_JOINS)})[ \t]{{1,3}}){{0,3}}[\"'`(\[]?"
)
_NEXT: Final = re.compile(r"[^\s\"'`]{3,256}")
_CODE: Final = re.compile(r"(?<!\d)\d{3}[ \-]?\d{0,5}(?!\w|%|[.,:/\-]\d)")
_CODE_FIRST: Final = re.compile(
    rf"(?i)(?<![\w.,/:%-])(\d{{3,4}}[ \-]?\d{{0,4}}) (?:is|as|\u00e9|como) (?:your|the|o|o seu|o teu|seu|teu) "
    rf"(?:[{_LETTERS}\-]{{1,20}} ){{0,3}}(?:code|c[o\u00f3]digo|pin|otp|passcode)\b"
)
_CODE_NAMES: Final = ("code", "codigo")
_SENT_TO_SOMEBODY: Final = re.compile(
    r"(?i)\b(?:your|seu|sua|teu|login|log-in|sign-?in|sms|enviado|enter|introduza|insira|use)\b"
)
_OTHER_CODES: Final = (
    *("status", "error", "erro", "exit", "return", "response", "resposta", "http", "postal", "zip", "barras", "bar"),
    *(
        "country",
        "pa[i\u00ed]s",
        "produto",
        "product",
        "color",
        "cor",
        "area",
        "source",
        "reason",
        "motivo",
        "promo\\w*",
    ),
    *(
        "desconto",
        "discount",
        "turma",
        "curso",
        "course",
        "disciplina",
        "aluno",
        "escola",
        "school",
        "fonte",
        "retorno",
    ),
    *("estado", "de erro"),
)
_OTHER_CODE: Final = re.compile(rf"(?i)(?<![{_LETTERS}])(?:{'|'.join(_OTHER_CODES)})[ \t]*\Z")
_WORD: Final = re.compile(rf"[{_LETTERS}]+[.,:;!?)]*")
_TRAILING: Final = ",;.)]} \t"
_SIGNS: Final = "!@#$%^&*+=?~"
_SHORTEST: Final = 4
_SHORTEST_TOKEN: Final = 8
_KINDS: Final = (
    (("passw", "pwd", "passp", "passc", "senha", "palavra", "segredo", "secret"), "password"),
    (("api", "chave", "token"), "secret"),
    (("session", "cookie"), "session"),
    (("cvv", "cvc", "codigo de seg", "security code"), "card_check"),
)


def find_prose(text: str) -> Iterator[Finding]:
    """Yield what stands behind its name without a sign between them. To be asked of texts with such a name."""
    for match in _CODE_FIRST.finditer(text):
        yield Finding(match.start(1), match.end(1), "code")
    for name in _NAME.finditer(text):
        word = folded(name.group(1))
        join = _JOIN.match(text, name.end())
        start = join.end() if join else name.end()
        if start == name.end() and text[start : start + 1] not in ("(", "[", '"', "'"):
            continue
        kind = next((kind for begins, kind in _KINDS if word.startswith(begins)), "code")
        if kind in ("code", "card_check"):
            code = _CODE.match(text, start)
            if code and _is_code(text, name, word):
                yield Finding(code.start(), code.end(), kind)
            continue
        following = _NEXT.match(text, start)
        if following and not following.group().startswith(MARK) and _is_no_word(following.group(), kind):
            end = following.end()
            while end > start and text[end - 1] in _TRAILING:
                end -= 1
            yield Finding(start, end, kind)


def _is_code(text: str, name: re.Match[str], word: str) -> bool:
    if word not in _CODE_NAMES:
        return True
    before = text[max(0, name.start() - 40) : name.start()]
    if _OTHER_CODE.search(before):
        return False
    return bool(_SENT_TO_SOMEBODY.search(before) or _SENT_TO_SOMEBODY.search(text[name.end() : name.end() + 60]))


def _is_no_word(candidate: str, kind: str) -> bool:
    """Tell a secret from the next word of the sentence: it has a digit or a sign inside, or letters of both cases."""
    word = candidate.rstrip(_TRAILING + "!?:")
    if len(word) < _SHORTEST or word.startswith(("/", "http")):
        return False
    if word.isdigit():
        return kind == "password"
    if _WORD.fullmatch(word):
        return kind != "password" and not (word.islower() or word.istitle() or word.isupper())
    has_digit = any(character.isdigit() for character in word)
    if kind == "password":
        return has_digit or any(character in _SIGNS for character in word)
    signs = sum(not character.isalnum() for character in word)
    return has_digit and len(word) >= _SHORTEST_TOKEN and signs <= len(word) // 3

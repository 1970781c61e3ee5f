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
    *("api[ \\-]key", "chave(?: da| de)? api", "tokens?", "session(?:[ _]?id|[ _]key)?", "cookie"),
    *("cvv2?", "cvc2?", "c[o\u00f3]digo de seguran[c\u00e7]a", "security code"),
    *("otp", "totp", "pin", "2fa(?: code)?", "mfa(?: code)?", "one[ \\-]time (?:code|password|passcode)"),
    *("(?:verification|confirmation|login|auth(?:entication)?) code", "security pin"),
    f"c[o\u00f3]digo(?: (?:de|do|da) (?:{_ACCESS})| sms| otp)?",
    "code",
    *("tel(?:efone|em[o\u00f3]vel|m|f)?", "phone(?: number)?", "contact(?:o|o telef[o\u00f3]nico)?"),
)
_NAME: Final = re.compile(rf"(?i)(?<![{_LETTERS}])({'|'.join(_NAMES)})(?![{_LETTERS}])")
_JOINS: Final = (
    *(
        "is",
        "was",
        "are",
        "\u00e9",
        "e",
        "era",
        "foi",
        "of",
        "for",
        "from",
        "to",
        "set to",
        "changed to",
        "changed from",
    ),
    *(
        "alterada para",
        "alterada de",
        "definida como",
        "para",
        ":",
        "=",
        "->",
        "with",
        "com",
        "no",
        "number",
        "n\\.?\u00ba",
    ),
    *("user", "utilizador"),
)
_QUALIFIERS: Final = (
    *("provis[o\u00f3]ria", "tempor[a\u00e1]ria", "nova", "novo", "actual", "atual", "antiga", "inicial"),
    *("temporary", "new", "old", "current", "initial"),
    *("dele", "dela", "deles", "delas"),
)
_JOIN: Final = re.compile(
    rf"(?i)\.?(?:[ \t](?:{'|'.join(_QUALIFIERS)})|(?P<whose>(?:[ \t]d[aoe]s? [{_LETTERS}]{{1,20}}){{1,2}}))?"
    rf"[ \t:]{{1,3}}(?:(?:{'|'.join(_JOINS)})[ \t]{{1,3}}){{0,3}}[\"'`(\[]?"
)
_NEXT: Final = re.compile(r"[^\s\"'`]{3,256}")
_CODE: Final = re.compile(r"(?<!\d)\d{3}[ \-]?\d{0,5}(?!\w|%|[.,:/\-]\d)")
_CODE_FIRST: Final = re.compile(
    rf"(?i)(?<![\w.,/:%-])(?:[A-Z]-)?(\d{{3,4}}[ \-]?\d{{0,4}}) (?:is|as|\u00e9|como) "
    rf"(?:your|the|o|o seu|o teu|seu|teu) "
    rf"(?:[{_LETTERS}\-]{{1,20}} ){{0,3}}(?:code|c[o\u00f3]digo|pin|otp|passcode)\b"
)
_PHONE: Final = re.compile(r"\+?\(?\d(?:[ .\-()]{0,3}\d){6,14}(?![\w])")
_COPULAS: Final = re.compile(r"(?i)(?:is|was|\u00e9|era|foi|to|para|=|:|->)[ \t]{1,3}[\"'`(\[]?\Z")
_SAID_OF_PASSWORDS: Final = frozenset(
    {
        *("required", "invalid", "incorrect", "wrong", "weak", "missing", "empty", "correct", "valid", "too", "not"),
        *("the", "same", "different", "unset", "reset", "blank", "none", "null", "now", "about", "your", "their"),
        *("his", "her", "safe", "secure", "strong", "short", "long", "old", "new", "never", "only", "that", "this"),
        *("and", "continue", "log", "login", "proceed", "change", "access", "enter", "sign", "confirm", "email"),
        *("user", "users", "invalida", "obrigatoria", "incorreta", "incorrecta", "errada", "fraca", "valida"),
        *("correta", "diferente", "igual", "muito", "demasiado", "segura", "curta", "longa", "nula", "vazia", "sua"),
        *("mesma", "nova", "antiga", "sempre", "nunca", "necessaria", "entrar", "aceder", "continuar", "confirmar"),
        *("esta", "essa", "todos", "cada", "campo", "campos", "field", "fields", "este", "please", "should", "cannot"),
    }
)
_PARTICIPLES: Final = ("ed", "ing", "ada", "adas", "ado", "ida", "ido", "able", "vel", "ous", "ory", "orio", "oria")
_AND_THEN: Final = re.compile(r"(?i)[\"']?[ \t](?:to|para|->|por|=>)[ \t][\"']?([^\s\"']{3,256})")
_SIX_DIGITS: Final = re.compile(r"(?:[ \t](?:is|\u00e9))?:?[ \t]\d{3}[ \-]?\d{3}(?![\w%]|[.,:/\-]\d)")
_CODE_NAMES: Final = ("code", "codigo")
_SENT_TO_SOMEBODY: Final = re.compile(
    r"(?i)\b(?:your|seu|sua|teu|login|log-in|sign-?in|sms|enviado|enter|introduza|insira|use|entrar|aceder|confirmar|validar|autenticar)\b"
)
_OTHER_CODES: Final = (
    *("status", "error", "erro", "exit", "return", "response", "resposta", "http", "postal", "zip", "barras", "bar"),
    *("country", "pa[i\u00ed]s", "produto", "product", "color", "cor", "area", "source", "reason", "motivo"),
    *("promo\\w*", "desconto", "discount", "turma", "curso", "course", "disciplina", "aluno", "escola", "school"),
    *("fonte", "retorno", "estado", "de erro"),
)
_OTHER_CODE: Final = re.compile(rf"(?i)(?<![{_LETTERS}])(?:{'|'.join(_OTHER_CODES)})[ \t]*\Z")
_WORD: Final = re.compile(rf"[{_LETTERS}]+[.,:;!?)]*")
_CAMEL: Final = re.compile(r"(?:[a-z\u00df-\u024f]{2,40})?(?:[A-Z]{1,4}[a-z\u00df-\u024f]{2,40}){1,8}[A-Z]{0,4}")
_NO_LETTERS: Final = re.compile(rf"[^{_LETTERS}]+")
_KEY_WITH_SLASH: Final = re.compile(r"/[A-Za-z0-9+/]{37,88}={0,2}")
_USER_AND_PASSWORD: Final = re.compile(
    r"(?i)\b(?:credentials?|credenciais|login|log in|logged in|sign in|entrar|auth)[ \t:]{1,2}"
    r"(?:(?:with|as|com|como)[ \t])?[\w.@+\-]{1,64}[:/]([^\s:/\"']{4,128})"
)
_TRAILING: Final = ",;.)]} \t"
_SIGNS: Final = "!@#$%^&*+=?~"
_SHORTEST: Final = 4
_SHORTEST_TOKEN: Final = 8
_LONGEST_QUOTE: Final = 256
_KINDS: Final = (
    (("passw", "pwd", "passp", "passc", "senha", "palavra", "segredo", "secret"), "password"),
    (("api", "chave", "token"), "secret"),
    (("session", "cookie"), "session"),
    (("cvv", "cvc", "codigo de seg", "security code"), "card_check"),
    (("tel", "phone", "contact"), "phone"),
)


def find_prose(text: str) -> Iterator[Finding]:
    """Yield what stands behind its name without a sign between them. To be asked of texts with such a name."""
    for match in _CODE_FIRST.finditer(text):
        yield Finding(match.start(1), match.end(1), "code")
    for pair in _USER_AND_PASSWORD.finditer(text):
        if is_no_word(pair.group(1), "password"):
            yield Finding(pair.start(1), pair.end(1), "password")
    for name in _NAME.finditer(text):
        word = folded(name.group(1))
        join = _JOIN.match(text, name.end())
        start = join.end() if join else name.end()
        if start == name.end() and text[start : start + 1] not in ("(", "[", '"', "'"):
            continue
        if join and join["whose"] and not _COPULAS.search(text, name.end(), start):
            continue  # "a senha do utilizador 17 expira"
        kind = next((kind for begins, kind in _KINDS if word.startswith(begins)), "code")
        if kind == "phone":
            number = _PHONE.match(text, start)
            if number:
                yield Finding(number.start(), number.end(), kind)
        elif kind in ("code", "card_check"):
            code = _CODE.match(text, start)
            if code and _is_code(text, name, word):
                yield Finding(code.start(), code.end(), kind)
        else:
            yield from _secret_words(text, name.end(), start, kind)


def _secret_words(text: str, after_name: int, start: int, kind: str) -> Iterator[Finding]:
    """Yield the word behind the name of a secret, and the one that it was changed to."""
    opening = text[start - 1]
    if kind == "password" and opening in "\"'`" and text[start : start + len(MARK)] != MARK:
        closing = text.find(opening, start, start + _LONGEST_QUOTE)
        if closing > start:
            yield Finding(start, closing, kind)
            return
    following = _NEXT.match(text, start)
    if following is None or following.group().startswith(MARK):
        return
    said = bool(_COPULAS.search(text, after_name, start))
    if not is_no_word(following.group(), kind) and not (
        kind == "password" and said and may_be_a_password(following.group())
    ):
        return
    end = following.end()
    while end > start and text[end - 1] in _TRAILING:
        end -= 1
    yield Finding(start, end, kind)
    then = _AND_THEN.match(text, end)
    if then and is_no_word(then.group(1), kind):
        yield Finding(then.start(1), then.end(1), kind)


def may_be_a_password(following: str) -> bool:
    """Tell "the password is dragon" from "the password is required": not by a word that is said of passwords."""
    word = folded(following.rstrip(_TRAILING + "!?:"))
    if len(word) <= _SHORTEST or not word.replace("_", "").isalpha() or word in _SAID_OF_PASSWORDS:
        return False
    return not word.endswith(_PARTICIPLES)


def _is_code(text: str, name: re.Match[str], word: str) -> bool:
    if word not in _CODE_NAMES:
        return True
    before = text[max(0, name.start() - 40) : name.start()]
    if _OTHER_CODE.search(before):
        return False
    if _SIX_DIGITS.match(text, name.end()):
        return True
    return bool(_SENT_TO_SOMEBODY.search(before) or _SENT_TO_SOMEBODY.search(text[name.end() : name.end() + 60]))


def _has_odd_capitals(word: str) -> bool:
    """Say whether capitals stand in a text as in no word, no name of a class and none of a field."""
    return len(word) >= _SHORTEST_TOKEN and any(
        len(part) > _SHORTEST and not (part.istitle() or part.isupper() or part.islower() or _CAMEL.fullmatch(part))
        for part in _NO_LETTERS.split(word)
    )


def is_no_word(candidate: str, kind: str) -> bool:
    """Tell a secret from the next word of the sentence: it has a digit or a sign inside, or letters of both cases."""
    word = candidate.rstrip(_TRAILING + "!?:")
    if len(word) < _SHORTEST or (word.startswith(("/", "http")) and not _KEY_WITH_SLASH.fullmatch(word)):
        return False
    if word.isdigit():
        return kind == "password"
    if _WORD.fullmatch(word):
        if kind == "password":
            return _has_odd_capitals(word.rstrip(".,:;!?)"))
        return not (word.islower() or word.istitle() or word.isupper())
    has_digit = any(character.isdigit() for character in word)
    if kind == "password":
        return has_digit or any(character in _SIGNS for character in word) or _has_odd_capitals(word)
    signs = sum(not character.isalnum() for character in word)
    return has_digit and len(word) >= _SHORTEST_TOKEN and signs <= len(word) // 3

"""Finds credentials by their form, wherever they stand: tokens, keys, passwords in URLs, PEM blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from logbastion.redaction.markers import Finding

_FORMS: Final = (
    r"eyJ[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*){0,3}",  # JWT and JWE (RFC 7519)
    r"(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ABIA|ACCA)[A-Z0-9]{16}",  # Amazon
    r"AIza[A-Za-z0-9_\-]{30,}",  # Google
    r"ya29\.[A-Za-z0-9_\-.]{10,}",
    r"GOCSPX-[A-Za-z0-9_\-]{20,}",
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}",  # Stripe
    r"whsec_[A-Za-z0-9+/=]{8,}",
    r"gh[pousr]_[A-Za-z0-9]{16,}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{16,}",
    r"gl(?:pat|ptt|dt|rt|soat|cbt|ft|agent|imt)-[A-Za-z0-9_\-.]{16,}",  # GitLab
    r"xox[a-z](?:\.[a-z]+)?-[A-Za-z0-9\-]{8,}",  # Slack
    r"xapp-[A-Za-z0-9\-]{8,}",
    r"SG\.[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}",  # SendGrid
    r"(?:npm|dop_v1|doo_v1|shpat|shpss|shpca|hf|glsa|lin_api|dckr_pat|tfp|sq0atp|sq0csp|EAAA)_?-?[A-Za-z0-9_\-]{20,}",
    r"pypi-[A-Za-z0-9_\-]{16,}",
    r"sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_\-]{16,}",
    r"(?:bot)?[0-9]{8,10}:[A-Za-z0-9_\-]{35}",  # Telegram
    r"(?:pi|seti|cs|src|si|sub|pm)_[A-Za-z0-9_]{8,64}_secret_[A-Za-z0-9]{8,}",  # Stripe, for browsers
    r"[0-9a-z]{5,7}-[0-9a-f]{32,64}(?![0-9A-Za-z])",  # Django, links for a new password
    r"(?:pbkdf2_sha\d{1,3}|argon2|bcrypt(?:_sha256)?|scrypt|md5|sha1|unsalted_md5)\$[^\s\"'<>;]{10,}",  # Django, hashes
    r"\$(?:2[abxy]|5|6|7|y|argon2id?)\$[A-Za-z0-9./+=$,]{20,}",  # crypt(5)
    r"(?:SK|AC)[0-9a-f]{32}",  # Twilio
    r"key-[0-9a-f]{32}",  # Mailgun
    r"AGE-SECRET-KEY-1[0-9A-Z]{40,}",
)
_TOKEN: Final = re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(_FORMS) + ")")
_WEBHOOK: Final = re.compile(
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks|outlook\.office\.com/webhook"
    r"|[\w\-]{1,63}\.webhook\.office\.com)/[\w\-/@.]{8,}"
)
_SCHEME: Final = re.compile(r"(?i)(?<![A-Za-z])(bearer|basic|digest|negotiate|apikey|token)[ \t]{1,3}")
_SCHEME_VALUE: Final = re.compile(r"[A-Za-z0-9+/=._~\-:|]{6,}")
# "+" stands for a space in forms.
_PEM_BEGIN: Final = re.compile(r"-{5}BEGIN[ +][A-Z0-9 +]{0,40}PRIVATE[ +]KEY(?:[ +]BLOCK)?-{5}")
_PEM_END: Final = re.compile(r"-{5}END[ +][A-Z0-9 +]{0,40}PRIVATE[ +]KEY(?:[ +]BLOCK)?-{5}")
_AUTHORITY_END: Final = re.compile(r"[/?#\s\"'<>]")
_LONGEST_AUTHORITY: Final = 512
_SURE_LENGTH: Final = 20


def find_tokens(text: str) -> Iterator[Finding]:
    """Yield tokens that are known by how they begin. To be asked of texts that have a long word."""
    for match in _TOKEN.finditer(text):
        yield Finding(match.start(), match.end(), "token")
    if "hook" in text:
        for match in _WEBHOOK.finditer(text):
            yield Finding(match.start(), match.end(), "token")


def find_schemes(text: str) -> Iterator[Finding]:
    """Yield credentials behind the name of an HTTP authentication scheme (RFC 9110, 11.1)."""
    for match in _SCHEME.finditer(text):
        value = _SCHEME_VALUE.match(text, match.end())
        if value and _is_credential(value.group()):
            yield Finding(value.start(), value.end(), "authorization")


def _is_credential(word: str) -> bool:
    """Tell ``Basic dXNlcjpw`` from ``basic authentication``: no digit, one case, short."""
    if len(word) >= _SURE_LENGTH or word.endswith("="):
        return True
    if any(character.isdigit() for character in word):
        return True
    return not (word.islower() or word.istitle() or word.isupper())


def find_url_credentials(text: str) -> Iterator[Finding]:
    """Yield user and password of URLs (RFC 3986, 3.2.1)."""
    place = text.find("://")
    while place >= 0:
        start = place + 3
        end = _AUTHORITY_END.search(text, start, start + _LONGEST_AUTHORITY)
        at = text.rfind("@", start, end.start() if end else min(len(text), start + _LONGEST_AUTHORITY))
        if at > start:
            yield Finding(start, at, "password")
        place = text.find("://", max(start, at))


def find_pem(text: str) -> Iterator[Finding]:
    """Yield private keys (RFC 7468), also those without an end."""
    place = 0
    while True:
        begin = _PEM_BEGIN.search(text, place)
        if begin is None:
            return
        end = _PEM_END.search(text, begin.end())
        place = end.end() if end else len(text)
        yield Finding(begin.start(), place, "secret")

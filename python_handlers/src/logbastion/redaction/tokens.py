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
    r"1//0[A-Za-z0-9_\-]{30,}",
    r"GOCSPX-[A-Za-z0-9_\-]{20,}",
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}",  # Stripe
    r"whsec_[A-Za-z0-9+/=]{8,}",
    r"gh[pousr]_[A-Za-z0-9]{16,}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{16,}",
    r"gl(?:pat|ptt|dt|rt|rtr|soat|oas|cbt|ft|ffct|agent|imt|wt)-[A-Za-z0-9_\-.]{16,}",  # GitLab
    r"xox[a-z](?:\.[a-z]+)?-[A-Za-z0-9\-]{8,}",  # Slack
    r"xapp-[A-Za-z0-9\-]{8,}",
    r"SG\.[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}",  # SendGrid
    r"(?:npm|dop_v1|doo_v1|dor_v1|shpat|shpss|shpca|shppa|hf|glsa|glc|lin_api|dckr_pat|tfp|sq0atp|sq0csp|EAAA|ATATT)"
    r"_?-?[A-Za-z0-9_\-]{20,}",
    r"(?:ntn|secret|patr?|figd|fio|rpa|gsk|xai|pplx|nvapi|r8|sntrys|sntryu|phc|phx|rk|whk|cfut|vercel|tskey)[_\-]"
    r"(?=[A-Za-z_\-]{0,40}[0-9])[A-Za-z0-9_\-]{32,}",
    r"hv[sbr]\.[A-Za-z0-9_\-]{20,}",  # HashiCorp Vault
    r"dapi[0-9a-f]{32}",  # Databricks
    r"NRAK-[A-Z0-9]{20,}",  # New Relic
    r"pul-[0-9a-f]{40}",  # Pulumi
    r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",  # Postman
    r"xkeysib-[0-9a-f]{64}(?:-[A-Za-z0-9]{16})?",  # Brevo
    r"pypi-[A-Za-z0-9_\-]{16,}",
    r"sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_\-]{16,}",
    r"(?:pi|seti|cs|src|si|sub|pm)_[A-Za-z0-9_]{8,64}_secret_[A-Za-z0-9]{8,}",  # Stripe, for browsers
    r"(?:pbkdf2_sha\d{1,3}|argon2|bcrypt(?:_sha256)?|scrypt|md5|sha1|unsalted_md5)\$[^\s\"'<>;]{10,}",  # Django, hashes
    r"\$(?:2[abxy]|5|6|7|y|argon2id?)\$[A-Za-z0-9./+=$,]{20,}",  # crypt(5)
    r"(?:SK|AC)[0-9a-f]{32}",  # Twilio
    r"key-[0-9a-f]{32}",  # Mailgun
    r"AGE-SECRET-KEY-1[0-9A-Z]{40,}",
)
_TOKEN: Final = re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(_FORMS) + ")")
# What begins with no letters of its own, and what every text must have in which it can be.
_HINTED: Final = tuple(
    (hint, re.compile(form))
    for hint, form in (
        ("Q~", r"(?<![A-Za-z0-9])[A-Za-z0-9_~.\-]{3}[78]Q~[A-Za-z0-9_~.\-]{31,40}"),  # Microsoft Entra
        ("-us", r"(?<![A-Za-z0-9])[0-9a-f]{32}-us[0-9]{1,2}(?![0-9A-Za-z])"),  # Mailchimp
        (":", r"(?<![A-Za-z0-9])(?:bot)?[0-9]{8,10}:[A-Za-z0-9_\-]{35}"),  # Telegram
        # Django, links for a new password; other makers of stamps begin them with a digit.
        ("-", r"(?<![A-Za-z0-9])(?:[0-9a-z]{5,7}|[0-9][0-9a-z]{3,12})-[0-9a-f]{32,64}(?![0-9A-Za-z])"),
        ("/", r"(?<=/)[0-9a-z]{1,13}-[0-9a-f]{20,64}(?=[/?#\s\"']|\Z)"),
        ("}", r"\{(?:S?SHA(?:256|384|512)?|S?MD5|CRYPT|PBKDF2[\w\-]{0,12})\}[^\s\"'<>]{10,256}"),  # LDAP
    )
)
# Links that let somebody in, whatever made their last part.
_LINK_WORDS: Final = (
    *("reset", "recover", "recuper", "activat", "ativar", "verif", "confirm", "convite", "invit", "magic"),
    *("unsubscribe", "Reset", "Recuper", "Confirm"),
)
_LINK: Final = re.compile(
    r"(?i)/[\w\-]{0,24}(?:reset|recover|recuper|activat|ativar|verif|confirm|convite|invit|magic|unsubscribe)[\w\-]{0,24}"
    r"/(?:[\w=\-]{1,64}/){0,2}((?=[\w\-]{0,40}[0-9])[\w~\-]{16,256})(?![\w.~\-])"
)
_UUID_OR_NUMBER: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d+")
_WEBHOOK_PATH: Final = re.compile(r"/webhooks?/\d{6,20}/([\w\-]{16,128})")
# Oracle's "user/password@", behind what announces it: elsewhere it is a path.
_BEFORE_PROTOCOL: Final = re.compile(r"(?<![\w.])[\w.\-]{1,64}:([^\s\"'@]{1,128})@(?:tcp|tcp6|unix|udp)\(")
_USER_SLASH: Final = re.compile(
    r"(?i)(?:\bthin:|\b(?:sqlplus|sqlldr|expdp|impdp)[ \t](?:-\w{1,3}[ \t]){0,3})[^\s/@]{1,64}/([^\s]{1,128}?)@(?=/|\w)"
)
_WEBHOOK: Final = re.compile(
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks|outlook\.office\.com/webhook"
    r"|[\w\-]{1,63}\.webhook\.office\.com)/[\w\-/@.]{8,}"
)
_SCHEME: Final = re.compile(
    r"(?i)(?<![A-Za-z])(bearer|basic|digest|negotiate|ntlm|apikey|geniekey|dpop|jwt|hawk|token)[ \t]{1,3}"
)
_PARAMETERS: Final = re.compile(r"(?i)[a-z]{2,16}=[^\r\n]{1,2048}")
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
        for match in _WEBHOOK_PATH.finditer(text):
            yield Finding(match.start(1), match.end(1), "token")
    if "/" in text and any(word in text for word in _LINK_WORDS):
        for match in _LINK.finditer(text):
            if not _UUID_OR_NUMBER.fullmatch(match.group(1)):
                yield Finding(match.start(1), match.end(1), "token")
    for hint, pattern in _HINTED:
        if hint in text:
            for match in pattern.finditer(text):
                yield Finding(match.start(), match.end(), "token")


def find_schemes(text: str) -> Iterator[Finding]:
    """Yield credentials behind the name of an HTTP authentication scheme (RFC 9110, 11.1)."""
    for match in _SCHEME.finditer(text):
        if match.group(1).lower() in ("digest", "hawk"):  # a list of parameters, in quotes (RFC 7616, 3.4)
            parameters = _PARAMETERS.match(text, match.end())
            if parameters:
                yield Finding(parameters.start(), parameters.end(), "authorization")
                continue
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


def find_user_slash_password(text: str) -> Iterator[Finding]:
    """Yield passwords as Oracle takes them, ``user/password@host``, and Go's drivers, ``user:password@tcp(...)``."""
    for pattern in (_USER_SLASH, _BEFORE_PROTOCOL):
        for match in pattern.finditer(text):
            yield Finding(match.start(1), match.end(1), "password")


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

"""Tokens that services hand out: most can be known by their own form.

No token is written here as a whole: prefixes are put together at run time, so that no scanner takes this for a leak.
"""

from __future__ import annotations

import base64
import json
import random
import string
from typing import Final

from corpus.items import ALNUM, BASE64, HEX, LOWER_ALNUM, URLSAFE, Item, Kind, digits, labelled, plain, some, turn

_TEXTS: Final = (
    "{}",
    "upstream refused {}",
    "using {} for this job",
    "token={}",
    "o serviço recusou {} de novo",
    "configured with '{}'",
    'key: "{}"',
    "rotated {} yesterday",
)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def make_jwt(rng: random.Random) -> tuple[str, str, str]:
    """Return header, payload and signature of a token as services sign them."""
    header = {"alg": rng.choice(("HS256", "RS256", "ES256")), "typ": "JWT"}
    payload = {"token_type": "access", "exp": rng.randint(17 * 10**8, 18 * 10**8), "jti": some(rng, HEX, 32)}
    payload["user_id"] = rng.randint(1, 99999)
    parts = [_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, payload)]
    return parts[0], parts[1], _base64url(rng.randbytes(64 if header["alg"] == "ES256" else 32))


def jwt(rng: random.Random, number: int) -> Item:
    header, payload, signature = make_jwt(rng)
    return plain("jwt", f"{header}.{payload}.{signature}", _TEXTS, number, (payload, signature))


def aws_access_key_id(rng: random.Random, number: int) -> Item:
    value = turn(("AK" + "IA", "AS" + "IA"), number) + some(rng, string.ascii_uppercase + "234567", 16)
    return plain("aws_access_key_id", value, _TEXTS, number)


def aws_secret_key(rng: random.Random, number: int) -> Item:
    fields = ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "SecretAccessKey", "secret_access_key")
    texts = ("{f}={}", "{f} = {}", '"{f}": "{}"', "{f}: {}", "export {f}='{}'")
    return labelled("aws_secret_key", some(rng, BASE64, 40), texts, number, turn(fields, number))


def google_api_key(rng: random.Random, number: int) -> Item:
    return plain("google_api_key", "AI" + "za" + "Sy" + some(rng, URLSAFE, 33), _TEXTS, number)


def azure_storage_key(rng: random.Random, number: int) -> Item:
    key = base64.b64encode(rng.randbytes(64)).decode()
    value = f"DefaultEndpointsProtocol=https;AccountName=escola{digits(rng, 3)};Account" + f"Key={key}"
    value += ";EndpointSuffix=core.windows.net"
    texts = ("{}", "storage: {}", 'connection string "{}"', "AZURE_STORAGE={}")
    return plain("azure_storage_key", value, texts, number, (key.rstrip("="),))


def stripe_key(rng: random.Random, number: int) -> Item:
    begin = turn(("sk_" + "live_", "sk_" + "test_", "rk_" + "live_", "wh" + "sec_", "pi_"), number)
    length = 24 if number % 2 else 99
    if begin == "pi_":  # the client secret of a payment intent, which lets anybody who has it pay or read the payment
        secret = "secret_" + some(rng, ALNUM, 25)
        return plain("stripe_key", f"pi_3{some(rng, ALNUM, 23)}_{secret}", _TEXTS, number, (secret,))
    return plain("stripe_key", begin + some(rng, ALNUM, 32 if "sec" in begin else length), _TEXTS, number)


def github_token(rng: random.Random, number: int) -> Item:
    if number % 3 == 0:
        return plain("github_token", "github" + f"_pat_{some(rng, ALNUM, 22)}_{some(rng, ALNUM, 59)}", _TEXTS, number)
    return plain("github_token", "gh" + rng.choice("pousr") + "_" + some(rng, ALNUM, 36), _TEXTS, number)


def gitlab_token(rng: random.Random, number: int) -> Item:
    begin = "gl" + turn(("pat", "dt", "ptt", "rt"), number) + "-"
    return plain("gitlab_token", begin + some(rng, URLSAFE, 20), _TEXTS, number)


def slack_token(rng: random.Random, number: int) -> Item:
    begin = "xo" + turn(("xb", "xp", "xa", "xr"), number) + "-"
    value = f"{begin}{digits(rng, 12)}-{digits(rng, 13)}-{some(rng, ALNUM, 24)}"
    return plain("slack_token", value, _TEXTS, number)


def slack_webhook(rng: random.Random, number: int) -> Item:
    upper = string.ascii_uppercase + string.digits
    path = f"T{some(rng, upper, 10)}/B{some(rng, upper, 10)}/"
    secret = some(rng, ALNUM, 24)
    value = "https://hooks." + "slack.com/" + f"services/{path}{secret}"
    return plain(
        "slack_webhook", value, ("{}", "POST {} returned no answer", "aviso para {} falhou"), number, (secret,)
    )


def sendgrid_key(rng: random.Random, number: int) -> Item:
    return plain("sendgrid_key", "S" + f"G.{some(rng, URLSAFE, 22)}.{some(rng, URLSAFE, 43)}", _TEXTS, number)


def telegram_token(rng: random.Random, number: int) -> Item:
    secret = "AA" + some(rng, URLSAFE, 33)
    value = f"{rng.randint(10**8, 10**10 - 1)}:{secret}"
    texts = ("{}", "https://api.telegram.org/bot{}/sendMessage", "bot {} has no chat", "TELEGRAM={}")
    return plain("telegram_token", value, texts, number, (secret,))


def api_key_assignment(rng: random.Random, number: int) -> Item:
    fields = (
        "api_key", "API_KEY", "apiKey", "client_secret", "auth_token", "secret_key", "access_token", "refresh_token",
        "X-Api-Key", "SECRET_KEY", "EASYPAY_API_KEY", "encryption_key", "signing_secret",
    )  # fmt: skip
    field = turn(fields, number)
    value = turn((some(rng, ALNUM, 32), some(rng, HEX, 40), some(rng, URLSAFE, 43), some(rng, LOWER_ALNUM, 24)), number)
    if field == "SECRET_KEY":
        value = some(rng, LOWER_ALNUM + "!@#$%^&*(-_=+)", 50)
    texts = ('{f} = "{}"', "{f}='{}'", '"{f}": "{}"', "{f} = '{}'", "{f}: '{}'")
    if value.isalnum():
        texts += ("{f}={}", "{f}: {}")
    return labelled("api_key_assignment", value, texts, number, field)


def _pem_body(rng: random.Random, size: int, begin: bytes) -> list[str]:
    encoded = base64.b64encode(begin + rng.randbytes(size - len(begin))).decode()
    return [encoded[start : start + 64] for start in range(0, len(encoded), 64)]


def pem_private_key(rng: random.Random, number: int) -> Item:
    label, size, begin = (
        ("RSA ", 1190, b"\x30\x82\x04\xa4"),
        ("EC ", 121, b"\x30\x77\x02\x01\x01\x04\x20"),
        ("OPENSSH ", 387, b"openssh-key-v1\x00"),
        ("ENCRYPTED ", 1310, b"\x30\x82\x05\x1a"),
        ("", 1216, b"\x30\x82\x04\xbc"),
        ("RSA ", 1192, b"\x30\x82\x04\xa4"),
    )[number % 6]
    body = _pem_body(rng, size, begin)
    frame = "-" * 5
    head = ["Proc-Type: 4,ENCRYPTED", f"DEK-Info: AES-256-CBC,{some(rng, HEX, 32).upper()}", ""]
    kind = f"{label}PRIVATE KEY"
    lines = [f"{frame}BEGIN {kind}{frame}", *(head if number % 6 == 5 else []), *body, f"{frame}END {kind}{frame}"]
    value = "\n".join(lines)
    texts = ("{}", "could not load key:\n{}", "chave recusada:\n{}\n", "private_key='{}'")
    return plain("pem_private_key", value, texts, number // 6, tuple(line for line in body if len(line) >= 16))


KINDS: Final = (
    Kind("jwt", jwt, False, "signed with HS256, RS256 or ES256; payload and signature are the secret"),
    Kind("aws_access_key_id", aws_access_key_id, False, "long-lived and temporary"),
    Kind("aws_secret_key", aws_secret_key, True, "forty characters beside their name"),
    Kind("google_api_key", google_api_key, False, ""),
    Kind("azure_storage_key", azure_storage_key, False, "the account key in a connection string"),
    Kind("stripe_key", stripe_key, False, "secret, restricted, webhook, client secret of a payment intent"),
    Kind("github_token", github_token, False, "classic, of an app, fine-grained"),
    Kind("gitlab_token", gitlab_token, False, "personal, deploy, trigger, runner"),
    Kind("slack_token", slack_token, False, "bot, user, app, refresh"),
    Kind("slack_webhook", slack_webhook, False, "the last part of the path is the secret"),
    Kind("sendgrid_key", sendgrid_key, False, ""),
    Kind("telegram_token", telegram_token, False, "also within the URL of the service"),
    Kind("api_key_assignment", api_key_assignment, True, "no form of its own, beside a name such as api_key"),
    Kind("pem_private_key", pem_private_key, False, "RSA, EC, OPENSSH, ENCRYPTED; each line is a secret"),
)

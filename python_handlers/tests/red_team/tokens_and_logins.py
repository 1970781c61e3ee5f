"""Keys of services and what lets somebody in. Prefixes are put together at run time, so that scanners pass by."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
import urllib.parse
import uuid
from typing import Final

from corpus.items import ALNUM, BASE64, HEX, LOWER_ALNUM, URLSAFE, digits, some, turn

_SILENT: Final = "valor ref x data item what linha obs conteudo"
_UPPER: Final = string.ascii_uppercase + string.digits
_TAME: Final = ALNUM + "!$%*-_.~?^+"
_WILD: Final = _TAME + " \"'\\<>(){}[],;&|`#@:/="
Pair = tuple[str, tuple[str, ...]]


def password(rng: random.Random, number: int) -> str:
    """Return what people choose: words with figures, random signs, or letters only."""
    if number % 10 == 4:
        return rng.choice(("Golfinho", "rouxinol", "Tempestade", "correcthorse", "marinheiro")) + digits(rng, 5)
    if number % 10 == 6:
        return some(rng, string.ascii_letters, 12)
    if number % 2:
        return some(rng, ALNUM, 3) + some(rng, _WILD, 9) + some(rng, ALNUM, 3)
    return some(rng, ALNUM, 3) + some(rng, _TAME, 7) + some(rng, ALNUM, 3)


def pin(rng: random.Random, number: int) -> str:
    return digits(rng, (4, 6, 6, 5)[number % 4])


def session(rng: random.Random, number: int) -> str:
    return turn(
        (
            some(rng, LOWER_ALNUM, 32),
            some(rng, HEX, 26),
            some(rng, URLSAFE, 43),
            str(uuid.UUID(int=rng.getrandbits(128))),
        ),
        number,
    )


def generic(rng: random.Random, number: int) -> str:
    return turn(
        (
            some(rng, ALNUM, 40),
            some(rng, HEX, 64),
            some(rng, BASE64, 44),
            some(rng, URLSAFE, 32),
            some(rng, LOWER_ALNUM, 20),
            some(rng, _UPPER, 24),
        ),
        number,
    )


def jwt(rng: random.Random, number: int) -> Pair:
    def part(what: object) -> str:
        raw = what if isinstance(what, bytes) else json.dumps(what).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    head = part({"typ": "at+jwt", "alg": turn(("EdDSA", "HS512", "PS256", "none"), number), "kid": some(rng, HEX, 8)})
    if number % 5 == 4:  # an encrypted one has five parts
        parts = [head, *(part(rng.randbytes(size)) for size in (48, 12, 60, 16))]
        return ".".join(parts), (parts[3],)
    body = part({"sub": str(rng.getrandbits(40)), "scope": "read"})
    sign = part(rng.randbytes(64))
    return f"{head}.{body}.{sign}", (body, sign)


def bearer(rng: random.Random, number: int) -> Pair:
    scheme = turn(("Bearer", "BEARER", "JWT", "Token", "ApiKey", "GenieKey", "DPoP", "Token token="), number)
    secret = turn((some(rng, ALNUM, 36), some(rng, URLSAFE, 64), some(rng, HEX, 32)), number)
    return f"{scheme}{'' if scheme.endswith('=') else ' '}{secret}", (secret,)


def basic(rng: random.Random, number: int) -> Pair:
    plain = f"{turn(('ana', 'svc-import', 'AKID'), number)}:{some(rng, _TAME, 12)}"
    blob = base64.b64encode(plain.encode()).decode()
    return f"{turn(('Basic', 'BASIC', 'basic'), number)} {blob}", (blob.rstrip("="),)


def digest(rng: random.Random, number: int) -> Pair:
    secret = some(rng, HEX, 32)
    return f'Digest username="ana", realm="api", nonce="{some(rng, HEX, 16)}", uri="/v1", response="{secret}"', (
        secret,
    )


def aws_id(rng: random.Random, number: int) -> str:
    return (
        turn(("AK", "AS", "AB", "AC"), number)
        + turn(("IA", "IA", "IA", "CA"), number)
        + some(rng, string.ascii_uppercase + "234567", 16)
    )


def google(rng: random.Random, number: int) -> str:
    return turn(
        (
            "AI" + "za" + some(rng, URLSAFE, 35),
            "GOC" + "SPX-" + some(rng, URLSAFE, 28),
            "ya" + "29.a0" + some(rng, URLSAFE, 120),
            "1//0" + some(rng, URLSAFE, 60),
        ),
        number,
    )


def azure(rng: random.Random, number: int) -> Pair:
    key = base64.b64encode(rng.randbytes(64)).decode()
    shared = base64.b64encode(rng.randbytes(32)).decode()
    quoted = urllib.parse.quote(shared, safe="")
    entra = some(rng, ALNUM, 3) + "8Q~" + some(rng, URLSAFE, 34)
    return turn(
        (
            ("AccountName=x;Account" + f"Key={key}", (key.rstrip("="),)),
            ("Endpoint=sb://x.example/;SharedAccessKeyName=root;SharedAccess" + f"Key={shared}", (shared.rstrip("="),)),
            (f"https://x.blob.core.example/c?sv=2024-01-01&sp=r&sig={quoted}", (quoted,)),
            (entra, (entra,)),
        ),
        number,
    )


def stripe(rng: random.Random, number: int) -> str:
    begin = turn(("sk_" + "live_", "rk_" + "test_", "wh" + "sec_", "sk_" + "test_51"), number)
    return begin + some(rng, ALNUM, 40)


def github(rng: random.Random, number: int) -> str:
    return "gh" + turn(tuple("pousr"), number) + "_" + some(rng, ALNUM, 36)


def gitlab(rng: random.Random, number: int) -> str:
    return (
        "gl"
        + turn(("pat", "soat", "oas", "ft", "cbt", "agent", "imt", "ffct"), number)
        + "-"
        + some(rng, URLSAFE, 20 + number % 3 * 10)
    )


def slack(rng: random.Random, number: int) -> str:
    return turn(
        (
            "xo" + "xb-" + f"{digits(rng, 11)}-{some(rng, ALNUM, 24)}",
            "xa" + "pp-1-" + f"A{some(rng, _UPPER, 10)}-{digits(rng, 13)}-{some(rng, HEX, 64)}",
            "xo" + "xe.xo" + "xp-1-" + some(rng, ALNUM, 80),
            "xo" + "xc-" + f"{digits(rng, 12)}-{some(rng, HEX, 64)}",
        ),
        number,
    )


def twilio(rng: random.Random, number: int) -> str:
    return "S" + "K" + some(rng, HEX, 32)


def sendgrid(rng: random.Random, number: int) -> str:
    return "S" + "G." + some(rng, URLSAFE, 22) + "." + some(rng, URLSAFE, 43)


def npm(rng: random.Random, number: int) -> str:
    return "np" + "m_" + some(rng, ALNUM, 36)


def pypi(rng: random.Random, number: int) -> str:
    return "py" + "pi-AgEIcHlwaS5vcmc" + some(rng, URLSAFE, 90)


def openai(rng: random.Random, number: int) -> str:
    return turn(
        (
            "sk" + "-" + some(rng, ALNUM, 20) + "T3Blbk" + "FJ" + some(rng, ALNUM, 20),
            "sk" + "-proj-" + some(rng, URLSAFE, 80),
            "sk" + "-ant-api03-" + some(rng, URLSAFE, 93),
            "sk" + "-svcacct-" + some(rng, URLSAFE, 60),
        ),
        number,
    )


def other_service(rng: random.Random, number: int) -> str:
    return turn(
        (
            "dop" + "_v1_" + some(rng, HEX, 64),
            "shp" + "at_" + some(rng, HEX, 32),
            "h" + "f_" + some(rng, ALNUM, 34),
            "key" + "-" + some(rng, HEX, 32),
            some(rng, HEX, 32) + "-us" + "14",
            "dap" + "i" + some(rng, HEX, 32),
            "EA" + "AA" + some(rng, URLSAFE, 60),
            "sq0" + "csp-" + some(rng, URLSAFE, 43),
            "hv" + "s." + some(rng, URLSAFE, 90),
            "gl" + "c_" + some(rng, ALNUM, 60),
            "NR" + "AK-" + some(rng, _UPPER, 27),
            "dck" + "r_pat_" + some(rng, URLSAFE, 27),
            "pul" + "-" + some(rng, HEX, 40),
            "PMA" + "K-" + some(rng, HEX, 24) + "-" + some(rng, HEX, 34),
            "xkey" + "sib-" + some(rng, HEX, 64) + "-" + some(rng, ALNUM, 16),
        ),
        number,
    )


def database_url(rng: random.Random, number: int) -> Pair:
    secret = urllib.parse.quote(some(rng, ALNUM + "!$*-_.~", 12), safe="!$*")
    forms = (
        "postgresql+asyncpg://svc:{}@10.0.0.3/escola",
        "jdbc:postgresql://db/escola?user=svc&password={}&ssl=true",
        "host=db port=5432 user=svc password={} dbname=escola",
        "Server=db;Uid=svc;Pwd={};Database=escola",
        "rediss://default:{}@cache:6380/1",
        "smtp+tls://aviso%40example.org:{}@mail:587",
        "amqps://svc:{}@mq//vhost",
        "jdbc:oracle:thin:svc/{}@//db:1521/XE",
        "jdbc:sqlserver://db;user=svc;password={};encrypt=true",
        "mongodb://a:{}@h1:27017,h2:27017/?replicaSet=r",
        "https://{}@sentry.example/4",
        "ldap://cn=svc:{}@ldap.example",
        "svc:{}@tcp(db:3306)/escola",
    )
    return turn(forms, number).replace("{}", secret), (secret,)


def cookie(rng: random.Random, number: int) -> Pair:
    one, two = some(rng, LOWER_ALNUM, 32), some(rng, ALNUM, 32)
    forms = (
        f"Cookie: csrftoken={two}; sessionid={one}",
        f"Set-Cookie: sid={one}; Secure; HttpOnly",
        f"cookie: auth_token={one}; lang=pt",
        f"Cookie: __Host-session={one}",
        f"Set-Cookie: remember_me={one}; Path=/",
        f"Cookie: a=1; connect.sid=s%3A{one}.{two}",
    )
    text = turn(forms, number)
    return text, tuple(part for part in (one, two) if part in text)


def pem(rng: random.Random, number: int) -> Pair:
    label = turn(
        (
            "RSA PRIVATE KEY",
            "PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
            "EC PRIVATE KEY",
            "DSA PRIVATE KEY",
            "PGP PRIVATE KEY BLOCK",
        ),
        number,
    )
    blob = base64.b64encode(rng.randbytes(400)).decode()
    lines = [blob[start : start + 64] for start in range(0, len(blob), 64)]
    mark = "-" * 5
    end = turn(("\n", "\r\n", "\\n", "\n    "), number)
    return end.join([f"{mark}BEGIN {label}{mark}", *lines, f"{mark}END {label}{mark}"]), tuple(
        line for line in lines if len(line) > 20
    )


def hashed(rng: random.Random, number: int) -> Pair:
    blob = base64.b64encode(rng.randbytes(32)).decode()
    fifty_three = some(rng, ALNUM + "./", 53)
    hexed = hashlib.sha256(rng.randbytes(9)).hexdigest()
    sixty_four = some(rng, ALNUM + "./", 86)
    return turn(
        (
            (f"pbkdf2_sha256$1200000${some(rng, ALNUM, 22)}${blob}", (blob.rstrip("="),)),
            (f"$2y$12${fifty_three}", (fifty_three,)),
            (f"scrypt$16384${some(rng, ALNUM, 12)}$8$1${blob}", (blob.rstrip("="),)),
            (f"$6$rounds=5000${some(rng, ALNUM, 12)}${sixty_four}", (sixty_four,)),
            (f"sha1${some(rng, ALNUM, 8)}${hexed[:40]}", (hexed[:40],)),
            (f"{{SSHA}}{blob}", (blob.rstrip("="),)),
        ),
        number,
    )


def secret_url(rng: random.Random, number: int) -> Pair:
    secret = turn((some(rng, URLSAFE, 43), some(rng, HEX, 32), some(rng, LOWER_ALNUM, 22)), number)
    stamp = turn((some(rng, LOWER_ALNUM, 6), some(rng, LOWER_ALNUM, 7), digits(rng, 10)), number)
    forms = (
        "https://escola.example/entrar?ticket={}",
        "/magic-link/?t=1&token={}",
        "https://escola.example/#id_token={}&state=a",
        "https://e.example/cb?code={}&state=xyz",
        "https://h.example/f.pdf?Expires=17&Signature={}&Key-Pair-Id=K",
        f"/reset/NDI/{stamp}-{some(rng, HEX, 32)}/",
        "https://e.example/x?jwt={}",
        "/ws/?sessionToken={}",
        "https://discord.example/api/webhooks/1234567890123/{}",
        "https://e.example/ficheiro?h={}&assinatura={}",
        "https://hooks.zapier.example/hooks/catch/1/?apikey={}",
    )
    text = turn(forms, number).replace("{}", secret)
    return text, ((text.split("-")[-1].strip("/"),) if "reset" in text else (secret,))


KINDS: Final = {
    "password_english": (
        "passwd pwd user_pass PASSWORD newPassword password_confirmation userPass db-password pass_word passphrase "
        "PGPASSWORD currentPassword smtp_pass login_pw passcode confirm_password rootpw",
        password,
        "wild",
    ),
    "password_portuguese": (
        "senha palavra-passe palavra_passe novaSenha palavraPasse senha_antiga SENHA_BD confirmar_senha palavrapasse "
        "palavra-chave chave_acesso senha2 confirmacao_palavra_passe",
        password,
        "wild",
    ),
    "one_time_code": (
        "otp codigo_verificacao otpCode code2fa sms_code totp_token codigoSms mfa codigo_acesso verificationCode",
        pin,
    ),
    "pin": ("pin PIN pin_code user_pin pinCode cartao_pin codigo_pin", pin),
    "session": (
        "sessionid session-id JSESSIONID sid session_token csrftoken csrfmiddlewaretoken xsrf-token id_sessao "
        "PHPSESSID",
        session,
    ),
    "generic_key": (
        "api-key x-api-key apikey client_secret access_token refreshToken secretKey API_TOKEN signing-key "
        "webhook_secret private_token encryptionKey hmac_secret app_secret id_token service_key "
        "chave_api chave_secreta",
        generic,
    ),
    "aws_secret": (
        "aws_secret_access_key SecretAccessKey aws-secret-key AWS_SECRET",
        lambda rng, _: some(rng, BASE64, 40),
    ),
    "twilio_auth": ("TWILIO_AUTH_TOKEN authToken twilio_token", lambda rng, _: some(rng, HEX, 32)),
    "jwt": (_SILENT, jwt, "alone"),
    "bearer": ("Authorization authorization HTTP_AUTHORIZATION", bearer),
    "basic": ("Authorization Proxy-Authorization", basic),
    "digest": ("Authorization", digest),
    "aws_id": (_SILENT, aws_id, "alone"),
    "google": (_SILENT, google, "alone"),
    "azure": (_SILENT, azure, "alone"),
    "stripe": (_SILENT, stripe, "alone"),
    "github": (_SILENT, github, "alone"),
    "gitlab": (_SILENT, gitlab, "alone"),
    "slack": (_SILENT, slack, "alone"),
    "twilio": (_SILENT, twilio, "alone"),
    "sendgrid": (_SILENT, sendgrid, "alone"),
    "npm": (_SILENT, npm, "alone"),
    "pypi": (_SILENT, pypi, "alone"),
    "openai": (_SILENT, openai, "alone"),
    "other_service": (_SILENT, other_service, "alone"),
    "database_url": (_SILENT, database_url, "alone"),
    "cookie": (_SILENT, cookie, "alone"),
    "pem": (_SILENT, pem, "alone"),
    "hash": (_SILENT, hashed, "alone"),
    "secret_url": (_SILENT, secret_url, "alone"),
}

"""What lets somebody in: passwords, sessions, one-time codes, credentials in headers and URLs."""

from __future__ import annotations

import base64
import json
import random
import urllib.parse
from typing import Final

from corpus.items import ALNUM, BASE64, HEX, LOWER_ALNUM, URLSAFE, Item, Kind, digits, labelled, plain, some, turn
from corpus.kinds_tokens import make_jwt

_WORDS: Final = (
    "Benfica", "Girassol", "Saudade", "Coimbra", "Lisboa", "Dragao", "Verao", "Amendoeira", "hunter", "Summer",
    "Monkey", "Pastel", "Bacalhau", "Winter", "Trovoada", "Marmelada", "Andorinha", "Coração", "Férias", "Açúcar",
)  # fmt: skip
# Without quotes around it, a password ends for everybody at a space, and in key=value at what separates pairs.
_PAIR: Final = "!@#$%^*+-_=?~:/."
_PROSE: Final = _PAIR + ",;&"
_Texts = tuple[str, ...]
_QUOTED: Final = _PROSE + " '\"\\<>{}[]()|`"


def make_password(rng: random.Random, odd: str) -> str:
    """Return a password of people, with at least two odd characters; none of them is first or last."""
    if rng.random() < 0.4:
        middle = [some(rng, odd, 2), *(rng.choice((rng.choice(odd), some(rng, ALNUM, 2))) for _ in range(4))]
        rng.shuffle(middle)
        return some(rng, ALNUM, 2) + "".join(middle) + some(rng, ALNUM, 2)
    return (
        f"{rng.choice(_WORDS)}{rng.choice(odd)}{digits(rng, rng.randint(2, 4))}{rng.choice(odd)}{some(rng, ALNUM, 3)}"
    )


def _password(kind: str, rng: random.Random, number: int, fields: _Texts, pairs: _Texts, prose: _Texts) -> Item:  # noqa: PLR0917
    turns, way = divmod(number, 3)
    field = turn(fields, turns)
    value = make_password(rng, (_PAIR, _PROSE, _QUOTED)[way])
    if way == 0:
        if turns % 4 == 3:  # many people have no odd characters in theirs
            value = rng.choice(_WORDS).lower() + digits(rng, 4)
        text = turn(pairs, turns).replace("{f}", field).replace("{}", value)
    elif way == 1:
        text = turn(prose, turns).replace("{f}", field).replace("{}", value)
    elif turns % 2:
        text = f'"{field}": {json.dumps(value, ensure_ascii=False)}'
    else:
        text = f"{turn((field + '=', repr(field) + ': '), turns // 2)}{value!r}"
    return Item(kind, text, value, (value,), field)


def password_english(rng: random.Random, number: int) -> Item:
    fields = (
        "password",
        "new_password1",
        "passwd",
        "pwd",
        "user_password",
        "DB_PASSWORD",
        "old_password",
        "passphrase",
    )
    pairs = ("{f}={}", "{f}: {}", "--password={}", "PASSWORD={}", "{f} = {}")
    prose = (
        "password is {}",
        "Password: {}",
        "the password {} was rejected",
        "your temporary password is {}",
        "wrong password {}",
        "passphrase: {}",
        "pwd {}",
    )
    return _password("password_english", rng, number, fields, pairs, prose)


def password_portuguese(rng: random.Random, number: int) -> Item:
    fields = (
        "senha",
        "palavra_passe",
        "palavra_chave",
        "nova_senha",
        "senha_atual",
        "senhaTemporaria",
        "palavra-passe",
    )
    pairs = ("{f}={}", "{f}: {}", "senha={}", "palavra-passe: {}", "SENHA = {}")
    prose = (
        "a senha é {}",
        "Senha: {}",
        "a palavra-passe {} foi recusada",
        "A sua nova palavra-passe é {}",
        "palavra passe: {}",
        "senha provisória: {}",
        "a senha temporária é: {}",
        "palavra-chave: {}",
    )
    return _password("password_portuguese", rng, number, fields, pairs, prose)


def one_time_code(rng: random.Random, number: int) -> Item:
    fields = (
        "otp",
        "otp_code",
        "totp",
        "verification_code",
        "codigo_verificacao",
        "one_time_code",
        "codigo_sms",
        "mfa_code",
    )
    length = (6, 6, 6, 6, 8, 4, 6, 6, 6)[number % 9]
    value = digits(rng, length)
    if number % 9 == 8:
        value = f"{value[:3]} {value[3:]}"
    texts = (
        "Your verification code is {}",
        "código de verificação: {}",
        "OTP={}",
        "use {} as your one-time code",
        "O seu código de acesso é {}",
        "2FA code {}",
        "{f}='{}'",
        "one-time password: {}",
        "código de autenticação {}",
        "o código SMS {} expirou",
    )
    return labelled("one_time_code", value, texts, number, turn(fields, number))


def session_id(rng: random.Random, number: int) -> Item:
    fields = ("sessionid", "session_key", "session_id", "JSESSIONID", "PHPSESSID", "sessao_id")
    field = turn(fields, number)
    value = some(rng, HEX, 32).upper() if field == "JSESSIONID" else some(rng, LOWER_ALNUM, 32)
    texts = (
        "{f}={}",
        "session id {}",
        "{f}: {}",
        "Session key {} was flushed",
        "{f}='{}'",
        "id da sessão: {}",
        '"{f}": "{}"',
    )
    return labelled("session_id", value, texts, number, field)


def cookie(rng: random.Random, number: int) -> Item:
    session, csrf = some(rng, LOWER_ALNUM, 32), some(rng, ALNUM, 32)
    messages = f"{some(rng, URLSAFE, 60)}:{some(rng, ALNUM, 6)}:{some(rng, URLSAFE, 43)}"
    if number % 3 == 2:
        value = f"sessionid={session}; expires=Tue, 02 Dec 2031 10:00:00 GMT; HttpOnly; Max-Age=1209600; Path=/; Secure"
        return Item("cookie", f"Set-Cookie: {value}", value, (session,), "Set-Cookie")
    if number % 3:
        value, secret = f"messages={messages}; sessionid={session}", (messages, session)
    else:
        value, secret = f"csrftoken={csrf}; sessionid={session}", (csrf, session)
    return Item(
        "cookie", turn(("Cookie: {}", "HTTP_COOKIE='{}'"), number).replace("{}", value), value, secret, "Cookie"
    )


def bearer(rng: random.Random, number: int) -> Item:
    scheme = turn(("Bearer", "bearer", "Token"), number)
    token = turn((some(rng, ALNUM, 40), some(rng, HEX, 40), some(rng, URLSAFE, 43), ".".join(make_jwt(rng))), number)
    secret = tuple(token.split(".")[1:]) or (token,)
    value = f"{scheme} {token}"
    texts = ("Authorization: {}", "HTTP_AUTHORIZATION='{}'", "'Authorization': '{}'", "curl -H 'Authorization: {}'")
    return Item("bearer", turn(texts, number // 4).replace("{}", value), value, secret, "Authorization")


def basic(rng: random.Random, number: int) -> Item:
    user = turn(("admin", "logstash", "api", "escola"), number)
    blob = base64.b64encode(f"{user}:{make_password(rng, _PROSE)}".encode()).decode()
    field = turn(("Authorization", "Proxy-Authorization"), number)
    value = f"{turn(('Basic', 'basic'), number // 2)} {blob}"
    texts = (f"{field}: {{}}", f"'{field}': '{{}}'", "HTTP_AUTHORIZATION='{}'")
    return Item("basic", turn(texts, number).replace("{}", value), value, (blob.rstrip("="),), field)


def url_credentials(rng: random.Random, number: int) -> Item:
    odd = _PROSE if number % 2 else "-_~"
    secret = urllib.parse.quote(make_password(rng, odd), safe="")
    value = turn(
        (
            f"postgres://escola:{secret}@db.internal:5432/escola",
            f"redis://:{secret}@cache.internal:6379/0",
            f"https://relatorios:{secret}@api.example.org/v1/export",
            f"amqp://celery:{secret}@broker.internal//",
            f"smtp://no-reply:{secret}@mail.example.org:587",
            f"mysql+pymysql://root:{secret}@localhost/escola?charset=utf8mb4",
            f"mongodb+srv://app:{secret}@cluster0.example.net/escola",
            f"ftp://import:{secret}@files.example.org/pautas.csv",
        ),
        number,
    )
    texts = ("{}", "cannot connect to {}", "ligação a {} recusada", "DATABASE_URL={}", "broker '{}' is gone", "<{}>")
    return plain("url_credentials", value, texts, number, (secret,))


def url_token(rng: random.Random, number: int) -> Item:
    name = turn(("token", "access_token", "api_key", "key", "signature", "auth", "X-Amz-Signature", "sig"), number)
    secret = turn((some(rng, URLSAFE, 43), some(rng, HEX, 40), some(rng, ALNUM, 32)), number)
    if "sig" in name.lower():
        secret = some(rng, HEX, 64)
    url = turn(
        (
            "https://escola.example/convite/?{n}={}&lang=pt",
            "/api/v1/pautas?page=2&{n}={}",
            "https://files.example.org/boletim.pdf?expires=soon&{n}={}",
            "/entrar/?next=/painel/&{n}={}",
            "https://escola.example/ligar#{n}={}",
        ),
        number,
    )
    texts = ("{}", "GET {} HTTP/1.1", "redirect to {}", "referer={}", "a ligação {} já foi usada", "fetching '{}'")
    return plain("url_token", url.replace("{n}", name).replace("{}", secret), texts, number, (secret,))


def reset_link(rng: random.Random, number: int) -> Item:
    secret = f"{some(rng, LOWER_ALNUM, 6)}-{some(rng, HEX, 32)}"
    user = base64.urlsafe_b64encode(str(rng.randint(1, 99999)).encode()).decode().rstrip("=")
    begin = turn(
        ("https://escola.example/accounts/reset", "https://escola.example/recuperar", "/password_reset/confirm"), number
    )
    value = f"{begin}/{user}/{secret}/"
    texts = ("{}", "password reset mail with {} sent", "GET {} was not found", "ligação de recuperação: {}")
    return plain("reset_link", value, texts, number, (secret,))


def password_hash(rng: random.Random, number: int) -> Item:
    salt, hashed = some(rng, ALNUM, 22), base64.b64encode(rng.randbytes(32)).decode()
    if number % 4 == 3:
        hashed = some(rng, BASE64, 43)
        head = "argon2$argon2id$v=19$m=102400,t=2,p=8"
        value = f"{head}${base64.b64encode(salt.encode()).decode().rstrip('=')}${hashed}"
    elif number % 4 == 2:
        hashed = some(rng, ALNUM + "./", 53)
        value = f"bcrypt_sha256$$2b$12${hashed}"
    else:
        value = f"pbkdf2_sha256${rng.choice((600000, 870000, 1000000))}${salt}${hashed}"
    texts = ("{}", "stored {} for this user", "hash antigo: {}", "password={}")
    return plain("password_hash", value, texts, number // 4, (hashed.rstrip("="),))


KINDS: Final = (
    Kind("password_english", password_english, True, "odd characters; in pairs, in prose, in quotes"),
    Kind("password_portuguese", password_portuguese, True, "beside senha, palavra-passe, palavra-chave"),
    Kind("one_time_code", one_time_code, True, "four, six and eight digits beside OTP, 2FA, código de verificação"),
    Kind("session_id", session_id, True, "Django's, Java's and PHP's beside their names"),
    Kind("cookie", cookie, True, "Cookie and Set-Cookie with session, CSRF token, signed messages"),
    Kind("bearer", bearer, False, "Bearer and Token, opaque and JWT"),
    Kind("basic", basic, False, "Basic, base64 of user and password"),
    Kind("url_credentials", url_credentials, False, "the password in a URL, percent-encoded where needed"),
    Kind("url_token", url_token, False, "tokens and signatures in a query or fragment"),
    Kind("reset_link", reset_link, False, "Django's link that sets a new password"),
    Kind("password_hash", password_hash, False, "Django's stored forms; salt and cost may stay"),
)

# ruff: noqa: E501 - lines of programs are as long as they are
"""Lines without anything secret that look as if they had: what programs log all day, and what people write."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from typing import Final

from corpus.items import ALNUM, HEX, LOWER_ALNUM, URLSAFE, digits, some

DEFAULT_SEED: Final = 61124

_PROGRAMS: Final = """
[{stamp} +0000] [{n3}] [INFO] Starting gunicorn 23.0.0
[{stamp} +0000] [{n3}] [INFO] Listening at: unix:/run/school/gunicorn.sock ({n3})
[{stamp} +0000] [{n3}] [CRITICAL] WORKER TIMEOUT (pid:{n5})
[{stamp} +0000] [{n3}] [INFO] Using worker: gthread
[{stamp}: INFO/MainProcess] mingle: all alone
[{stamp}: INFO/MainProcess] celery@web-{n1} ready.
[{stamp}: INFO/ForkPoolWorker-{n1}] Task escola.tasks.enviar[{uuid}] succeeded in {float}s: {{'enviados': {n2}, 'falhas': {n1}}}
[{stamp}: WARNING/MainProcess] Substantial drift from celery@web-{n1} may mean clocks are out of sync. Current drift is {n2} seconds.
[{stamp}: INFO/Beat] Scheduler: Sending due task limpar-sessoes (escola.tasks.clear_sessions)
Watching for file changes with StatReloader
Performing system checks...
System check identified no issues (0 silenced).
"GET /alunos/{n3}/?tab=notas HTTP/1.1" 200 {n5}
"POST /api/v1/pagamentos/ HTTP/1.1" 201 {n3}
Internal Server Error: /api/v1/turmas/{n3}/
Invalid HTTP_HOST header: 'web-{n1}:8000'. You may need to add 'web-{n1}' to ALLOWED_HOSTS.
Forbidden (CSRF token from POST incorrect.): /admin/login/
Forbidden (Origin checking failed - https://escola.example does not match any trusted origins.): /entrar/
Session data corrupted
Waiting for lock on session table, {n2} ms
Applying auth.0012_alter_user_first_name_max_length... OK
Applying sessions.0001_initial... OK
Creating test database for alias 'default'...
(0.00{n1}) SELECT "auth_user"."id", "auth_user"."password", "auth_user"."last_login" FROM "auth_user" LIMIT 21
({float}) SELECT "django_session"."session_key", "django_session"."expire_date" FROM "django_session" WHERE "django_session"."expire_date" < now()
CREATE TABLE "authtoken_token" ("key" varchar(40) NOT NULL PRIMARY KEY, "user_id" integer NOT NULL)
ALTER TABLE conta ADD COLUMN password_changed_at timestamp with time zone NULL
CREATE INDEX conta_nif_{hex8}_like ON conta (nif varchar_pattern_ops)
duplicate key value violates unique constraint "conta_email_key"
null value in column "telefone" of relation "aluno" violates not-null constraint
column aluno.token_id does not exist at character {n2}
FATAL:  password authentication failed for user "school"
LOG:  checkpoint complete: wrote {n3} buffers ({float}%); 0 WAL file(s) added
redis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused.
NOAUTH Authentication required.
urllib3 Starting new HTTPS connection ({n1}): api.pagamentos.example:443
https://api.pagamentos.example:443 "POST /v2/payments HTTP/1.1" 201 {n3}
Retrying (Retry(total={n1}, connect=None, read=None, redirect=None, status=None)) after connection broken by 'NewConnectionError'
botocore.credentials Found credentials in environment variables.
ssl.SSLCertVerificationError: certificate verify failed: unable to get local issuer certificate (_ssl.c:{n3})
Sent SIGTERM to worker (pid:{n5}, code={n1})
systemd[1]: Started session-{n2}.scope - Session {n2} of User django-app.
kernel: audit: type=1400 audit({epoch}.{n3}:{n2}): apparmor="STATUS" operation="profile_load"
sshd[{n5}]: Connection closed by authenticating user root [preauth]
nginx: [warn] conflicting server name "escola.example" on 0.0.0.0:443, ignored
commit {sha} Merge branch 'senha-forte' into main
{sha} refs/heads/token-refresh
blob {sha}
Updating {sha7}..{sha7} Fast-forward
docker pull registry.example/school@sha256:{sha}{sha24}
index {sha7}..{sha7} 100644
ETag: "{md5}-{n1}"
integrity="sha384-{b64}"
""".strip().splitlines()

_NUMBERS: Final = """
order {nine} was shipped
order number {thirteen} is not known
encomenda {sixteen} registada às {clock}
referência multibanco {nine}, entidade {n5}, valor {price}
entidade: {n5} referência: {ref} montante: {price}
ISBN {isbn}, {n2} exemplares
EAN {ean} não existe na tabela de produtos
wrote {nanos} ns since epoch
duration_ns={nanos} rows={n3}
{nanos} started, {nanos} stopped
version {n1}.{n2}.{n1}.{n2} of the driver
Chrome/{n3}.0.{n5}.{n3} Safari/537.36
upgrade from {n1}.{n1}.{n2} to {n1}.{n1}.{n2}-{n1}+deb12u{n1}
price changed from {price} to {price}
total {price} (IVA {n2}%), desconto {price}
aluno {n5}, processo {n6}, ano {year}
seq={nine} ack={nine} win={n5}
snowflake {snow} created
trace_id={md5} span_id={hex16}
request_id={uuid} duration={float}
correlation-id: {uuid}
oid {hex24} updated
{uuid} -> {uuid}
00-{md5}-{hex16}-01
offset={nine} partition={n1} lag={n2}
bytes_in={nine} bytes_out={nine}
coordenadas {float}, -{float}
horário {clock}-{clock}, sala {n2}
{year}-{n2} e {year}/{year}
temperature={float} humidity={float}
memory at 0x7f{hex8}{hex2}
inode {nine} on device {n2}:{n1}
AT{year}{n6}/{n3} emitida
ATCUD: {code}-{n3}
matrícula de viatura {plate}
código de barras {ean} lido
processo n.º {n5}/{year}.{n1}TBLSB
artigo {n2}.º, n.º {n1}, alínea a)
""".strip().splitlines()

_PROSE: Final = """
A senha para o almoço levanta-se na secretaria
As senhas de refeição esgotaram às {clock}
senha n.º {n2} chamada ao balcão {n1}
Retire a senha {letter}{n2} e aguarde pela sua vez
A palavra-passe não pode ter menos de {n2} caracteres
Esqueceu-se da palavra-passe? Clique aqui
palavra-passe e confirmação não coincidem
Senha alterada por {n2} utilizadores esta semana
a senha não foi indicada
o campo senha é obrigatório
senha: campo obrigatório
password: This field is required.
password: may not be blank
token: not provided
pin: campo em falta
O código de conduta foi aprovado pelo conselho
O código do curso é obrigatório
código {n3}: turma sem professor
código HTTP {n3} devolvido pelo serviço
o código-fonte está no repositório
o código civil, artigo {n3}
O pin da Turma {n1} foi entregue aos alunos
pin {n1} of the connector is not used
GPIO pin {n2} set to high
O cartão de visita do diretor
cartão amarelo ao jogador número {n2}
o token do jogo custa {price}
tokens used: {n4} of {n5}
max_tokens={n4} temperature=0.{n1}
token bucket refilled, {n3} left
secret ballot of the parents' committee on {clock}
session {n2} of the course starts at {clock}
sessão de cinema às {clock}
A sessão expirou, entre de novo
o contacto com a família correu bem
o telefone tocou {n2} vezes
O e-mail não foi entregue
email backend is django.core.mail.backends.smtp.EmailBackend
the phone number field is empty
o NIF é opcional para menores de {n2} anos
a morada foi confirmada
nome do ficheiro: pauta_{n2}.pdf
nome da turma: {n1}.º {letter}
nome da tarefa: sincronizar
nota: reunião adiada para as {clock}
passe escolar emitido para {n3} alunos
passou de ano com {n2} valores
The pass rate is {n2}%
{n3} tests pass, {n1} fail
pass {n1} of {n1} complete
key {n2} of {n3} processed
the primary key is {n5}
key=turma:{n3}:horario hit=1
cache key: views.decorators.cache.cache_header..{md5}.pt-pt
sort key is last_name
author of {n3} commits
authorization service answered in {float} s
autorização de saída assinada pelo encarregado
o encarregado não compareceu à reunião
assinatura em falta no documento {n4}
a chave da sala {n2} está na portaria
palavra-chave de pesquisa: dinossauros
keyword: matemática
the cookie jar was empty
bolacha e leite ao lanche, {n3} doses
cvv check was skipped
the security code of the building was changed
IBAN em falta para {n2} fornecedores
PIN tries left: {n1}
otp length is {n1}
auth=oidc realm=escola
auth: disabled
credentials: include
Set password policy to strong
user chose a password that is too common
bearer authentication enabled
basic plan, {n2} schools
""".strip().splitlines()

_URLS: Final = """
GET /pesquisa/?q=senha+de+almo%C3%A7o&page={n1}
GET /api/v1/alunos/?ordering=nome&limit={n2}&offset={n3}
GET /turmas/{n3}/?tab=faltas&mes={n2}#dia-{n2}
https://docs.djangoproject.example/en/5.2/topics/auth/passwords/
https://docs.example/howto/custom-tokens/?highlight=token
/static/js/password-strength.{hex8}.js
/static/admin/css/vendor/select2.{hex8}.css?v={n1}.{n1}.{n1}
/accounts/password_reset/done/
/accounts/password/change/
/api/token/refresh/
/api/token/?format=json
/admin/auth/user/{n3}/password/
/o/token/introspect/
/srv/app/contas/tokens.py
/srv/app/contas/senha/forms.py:{n3}
/etc/ssl/private/escola.key
/run/secrets/django_key
/var/lib/school/keys/{n3}.pub
/media/fotos/{uuid}.webp?w={n3}&h={n3}
/media/recibos/{year}/{sha}.pdf
/.well-known/change-password
https://escola.example/blog/{year}/como-escolher-uma-boa-palavra-passe/
redirect to /entrar/?next=/painel/
utm_source=newsletter&utm_medium=mail&utm_campaign=regresso{year}
https://cdn.example/app.{hex20}.js
?sort=-criado_em&sig=1&v={n1}
s3://escola-backups/{year}/{hex8}.tar.zst
git+https://git.example/escola/portal.git@{sha}
redis://cache:6379/{n1}
postgres://db.internal:5432/escola
amqp://broker:5672//
urn:uuid:{uuid}
data:image/gif;base64,R0lGODlhAQABAAAAACw=
""".strip().splitlines()

_CODE: Final = """
  File "/srv/app/contas/views.py", line {n3}, in login
    user = authenticate(request, username=username, password=password)
    form.fields["password"].widget = PasswordInput()
    if not user.check_password(raw_password):
    token = get_token(request)
    token, created = Token.objects.get_or_create(user=user)
    return self.get_response(request)
    secret = settings.SECRET_KEY
    api_key = os.environ["API_KEY"]
    api_key=config("API_KEY", default=None)
    password = getpass.getpass()
    def set_password(self, raw_password):
    email = models.EmailField(_("email address"), blank=True)
    raise ValidationError(_("Enter a valid phone number."))
TypeError: login() missing 1 required positional argument: 'password'
TypeError: __init__() got an unexpected keyword argument 'api_key'
KeyError: 'password'
KeyError: 'HTTP_AUTHORIZATION'
AttributeError: 'User' object has no attribute 'session_key'
NameError: name 'token' is not defined
django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.
django.core.exceptions.FieldError: Cannot resolve keyword 'senha' into field. Choices are: email, id, nif, nome
ValueError: invalid literal for int() with base 10: 'abc'
json.decoder.JSONDecodeError: Expecting value: line 1 column {n1} (char {n1})
{{'id': {n3}, 'estado': 'ativo', 'criado_em': '{stamp}'}}
{{"event": "saved", "id": {n5}, "changed": ["estado", "turma"]}}
<QuerySet [<Aluno: Aluno object ({n3})>, <Aluno: Aluno object ({n3})>]>
<WSGIRequest: GET '/alunos/?page={n1}'>
<Response [{n3}]>
level=info ts={epoch}.{n3} caller=main.go:{n2} msg="config reloaded" took={n2}ms
{{id: {n3}, name: 'turma', size: {n2}}}
SELECT id FROM conta WHERE token_expires < now() AND tries > {n1}
SELECT COUNT(*) FROM aluno WHERE nif IS NULL
DELETE FROM sessao WHERE expira < now()
UPDATE conta SET tentativas = tentativas + 1 WHERE id = {n4}
INSERT INTO turma (id, letra, ano) VALUES ({n3}, '{letter}', {n1})
params: {{'page': {n1}, 'page_size': {n2}}}
args=({n1}, {n2}) kwargs={{}}
config: host=db port=5432 sslmode=verify-full
password=None
password=''
token=null
api_key: ""
senha=[REDACTED]
PASSWORD_HASHERS = ['django.contrib.auth.hashers.Argon2PasswordHasher']
AUTH_PASSWORD_VALIDATORS: {n1} validators
SESSION_COOKIE_SECURE=True
CSRF_COOKIE_AGE={n4}
SESSION_COOKIE_SAMESITE: Lax
EMAIL_USE_TLS=True EMAIL_PORT=587
TOKEN_TTL={n4}
password_min_length: {n2}
""".strip().splitlines()

_MIX: Final = ((_PROGRAMS, 30), (_NUMBERS, 22), (_PROSE, 22), (_URLS, 13), (_CODE, 13))
_PLACE: Final = re.compile(r"\{(\w+)\}|\{\{|\}\}")


def _number(size: int) -> Callable[[random.Random], str]:
    return lambda rng: str(rng.randint(10 ** (size - 1), 10**size - 1))


def _isbn(rng: random.Random) -> str:
    body = "978" + digits(rng, 9)
    return body + str(-sum(int(figure) * (1, 3)[place % 2] for place, figure in enumerate(body)) % 10)


_VALUES: Final[dict[str, Callable[[random.Random], str]]] = {
    **{f"n{size}": _number(size) for size in range(1, 7)},
    "nine": _number(9),
    "thirteen": _number(13),
    "sixteen": _number(16),
    "snow": _number(18),
    "ref": lambda rng: f"{digits(rng, 3)} {digits(rng, 3)} {digits(rng, 3)}",
    "nanos": lambda rng: "17" + digits(rng, 17),
    "stamp": lambda rng: (
        f"20{rng.randint(24, 27)}-{rng.randint(10, 12)}-{rng.randint(10, 28)} "
        f"{rng.randint(10, 23)}:{rng.randint(10, 59)}:{rng.randint(10, 59)}"
    ),
    "clock": lambda rng: f"{rng.randint(8, 19)}:{rng.randint(10, 59)}",
    "epoch": lambda rng: str(rng.randint(17 * 10**8, 18 * 10**8)),
    "year": lambda rng: str(rng.randint(2019, 2027)),
    "float": lambda rng: f"{rng.uniform(0, 99):.{rng.randint(1, 9)}f}",
    "price": lambda rng: f"{rng.randint(1, 9999)}{rng.choice('.,')}{digits(rng, 2)} {rng.choice(('€', 'EUR'))}",
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=rng.choice((1, 4, 5)))),
    "sha": lambda rng: some(rng, HEX, 40),
    "sha7": lambda rng: some(rng, HEX, rng.choice((7, 9, 10))),
    "sha24": lambda rng: some(rng, HEX, 24),
    "md5": lambda rng: some(rng, HEX, 32),
    **{f"hex{size}": (lambda rng, size=size: some(rng, HEX, size)) for size in (2, 8, 16, 20, 24)},
    "b64": lambda rng: some(rng, ALNUM + "+/", 64),
    "isbn": _isbn,
    "ean": lambda rng: "560" + digits(rng, 10),
    "code": lambda rng: some(rng, LOWER_ALNUM, 8).upper(),
    "plate": lambda rng: f"{some(rng, 'ABCDEF', 2)}-{digits(rng, 2)}-{some(rng, 'ABCDEF', 2)}",
    "letter": lambda rng: rng.choice("ABCDEF"),
    "slug": lambda rng: some(rng, URLSAFE, 11),
}


def ordinary_lines(seed: int = DEFAULT_SEED, count: int = 5000) -> list[str]:
    """Return that many lines, the same ones for the same seed."""
    rng = random.Random(seed)
    lines = []
    for _ in range(count):
        templates = rng.choices([part for part, _ in _MIX], [share for _, share in _MIX])[0]
        template = rng.choice(templates)
        lines.append(_PLACE.sub(lambda match: _VALUES[match[1]](rng) if match[1] else match[0][0], template))
    return lines

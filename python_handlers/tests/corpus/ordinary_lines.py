"""Ordinary log lines of a school platform, without anything that would have to be removed.

They are written as developers write them, in English and Portuguese, and hold much that looks like a secret from afar:
hashes, ids, long numbers, and the words password, senha, token, código, cartão with nothing secret beside them.
"""

from __future__ import annotations

import random
import re
from typing import Final

from corpus.ordinary_values import VALUES

DEFAULT_SEED: Final = 20240915

_REQUESTS: Final = """
{method} /api/v1/{app}/{id}/ {status} {duration}
{method} /api/v1/{app}/?page={small}&page_size=50 {status}
"{method} /{app}/{id}/editar/ HTTP/1.1" {status} {count} "-" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0"
"GET /static/css/base.{short}.css HTTP/2" {status} {count}
{method} /escolas/{id}/turmas/{id}/alunos/ {status} in {duration}, correlation_id={uuid}
request {uuid} finished with status code {status} after {duration}
Not Found: /{app}/{slug}/
Forbidden (Permission denied): /{app}/{id}/
Bad Request: /api/v1/{app}/?ordering=-criado_em&turma={small}
GET /media/{stem}/{year}/{slug}.{ext} {status} {size}
HEAD /healthz {status} {duration}
slow request: GET /{app}/relatorio/?de={date}&ate={date} took {duration}
Content-Type: application/json; Content-Length: {count}; ETag: {etag}
upstream {host}:{port} answered {status} in {duration}
rate limit: {count} requests in {duration} for /api/v1/{app}/
""".strip().splitlines()

_SYSTEM: Final = """
Task {task}[{uuid}] received
Task {task}[{uuid}] succeeded in {duration}: None
Task {task}[{uuid}] retry: Retry in {duration}: {error}()
celery@{pod} ready, {small} workers, prefetch {small}
deployed commit {sha} to {host}
deployed {short} (release {version}) at {time}
build {count} of branch main, commit {short}, passed in {duration}
image sha256:{sha256} pulled in {duration}
checksum md5 {md5} for {stem}.{ext} ok
Applying {app}.00{small}_auto_{year}0912_1405... OK
migration {app}.0012_{model}_estado took {duration}
cache hit views.decorators.cache.cache_page.{app}.{md5}.pt-pt.Europe/Lisbon
cache miss for key {app}:{id}:v{small}
cache SET turma:{id}:horario ttl={count} size={size}
pod {pod} was restarted, exit code {small}
Readiness probe failed for {pod}: HTTP {status}
{package} {version} installed
upgraded {package} from {version} to {version}
Python 3.12.{small}, Django {version}, {package}=={version}
worker {id} booted at {time}, pid {id}
({duration}) SELECT COUNT(*) FROM "{table}" WHERE "{table}"."escola_id" = {id}
({duration}) SELECT "{table}"."id" FROM "{table}" ORDER BY "{table}"."id" DESC LIMIT 21
UPDATE {table} SET atualizado_em = now() WHERE id = {id}; {small} rows
deadlock detected on {table}, process {id} waits for ShareLock on transaction {id}
connection to {host}:{port} lost, retrying in {duration}
disk /var/lib/postgresql at {percent}, {size} free
memory {size} of {size}, {percent} used
  File "/srv/app/{app}/views.py", line {line}, in get_queryset
  File "/usr/lib/python3.12/site-packages/django/db/models/query.py", line {line}, in get
{error}: {model} matching query does not exist.
{error} at {hex}: object of type 'NoneType' has no len()
<{model}: {model} object ({id})> is locked by another transaction
backup of escola finished: {size}, sha256 {sha256}, {duration}
rotated {app}.log.{small}.gz, {size}
certificate of {host} expires on {date}
metrics pushed: {count} series, {count} samples, {duration}
started at epoch {epoch}, finished at {epoch}
event {ulid} written to stream application, offset {id}
trace {uuidhex} span {short} sampled
Last-Modified {time}; next run at {time}
schedule: every day at 02:00, next {time}
feature flag novo_horario is on for {percent} of schools
""".strip().splitlines()

_SCHOOL: Final = """
Aluno {id} inscrito na turma {class} ({school})
Turma {class}: {small} alunos, {small} faltas em {date}
Pauta do {class} a {subject} publicada em {time}
média da turma {class} a {subject}: {average} valores
{percent} dos alunos do {class} com aproveitamento a {subject}
Horário do {class} alterado: {subject} passa para {weekday} às {small}h00
Foram importadas {count} linhas do ficheiro {slug}.{ext}
O ficheiro {stem}_{year}.{ext} ({size}) foi carregado por um utilizador da escola {id}
Fatura {doc} {year}/{count} emitida no valor de {price}
recibo {doc} {year}/{count} anulado, substituído por {doc} {year}/{count}
order {id} paid, {price}, payment method multibanco
encomenda n.º {id} expedida em {date}
Pagamento de {price} recebido para a matrícula {id}
reconciliation of {date}: {count} payments, {price}, difference {price}
mensalidade de {month} de {year}: {price} por aluno
invoice {doc} {year}/{count} sent, total {price}, VAT {percent}
reembolso de {price} aprovado pela secretaria
{model} {id} criado por utilizador {id}
{model} {id} saved, changed fields: ['estado', 'atualizado_em']
escola {id}: {school}, {postcode}, {count} alunos
coordenadas da escola {id}: {coordinates}
a paragem de autocarro em {coordinates} tem {small} alunos
Almoço de {weekday}: {count} refeições, {price}
ementa de {date} publicada, cor {colour}
theme colour of school {id} set to {colour}
biblioteca: {count} livros requisitados em {month}, {small} em atraso
Reunião de encarregados do {class} marcada para {time}, sala {small}
Ano letivo {year} aberto; {count} matrículas por validar
O relatório de {month} demorou {duration} a gerar
export {slug}.{ext} ready: {count} rows, {size}
versão {version} dos termos aceite em {time}
As notas do {class} a {subject} já podem ser consultadas pelos pais
A sincronização com o sistema do ministério terminou sem erros
Não há alterações ao horário desta semana
O prazo de inscrição termina na próxima {weekday}
importação interrompida: a coluna 'data de nascimento' não existe na folha
Foi enviado um aviso a todos os encarregados da turma {class}
student {id} moved from class {class} to class {class}
{count} grades published for school {id}, mean {average}
attendance of {date}: {percent} present
""".strip().splitlines()

_WORDS: Final = """
A senha foi alterada com sucesso
A palavra-passe do utilizador {id} expira dentro de {small} dias
palavra-passe alterada pelo utilizador {id}
pedido de recuperação da senha para o utilizador {id}
A senha deve ter pelo menos 10 caracteres
password reset requested for user {id}
password changed for user {id} at {time}
PasswordResetView rendered in {duration}
password validation failed: too short
user {id} has no usable password
token expired
token expired for user {id}, {duration} ago
refresh token rotated for user {id}
CSRF token missing or incorrect.
Forbidden (CSRF cookie not set.): /entrar/
tokenizer loaded in {duration}
invalid token, status {status}
o token do utilizador {id} já não é válido
código postal {postcode}
código da disciplina: {subject}
código do erro: E{small}
status code {status}
exit code {small}
error code {error} from gateway
O código enviado por SMS não foi confirmado a tempo
verification code sent to user {id}
2FA enabled for user {id}
one-time code expired after {duration}
o cartão foi recusado
o cartão do aluno {id} foi ativado no refeitório
card declined by issuer, order {id}
cartão de estudante impresso em {date}
session expired after {duration}
session of user {id} flushed
sessão de {subject} do {class} cancelada
cookie consent saved for school {id}
api key rotated by user {id}
API key missing in request to /api/v1/{app}/
authorization failed for user {id}: not a member of school {id}
Authorization header missing
basic authentication is disabled
bearer of the library card returned {small} books
secret santa da turma {class} marcado para {date}
secretária da escola {id} aprovou {count} matrículas
chave estrangeira em falta na tabela {table}
primary key {id} not found in {table}
o telefone da escola {id} não está preenchido
phone number missing for guardian of student {id}
NIF em falta na fatura {doc} {year}/{count}
contribuinte inválido na linha {line}
IBAN missing for supplier {id}
e-mail inválido na linha {line}
e-mail bounced for user {id}
PIN pad of the cafeteria is offline
credentials for SFTP were not configured
login failed for user {id}: wrong password
login of user {id} from a new device
""".strip().splitlines()

_LONG_NUMBERS: Final = """
livro com ISBN {isbn} adicionado à biblioteca
produto EAN {ean} sem stock no refeitório
barcode {ean} scanned at till {small}
offset {stamp} committed for partition {small}
{app}:{id} updated, ts={stamp}
last event id {stamp}-0
object {bigid} of table {table} archived
ticket #{bigid} closed by support
message {bigid} delivered in {duration}
job {biggerid} scheduled
row {biggerid} in {table} skipped
""".strip().splitlines()

# Templates, and how many of a hundred lines are of them.
_MIX: Final = ((_REQUESTS, 28), (_SYSTEM, 32), (_SCHOOL, 26), (_WORDS, 12), (_LONG_NUMBERS, 2))
_FIELD: Final = re.compile(r"\{(\w+)\}")


def ordinary_line(rng: random.Random) -> str:
    """Return one line; each value is drawn anew, but a line speaks of one table only."""
    templates = rng.choices([templates for templates, _ in _MIX], [share for _, share in _MIX])[0]
    template = rng.choice(templates).replace("{table}", VALUES["table"](rng))
    return _FIELD.sub(lambda match: VALUES[match[1]](rng), template)


def ordinary_lines(seed: int = DEFAULT_SEED, count: int = 5000) -> list[str]:
    """Return that many lines, the same ones for the same seed."""
    rng = random.Random(seed)
    return [ordinary_line(rng) for _ in range(count)]

"""The values that ordinary lines are made of: numbers, ids, times and names of things, none of them secret."""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Callable
from typing import Final

from corpus.items import HEX, LOWER_ALNUM, digits, some

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_POD: Final = "bcdfghjklmnpqrstvwxz2456789"
_START: Final = datetime.datetime(2023, 1, 1, tzinfo=datetime.timezone.utc)

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "app": ("alunos", "turmas", "pagamentos", "avaliacoes", "horarios", "refeitorio", "biblioteca", "transportes"),
    "model": ("Aluno", "Turma", "Fatura", "Matricula", "Horario", "Pauta", "Refeicao", "Requisicao"),
    "task": (
        "pagamentos.tasks.reconcile_day", "avaliacoes.tasks.publish_grades", "alunos.tasks.import_csv",
        "biblioteca.tasks.remind_late_books", "notificacoes.tasks.send_digest", "horarios.tasks.rebuild",
    ),
    "method": ("GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"),
    "status": ("200", "200", "200", "201", "204", "301", "302", "304", "400", "403", "404", "409", "429", "500", "502"),
    "school": (
        "Agrupamento de Escolas do Norte", "Escola Básica do Outeiro", "Escola Secundária da Ribeira",
        "Colégio do Vale", "Jardim de Infância da Praia", "EB 2,3 da Lezíria", "Escola Profissional do Douro",
    ),
    "subject": ("Matemática", "Português", "História", "Físico-Química", "Inglês", "Educação Física", "Geografia"),
    "month": ("janeiro", "fevereiro", "março", "abril", "maio", "setembro", "outubro", "novembro", "dezembro"),
    "weekday": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira"),
    "package": ("Django", "psycopg", "celery", "redis", "gunicorn", "Pillow", "requests", "cryptography", "orjson"),
    "host": ("web-1", "web-2", "worker-1", "db-primary", "cache.internal", "broker.internal", "proxy-a"),
    "doc": ("FT", "FR", "NC", "RC", "FS", "ND"),
    "ext": ("pdf", "csv", "xlsx", "png", "jpg", "docx", "zip", "svg"),
    "stem": ("pauta", "boletim", "recibo", "horario", "ementa", "mapa-de-faltas", "regulamento", "foto_turma", "saft"),
    "table": ("alunos_aluno", "pagamentos_fatura", "turmas_turma", "avaliacoes_nota", "auth_user", "django_session"),
    "error": ("ValueError", "KeyError", "IntegrityError", "TimeoutError", "DoesNotExist", "PermissionDenied"),
    "currency": ("EUR", "€"),
}  # fmt: skip


def _moment(rng: random.Random) -> datetime.datetime:
    return _START + datetime.timedelta(seconds=rng.randrange(3 * 365 * 86400), microseconds=rng.randrange(10**6))


def _time(rng: random.Random) -> str:
    moment = _moment(rng)
    form = rng.choice(
        ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%f+00:00", "%d/%m/%Y %H:%M", "%d/%b/%Y %H:%M:%S",
         "%H:%M:%S", "%d-%m-%Y", "%Y%m%d", "%Y%m%d%H%M%S", "%Hh%M", "%a, %d %b %Y %H:%M:%S GMT", "%Y%m%dT%H%M%SZ")
    )  # fmt: skip
    return moment.strftime(form)


def _price(rng: random.Random) -> str:
    cents = int(10 ** rng.uniform(1.5, 6))
    whole, rest = divmod(cents, 100)
    grouped = f"{whole:,}".replace(",", rng.choice((" ", ".", "")))
    return rng.choice(
        (f"{whole}.{rest:02} EUR", f"{grouped},{rest:02} €", f"EUR {whole}.{rest:02}", f"€{whole}.{rest:02}")
    )


def _duration(rng: random.Random) -> str:
    clock = f"{rng.randint(0, 3)}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"
    seconds = f"{rng.uniform(0, 900):.6f} seconds"
    return rng.choice(
        (f"{rng.uniform(0, 3):.3f}s", f"{rng.randint(1, 4000)}ms", f"{rng.randint(1, 59)} min", seconds, clock)
    )


def _size(rng: random.Random) -> str:
    return rng.choice((f"{rng.randint(1, 10**7)} bytes", f"{rng.uniform(1, 999):.1f} MiB", f"{rng.randint(1, 999)} kB"))


def _version(rng: random.Random) -> str:
    numbers = f"{rng.randint(0, 42)}.{rng.randint(0, 30)}.{rng.randint(0, 20)}"
    return numbers + rng.choice(("", "", "", "rc1", ".dev0", "+build." + digits(rng, 2), "-beta.1"))


def _with_check_digit(body: str) -> str:
    weighted = sum(int(figure) * (3 if place % 2 else 1) for place, figure in enumerate(body))
    return body + str(-weighted % 10)


def _ulid(rng: random.Random) -> str:
    return "01H" + some(rng, _CROCKFORD, 23)


def _coordinates(rng: random.Random) -> str:
    return f"{rng.uniform(37, 42):.6f}, {rng.uniform(-9.5, -6.2):.6f}"


def _pod(rng: random.Random) -> str:
    return f"{rng.choice(('web', 'worker', 'beat', 'migrate'))}-{some(rng, HEX, 10)}-{some(rng, _POD, 5)}"


def _epoch(rng: random.Random) -> str:
    return f"{_moment(rng).timestamp():.{rng.choice((0, 0, 3, 6))}f}"


def _stamp(rng: random.Random) -> str:
    return str(int(_moment(rng).timestamp() * rng.choice((10**3, 10**3, 10**6))))


def _isbn(rng: random.Random) -> str:
    number = _with_check_digit("978" + rng.choice(("972", "989", "014")) + digits(rng, 6))
    return number if rng.random() < 0.5 else f"{number[:3]}-{number[3:6]}-{number[6:9]}-{number[9:12]}-{number[12]}"


Make = Callable[[random.Random], str]

VALUES: Final[dict[str, Make]] = {
    "id": lambda rng: str(rng.randint(1, 10 ** rng.choice((1, 2, 3, 4, 5, 5, 6, 7, 8)))),
    "bigid": lambda rng: str(rng.randint(10**8, 10**9 - 1)),
    "biggerid": lambda rng: str(rng.randint(10**9, 10**10 - 1)),
    "small": lambda rng: str(rng.randint(0, 40)),
    "count": lambda rng: str(int(10 ** rng.uniform(0, 5))),
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "uuidhex": lambda rng: uuid.UUID(int=rng.getrandbits(128), version=4).hex,
    "ulid": _ulid,
    "sha": lambda rng: some(rng, HEX, 40),
    "short": lambda rng: some(rng, HEX, rng.choice((7, 8, 12))),
    "sha256": lambda rng: some(rng, HEX, 64),
    "md5": lambda rng: some(rng, HEX, 32),
    "etag": lambda rng: f'W/"{some(rng, HEX, 16)}"',
    "time": _time,
    "date": lambda rng: _moment(rng).strftime("%Y-%m-%d"),
    "epoch": _epoch,
    "stamp": _stamp,
    "price": _price,
    "percent": lambda rng: rng.choice((f"{rng.uniform(0, 100):.1f}%", f"{rng.randint(0, 100)} %")),
    "average": lambda rng: f"{rng.uniform(8, 19):.2f}".replace(".", rng.choice(".,")),
    "version": _version,
    "size": _size,
    "duration": _duration,
    "year": lambda rng: str(rng.randint(2021, 2026)),
    "class": lambda rng: f"{rng.randint(1, 12)}.º {rng.choice('ABCDEFG')}",
    "colour": lambda rng: f"#{some(rng, HEX, 6)}",
    "coordinates": _coordinates,
    "isbn": _isbn,
    "ean": lambda rng: _with_check_digit("560" + digits(rng, 9)),
    "pod": _pod,
    "postcode": lambda rng: f"{rng.randint(1, 9)}{digits(rng, 3)}-{digits(rng, 3)}",
    "hex": lambda rng: f"0x{some(rng, HEX, 12)}",
    "slug": lambda rng: f"{rng.choice(_CHOICES['stem'])}-{some(rng, LOWER_ALNUM, 6)}",
    "port": lambda rng: rng.choice(("5432", "6379", "8000", "8443", "9200", "5672")),
    "line": lambda rng: str(rng.randint(5, 900)),
    **{name: (lambda rng, choices=choices: rng.choice(choices)) for name, choices in _CHOICES.items()},
}
"""What may stand in braces in a template."""

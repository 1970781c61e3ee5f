"""Data of people: addresses, telephones, tax numbers, names."""

from __future__ import annotations

import random
from typing import Final

from corpus.items import ALNUM, Item, Kind, digits, labelled, plain, some, turn

FIRST_NAMES: Final = (
    "Maria", "João", "Inês", "Tomás", "Beatriz", "Gonçalo", "Matilde", "Afonso", "Leonor", "Duarte", "Conceição",
    "Estêvão", "Mariana", "Rodrigo", "Francisca", "Simão", "Benedita", "Martim", "Catarina", "Lourenço",
)  # fmt: skip
LAST_NAMES: Final = (
    "Ferreira", "Santos", "Oliveira", "Gonçalves", "Magalhães", "Carvalho", "Guimarães", "Teixeira", "Figueiredo",
    "Nóbrega", "Vasconcelos", "Pimentel", "Sequeira", "Assunção", "Bettencourt", "Drumond", "Mascarenhas", "Queirós",
)  # fmt: skip
_PLAIN = str.maketrans("áàâãçéêíóôõú", "aaaaceeiooou")
_DOMAINS: Final = (
    "example.org",
    "example.com",
    "mail.example.net",
    "alunos.agrupamento-norte.example.org",
    "escola.example",
    "pais.escola-básica.example",
    "correio.açores.example",
    "xn--escola-bsica-hbb.example",
    "EXAMPLE.COM",
    "turma-a.secretaria.EXAMPLE.net",
)


def email(rng: random.Random, number: int) -> Item:
    first = rng.choice(FIRST_NAMES).lower().translate(_PLAIN)
    last = rng.choice(LAST_NAMES).lower().translate(_PLAIN)
    figures = digits(rng, rng.randint(2, 4))
    local = turn(
        (
            f"{first}.{last}{figures}",
            f"{first}.{last}{figures}+escola",
            f"{first}_{last}{figures}",
            f"{first[0]}{last}-{figures}",
            f"{last}{figures}+{some(rng, ALNUM, 5)}",
            f"{first.title()}.{last.title()}{figures}",
            f"{last}.o'{first}{figures}",
        ),
        number,
    )
    address = f"{local}@{_DOMAINS[number % len(_DOMAINS)]}"
    texts = (
        "{}",
        "convite enviado para {}",
        "bounce from <{}>",
        "user {} logged in",
        "mailto:{}",
        "o utilizador {} não existe",
        "email={}",
        "({})",
    )
    return plain("email", address, texts, number, (address, local))


def phone_international(rng: random.Random, number: int) -> Item:
    mobile = f"9{rng.choice('1236')}{digits(rng, 7)}"
    fixed = f"2{rng.choice('12356789')}{digits(rng, 7)}"
    spoken = [f"{part[:3]} {part[3:6]} {part[6:]}" for part in (mobile, fixed)]
    value = turn(
        (
            f"+351 {spoken[0]}",
            f"+351{mobile}",
            f"00351 {spoken[0]}",
            f"+351 {spoken[1]}",
            f"+351-{spoken[0].replace(' ', '-')}",
            f"(+351) {spoken[0]}",
            f"+34 6{digits(rng, 2)} {digits(rng, 3)} {digits(rng, 3)}",
            f"+33 6 {digits(rng, 2)} {digits(rng, 2)} {digits(rng, 2)} {digits(rng, 2)}",
            f"+44 7{digits(rng, 3)} {digits(rng, 6)}",
            f"+4915{rng.randint(1, 9)}{digits(rng, 8)}",
            f"+55 11 9{digits(rng, 4)}-{digits(rng, 4)}",
            f"+1 {rng.randint(201, 989)}-{rng.randint(200, 999)}-{digits(rng, 4)}",
            f"+2449{rng.choice('1234')}{digits(rng, 7)}",
        ),
        number,
    )
    texts = ("{}", "SMS to {} failed", "mensagem para {} entregue", "contacto: {}", "called {} twice")
    return plain("phone_international", value, texts, number)


def phone_national(rng: random.Random, number: int) -> Item:
    compact = f"{rng.choice(('91', '92', '93', '96', '21', '22', '239', '253', '289'))}{digits(rng, 7)}"[:9]
    written = compact if number // 6 % 2 else f"{compact[:3]} {compact[3:6]} {compact[6:]}"
    fields = ("telemovel", "telefone", "phone", "phone_number", "contacto_telefonico", "mobile")
    texts = (
        "telemóvel {}",
        "tel. {}",
        "telefone: {}",
        "phone={}",
        "phone number {}",
        "Tlm: {}",
        "{f}='{}'",
        "ligar para o telemóvel {}",
        "mobile: {}",
    )
    return labelled("phone_national", written, texts, number, turn(fields, number))


def nif_digit(first_eight: str) -> str:
    """Return the check digit of a Portuguese tax number."""
    rest = sum(int(figure) * (9 - place) for place, figure in enumerate(first_eight)) % 11
    return "0" if rest < 2 else str(11 - rest)


def nif(rng: random.Random, number: int) -> Item:
    eight = f"{rng.choice('1235')}{digits(rng, 7)}" if number % 6 else f"45{digits(rng, 6)}"
    compact = eight + nif_digit(eight)
    spaced = f"{compact[:3]} {compact[3:6]} {compact[6:]}"
    written = turn((compact, compact, spaced, f"PT{compact}"), number)
    fields = ("nif", "numero_contribuinte", "tax_number", "vat_number", "nif_encarregado", "contribuinte")
    texts = (
        "NIF {}",
        "NIF: {}",
        "nif={}",
        "contribuinte n.º {}",
        "número de contribuinte {}",
        "tax number {}",
        "{f}='{}'",
        "NIF do encarregado: {}",
        "o NIF {} é inválido",
    )
    return labelled("nif", written, texts, number, turn(fields, number))


def person_name(rng: random.Random, number: int) -> Item:
    fields = (
        "full_name", "nome", "encarregado_de_educacao", "student_name", "nome_completo", "nome_aluno", "guardian_name",
        "first_name", "last_name", "apelido", "nome_do_encarregado", "card_holder",
    )  # fmt: skip
    field = turn(fields, number)
    last = rng.sample(LAST_NAMES, 2)
    if field == "first_name":
        value = f"{rng.choice(FIRST_NAMES)} {rng.choice(FIRST_NAMES)}"
    elif field in ("last_name", "apelido"):
        value = f"{last[0]} {last[1]}"
    else:
        value = f"{rng.choice(FIRST_NAMES)} {last[0]}" + rng.choice(("", f" de {last[1]}"))
    # In quotes: nobody could tell where a name without them ends.
    texts = ("{f}='{}'", '{f}="{}"', "'{f}': '{}'", '"{f}": "{}"')
    return labelled("person_name", value, texts, number // len(fields), field)


KINDS: Final = (
    Kind("email", email, False, "plus addresses, subdomains, capitals, quotes, unicode and punycode domains"),
    Kind("phone_international", phone_international, False, "+351, 00351 and seven other countries, many spellings"),
    Kind("phone_national", phone_national, True, "nine Portuguese digits, with and without spaces, beside a word"),
    Kind("nif", nif, True, "valid check digit; compact, in groups, with PT; beside NIF or contribuinte"),
    Kind("person_name", person_name, True, "names in fields that hold names, English and Portuguese"),
)

"""Cards, accounts, addresses and names of people in uncommon spellings."""

from __future__ import annotations

import random
import string
from typing import Final

from corpus.items import digits, some, turn

_SILENT: Final = "valor ref x data item what linha obs conteudo"
_FIRST: Final = [
    "Anabela",
    "Zulmira",
    "Tiago",
    "Nuno",
    "Ivone",
    "Célia",
    "Óscar",
    "Íris",
    "Vítor",
    "Telmo",
    "Dário",
    "Amélia",
    "Jaime",
    "Olga",
    "Hélder",
]
_LAST: Final = [
    "Pacheco",
    "Quintela",
    "Barroso",
    "Falcão",
    "Simões",
    "Mourão",
    "Tavares",
    "Brandão",
    "Lacerda",
    "Peixoto",
    "Serrão",
    "Vilhena",
]
_PLAIN: Final = str.maketrans("áàâãçéêíóôõúÍÓ", "aaaaceeiooouIO")


def _luhn(body: str) -> str:
    """Return the body with its check digit."""
    total = 0
    for place, figure in enumerate(reversed(body)):
        total += sum(divmod(int(figure) * (2 - place % 2), 10))
    return body + str(-total % 10)


def card(rng: random.Random, number: int) -> str:
    begin, length = turn(
        (
            ("4", 16),
            ("4", 13),
            ("4", 19),
            ("51", 16),
            ("2720", 16),
            ("34", 15),
            ("36", 14),
            ("6011", 16),
            ("3566", 16),
            ("62", 17),
            ("62", 18),
            ("6759", 12 + 4),
            ("5018", 13),
        ),
        number,
    )
    whole = _luhn(begin + digits(rng, length - len(begin) - 1))
    sizes = {15: (4, 6, 5), 14: (4, 6, 4)}.get(length, (4,) * 5)
    mark = turn((" ", "-", ".", "\u00a0", "\u202f", " - ", "  ", "", "\u2011", "/", "_", "\t"), number // 2)
    parts, start = [], 0
    for size in sizes:
        parts.append(whole[start : start + size])
        start += size
    return mark.join(part for part in parts if part)


def cvv(rng: random.Random, number: int) -> str:
    return digits(rng, 3 + (number % 6 == 5))


def _check_digits(country: str, account: str) -> str:
    as_figures = "".join(str(int(char, 36)) for char in account + country + "00")
    return f"{98 - int(as_figures) % 97:02}"


def iban(rng: random.Random, number: int) -> str:
    country, account = turn(
        (
            ("PT", ""),
            ("NL", "ABNA" + digits(rng, 10)),
            ("IT", "X" + digits(rng, 22)),
            ("BE", digits(rng, 12)),
            ("LU", digits(rng, 3) + some(rng, string.ascii_uppercase, 13)),
            ("CH", digits(rng, 17)),
            ("IE", "AIBK" + digits(rng, 14)),
            ("DE", digits(rng, 18)),
        ),
        number,
    )
    if country == "PT":
        nib = f"0035{digits(rng, 15)}"
        account = f"{nib}{98 - int(nib) * 100 % 97:02}"
    whole = country + _check_digits(country, account) + account
    mark = turn(("", " ", "-", "\u00a0", "."), number // 3)
    grouped = mark.join(whole[start : start + 4] for start in range(0, len(whole), 4))
    return grouped.lower() if number % 7 == 6 else grouped


def email(rng: random.Random, number: int) -> tuple[str, tuple[str, ...]]:
    first = rng.choice(_FIRST).lower().translate(_PLAIN)
    last = rng.choice(_LAST).lower().translate(_PLAIN)
    figures = digits(rng, 3)
    local, domain = turn(
        (
            (f"{first}.{last}.{figures}", "gmail.example"),
            (f"{first}{figures}+propinas+2", "Escola.Example"),
            (f'"{first} {last}{figures}"', "example.org"),
            (f"{first.upper()}_{last.upper()}{figures}", "EXAMPLE.COM"),
            (f"{last}{figures}", "são-tomé.example"),
            (f"{rng.choice(_FIRST).lower()}.{figures}", "example.net"),
            (f"{first}/{last}{figures}", "example.org"),
            (f"{first}={last}{figures}", "example.org"),
            (f"{first}.{last}{figures}", "a.b.c.d.example.co"),
            (f"{figures}{first}", "[192.0.2.7]"),
            (f"{first}{last}{figures}", "localhost"),
            (f"{first}!{last}{figures}", "mail.example.org."),
        ),
        number,
    )
    return f"{local}@{domain}", (local.strip('"'),)


def phone(rng: random.Random, number: int) -> str:
    nine = f"9{rng.choice('1236')}{digits(rng, 7)}"
    return turn(
        (
            f"+351.{nine[:3]}.{nine[3:6]}.{nine[6:]}",
            f"00351{nine}",
            f"00 351 {nine[:2]} {nine[2:5]} {nine[5:7]} {nine[7:]}",
            f"+351 (0) {nine[:3]} {nine[3:6]} {nine[6:]}",
            f"+44 (0) 20 7{digits(rng, 3)} {digits(rng, 4)}",
            f"+351\u00a0{nine[:3]}\u00a0{nine[3:6]}\u00a0{nine[6:]}",
            f"+1 ({rng.randint(212, 989)}) {rng.randint(200, 999)}-{digits(rng, 4)}",
            f"tel:+351-{nine}",
            f"+49 (0)171/{digits(rng, 7)}",
            f"+351/{nine[:3]}/{nine[3:6]}/{nine[6:]}",
            f"(00351) {nine}",
            f"+39 3{digits(rng, 2)} {digits(rng, 7)}",
            f"+351 {nine[:2]}-{nine[2:5]}-{nine[5:]}",
        ),
        number,
    )


def phone_portuguese(rng: random.Random, number: int) -> str:
    nine = f"{rng.choice(('91', '92', '93', '96', '21', '22', '23', '25', '28'))}{digits(rng, 7)}"
    return turn(
        (
            nine,
            f"{nine[:2]} {nine[2:5]} {nine[5:7]} {nine[7:]}",
            f"{nine[:3]}.{nine[3:6]}.{nine[6:]}",
            f"{nine[:3]}-{nine[3:6]}-{nine[6:]}",
            f"{nine[:2]} {nine[2:]}",
            f"{nine[:3]}\u00a0{nine[3:6]}\u00a0{nine[6:]}",
        ),
        number,
    )


def nif(rng: random.Random, number: int) -> str:
    eight = rng.choice("12356") + digits(rng, 7)
    rest = sum(int(figure) * weight for figure, weight in zip(eight, range(9, 1, -1), strict=True)) % 11
    whole = eight + str(0 if rest < 2 else 11 - rest)
    spaced = f"{whole[:3]} {whole[3:6]} {whole[6:]}"
    return turn((whole, f"PT {whole}", f"PT-{whole}", spaced, spaced.replace(" ", "."), f"PT{whole}"), number)


def name(rng: random.Random, number: int) -> str:
    first, last, other = rng.choice(_FIRST), rng.choice(_LAST), rng.choice(_LAST)
    return turn(
        (
            f"{first} {last} {other}",
            f"{last}, {first} {other}",
            f"{first.upper()} {last.upper()} {other.upper()}",
            f"Dª {first} {other} e {last}",
            f"{first}-{rng.choice(_FIRST)} {last}",
        ),
        number,
    )


KINDS: Final = {
    "card": (_SILENT, card, "alone"),
    "card_named": ("cartao numero_cartao cardNumber pan card_no num_cartao n_cartao", card),
    "cvv": ("cvv2 cvc CVV card_security_code security-code codigoSeguranca cvn securityCode cardCvc cvc2", cvv),
    "iban": (_SILENT, iban, "alone"),
    "email": (_SILENT, email, "alone"),
    "phone": (_SILENT, phone, "alone"),
    "phone_portuguese": (
        "telemovel tlm telemovel_pai phoneNumber mobile_phone contacto tel telefone1 whatsapp",
        phone_portuguese,
    ),
    "nif": ("contribuinte NIF numeroContribuinte nif_pai nipc tax_id vatNumber n_contribuinte", nif),
    "name": ("nome_completo nomeAluno first_name encarregado nome_mae lastName full-name titular display_name", name),
}

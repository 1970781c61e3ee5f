"""What ``traffic.py --attack`` ends with: guessed passwords, a block, and people who ask for the security log."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traffic import Visitor

GUESSES = 5
REQUESTS = 2 * GUESSES + 1 + 2 * (2 + 1)  # the guesses, the refusal, two people who log in and ask for a page
SECURITY_PAGE = "/admin/logbastion_security/securitylog/"


def attack(
    new_visitor: Callable[[str, str], Visitor], users: list[dict[str, str]], officer: dict[str, str], run_id: str
) -> dict[str, object]:
    """Guess a password until the address is blocked; have an officer, and somebody who may not, look at the log.

    The page need not have the events yet, which are on their way to the store.

    Args:
        new_visitor: makes a visitor with an address of its own, from a user name and a password.
        users: of the credentials; the first is guessed at, and may not see the log.
        officer: who may.
        run_id: makes the guesses those of this run.

    """
    guesser = new_visitor(users[0]["username"], f"guess-{run_id}")
    for _ in range(GUESSES):
        guesser.guess()
    refused = guesser.is_refused()
    reader, other = (new_visitor(user["username"], user["password"]) for user in (officer, users[0]))
    for visitor in (reader, other):
        visitor.log_in()
    query = urllib.parse.urlencode({"span": "1h", "address": guesser.address})
    page = reader.security_log(query, 200)
    other.security_log(query, 403)
    return {
        "address": guesser.address,
        "guesses": GUESSES,
        "refused": refused,
        "officer_address": reader.address,
        "other_address": other.address,
        "page_reads": next(iter(re.findall(r"Read from ([^.<]+)", page)), "nothing"),
    }

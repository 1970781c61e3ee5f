#!/usr/bin/env python3
"""Visits every page of the example, each request with a numbered correlation id.

    python traffic.py --url https://app:8443 --ca ca.crt --credentials credentials.json --requests 200

Each request carries ``X-Correlation-ID: traffic-<run>-<number>`` and makes exactly one event ``http_request``, so what
is lost or doubled on the way to the store shows by its number. TLS is verified. Ends with 0 when every page answered
as it should, 1 when one did not, 2 when the run could not be made.

With ``--as-proxy`` each visitor comes from an address of its own, as behind a proxy that the application trusts: this
machine must be among its ``LOGBASTION_TRUSTED_PROXIES``. With ``--attack`` the run ends with five guessed passwords
from one of them, a request that must be refused, and an officer who reads about it on the page of the security log.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import http.cookies
import ipaddress
import json
import random
import re
import secrets
import ssl
import sys
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import attack

MISTYPED_EVERY_SECONDS = 300
CALM_ROUNDS = 20  # of visits between log-in and log-out, which a loaded machine takes seconds for
CARD, DECLINED, UNREACHABLE = "4242424242424242", "4000000000000002", "4000000000000119"
SCHOOLS = 5
OUTAGE_REQUESTS = 4  # log-in and payment
ADDRESSES = ipaddress.ip_network("198.18.0.0/15")  # of nobody: for tests of this kind (RFC 2544, RFC 6890)
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
STUDENT = re.compile(r'<option value="(\d+)"')


class RunEndedError(Exception):
    """The wanted number of requests was made, or the time is over."""


@dataclass
class Answer:
    """What a page said."""

    status: int
    body: str


@dataclass
class Run:
    """Numbers requests, makes them, and keeps count."""

    url: urllib.parse.SplitResult
    context: ssl.SSLContext | None
    limit: int
    deadline: float
    run_id: str
    as_proxy: bool = False
    number: int = 0
    addresses: int = 0
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    unexpected: list[dict[str, object]] = field(default_factory=list)
    seconds_between: float = 0.0
    next_request: float = 0.0
    next_mistyped: float = 0.0

    def new_address(self) -> str | None:
        """Return an address that no visitor of this run, and hardly one of another, has had; None without a proxy."""
        if not self.as_proxy:
            return None
        self.addresses += 1
        return str(ADDRESSES[(int(self.run_id, 16) + self.addresses) % ADDRESSES.num_addresses])

    def request(
        self,
        method: str,
        path: str,
        cookies: dict[str, str],
        expected: tuple[int, ...],
        *,
        form: dict[str, str] | None = None,
        address: str | None = None,
    ) -> Answer:
        """Make one request.

        Raises:
            RunEndedError: there are none left to make.

        """
        if self.number >= self.limit or time.monotonic() >= self.deadline:
            raise RunEndedError
        self._keep_pace()
        self.number += 1
        correlation_id = f"traffic-{self.run_id}-{self.number}"
        headers = {
            "X-Correlation-ID": correlation_id,
            "User-Agent": "aprende-school-traffic/1",
            "Referer": urllib.parse.urlunsplit(self.url) + "/",
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        }
        if address is not None:
            headers["X-Forwarded-For"] = address
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        problem, answer = None, Answer(0, "")
        try:
            answer, returned_id = self._exchange(method, path, body, headers, cookies)
            if answer.status not in expected:
                problem = f"answered {answer.status}, expected {' or '.join(map(str, expected))}"
            elif returned_id != correlation_id:
                problem = f"came back with the correlation id {returned_id}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"no answer: {error}"
        self.statuses[str(answer.status) if answer.status else "no answer"] += 1
        if problem:
            self.unexpected.append({"number": self.number, "request": f"{method} {path}", "problem": problem})
        return answer

    def _keep_pace(self) -> None:
        now = time.monotonic()
        if now < self.next_request:
            time.sleep(self.next_request - now)
        self.next_request = max(now, self.next_request) + self.seconds_between

    def _exchange(
        self, method: str, path: str, body: str | None, headers: dict[str, str], cookies: dict[str, str]
    ) -> tuple[Answer, str | None]:
        host, port = self.url.hostname or "", self.url.port
        if self.context:
            connection = http.client.HTTPSConnection(host, port, timeout=30, context=self.context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            for header in response.headers.get_all("Set-Cookie", []):
                for name, morsel in http.cookies.SimpleCookie(header).items():
                    cookies[name] = morsel.value
            return Answer(response.status, text), response.headers.get("X-Correlation-ID")
        finally:
            connection.close()


class Visitor:
    """One browser: cookies, a user name and a password."""

    def __init__(self, run: Run, username: str, password: str, chance: random.Random) -> None:
        self._run, self._chance = run, chance
        self._username, self._password = username, password
        self._cookies: dict[str, str] = {}
        self.address = run.new_address()

    def log_in(self) -> None:
        """Log in through the form."""
        token = self._token(self._get("/login/", 200).body)
        form = {"username": self._username, "password": self._password, "csrfmiddlewaretoken": token}
        self._run.request("POST", "/login/", self._cookies, (302,), form=form, address=self.address)

    def fail_to_log_in(self) -> None:
        """Mistype the user name, once, as a visitor of one's own."""
        visitor = Visitor(
            self._run, f"{self._username}.{self._run.run_id}.{self._run.number}@example.org", "wrong", self._chance
        )
        visitor.guess()

    def guess(self) -> None:
        """Try a wrong password."""
        cookies: dict[str, str] = {}
        token = self._token(self._run.request("GET", "/login/", cookies, (200,), address=self.address).body)
        wrong = {"username": self._username, "password": self._password, "csrfmiddlewaretoken": token}
        self._run.request("POST", "/login/", cookies, (200,), form=wrong, address=self.address)

    def is_refused(self) -> bool:
        """Ask for the log-in; say whether the address is refused, as it must be."""
        return self._run.request("GET", "/login/", {}, (403,), address=self.address).status == 403

    def security_log(self, query: str, expected: int) -> str:
        """Ask for the page of the security log; returns it."""
        return self._get(f"{attack.SECURITY_PAGE}?{query}", expected).body

    def log_out(self) -> None:
        """Log out."""
        token = self._token(self._get("/", 200).body)
        self._run.request(
            "POST", "/logout/", self._cookies, (302,), form={"csrfmiddlewaretoken": token}, address=self.address
        )
        self._cookies.clear()

    def visits(self) -> list[Callable[[], object]]:
        """Return every kind of visit once, in random order."""
        kinds: list[Callable[[], object]] = [
            lambda: self._get("/", 200),
            lambda: self._get("/search/?" + urllib.parse.urlencode({"q": self._chance.choice("aei")}), 200),
            lambda: self._get("/search/", 200),
            *[(lambda school=school: self._get(f"/schools/{school}/", 200, 403)) for school in range(1, SCHOOLS + 1)],
            lambda: self.pay(CARD, 200),
            lambda: self.pay(DECLINED, 402),
            lambda: self._get("/my-data/", 200),
            lambda: self._get("/report/", 200),
            lambda: self._get("/broken/", 500),
            lambda: self._get("/nothing-here/", 404),
            self.fail_to_log_in,
        ]
        self._chance.shuffle(kinds)
        return kinds

    def calm_visits(self) -> list[Callable[[], object]]:
        """Return the kinds of visit in which nothing fails, each some times, in random order."""
        kinds: list[Callable[[], object]] = [
            *[lambda: self._get("/", 200)] * 3,
            *[lambda: self._get("/search/?" + urllib.parse.urlencode({"q": self._chance.choice("aei")}), 200)] * 3,
            *[lambda: self.pay(CARD, 200)] * 2,
            lambda: self._get("/my-data/", 200),
            self.mistype_sometimes,
        ]
        self._chance.shuffle(kinds)
        return kinds

    def mistype_sometimes(self) -> None:
        """Try a wrong password once in a while, as people do."""
        if time.monotonic() >= self._run.next_mistyped:
            self._run.next_mistyped = time.monotonic() + MISTYPED_EVERY_SECONDS
            self.fail_to_log_in()

    def pay(self, card: str, expected: int) -> None:
        """Pay something for the first student; while payments are paused, 503 is right as well."""
        page = self._get("/payments/new/", 200).body
        student = STUDENT.search(page)
        form = {
            "csrfmiddlewaretoken": self._token(page),
            "student": student.group(1) if student else "0",
            "amount": f"{self._chance.randint(5, 200)}.{self._chance.randint(0, 99):02d}",
            "card_number": card,
        }
        self._run.request("POST", "/payments/new/", self._cookies, (expected, 503), form=form, address=self.address)

    def _get(self, path: str, *expected: int) -> Answer:
        return self._run.request("GET", path, self._cookies, expected, address=self.address)

    @staticmethod
    def _token(page: str) -> str:
        found = TOKEN.search(page)
        return found.group(1) if found else ""


def visit_all(run: Run, users: list[dict[str, str]], chance: random.Random, outage: bool, calm: bool = False) -> None:
    """Visit until the run ends; with ``outage`` the last visit is a payment while the provider is away."""
    total = run.limit
    run.limit = total - OUTAGE_REQUESTS if outage else total
    try:
        while True:
            for user in users:
                visitor = Visitor(run, user["username"], user["password"], chance)
                visitor.log_in()
                for visit in visitor.calm_visits() * CALM_ROUNDS if calm else visitor.visits():
                    visit()
                visitor.log_out()
    except RunEndedError:
        pass
    run.limit = total
    if outage:
        try:
            visitor = Visitor(run, users[0]["username"], users[0]["password"], chance)
            visitor.log_in()
            visitor.pay(UNREACHABLE, 503)
        except RunEndedError:
            pass


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Visits the pages of the example with numbered correlation ids.")
    parser.add_argument("--url", required=True, help="https://host:port; http only for 127.0.0.1 and localhost")
    parser.add_argument("--ca", type=Path, help="PEM file of the authority that signed the server's certificate")
    parser.add_argument("--credentials", type=Path, required=True, help="file that load_example_data has written")
    parser.add_argument("--requests", type=int, default=200, help="how many requests, exactly (default 200)")
    parser.add_argument("--seconds", type=float, default=300, help="end after this time at the latest (default 300)")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the pages (default 1)")
    parser.add_argument(
        "--payment-outage",
        action="store_true",
        help="end with a payment while the provider is away: a CRITICAL event and an incident",
    )
    parser.add_argument(
        "--calm",
        action="store_true",
        help="only visit what goes well; a password is mistyped every five minutes",
    )
    parser.add_argument("--pace", type=float, default=0, help="requests a second at most (default: as fast as it goes)")
    parser.add_argument(
        "--as-proxy",
        action="store_true",
        help="give each visitor an address of its own; the application must trust this machine as a proxy",
    )
    parser.add_argument(
        "--attack",
        action="store_true",
        help="end with an address that guesses a password and is blocked, and an officer who reads the security log; "
        "needs --as-proxy, and an application that enforces its blocks",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    return parser.parse_args()


def main() -> int:
    """Run, print the summary, return the exit code."""
    options = arguments()
    url = urllib.parse.urlsplit(options.url.rstrip("/"))
    local = url.hostname in {"127.0.0.1", "::1", "localhost"}
    if url.scheme != "https" and not (url.scheme == "http" and local):
        print(f"--url {options.url}: write https://host:port; http only reaches this machine itself.", file=sys.stderr)
        return 2
    try:
        context = ssl.create_default_context(cafile=options.ca) if url.scheme == "https" else None
        credentials = json.loads(options.credentials.read_text(encoding="utf-8"))
        users, officer = credentials["users"], credentials["officer"] if options.attack else {}
    except (OSError, ValueError, KeyError) as error:
        print(f"The run cannot begin: {error}", file=sys.stderr)
        return 2
    needed = attack.REQUESTS * options.attack + OUTAGE_REQUESTS * options.payment_outage
    if options.attack and not options.as_proxy:
        print("--attack needs --as-proxy: otherwise the address of this machine would be blocked.", file=sys.stderr)
        return 2
    if options.requests < needed:
        print(f"--requests {options.requests}: what was asked for takes {needed} requests or more.", file=sys.stderr)
        return 2
    begin = time.monotonic()
    run = Run(url, context, options.requests, begin + options.seconds, secrets.token_hex(4), options.as_proxy)
    run.seconds_between = 1 / options.pace if options.pace > 0 else 0.0
    chance = random.Random(options.seed)  # noqa: S311 - an order, not a secret
    run.limit -= attack.REQUESTS * options.attack
    visit_all(run, users, chance, options.payment_outage, options.calm)
    run.limit = options.requests
    told: dict[str, object] = {}
    if options.attack:
        try:
            told["attack"] = attack.attack(
                lambda username, password: Visitor(run, username, password, chance), users, officer, run.run_id
            )
        except RunEndedError:
            told["attack"] = {}  # the time is over, which is said below
    summary = {
        "run": run.run_id,
        "correlation_id_prefix": f"traffic-{run.run_id}-",
        "first": 1 if run.number else 0,
        "last": run.number,
        "requests": run.number,
        "statuses": dict(sorted(run.statuses.items())),
        "unexpected": run.unexpected,
        **told,
        "seconds": round(time.monotonic() - begin, 1),
    }
    if options.json:
        print(json.dumps(summary, indent=2))
    else:
        print(
            f"run {run.run_id}: {run.number} requests in {summary['seconds']} s, "
            f"traffic-{run.run_id}-1 to -{run.number}"
        )
        print("  by status: " + ", ".join(f"{status}: {count}" for status, count in sorted(run.statuses.items())))
        for item in run.unexpected[:20]:
            print(f"  {item['number']}: {item['request']} {item['problem']}")
    if run.number < options.requests:
        print(f"Only {run.number} of {options.requests} requests were made in {options.seconds:g} s.", file=sys.stderr)
        return 1
    return 1 if run.unexpected else 0


if __name__ == "__main__":
    sys.exit(main())

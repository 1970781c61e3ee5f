"""The attack that is part of the traffic, looked for in every place where somebody would see it: store, alert, page of the security log."""

import json
import re
from dataclasses import dataclass
from typing import Any

import requests

from lab import stack, traffic

PAGE = "/admin/logbastion_security/securitylog/"
ON_THE_PAGE = {"brute_force_attack", "ip_blocked"}
ALERT = "AttackDetected"


@dataclass(frozen=True)
class Sign:
    """One place where the attack shows, or does not."""

    what: str
    wanted: str
    seen: str

    @property
    def there(self) -> bool:
        """Whether it is as wanted."""
        return self.seen == self.wanted


def signs(attack: dict[str, Any], officer: requests.Session) -> list[Sign]:
    """Return where the attack of a run of traffic shows by now.

    Args:
        attack: what the traffic says about it.
        officer: who is logged in and may see the page; see `officer`.
    """
    address = attack["address"]
    return [
        Sign("guessed passwords stored", str(attack["guesses"]), _stored("authentication_attempt", address)),
        Sign("attack seen (brute_force_attack)", "1", _stored("brute_force_attack", address)),
        Sign("address blocked (ip_blocked)", "1", _stored("ip_blocked", address)),
        Sign("next request of the address", "refused", "refused" if attack["refused"] else "let in"),
        Sign("incident opened", "yes", _yes(_incidents())),
        Sign(f"alert {ALERT} received", "yes", _yes(_alerted())),
        Sign("page shows it to the officer", "yes, from Elasticsearch", _page(officer, address)),
        Sign("another user's look at the page", "refused", _refusals(attack["other_address"])),
    ]


def officer() -> requests.Session:
    """Log in as somebody who may see the security log."""
    known = json.loads(traffic.credentials().read_text(encoding="utf-8"))["officer"]
    session = requests.Session()
    # Or an authority that the environment names (REQUESTS_CA_BUNDLE) would be asked instead.
    session.trust_env = False
    session.verify = str(stack.AUTHORITY)
    base = stack.url(stack.APPLICATION, 8443)
    session.headers["Referer"] = f"{base}/"
    form = session.get(f"{base}/admin/login/", timeout=stack.TIMEOUT_SECONDS)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
    answer = session.post(
        f"{base}/admin/login/",
        {**known, "csrfmiddlewaretoken": token[1] if token else "", "next": "/healthz"},
        timeout=stack.TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    return session


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _search(*filters: dict[str, Any]) -> list[dict[str, Any]]:
    client = stack.elasticsearch(stack.READER_OF_STREAM["security"])
    found = client.search(
        index=stack.index("security"), query={"bool": {"filter": list(filters)}}, size=100, ignore_unavailable=True
    )
    return [hit["_source"] for hit in found["hits"]["hits"]]


def _stored(event_type: str, address: str) -> str:
    return str(len(_search({"term": {"event_type": event_type}}, {"term": {"security.source_ip": address}})))


def _incidents() -> bool:
    # One that a run before this has opened may last: then none is opened now.
    return any(
        "authentication_attack" in json.dumps(one) for one in _search({"term": {"event_type": "incident_opened"}})
    )


def _alerted() -> bool:
    received = (alert["labels"] for alert in stack.received_alerts())
    return any(
        (labels.get("alertname"), labels.get("event_type")) == (ALERT, "brute_force_attack") for labels in received
    )


def _page(session: requests.Session, address: str) -> str:
    page = session.get(
        f"{stack.url(stack.APPLICATION, 8443)}{PAGE}",
        params={"span": "1h", "address": address},
        timeout=stack.TIMEOUT_SECONDS,
    )
    if page.status_code != 200:
        return f"answered {page.status_code}"
    types = set(re.findall(r'<a href="\?[^"]*event_type=[^"]*"><bdi>([^<]+)</bdi></a>', page.text))
    source = "Elasticsearch" if "Read from Elasticsearch (" in page.text else "the files"
    return f"{'yes' if types >= ON_THE_PAGE else 'no'}, from {source}"


def _refusals(address: str) -> str:
    looked = _search({"term": {"event_type": "security_log_access"}}, {"term": {"security.source_ip": address}})
    return "refused" if looked and all(one["extra"].get("access_denied") for one in looked) else "not on record"

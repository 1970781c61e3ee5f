"""`make up`: deploy, send traffic, and look whether everything arrived; `make status`: look again."""

import time
import uuid
from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.table import Table

from lab import attack, deployment, hosts, machine, settings, stack, traffic
from lab.errors import LabError
from lab.progress import console, step

Found = TypeVar("Found")

REQUESTS = 200
STORED_WITHIN_SECONDS = 90
SCRAPED_WITHIN_SECONDS = 60
DELIVERED_WITHIN_SECONDS = 60
SHOWN_WITHIN_SECONDS = 120
"""Until the attack is an alert: a scrape, an evaluation and the way to the receiver."""


def up(number_of_requests: int = REQUESTS) -> None:
    """Deploy the stack and the example application, send traffic through them and print what came of it.

    Raises:
        LabError: when a step fails, an event is missing, a target is down or the test alert is not received in time.
    """
    machine.require()
    deployment.make_hosts()
    deployment.deploy()
    # `increase()` counts from the first sample: an attack before the first scrape of a new target would be no alert.
    with step("Waiting until Prometheus has scraped every target"):
        _poll(stack.targets, _all_up, SCRAPED_WITHIN_SECONDS)
    with step(f"Sending {number_of_requests} numbered requests to the example application, with an attack among them"):
        summary = traffic.send(number_of_requests, attack=True)
    console.print(f"    run {summary['run']}: requests {summary['first']} to {summary['last']}", style="dim")
    with step("Waiting until every logged event is stored, every target is up and the test alert is received"):
        counts = _poll(_counts, lambda found: all(each.complete for each in found), STORED_WITHIN_SECONDS)
        targets = _poll(stack.targets, _all_up, SCRAPED_WITHIN_SECONDS)
        received = _test_alert()
    with step("Looking for the attack: in the store, at the alerts' receiver and on the page of the security log"):
        officer = attack.officer()
        signs = _poll(
            lambda: attack.signs(summary["attack"], officer),
            lambda found: all(sign.there for sign in found),
            SHOWN_WITHIN_SECONDS,
        )
    _print_result(counts, targets, received, signs)
    _complain(counts, targets, received, signs)


def status() -> None:
    """Print the hosts, what they run and what is stored, without changing anything.

    Raises:
        LabError: when the lab is not up.
    """
    existing = hosts.existing()
    if not existing:
        raise LabError("The lab has no hosts. `make up` makes them.")
    table = Table("host", "address", "system")
    for name in existing:
        table.add_row(name, hosts.address(name), hosts.system_state(name))
    console.print(table)
    if stack.OBSERVER in existing and stack.AUTHORITY.exists():
        _print_result(_counts(), stack.targets(), None)


def _counts() -> list[stack.StreamCount]:
    return [stack.count(stream) for stream in stack.READER_OF_STREAM]


def _all_up(targets: dict[str, str]) -> bool:
    return bool(targets) and set(targets.values()) == {"up"}


def _poll(look: Callable[[], Found], good: Callable[[Found], bool], seconds: float) -> Found:
    """Look until it is good or the time is over; return what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if good(found) or time.monotonic() > deadline:
            return found
        time.sleep(1)


def _test_alert() -> bool:
    identifier = str(uuid.uuid4())
    stack.send_test_alert(identifier)

    def arrived() -> bool:
        return any(alert["labels"].get("job") == identifier for alert in stack.received_alerts())

    return _poll(arrived, bool, DELIVERED_WITHIN_SECONDS)


def _print_result(
    counts: list[stack.StreamCount],
    targets: dict[str, str],
    received: bool | None,
    signs: Sequence[attack.Sign] = (),
) -> None:
    events = Table(
        "stream", "events logged", "events stored", "missing", "doubled", title="Events", title_justify="left"
    )
    for each in counts:
        events.add_row(
            stack.index(each.stream),
            *(str(number) for number in (each.logged, each.stored, each.missing, each.doubled)),
        )
    events.add_section()
    events.add_row(
        "all",
        *(str(sum(getattr(each, name) for each in counts)) for name in ("logged", "stored", "missing", "doubled")),
    )
    console.print(events)

    metrics = Table("target", "health", title="Prometheus targets", title_justify="left")
    for target, health in sorted(targets.items()):
        metrics.add_row(target, health)
    console.print(metrics)
    if received is not None:
        console.print(f"Test alert: {'received' if received else 'NOT received'} by its receiver.")
    if signs:
        shown = Table("five guessed passwords", "wanted", "seen", title="The attack", title_justify="left")
        for sign in signs:
            shown.add_row(sign.what, sign.wanted, sign.seen)
        console.print(shown)

    places = Table("what", "where", "user", "password in the file", title="Where to look", title_justify="left")
    secrets = stack.SECRETS.relative_to(settings.PROJECT_ROOT)
    for what, host, port, user, name in (
        ("application logs", stack.OBSERVER, 9200, "log_reader", "log_reader"),
        ("security and audit logs", stack.OBSERVER, 9200, "security_log_reader", "security_log_reader"),
        ("Prometheus", stack.OBSERVER, 9090, "prometheus", "prometheus_web"),
        ("Alertmanager", stack.OBSERVER, 9093, "alertmanager", "alertmanager_web"),
        ("example application", stack.APPLICATION, 8443, "", ""),
        ("security log page (/admin/)", stack.APPLICATION, 8443, "officer", ""),
    ):
        file = str(secrets / "passwords" / name) if name else str(secrets / "example_users.json")
        places.add_row(what, stack.url(host, port), user or "(see the file)", file)
    console.print(places)
    console.print(f"Verify certificates with {secrets}/certificates/ca/ca.crt. An example:")
    console.print(
        f'  curl --cacert {secrets}/certificates/ca/ca.crt -u log_reader:"$(cat {secrets}/passwords/log_reader)" '
        f'"{stack.url(stack.OBSERVER, 9200)}/{stack.index("application")}/_search?q=level:ERROR&pretty"'
    )


def _complain(
    counts: list[stack.StreamCount], targets: dict[str, str], received: bool, signs: Sequence[attack.Sign] = ()
) -> None:
    wrong = [
        f"{stack.index(each.stream)}: {each.missing} events missing, {each.doubled} doubled."
        for each in counts
        if not each.complete
    ]
    if sum(each.stored for each in counts) == 0:
        wrong.append("No event is stored at all.")
    wrong += [f"Prometheus cannot scrape {target}: {health}." for target, health in targets.items() if health != "up"]
    if not targets:
        wrong.append("Prometheus has no targets.")
    if not received:
        wrong.append(
            f"The test alert did not reach its receiver within {DELIVERED_WITHIN_SECONDS} s: journalctl -u prometheus-alertmanager on observer."
        )
    wrong += [
        f"The attack: {sign.what}: {sign.seen}, and not {sign.wanted}, {SHOWN_WITHIN_SECONDS} s after it."
        for sign in signs
        if not sign.there
    ]
    if wrong:
        raise LabError("\n".join(wrong))

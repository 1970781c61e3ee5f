"""`python -m lab fire` and `python -m lab quiet-hour`."""

import json
import time
from collections.abc import Sequence

from rich.table import Table

from lab import hosts, stack
from lab.errors import LabError
from lab.fire import causes_pipeline, plan, remote
from lab.fire.causes_application import USERS, slow_service
from lab.fire.follow import Follower, Result
from lab.fire.short_time import Configuration, compressed_time, end
from lab.fire.visitors import calm_traffic
from lab.fire.watch import Watch
from lab.progress import console, step

CALM_SECONDS = 75
"""Before the first cause that looks at shares of requests: an hour of compressed time has quick and successful ones in it."""
SHORT_CALM_SECONDS = 15
"""Before others: each target has been scraped some times."""


def fire(names: Sequence[str], *, as_json: bool = False) -> None:
    """Make the causes of these alerts, of all when none is named, and follow each to the receiver and back.

    Raises:
        LabError: when the lab is not up, a name is no alert's, or an alert did not arrive or did not end.
    """
    plan.check(names)
    console.stderr = as_json  # the output is for a program then
    _need_the_lab()
    configuration = Configuration()
    tracks, alone = plan.tracks(configuration), plan.alone(configuration)
    if names:
        tracks, alone = [plan.chosen(names, track) for track in tracks], plan.chosen(names, alone)
    began = time.monotonic()
    judged_by_shares = any(cause.alerts == other.alerts for track in tracks for cause in track for other in USERS)
    calm = CALM_SECONDS if judged_by_shares else SHORT_CALM_SECONDS
    watch = Watch()
    follower = Follower(watch)
    try:
        with watch.going_on(), compressed_time(configuration), slow_service(), calm_traffic():
            with step(f"{calm} s of calm traffic"):
                follower.stop.wait(calm)
            results = follower.tracks([track for track in tracks if track])
            results += follower.tracks([alone])
    finally:
        restore()
    _print(results, as_json=as_json)
    console.print(f"{len(results)} alerts followed in {(time.monotonic() - began) / 60:.0f} minutes.")
    bad = [result for result in results if not result.good]
    if bad:
        raise LabError("\n".join(f"{each.alert}: {_what_is_wrong(each)} ({each.happens})" for each in bad))


def quiet_hour(minutes: float) -> None:
    """Send normal traffic for so long, with compressed time, and look that no alert but the Watchdog fires.

    Raises:
        LabError: when one fires or is received, or when there was no traffic to judge by.
    """
    _need_the_lab()
    configuration = Configuration()
    watch = Watch()
    try:
        with watch.going_on(), compressed_time(configuration), calm_traffic():
            began = time.time()  # what was there before is not about this traffic
            with step(f"{minutes:g} minutes of normal traffic with compressed time"):
                while (left := began + minutes * 60 - time.time()) > 0:
                    time.sleep(min(left, 60))
                    firing = {each.labels["alertname"] for each in watch.began_between(began, time.time())}
                    console.print(
                        f"    {(time.time() - began) / 60:.0f} of {minutes:g} minutes; firing by now: "
                        f"{', '.join(sorted(firing)) or 'nothing'}",
                        style="dim",
                    )
            ended = time.time()
            served = stack.query("sum(django_http_requests_total)")
            targets = stack.targets()
    finally:
        restore()
    heard = {(each.state, each.labels["alertname"]) for each in watch.began_between(began, ended)}
    # Not what the dead man's switch says of the restarts before.
    wrong = [f"{name} was {state}." for state, name in sorted(heard) if name not in {"Watchdog", plan.DEAD_MANS_SWITCH}]
    if not any(each.labels["alertname"] == "Watchdog" for each in watch.seen("received")):
        wrong.append("The Watchdog was not received, so nothing can be said of the others.")
    if not served or float(served[0]["value"][1]) < minutes * 60:
        wrong.append("There was less than one request a second, so nothing can be said.")
    wrong += [f"Prometheus cannot scrape {target}." for target, health in targets.items() if health != "up"]
    if wrong:
        raise LabError("\n".join(wrong))
    number = float(served[0]["value"][1])
    console.print(f"{number:.0f} requests in {minutes:g} minutes: no alert fired but the Watchdog, which was received.")


def restore() -> None:
    """Undo whatever a fire has put in place, also one that was killed; nothing to undo is no error.

    Raises:
        LabError: when a service does not start.
    """
    with step("Undoing what was put in place"):
        for host in (stack.APPLICATION, stack.OBSERVER):
            if remote.leftovers(host):
                remote.clear(host)
                if host == stack.APPLICATION:
                    remote.restart_application()
                else:
                    end()
        causes_pipeline.forget_dead_letters()


def print_causes() -> None:
    """Print each alert with its cause, and what stands in for the example stack."""
    table = Table("alert", "cause", "stands in")
    pairs = [(each.name, cause) for cause in plan.every_cause() for each in cause.alerts]
    for alert, cause in sorted(pairs, key=lambda pair: pair[0]):
        table.add_row(alert, cause.happens, cause.stand_in)
    console.print(table)


def _need_the_lab() -> None:
    missing = {stack.OBSERVER, stack.APPLICATION} - set(hosts.existing())
    if missing or not stack.AUTHORITY.exists():
        raise LabError("The lab is not up. `make up` makes it.")
    if any(remote.leftovers(host) for host in (stack.APPLICATION, stack.OBSERVER)):
        restore()


def _print(results: list[Result], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([result.as_dict() for result in results], indent=2))
        return
    table = Table(
        "alert", "cause", "pending", "firing", "received", "undone", "over", title="Seconds", title_justify="left"
    )
    for each in sorted(results, key=lambda result: result.alert):
        seconds = (each.pending, each.firing, each.received, each.undone, each.resolved)
        table.add_row(each.alert, each.happens, *("" if value is None else f"{value:.0f}" for value in seconds))
    console.print(table)
    console.print(
        "pending, firing, received, undone: after the cause began; over: the receiver heard of the end, after the cause was undone."
    )


def _what_is_wrong(result: Result) -> str:
    if result.error:
        return result.error
    return "it was not received" if result.received is None else "the receiver was not told of its end"

"""The table of causes and the compression of time, without hosts; that the causes work is seen by `make fire-all`."""

import re
import threading
import time
from contextlib import contextmanager

import pytest
import yaml

from lab.errors import LabError
from lab.fire import plan
from lab.fire.causes import Cause, Expected
from lab.fire.compression import (
    SCRAPE_INTERVAL,
    compressed,
    compressed_alertmanager,
    compressed_prometheus,
    compressed_rules,
    seconds,
)
from lab.fire.follow import Follower
from lab.fire.watch import Sight, Watch, moment

RULES = sorted(plan.RULES.glob("*.yml"))
DURATION = re.compile(r"\[\d+[smhd]\]|offset \d+[smhd]")


def rules_of(text: str) -> list[dict]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_every_alert_has_a_cause_and_every_cause_an_alert():
    caused = {each.name for cause in plan.every_cause() for each in cause.alerts}
    assert caused == {*plan.shipped_alerts(), plan.DEAD_MANS_SWITCH}


def test_every_alert_but_the_watchdog_ends():
    assert {each.name for cause in plan.every_cause() for each in cause.alerts if not each.ends} == {"Watchdog"}


def test_every_cause_says_what_happens_and_once_only():
    said = [(cause.happens, cause.alerts[0].name) for cause in plan.every_cause()]
    assert all(happens for happens, _ in said)
    assert len(said) == len(set(said))


def test_a_name_that_is_no_alerts_is_refused_with_those_that_there_are():
    with pytest.raises(LabError, match=r"There is no alert HighErorRate\. There are: .*HighErrorRate"):
        plan.check(["HighErorRate"])


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_compression_changes_durations_and_nothing_else(path):
    text = path.read_text(encoding="utf-8")
    before, after = rules_of(text), rules_of(compressed_rules(text))
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert DURATION.sub("", old["expr"]) == DURATION.sub("", new["expr"])
        assert len(DURATION.findall(old["expr"])) == len(DURATION.findall(new["expr"]))
        assert {**old, "expr": "", "for": ""} == {**new, "expr": "", "for": ""} | ({} if "for" in old else {"for": ""})
        if "for" in old:
            assert new["for"] == compressed(old["for"])


def test_compression_keeps_the_order_of_durations_and_four_scrapes_in_each_window():
    windows = {
        duration
        for path in RULES
        for rule in rules_of(path.read_text(encoding="utf-8"))
        for duration in re.findall(r"\[(\d+[smhd])\]", rule["expr"])
    }
    assert len(windows) > 5
    ordered = sorted(windows, key=seconds)
    short = [seconds(compressed(duration)) for duration in ordered]
    assert short == sorted(set(short))
    assert min(short) >= 4 * seconds(SCRAPE_INTERVAL)
    assert all(new < seconds(old) for old, new in zip(ordered, short, strict=True))


@pytest.mark.parametrize("wrong", ["", "5", "1h30m", "5x", "-5m"])
def test_a_duration_of_another_form_is_an_error_and_not_left_as_it_is(wrong):
    with pytest.raises(ValueError, match="is no duration"):
        compressed(wrong)


def test_prometheus_scrapes_faster_and_reads_rules_and_targets_elsewhere():
    sections = {"scheme": "https", "static_configs": [{"targets": ["a:1", "b:1"]}]}
    text = yaml.safe_dump(
        {
            "global": {"scrape_interval": "15s", "external_labels": {"a": "b"}},
            "rule_files": ["/etc/x/*.yml"],
            "alerting": {"alertmanagers": [{**sections, "static_configs": [{"targets": ["m:9093"]}]}]},
            "scrape_configs": [{"job_name": "django", **sections}],
        }
    )
    content, targets = compressed_prometheus(text, "/run/rules", "/run/targets")
    assert targets == {"django": ["a:1", "b:1"], "alertmanagers": ["m:9093"]}
    assert content == {
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s", "scrape_timeout": "2s", "external_labels": {"a": "b"}},
        "rule_files": ["/run/rules/*.yml"],
        "alerting": {"alertmanagers": [{"scheme": "https", "file_sd_configs": [{"files": ["/run/targets/alertmanagers.json"]}]}]},
        "scrape_configs": [
            {"job_name": "django", "scheme": "https", "file_sd_configs": [{"files": ["/run/targets/django.json"]}]}
        ],
    }  # fmt: skip


def test_of_alertmanager_only_the_interval_of_groups_changes():
    text = "route:\n  group_wait: 1s\n  group_interval: 5m\n  routes:\n    - group_interval: 1m\n      repeat_interval: 1m\n"
    assert compressed_alertmanager(text) == text.replace("group_interval: 5m", "group_interval: 2s").replace(
        "group_interval: 1m", "group_interval: 2s"
    )


class SeenWatch(Watch):
    """A watch that sees what the test tells it."""

    def tell(self, state: str, name: str = "A", **labels: str) -> None:
        self._see(Sight(time.time(), state, {"alertname": name, **labels}))


@contextmanager
def noted(notes: list[str], watch: SeenWatch, *, told: bool = True):
    notes.append("made")
    try:
        if told:
            for state in ("pending", "firing", "received"):
                watch.tell(state)
        yield
    finally:
        notes.append("undone")
        watch.tell("resolved")


def test_an_alert_is_followed_from_its_cause_to_its_end():
    watch, notes = SeenWatch(), []
    cause = Cause("it happens", (Expected("A"),), lambda: noted(notes, watch), within=10)
    (result,) = Follower(watch).tracks([[cause]])
    assert notes == ["made", "undone"]
    assert result.good
    assert 0 <= result.pending <= result.firing <= result.received <= result.undone
    assert result.resolved >= 0


def test_what_was_received_before_the_cause_does_not_count():
    watch, notes = SeenWatch(), []
    for state in ("firing", "received"):
        watch.tell(state)
    cause = Cause("it happens", (Expected("A"),), lambda: noted(notes, watch, told=False), within=0.1)
    (result,) = Follower(watch).tracks([[cause]])
    assert not result.good
    assert result.received is None
    assert notes == ["made", "undone"]


def test_an_alert_with_other_labels_does_not_count():
    watch, notes = SeenWatch(), []
    cause = Cause("it happens", (Expected("A", {"job": "django"}),), lambda: noted(notes, watch), within=0.1)
    (result,) = Follower(watch).tracks([[cause]])
    assert result.received is None


def test_what_lasts_from_before_does_not_count_when_it_is_told_again():
    watch, labels = Watch(), {"alertname": "A"}
    for state, when, began in (
        ("received", 150, 90),
        ("firing", 150, 90),
        ("firing", 90, 90),
        ("pending", 150, 150),
        ("received", 250, 150),
    ):
        watch._see(Sight(when, state, labels, began))
    assert watch.began_between(100, 200) == []
    told = Sight(150, "received", labels, 149.5)
    watch._see(told)
    assert watch.began_between(100, 200) == [told]


def test_both_programs_times_are_read():
    nanoseconds, whole = (moment(f"2026-11-27T02:19:57{end}") for end in (".381705067Z", "Z"))
    assert nanoseconds - whole == pytest.approx(0.381705, abs=1e-5)


def test_a_cause_that_cannot_be_made_is_an_error_of_its_alerts_and_the_others_go_on():
    @contextmanager
    def broken():
        raise LabError("no such service")
        yield

    watch, notes = SeenWatch(), []
    causes = [
        Cause("it cannot", (Expected("B"),), broken, within=0.1),
        Cause("it happens", (Expected("A"),), lambda: noted(notes, watch), within=10),
    ]
    first, second = Follower(watch).tracks([causes])
    assert (first.good, first.error) == (False, "no such service")
    assert second.good


def test_an_interrupt_undoes_what_was_made_and_begins_nothing_more():
    watch, notes = SeenWatch(), []
    follower = Follower(watch)
    causes = [Cause("it happens", (Expected("A"),), lambda: noted(notes, watch, told=False), within=60)] * 3
    stopper = threading.Timer(0.2, follower.stop.set)
    stopper.start()
    (result,) = follower.tracks([causes])
    assert notes == ["made", "undone"]
    assert not result.good


def test_an_alert_is_over_when_each_that_was_told_of_is_over():
    watch = SeenWatch()
    began = time.time()
    watch.tell("received", instance="a")
    watch.tell("received", instance="b")
    watch.tell("resolved", instance="a")
    assert watch.is_over("A", {}, began) is None
    watch.tell("resolved", instance="b")
    assert watch.is_over("A", {}, began) is not None

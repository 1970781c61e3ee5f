"""Time, compressed: windows, offsets and `for` of the rules become shorter by one rule of thumb. Thresholds stay.

A duration d becomes 20 s x sqrt(d / 5 min): five minutes are 20 seconds, an hour is 69, three days are ten minutes. What was longer stays longer, so
the burn rates keep their order, and each window is still at least four scrapes long at a scrape every two seconds.
"""

import math
import re
from typing import Any

import yaml

SCRAPE_INTERVAL = "2s"
GROUP_INTERVAL = "2s"
ALERTMANAGERS = "alertmanagers"
"""In place of a job: whom Prometheus gives alerts."""
_FIVE_MINUTES = 300
_INSTEAD = 20
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WINDOW = re.compile(r"(?P<before>\[|offset )(?P<duration>\d+[smhd])\b")


def seconds(duration: str) -> int:
    """Return the seconds of one of Prometheus' durations of a single unit.

    Raises:
        ValueError: when it is none.
    """
    if not re.fullmatch(r"\d+[smhd]", duration):
        raise ValueError(f"{duration!r} is no duration such as 5m: compression knows those of one unit only.")
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def compressed(duration: str) -> str:
    """Return what a duration becomes, in whole seconds."""
    return f"{round(_INSTEAD * math.sqrt(seconds(duration) / _FIVE_MINUTES))}s"


def compressed_rules(text: str) -> str:
    """Return a rule file with shorter windows, offsets and waits, and nothing else changed."""
    content = yaml.safe_load(text)
    for group in content["groups"]:
        for rule in group["rules"]:
            rule["expr"] = _WINDOW.sub(lambda found: found["before"] + compressed(found["duration"]), rule["expr"])
            if "for" in rule:
                rule["for"] = compressed(rule["for"])
    return yaml.safe_dump(content, sort_keys=False, width=1000)


def compressed_prometheus(text: str, rules: str, targets: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return Prometheus' configuration with a scrape every two seconds and the rules of another directory, and its targets by job.

    Targets and Alertmanagers are read from files in the directory `targets`: a change of them needs no reload, during which
    Prometheus has no Alertmanager for some seconds and throws alerts away.
    """
    content: dict[str, Any] = yaml.safe_load(text)
    for name in ("scrape_interval", "evaluation_interval", "scrape_timeout"):
        content["global"][name] = SCRAPE_INTERVAL
    content["rule_files"] = [f"{rules}/*.yml"]
    found = {}
    (alertmanagers,) = content["alerting"]["alertmanagers"]
    for name, section in [(job["job_name"], job) for job in content["scrape_configs"]] + [
        (ALERTMANAGERS, alertmanagers)
    ]:
        found[name] = [target for part in section.pop("static_configs") for target in part["targets"]]
        section["file_sd_configs"] = [{"files": [f"{targets}/{name}.json"]}]
    return content, found


def compressed_alertmanager(text: str) -> str:
    """Return Alertmanager's configuration in which the end of an alert does not wait for the interval of its group."""
    return re.sub(r"(?m)^([ -]*group_interval:) .*$", rf"\1 {GROUP_INTERVAL}", text)

"""What the role alertmanager makes of its variables, and what it refuses: filters for its preflight and its template.

Which options an Alertmanager knows was asked of `amtool check-config`, versions 0.25 (Debian 12) and 0.28 (Debian 13).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Settings = Mapping[str, Any]

# An option that holds a secret, and the one that names a file instead; None: Alertmanager has no such option.
SECRET_OPTIONS: dict[str, str | None] = {
    "api_key": "api_key_file",
    "api_secret": None,
    "auth_password": "auth_password_file",
    "auth_secret": None,
    "bearer_token": "bearer_token_file",
    "bot_token": "bot_token_file",
    "client_secret": "client_secret_file",
    "credentials": "credentials_file",
    "opsgenie_api_key": "opsgenie_api_key_file",
    "password": "password_file",
    "secret_key": None,
    "secrets": "files",
    "service_key": "service_key_file",
    "slack_api_url": "slack_api_url_file",
    "smtp_auth_password": "smtp_auth_password_file",
    "smtp_auth_secret": None,
    "token": "token_file",
    "token_id": "token_id_file",
    "user_key": "user_key_file",
    "victorops_api_key": "victorops_api_key_file",
    "webhook_url": "webhook_url_file",
    "wechat_api_secret": None,
}
# The same, where the name alone does not tell: the option right above it decides.
SECRET_OPTIONS_BELOW = {
    ("slack_configs", "api_url"): "api_url_file",
    ("pagerduty_configs", "routing_key"): "routing_key_file",
    ("tls_config", "key"): "key_file",
}
SECRET_IN_QUERY = re.compile(r"key|token|secret|password|sig", re.IGNORECASE)
UNKNOWN_TO_0_25 = {
    "bot_token_file",
    "http_headers",
    "msteams_configs",
    "msteamsv2_configs",
    "rocketchat_configs",
    "token_file",
    "url_file",
    "user_key_file",
    "webhook_url_file",
}

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
CLOCK = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")

TITLE = '{{ template "logbastion.title" . }}'
TEXT = '{{ template "logbastion.text" . }}'
PAGE = "{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}"
# What an integration says and whether it says that it is over, unless the operator has set it.
MESSAGES: dict[str, dict[str, Any]] = {
    "email_configs": {"send_resolved": True, "html": '{{ template "logbastion.email.html" . }}', "text": TEXT},
    "slack_configs": {
        "send_resolved": True,
        "title": TITLE,
        "title_link": PAGE,
        "fallback": TITLE,
        "text": '{{ template "logbastion.slack.text" . }}',
        "color": '{{ template "logbastion.slack.color" . }}',
        "mrkdwn_in": ["pretext"],
    },
    "pagerduty_configs": {
        "description": TITLE,
        "severity": '{{ template "logbastion.severity" . }}',
        "details": {"alerts": TEXT},
        "client_url": PAGE,
    },
    "opsgenie_configs": {
        "message": TITLE,
        "description": TEXT,
        "source": PAGE,
        "priority": '{{ if eq .CommonLabels.severity "critical" }}P1{{ else }}P3{{ end }}',
    },
}


def _options(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk through every option below `value`; an entry of a list has the path of its list."""
    if isinstance(value, Mapping):
        for name, content in value.items():
            yield (*path, str(name)), content
            yield from _options(content, (*path, str(name)))
    elif isinstance(value, list):
        for entry in value:
            yield from _options(entry, path)


def _secret_in_url(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.password) or any(SECRET_IN_QUERY.search(name) for name, _ in parse_qsl(parts.query))


def secrets_in_clear(settings: Settings) -> list[str]:
    """Return a sentence for each secret that would stand in the configuration file, without the secret itself.

    `settings` has `receivers` and `global` as Alertmanager's documentation has them. Source: PCI DSS 8.6.2 (no
    authentication data in configuration files).
    """
    found = []
    for path, content in _options(settings):
        name, place = path[-1], ".".join(path)
        if not content:
            continue
        if (path[-2:]) in SECRET_OPTIONS_BELOW or name in SECRET_OPTIONS:
            instead = SECRET_OPTIONS_BELOW.get((path[-2], name)) or SECRET_OPTIONS.get(name)
            way = (
                f"put it into alertmanager_secrets and name its file in {instead}"
                if instead
                else "Alertmanager cannot read it from a file, so choose another way to log in"
            )
            found.append(f"{place} would put a secret into the configuration file: {way}.")
        elif isinstance(content, str) and "://" in content and "{{" not in content and _secret_in_url(content):
            found.append(
                f"{place} has a secret in its URL: put it into alertmanager_secrets and use http_config"
                " (basic_auth with password_file, authorization with credentials_file), or url_file on Debian 13."
            )
    return found


def wrong_files(settings: Settings, secrets: list[str], directory: str) -> list[str]:
    """Return a sentence for each option that names a file of `directory` that no secret of `secrets` becomes."""
    found = []
    for path, content in _options(settings):
        for file in content if isinstance(content, list) else [content]:
            if not path[-1].endswith(("_file", "files")) or not isinstance(file, str):
                continue
            name = file.removeprefix(f"{directory}/")
            if not file.startswith("/"):
                found.append(f"{'.'.join(path)} must be an absolute path, for example {directory}/{file}.")
            elif name != file and name not in secrets:
                found.append(f"{'.'.join(path)} names {file}, but alertmanager_secrets has no '{name}'.")
    return found


def too_new(settings: Settings) -> list[str]:
    """Return a sentence for each option that Alertmanager 0.25 does not know."""
    return [
        f"{'.'.join(path)} is unknown to Alertmanager 0.25 of Debian 12: use Debian 13, or a receiver that needs it not."
        for path, _ in _options(settings)
        if path[-1] in UNKNOWN_TO_0_25
    ]


def endless_inhibition(rules: list[Settings]) -> list[str]:
    """Return a sentence for each rule without `equal`: one alert anywhere would silence its targets everywhere."""
    return [
        f"alertmanager_inhibit_rules[{number}] has no `equal`, so an alert of one application would silence all others:"
        " name the labels that both alerts must share, such as job."
        for number, rule in enumerate(rules)
        if not rule.get("equal")
    ]


def guarded_inhibition(rules: list[Settings]) -> list[dict[str, Any]]:
    """Return the rules, each with the condition that both alerts carry every label in its `equal`.

    Alertmanager takes a label that both lack for an equal one (prometheus/alertmanager#1727).
    """
    return [
        {
            **rule,
            **{
                side: [*rule.get(side, []), *(f'{label}!=""' for label in rule.get("equal", []))]
                for side in ("source_matchers", "target_matchers")
            },
        }
        for rule in rules
    ]


def with_messages(receivers: list[Settings]) -> list[dict[str, Any]]:
    """Return the receivers, each integration with the project's message where the operator has not set another one."""
    completed = []
    for receiver in receivers:
        done = dict(receiver)
        for kind, message in MESSAGES.items():
            if kind in receiver:
                done[kind] = [{**message, **integration} for integration in receiver[kind]]
        for integration in done.get("email_configs", []):
            given = integration.get("headers", {})
            # Alertmanager takes the names of headers without regard to case, and refuses one that comes twice.
            if "subject" not in {name.lower() for name in given}:
                integration["headers"] = {**given, "Subject": TITLE}
        completed.append(done)
    return completed


def wrong_quiet_hours(hours: list[Settings]) -> list[str]:
    """Return a sentence for each entry that cannot be read: times as "HH:MM", days in English."""
    found = []
    for number, entry in enumerate(hours):
        start, end = str(entry.get("start")), str(entry.get("end"))
        if not CLOCK.match(start) or not (CLOCK.match(end) or end == "24:00") or start == end:
            found.append(
                f'alertmanager_quiet_hours[{number}] goes from {start} to {end}: write two different times as "22:00", in quotes,'
                ' from "00:00" to "24:00".'
            )
        if wrong := [day for day in entry.get("days", DAYS) if day not in DAYS]:
            found.append(f"alertmanager_quiet_hours[{number}] has {', '.join(wrong)}: days are {', '.join(DAYS)}.")
    return found


def time_intervals(hours: list[Settings], location: str) -> list[dict[str, Any]]:
    """Return Alertmanager's `time_intervals` for quiet hours; a night is two of them, since none may go past midnight.

    `days` are those on which an entry begins; what is left of it after midnight belongs to the day after.
    """
    intervals = []
    for entry in hours:
        start, end, days = entry["start"], entry["end"], list(entry.get("days", DAYS))
        parts = [(start, end, days)]
        if end < start:
            parts = [(start, "24:00", days)]
            if end != "00:00":
                parts.append(("00:00", end, [DAYS[(DAYS.index(day) + 1) % len(DAYS)] for day in days]))
        intervals += [
            {"times": [{"start_time": begin, "end_time": finish}], "weekdays": on, "location": location}
            for begin, finish, on in parts
        ]
    return intervals


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that the role uses."""
        return {
            "alertmanager_secrets_in_clear": secrets_in_clear,
            "alertmanager_wrong_files": wrong_files,
            "alertmanager_too_new": too_new,
            "alertmanager_endless_inhibition": endless_inhibition,
            "alertmanager_guarded_inhibition": guarded_inhibition,
            "alertmanager_with_messages": with_messages,
            "alertmanager_wrong_quiet_hours": wrong_quiet_hours,
            "alertmanager_time_intervals": time_intervals,
        }

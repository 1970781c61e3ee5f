"""What the role refuses and what it makes of its variables; that Alertmanager does as told is in molecule/alertmanager."""

import importlib.util
from pathlib import Path

import pytest

ROLE = Path(__file__).resolve().parents[1]
DIRECTORY = "/etc/prometheus-alertmanager/secrets"

_spec = importlib.util.spec_from_file_location(
    "alertmanager_configuration", ROLE / "filter_plugins/alertmanager_configuration.py"
)
configuration = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(configuration)


def receiver(kind, **options):
    return {"receivers": [{"name": "somebody", f"{kind}_configs": [options]}], "global": {}}


@pytest.mark.parametrize(
    ("settings", "place", "instead"),
    [
        (receiver("email", auth_password="hidden"), "receivers.email_configs.auth_password", "auth_password_file"),
        (receiver("slack", api_url="https://hidden"), "receivers.slack_configs.api_url", "api_url_file"),
        (receiver("pagerduty", routing_key="hidden"), "receivers.pagerduty_configs.routing_key", "routing_key_file"),
        (receiver("opsgenie", api_key="hidden"), "receivers.opsgenie_configs.api_key", "api_key_file"),
        (receiver("email", auth_secret="hidden"), "receivers.email_configs.auth_secret", "another way"),
        (
            receiver("webhook", http_config={"authorization": {"credentials": "hidden"}}),
            "receivers.webhook_configs.http_config.authorization.credentials",
            "credentials_file",
        ),
        (
            receiver("webhook", http_config={"tls_config": {"key": "hidden"}}),
            "receivers.webhook_configs.http_config.tls_config.key",
            "key_file",
        ),
        (receiver("webhook", url="https://me:hidden@x/"), "receivers.webhook_configs.url", "password_file"),
        (receiver("webhook", url="https://x/?api_token=hidden"), "receivers.webhook_configs.url", "url_file"),
        ({"global": {"smtp_auth_password": "hidden"}}, "global.smtp_auth_password", "smtp_auth_password_file"),
        ({"global": {"slack_api_url": "https://hidden"}}, "global.slack_api_url", "slack_api_url_file"),
    ],
)
def test_secret_in_clear_is_refused_without_being_shown(settings, place, instead):
    (sentence,) = configuration.secrets_in_clear(settings)
    assert sentence.startswith(place + " ")
    assert instead in sentence
    assert "hidden" not in sentence


@pytest.mark.parametrize(
    "settings",
    [
        receiver("slack", api_url_file=f"{DIRECTORY}/slack", channel="#alerts"),
        receiver("opsgenie", api_key_file=f"{DIRECTORY}/opsgenie", api_url="https://api.eu.opsgenie.com/"),
        receiver("victorops", api_key_file=f"{DIRECTORY}/splunk", routing_key="the-team"),
        receiver("webhook", url="https://app:9099/?team=school"),
        receiver("email", to="a@example.org", auth_password_file=f"{DIRECTORY}/mail"),
    ],
)
def test_what_is_no_secret_is_let_through(settings):
    assert configuration.secrets_in_clear(settings) == []


def test_file_must_be_one_of_the_secrets():
    slack = receiver("slack", api_url_file=f"{DIRECTORY}/slack")
    assert configuration.wrong_files(slack, ["slack"], DIRECTORY) == []
    (sentence,) = configuration.wrong_files(slack, ["slak"], DIRECTORY)
    assert sentence.endswith(f"names {DIRECTORY}/slack, but alertmanager_secrets has no 'slack'.")
    (sentence,) = configuration.wrong_files(receiver("slack", api_url_file="slack"), ["slack"], DIRECTORY)
    assert f"absolute path, for example {DIRECTORY}/slack" in sentence
    authority = receiver("webhook", http_config={"tls_config": {"ca_file": "/etc/ssl/certs/ca-certificates.crt"}})
    assert configuration.wrong_files(authority, [], DIRECTORY) == []


def test_option_that_debian_12_lacks_is_named():
    (sentence,) = configuration.too_new(receiver("webhook", url_file=f"{DIRECTORY}/webhook"))
    assert sentence.startswith("receivers.webhook_configs.url_file is unknown to Alertmanager 0.25")
    assert configuration.too_new(receiver("pagerduty", routing_key_file=f"{DIRECTORY}/pager")) == []


def test_inhibition_needs_labels_that_both_alerts_carry():
    rule = {"source_matchers": ['a="b"'], "target_matchers": ['a="c"'], "equal": ["job", "service"]}
    assert configuration.endless_inhibition([rule]) == []
    (sentence,) = configuration.endless_inhibition([rule, {**rule, "equal": []}])
    assert sentence.startswith("alertmanager_inhibit_rules[1] has no `equal`")
    assert configuration.guarded_inhibition([rule]) == [
        {
            "source_matchers": ['a="b"', 'job!=""', 'service!=""'],
            "target_matchers": ['a="c"', 'job!=""', 'service!=""'],
            "equal": ["job", "service"],
        }
    ]


def test_messages_are_ours_where_the_operator_has_none():
    given = [
        {"name": "mail", "email_configs": [{"to": "a@example.org", "headers": {"X-Team": "school"}}]},
        {"name": "chat", "slack_configs": [{"channel": "#a", "text": "mine", "send_resolved": False}]},
        {"name": "hook", "webhook_configs": [{"url": "https://app:9099/"}]},
        {"name": "own", "email_configs": [{"to": "a@example.org", "headers": {"subject": "mine"}}]},
    ]
    mail, chat, hook, own = configuration.with_messages(given)
    assert mail["email_configs"][0]["headers"] == {"X-Team": "school", "Subject": configuration.TITLE}
    assert mail["email_configs"][0]["send_resolved"] is True
    assert chat["slack_configs"][0]["text"] == "mine"
    assert chat["slack_configs"][0]["send_resolved"] is False
    assert chat["slack_configs"][0]["title"] == configuration.TITLE
    assert hook == given[2]
    assert own["email_configs"][0]["headers"] == {"subject": "mine"}
    assert given[0]["email_configs"][0] == {"to": "a@example.org", "headers": {"X-Team": "school"}}


def test_night_is_split_at_midnight_and_ends_on_the_day_after():
    hours = [{"start": "22:00", "end": "07:00", "days": ["friday", "sunday"]}, {"start": "12:00", "end": "13:00"}]
    assert configuration.wrong_quiet_hours(hours) == []
    found = [
        (interval["times"], interval["weekdays"]) for interval in configuration.time_intervals(hours, "Europe/Berlin")
    ]
    assert found == [
        ([{"start_time": "22:00", "end_time": "24:00"}], ["friday", "sunday"]),
        ([{"start_time": "00:00", "end_time": "07:00"}], ["saturday", "monday"]),
        ([{"start_time": "12:00", "end_time": "13:00"}], configuration.DAYS),
    ]
    (until_midnight,) = configuration.time_intervals([{"start": "22:00", "end": "00:00"}], "UTC")
    assert until_midnight["times"] == [{"start_time": "22:00", "end_time": "24:00"}]
    assert until_midnight["location"] == "UTC"


@pytest.mark.parametrize(
    "entry",
    [
        # What YAML makes of 22:00 without quotes.
        {"start": 1320, "end": "07:00"},
        {"start": "22:00", "end": "22:00"},
        {"start": "24:00", "end": "07:00"},
        {"start": "7:00", "end": "8:00"},
        {"start": "22:00", "end": "07:00", "days": ["Fri"]},
    ],
)
def test_quiet_hours_that_cannot_be_read_are_refused(entry):
    assert len(configuration.wrong_quiet_hours([entry])) == 1

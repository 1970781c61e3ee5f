"""Six hours of a school application that are known beforehand, in OpenMetrics: what a page shows of them can be said exactly."""

from collections.abc import Iterator

STEP = 60
HOURS = 6
# Further samples after the time of the test, so that a rate does not come to the end of its series while the test runs.
AHEAD = 1800
SLOW_ROUTE = '/<b title="x">&{{pupils}}'
"""A label that would be markup, or a template, if a page did not take it for text."""
JOB = 'job="django", instance="app:8443"'
BUCKETS = ("0.05", "0.1", "0.25", "0.5", "1.0", "2.0", "5.0", "+Inf")


def openmetrics(now: int) -> Iterator[str]:
    """Yield the lines of the hours before `now` (seconds since 1970) and a while after it."""
    start = now - HOURS * 3600
    for time in range(start, now + AHEAD, STEP):
        for name, value in samples(time - start, now - time).items():
            # OpenMetrics knows no blank between labels.
            yield f"{name.replace(', ', ',')} {value} {time}"
    yield "# EOF"


def samples(passed: int, ago: int) -> dict[str, float]:
    """Return the series at a time.

    Args:
        passed: seconds since the first sample.
        ago: seconds until the time of the test.

    """
    found = {
        'ALERTS{alertname="Watchdog", alertstate="firing", severity="none"}': 1,
        'up{job="django", instance="app:8443"}': 1,
        'up{job="alertmanager", instance="watch:9093"}': 0,
        # 2 a second end well, 0.5 in an error: a fifth.
        f'django_http_requests_total{{{JOB}, method="GET", route="/", status_class="2xx"}}': 2 * passed,
        f'django_http_requests_total{{{JOB}, method="GET", route="/", status_class="5xx"}}': 0.5 * passed,
        f"logbastion_spool_oldest_seconds{{{JOB}}}": 400 if ago < 3600 else 1,
        f"logbastion_spool_bytes{{{JOB}}}": 3 * 1024 * 1024,
        f"logbastion_spool_memory_bytes{{{JOB}}}": 0,
        f"logbastion_events_queued_total{{{JOB}}}": 3 * passed,
        f"logbastion_events_acknowledged_total{{{JOB}}}": 2 * passed,
        f'logbastion_events_dropped_total{{{JOB}, stream="security", reason="spool_full"}}': max(0, 7200 - ago),
        # Twelve failed log-ins a minute, ten are what an alert looks at.
        f'security_events_total{{{JOB}, event_type="authentication_failure"}}': 0.2 * passed,
        f'security_events_total{{{JOB}, event_type="logout"}}': passed / 60,
        f"logbastion_events_redacted_total{{{JOB}}}": 0.25 * passed,
    }
    if ago < 7200:
        labels = f'alertname="SecurityOrAuditEventsDropped", alertstate="firing", severity="critical", {JOB}'
        found[f"ALERTS{{{labels}}}"] = 1
    # For an hour the application is not scraped for its messages: the line has a gap.
    if not 3 * 3600 <= ago < 4 * 3600:
        found[f'django_log_messages_total{{{JOB}, level="ERROR", logger="django"}}'] = 0.05 * passed
    for bucket in BUCKETS:
        slow = passed if float(bucket) >= 2 else 0
        label = SLOW_ROUTE.replace("\\", "\\\\").replace('"', '\\"')
        duration = "django_http_request_duration_seconds_bucket"
        found[f'{duration}{{{JOB}, method="GET", route="{label}", le="{bucket}"}}'] = slow
        found[f'{duration}{{{JOB}, method="GET", route="/", le="{bucket}"}}'] = passed
        found[f'django_request_duration_seconds_bucket{{{JOB}, le="{bucket}"}}'] = passed + slow
    found[f"django_http_request_duration_seconds_count{{{JOB}}}"] = 2 * passed
    return found

"""What the check of pipelines makes of Logstash's words."""

import pytest
from check_pipeline import complaints

OK = "Using bundled JDK: /usr/share/logstash/jdk\n[2026-11-24T03:00:00,000][INFO ][logstash.runner] Starting\nConfiguration OK\n"


def test_configuration_that_is_right():
    assert complaints(OK, 0) == []


@pytest.mark.parametrize(
    ("output", "exit_code", "said"),
    [
        (
            "[2026-11-24T03:00:00,000][FATAL][logstash.runner] The given configuration is invalid. Reason: Expected one of\n",
            1,
            "Expected",
        ),
        # Logstash's answer to a path without files.
        (
            "[2026-11-24T03:00:00,000][ERROR][logstash.config.sourceloader] No configuration found\n" + OK,
            0,
            "No configuration",
        ),
        ("ERROR: Unrecognised option\n", 1, "Unrecognised"),
        ("Killed\n", 137, "137"),
        ("", 0, "did not say"),
    ],
)
def test_configuration_that_is_wrong(output, exit_code, said):
    assert said in " ".join(complaints(output, exit_code))

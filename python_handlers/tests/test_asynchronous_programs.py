"""The asynchronous handler in ``dictConfig``, from the program's start to its end."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import atexit, logging, logging.config, os, sys
atexit.register(lambda: logging.info("very late", extra={"n": 2000}))  # runs after logging's own
import logbastion.asynchronous
def configure():
    logging.config.dictConfig({
        "version": 1,
        "filters": {"correlation": {"()": "logbastion.CorrelationIdFilter"}},
        "formatters": {"event": {"()": "logbastion.EventFormatter", "service_name": "school"}},
        "handlers": {"async_file": {
            "()": "logbastion.asynchronous.AsyncLoggingSetup.setup_async_handlers",
            "level": "INFO", "formatter": "event", "filters": ["correlation"], "filename": "logs/a.log",
        }},
        "root": {"handlers": ["async_file"], "level": "DEBUG"},
    })
configure()
for n in range(1000):
    logging.info("number", extra={"n": n})
    logging.debug("below the level")
os.chdir("/")
if sys.argv[1] == "twice":
    configure_again = configure
    os.chdir(sys.argv[2])
    configure_again()
    logging.info("number", extra={"n": 1000})
elif sys.argv[1] == "late":
    atexit.register(lambda: logging.info("late", extra={"n": 1000}))
elif sys.argv[1] == "exception":
    raise SystemExit(3)
"""


@pytest.mark.parametrize(("what", "last"), [("plain", 1000), ("twice", 1001), ("late", 1001), ("exception", 1000)])
def test_in_dict_config_and_the_end_of_the_program(tmp_path, what, last):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, what, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=60, capture_output=True, check=False)
    assert done.stderr == b""
    assert done.returncode == (3 if what == "exception" else 0)
    found = [json.loads(line) for line in (tmp_path / "logs/a.log").read_bytes().splitlines()]
    assert [event["extra"]["n"] for event in found] == [*range(last), 2000]
    assert found[0]["service"]["name"] == "school"

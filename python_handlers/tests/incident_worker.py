"""One of many workers that share incidents: ``python incident_worker.py JSON``, then commands on standard input.

JSON has ``store`` (the setting), ``connection`` (Django's, for the database), ``patterns``, ``timeout`` and ``file``,
to which the response writes. Commands: ``log NUMBER TEXT`` logs lines, ``fork NUMBER TEXT`` does so in four children,
``end`` ends. What ``incidents`` logs goes to standard output, a JSON object a line.
"""

from __future__ import annotations

import json
import logging
import logging.config
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import logbastion
from logbastion.incidents import detector

FIELDS = ("event_type", "incident_id", "incident_count", "outcome", "phase", "resolution", "_logbastion_event_id")
ASKED: dict[str, str] = {}


def respond(report):
    """Say that it runs; be killed in the middle of it where that is asked for."""
    file = ASKED["file"]
    with open(file, "a") as out:
        out.write(f"{report.id} {os.getpid()}\n")
    if os.path.exists(f"{file}.kill"):
        os.kill(os.getpid(), signal.SIGKILL)


class Printer(logging.Handler):
    def emit(self, record):
        found = {name: getattr(record, name, None) for name in FIELDS}
        sys.stdout.write(json.dumps({**found, "pid": os.getpid(), "message": record.getMessage()}) + "\n")
        sys.stdout.flush()


def log(number, text):
    for _ in range(number):
        logging.getLogger("school").error(text)


def log_in_child(number, text):
    # On a busy machine the second that an end may take is not always enough, and then lines are left out of the count.
    detector.IncidentDetector.close.__defaults__ = (20.0,)
    log(number, text)


def main(asked):
    ASKED.update(asked)
    detector._IDLE_SECONDS = 0.5
    if asked.get("connection"):
        import django_detection_site

        django_detection_site.with_connection(asked["connection"])
    incidents = {
        "store": asked["store"],
        "patterns": asked["patterns"],
        "timeout": asked.get("timeout", 10),
        "responses": {"act": {"function": "incident_worker.respond"}},
    }
    logging.config.dictConfig(logbastion.logging_config("test", incidents=incidents, service_name="school"))
    logging.getLogger("incidents").addHandler(Printer())
    logging.getLogger("system.log_management").addHandler(Printer())
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "end":
            return
        number, _, text = rest.partition(" ")
        if command == "fork":
            children = [
                multiprocessing.get_context("fork").Process(target=log_in_child, args=(int(number), text))
                for _ in range(4)
            ]
            for child in children:
                child.start()
            for child in children:
                child.join()
        else:
            log(int(number), text)
        sys.stdout.write('{"event_type": "logged"}\n')
        sys.stdout.flush()


class Worker:
    """A worker, from outside."""

    def __init__(self, **asked):
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LOGBASTION_")},
            "PYTHONPATH": f"{Path(logbastion.__file__).parent.parent}:{Path(__file__).parent}",
        }
        command = [sys.executable, __file__, json.dumps(asked)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        self.events = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def of(self, *types):
        return [event for event in list(self.events) if event["event_type"] in types]

    def end(self):
        """Have it end by itself; returns its exit code."""
        if self.process.poll() is None:
            self.say("end")
        code = self.process.wait(60)
        self._reader.join(60)
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._reader.join(60)


if __name__ == "__main__":
    sys.modules["incident_worker"] = sys.modules["__main__"]
    main(json.loads(sys.argv[1]))

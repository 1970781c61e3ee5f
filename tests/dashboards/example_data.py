"""Events that the example application really logs, for dashboards to be tried on: under gunicorn with its traffic, then what traffic lacks.

Only their time is changed: a run takes seconds, so their times are stretched over the day before, in their order.
"""

import datetime
import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from logbastion import EventFormatter
from logbastion.pseudonym_keys import add_key

from lab.elasticsearch_process import Node

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "python_handlers/example"
REQUESTS = 100
PATIENCE_SECONDS = 60
DAY = datetime.timedelta(hours=23, minutes=50)


def load(node: Node, environment: str) -> dict[str, int]:
    """Log, and store it as the writer of the streams does; returns the number of events by stream.

    Raises:
        RuntimeError: the example, its traffic or Elasticsearch did not do what it should; with what they said.

    """
    events = [*logged(environment), _debug_event(environment)]
    streams: dict[str, int] = {}
    lines: list[dict[str, Any]] = []
    for event in events:
        stream = event["event"]["dataset"].partition(".")[2]
        streams[stream] = streams.get(stream, 0) + 1
        name = f"logs-django.{stream}-{environment}"
        lines += [{"create": {"_index": name, "_id": event["event"]["id"]}}, event]
    answer = node.asked("POST", "/_bulk?refresh=true", lines, user="log_writer")
    refused = [item["create"] for item in answer["items"] if item["create"]["status"] != 201]
    if refused:
        raise RuntimeError(f"Elasticsearch refused {len(refused)} of {len(events)} events, such as {refused[0]}")
    return streams


def indices(pattern: str, environment: str) -> str:
    """Return what a data view's pattern finds of one environment."""
    streams = pattern.removesuffix("*")
    return f"{streams}{environment}" if streams.endswith("-") else f"{streams}*-{environment}"


def asking(node: Node, environment: str, user: str = "elastic") -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Return what sends a search, as a user, to the indices of a pattern, of one environment."""
    return lambda pattern, body: dict(node.asked("POST", f"/{indices(pattern, environment)}/_search", body, user=user))


def _debug_event(environment: str) -> dict[str, Any]:
    """Return an event of the stream that an application in production does not write, made by the package's formatter."""
    record = logging.LogRecord("business.search", logging.DEBUG, "", 0, "Looked in the index of names", None, None)
    event: dict[str, Any] = json.loads(EventFormatter("aprende-school", environment).format(record))
    return event


def logged(environment: str) -> list[dict[str, Any]]:
    """Return what the example logs in a run, each event once, oldest first, stretched over a day."""
    with tempfile.TemporaryDirectory(prefix="logbastion-example-") as scratch:
        directory = Path(scratch)
        variables = _variables(directory, environment)
        _run(["manage.py", "migrate", "-v0"], variables)
        credentials = str(directory / "credentials.json")
        _run(["manage.py", "load_example_data", "--credentials", credentials], variables)
        with _served(directory, variables) as url, ThreadPoolExecutor() as side_by_side:
            traffic = ["--url", url, "--credentials", credentials, "--requests", str(REQUESTS), "--payment-outage"]
            rare = str(Path(__file__).with_name("rare_events.py"))
            for run in [side_by_side.submit(_run, one, variables) for one in (["traffic.py", *traffic], [rare])]:
                run.result()
        lines = [line for path in sorted((directory / "logs").glob("*.log*")) for line in path.open(encoding="utf-8")]
    events = sorted((json.loads(line) for line in lines), key=lambda event: event["@timestamp"])
    return _stretched(events)


def _stretched(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = [datetime.datetime.fromisoformat(event["@timestamp"]) for event in events]
    first, last = times[0], times[-1]
    factor = DAY / (last - first)
    end = datetime.datetime.now(datetime.UTC)
    for event, moment in zip(events, times, strict=True):
        text = (end - (last - moment) * factor).isoformat(timespec="microseconds").replace("+00:00", "Z")
        event["@timestamp"] = event["timestamp"] = text
    return events


def _variables(directory: Path, environment: str) -> dict[str, str]:
    (directory / "metrics").mkdir()
    (directory / "secret").write_text(secrets.token_hex(32))
    add_key(directory / "pseudonym-keys")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "LOGBASTION_"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT / "python_handlers/src"),
        "BIND": f"127.0.0.1:{port}",
        "DATABASE_PATH": str(directory / "school.sqlite3"),
        "DJANGO_SECRET_KEY_FILE": str(directory / "secret"),
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1,testserver",
        "WEB_CONCURRENCY": "2",
        "LOGBASTION_ENVIRONMENT": environment,
        "LOGBASTION_SERVICE_NAME": "aprende-school",
        "LOGBASTION_LOG_DIRECTORY": str(directory / "logs"),
        "LOGBASTION_PSEUDONYM_KEYS_FILE": str(directory / "pseudonym-keys"),
        "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
    }


def _run(arguments: list[str], variables: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=EXAMPLE, env=variables, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}")


@contextmanager
def _served(directory: Path, variables: dict[str, str]) -> Iterator[str]:
    url = f"http://{variables['BIND']}"
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "aprende_school.wsgi"]
    with (directory / "gunicorn.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=EXAMPLE, env=variables, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _answers(f"{url}/healthz"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The example does not answer: {(directory / 'gunicorn.log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - of this machine
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

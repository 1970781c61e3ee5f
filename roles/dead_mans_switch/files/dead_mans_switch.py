"""A dead man's switch: takes the Watchdog from Alertmanager, and tells by itself when none has come for too long.

    dead_mans_switch.py /etc/logbastion-dead-mans-switch/configuration.json

Standard library only, since it runs on a host that shares nothing with the monitoring but the network. POST / takes Alertmanager's webhook (format
version 4), GET / says how it stands; both over TLS and with a password. The last Watchdog's time is kept in a file: a restart gives no more time.
"""

import base64
import hmac
import json
import smtplib
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ALERT = "DeadMansSwitch"
WATCHDOG = "Watchdog"
MAXIMUM_BODY_BYTES = 1024 * 1024
LOOK_EVERY_SECONDS = 1.0
TRY_AGAIN_SECONDS = 15.0
TIMEOUT_SECONDS = 10.0
Way = Callable[["News"], None]


class News:
    """What is told: that nothing was heard for so long, or that the Watchdog is heard again."""

    def __init__(self, configuration: dict[str, Any], since: float, *, firing: bool) -> None:
        self.firing = firing
        self.since = since
        self.host = configuration["host"]
        silence = configuration["silence_seconds"]
        if firing:
            self.summary = "No Watchdog comes any more: alerts may reach nobody"
            self.description = (
                f"{self.host} has heard no Watchdog since {_text(since)} (limit {silence} s). Prometheus, Alertmanager or the way between them and here is "
                "broken. Look at both hosts: systemctl status prometheus prometheus-alertmanager."
            )
        else:
            self.summary = "The Watchdog is heard again"
            self.description = (
                f"{self.host} hears the Watchdog again. Nobody was told of alerts from {_text(since)} on."
            )

    def webhook(self) -> dict[str, Any]:
        """Return it as Alertmanager's webhook would say it, so that whoever takes alerts takes this too."""
        status = "firing" if self.firing else "resolved"
        labels = {"alertname": ALERT, "severity": "critical", "service": "monitoring", "instance": self.host}
        annotations = {"summary": self.summary, "description": self.description}
        ends = "0001-01-01T00:00:00Z" if self.firing else _text(time.time())
        alert = {
            "status": status,
            "labels": labels,
            "annotations": annotations,
            "startsAt": _text(self.since),
            "endsAt": ends,
            "generatorURL": "",
            "fingerprint": "",
        }
        return {
            "version": "4",
            "groupKey": ALERT,
            "truncatedAlerts": 0,
            "status": status,
            "receiver": "dead-mans-switch",
            "groupLabels": {"alertname": ALERT},
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": "",
            "alerts": [alert],
        }


class Switch:
    """Knows when the Watchdog last came, and tells by each way until it has been told.

    Args:
        configuration: as the role writes it.
        ways: by name.
        clock: seconds since 1970.
    """

    def __init__(
        self, configuration: dict[str, Any], ways: dict[str, Way], clock: Callable[[], float] = time.time
    ) -> None:
        self._configuration, self._ways, self._clock = configuration, ways, clock
        self._silence = float(configuration["silence_seconds"])
        self._repeat = float(configuration["repeat_seconds"])
        self._file = Path(configuration["state_file"])
        self._lock = threading.Lock()
        self._heard = self._read()
        self._silent_since: float | None = None
        self._was_silent_since = self._heard
        self._told: dict[str, float] = {}
        self._tried: dict[str, float] = {}
        self._owe_end: set[str] = set()

    def hear(self) -> None:
        """Note that the Watchdog came."""
        with self._lock:
            self._heard = self._clock()
            unfinished = self._file.with_suffix(".partial")
            try:
                unfinished.write_text(json.dumps({"heard": self._heard}), encoding="ascii")
                unfinished.replace(self._file)
            except OSError as error:  # only a restart would miss it
                print(f"The time of the Watchdog could not be kept: {error}", file=sys.stderr, flush=True)

    def look(self) -> None:
        """Tell whom there is to tell."""
        now = self._clock()
        with self._lock:
            heard = self._heard
        if now - heard > self._silence:
            if self._silent_since is None:
                self._silent_since = heard
                print(f"Nothing heard since {_text(heard)}: telling by {', '.join(self._ways)}", flush=True)
            news = News(self._configuration, self._silent_since, firing=True)
            for name in self._ways:
                if name not in self._told or now - self._told[name] >= self._repeat:
                    self._tell(name, news, now)
        elif self._silent_since is not None:
            print("The Watchdog is heard again", flush=True)
            self._owe_end |= set(self._told)
            self._was_silent_since, self._silent_since = self._silent_since, None
            self._told.clear()
            self._tried.clear()
        if self._silent_since is None:
            for name in sorted(self._owe_end):
                if self._tell(name, News(self._configuration, self._was_silent_since, firing=False), now):
                    self._owe_end.discard(name)
                    self._told.clear()

    def state(self) -> dict[str, Any]:
        """Return how it stands, for GET /."""
        with self._lock:
            heard = self._heard
        return {
            "seconds_since_watchdog": round(self._clock() - heard, 1),
            "limit_seconds": self._silence,
            "silent": self._silent_since is not None,
            "told": sorted(self._told),
        }

    def _tell(self, name: str, news: News, now: float) -> bool:
        if now - self._tried.get(name, -TRY_AGAIN_SECONDS) < TRY_AGAIN_SECONDS:
            return False
        self._tried[name] = now
        try:
            self._ways[name](news)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            print(
                f"Telling by {name} failed and is tried again: {type(error).__name__}: {error}",
                file=sys.stderr,
                flush=True,
            )
            return False
        self._told[name] = now
        self._tried.pop(name)
        print(f"Told by {name}: {news.summary}", flush=True)
        return True

    def _read(self) -> float:
        """Return the time of the file; now when there is none, or one of the future, as after a clock was set back."""
        try:
            heard = float(json.loads(self._file.read_text(encoding="ascii"))["heard"])
        except (OSError, ValueError, KeyError, TypeError):
            return self._clock()
        return min(heard, self._clock())


def webhook_way(settings: dict[str, Any]) -> Way:
    """Return the way by a webhook: `url`, and where they are given `user` with `password_file`, `ca_file`."""
    context = ssl.create_default_context(cafile=settings["ca_file"] or None)

    def tell(news: News) -> None:
        # The role lets https:// through only.
        request = urllib.request.Request(  # noqa: S310
            settings["url"], json.dumps(news.webhook()).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        if settings["user"]:
            request.add_header("Authorization", _basic(settings["user"], _secret(settings["password_file"])))
        with urllib.request.urlopen(  # noqa: S310
            request, timeout=TIMEOUT_SECONDS, context=context
        ) as answer:
            answer.read(1)

    return tell


def mail_way(settings: dict[str, Any]) -> Way:
    """Return the way by mail: `host`, `port`, `implicit_tls`, `from`, `to`, and where they are given `user` with `password_file`, `ca_file`."""
    context = ssl.create_default_context(cafile=settings["ca_file"] or None)

    def tell(news: News) -> None:
        message = EmailMessage()
        message["Subject"] = f"[{'CRITICAL' if news.firing else 'RESOLVED'}] {news.summary}"
        message["From"], message["To"] = settings["from"], ", ".join(settings["to"])
        message.set_content(news.description + "\n")
        address = (settings["host"], settings["port"])
        if settings["implicit_tls"]:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(*address, timeout=TIMEOUT_SECONDS, context=context)
        else:
            connection = smtplib.SMTP(*address, timeout=TIMEOUT_SECONDS)
        with connection:
            if not settings["implicit_tls"]:
                connection.starttls(context=context)
            if settings["user"]:
                connection.login(settings["user"], _secret(settings["password_file"]))
            connection.send_message(message)

    return tell


class Request(BaseHTTPRequestHandler):
    """POST / hears, GET / says how it stands."""

    server: "Server"
    server_version = "DeadMansSwitch"
    sys_version = ""
    timeout = TIMEOUT_SECONDS

    def do_POST(self) -> None:
        """Take a webhook; one without a firing Watchdog is taken and does nothing."""
        if not self._authenticated():
            return
        try:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= MAXIMUM_BODY_BYTES:
                self._answer(413, {"error": f"More than {MAXIMUM_BODY_BYTES} bytes."})
                return
            alerts = json.loads(self.rfile.read(length))["alerts"]
            heard = any(each["status"] == "firing" and each["labels"].get("alertname") == WATCHDOG for each in alerts)
        except (ValueError, KeyError, TypeError, AttributeError):
            self._answer(400, {"error": "Not a webhook of Alertmanager."})
            return
        if heard:
            self.server.switch.hear()
        self._answer(200, {"heard": heard})

    def do_GET(self) -> None:
        """Say how it stands."""
        if self._authenticated():
            self._answer(200, self.server.switch.state())

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the library's name)
        """Say nothing: a line a minute for ever is of no use."""

    def _authenticated(self) -> bool:
        given = self.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode(), self.server.authorization.encode()):
            return True
        self._answer(
            401, {"error": "User name or password is wrong."}, {"WWW-Authenticate": 'Basic realm="dead mans switch"'}
        )
        return False

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """An HTTPS server; the handshake happens in the request's own thread, so that a silent client holds nobody up."""

    daemon_threads = True

    def __init__(self, configuration: dict[str, Any], switch: Switch) -> None:
        super().__init__((configuration["address"], configuration["port"]), Request)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_cert_chain(configuration["certificate_file"], configuration["key_file"])
        self.socket = self._context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.authorization = _basic(configuration["user"], _secret(configuration["password_file"]))
        self.switch = switch


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _secret(file: str) -> str:
    return Path(file).read_text(encoding="utf-8").strip()


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def main() -> None:
    """Serve until stopped."""
    configuration = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    ways: dict[str, Way] = {}
    if configuration["webhook"]:
        ways["webhook"] = webhook_way(configuration["webhook"])
    if configuration["mail"]:
        ways["mail"] = mail_way(configuration["mail"])
    switch = Switch(configuration, ways)
    server = Server(configuration, switch)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(
        f"Listening on port {configuration['port']}; telling by {', '.join(ways)} after {configuration['silence_seconds']} s",
        flush=True,
    )
    while True:
        switch.look()
        time.sleep(LOOK_EVERY_SECONDS)


if __name__ == "__main__":
    main()

"""A receiver for the lab's alerts: takes Alertmanager's webhook and appends each alert to a file, one JSON document a line.

Standard library only, since it runs on a fresh host. TLS and basic authentication as everything else that listens.
Settings come from the environment: ADDRESS, PORT, CERTIFICATE_FILE, KEY_FILE, PASSWORD_FILE, ALERTS_FILE.
"""

import base64
import hmac
import json
import os
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USERNAME = "alertmanager"
MAXIMUM_BODY_BYTES = 1024 * 1024


class AlertReceiver(BaseHTTPRequestHandler):
    """POST / takes a webhook of Alertmanager (format version 4); GET / says how many alerts came so far."""

    server: "Server"
    server_version = "LabAlertReceiver"
    sys_version = ""
    timeout = 10

    def do_POST(self) -> None:
        """Take a webhook."""
        if not self._authenticated():
            return
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAXIMUM_BODY_BYTES:
            self._answer(413, {"error": f"More than {MAXIMUM_BODY_BYTES} bytes."})
            return
        try:
            alerts = json.loads(self.rfile.read(length))["alerts"]
            # By this host's clock: the lab measures how long an alert takes.
            lines = [json.dumps({**alert, "receivedAt": time.time()}) + "\n" for alert in alerts]
        except (ValueError, KeyError, TypeError):
            self._answer(400, {"error": "Not a webhook of Alertmanager."})
            return
        with self.server.alerts_file.open("a", encoding="utf-8") as file:
            file.writelines(lines)
        self._answer(200, {"received": len(lines)})

    def do_GET(self) -> None:
        """Say how many alerts came."""
        if self._authenticated():
            self._answer(200, {"alerts": self.server.count()})

    def _authenticated(self) -> bool:
        given = self.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode(), self.server.authorization.encode()):
            return True
        self._answer(401, {"error": "User name or password is wrong."}, {"WWW-Authenticate": 'Basic realm="alerts"'})
        return False

    def _answer(self, status: int, body: dict[str, object], headers: dict[str, str] | None = None) -> None:
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

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext, authorization: str, alerts_file: Path
    ) -> None:
        super().__init__(address, AlertReceiver)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.authorization = authorization
        self.alerts_file = alerts_file

    def count(self) -> int:
        """Return how many alerts came since the file was begun."""
        if not self.alerts_file.exists():
            return 0
        with self.alerts_file.open("rb") as file:
            return sum(1 for _ in file)


def main() -> None:
    """Serve until stopped."""
    password = Path(os.environ["PASSWORD_FILE"]).read_text(encoding="ascii").strip()
    authorization = "Basic " + base64.b64encode(f"{USERNAME}:{password}".encode()).decode()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(os.environ["CERTIFICATE_FILE"], os.environ["KEY_FILE"])
    address = (os.environ.get("ADDRESS", "0.0.0.0"), int(os.environ["PORT"]))  # noqa: S104 (TLS and a password guard it)
    Server(address, context, authorization, Path(os.environ["ALERTS_FILE"])).serve_forever()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Stand-in for Logstash: reads its settings, checks that files of a pipeline are there, takes TLS connections and forgets what comes."""

import base64
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import sys
import threading
import time

HANG = pathlib.Path("/var/lib/logstash/hang")


def option(name: str, default: str = "") -> str:
    """Return the value of a command line option."""
    words = sys.argv[1:]
    return words[words.index(name) + 1] if name in words else default


def secrets() -> dict[str, str]:
    """Return what the keystore and the environment have."""
    entries = json.loads(pathlib.Path(option("--path.settings"), "logstash.keystore").read_text())["entries"]
    if not os.environ.get("LOGSTASH_KEYSTORE_PASS"):
        sys.exit("[ERROR] Can not access Logstash keystore")
    return {**os.environ, **entries}


def expanded(text: str) -> str:
    """Return a text with its ${NAME} filled in."""
    known = secrets()
    missing = [name for name in re.findall(r"\$\{(\w+)\}", text) if name not in known]
    if missing:
        raise ValueError(f"Cannot evaluate `${{{missing[0]}}}`")
    return re.sub(r"\$\{(\w+)\}", lambda found: known[found[1]], text)


def settings() -> dict[str, str]:
    """Return logstash.yml."""
    lines = pathlib.Path(option("--path.settings"), "logstash.yml").read_text().splitlines()
    pairs = [line.partition(":") for line in lines if line.strip() and not line.startswith("#")]
    return {name: expanded(value.strip().strip('"')) for name, _, value in pairs}


def pipelines() -> dict[str, str]:
    """Return the text of each pipeline of pipelines.yml."""
    text = pathlib.Path(option("--path.settings"), "pipelines.yml").read_text()
    found = re.findall(r'pipeline\.id: (\w+)\n\s+path\.config: "(.*)"', text)
    return {name: pathlib.Path(path).read_text() for name, path in found}


def check(text: str) -> None:
    """Refuse what a real one would certainly refuse."""
    plain = re.sub(r'"[^"]*"|/[^/\n]+/|#[^\n]*', "", expanded(text))
    if plain.count("{") != plain.count("}") or not re.search(r"^input \{", text, re.MULTILINE):
        raise ValueError('Expected one of [ \\t\\r\\n], "#", "}" at the end of the configuration')
    for path in re.findall(r'ssl_(?:certificate|key) => "(.*)"|ssl_certificate_authorities => \["(.*)"\]', text):
        pathlib.Path(path[0] or path[1]).read_text()
    for path in re.findall(r'^    path => "(.*(?:queue|rb))"', text, re.MULTILINE):
        pathlib.Path(path).stat()


def context(text: str) -> ssl.SSLContext:
    """Return the TLS side of the inputs of a pipeline."""
    (certificate, key, authority) = (
        re.search(pattern, text)[1]  # type: ignore[index]
        for pattern in (
            r'ssl_certificate => "(.*)"', r'ssl_key => "(.*)"', r'ssl_certificate_authorities => \["(.*)"\]',
        )
    )  # fmt: skip
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(certificate, key)
    made.load_verify_locations(authority)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


class Inputs:
    """The ports of the pipeline ingest."""

    def __init__(self, text: str) -> None:
        """Listen."""
        self.text = text
        self.context = context(text)
        for port in re.findall(r"port => (\d+)", text):
            listener = socket.create_server(("0.0.0.0", int(port)))  # noqa: S104
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener: socket.socket) -> None:
        """Take connections, with the certificates of now."""
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.read, args=(connection,), daemon=True).start()

    def read(self, connection: socket.socket) -> None:
        """Forget what comes."""
        try:
            with self.context.wrap_socket(connection, server_side=True) as tls:
                while tls.recv(65536):
                    pass
        except OSError as error:
            print(f"[WARN ] {error}", flush=True)

    def reload(self) -> None:
        """Look for a changed pipeline, as config.reload.automatic does."""
        while True:
            time.sleep(1)
            text = pipelines()["ingest"]
            if text != self.text:
                self.text, self.context = text, context(text)


class Api(http.server.BaseHTTPRequestHandler):
    """The pipelines, with the password only."""

    def do_GET(self) -> None:
        """Answer."""
        given = base64.b64decode((self.headers["Authorization"] or "Basic ").split()[-1]).decode()
        right = given == f"logstash:{settings()['api.auth.basic.password']}"
        self.send_response(200 if right else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(
            json.dumps(
                {"pipelines": {name: {"queue": {"events_count": 3}} for name in pipelines()} if right else {}}
            ).encode()
        )

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Check a pipeline, or serve."""
    if "--config.test_and_exit" in sys.argv:
        try:
            settings()
            check(pathlib.Path(option("--path.config")).read_text())
        except (OSError, ValueError) as error:
            sys.exit(f"[FATAL][logstash.runner] The given configuration is invalid. Reason: {error}")
        print("Configuration OK")
        return
    # As one that waits for an Elasticsearch that is away.
    signal.signal(signal.SIGTERM, lambda *_: None if HANG.exists() else os._exit(0))
    inputs = Inputs(pipelines()["ingest"])
    threading.Thread(target=inputs.reload, daemon=True).start()
    found = settings()
    http.server.ThreadingHTTPServer((found["api.http.host"], int(found["api.http.port"])), Api).serve_forever()


if __name__ == "__main__":
    main()

"""The switch with a clock of the test's own, a real HTTPS server and client, and a real SMTP session over verified TLS."""

import contextlib
import json
import smtplib
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dead_mans_switch as program
import pytest

PASSWORD = "not-a-real-secret"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A way that remembers what it was told; it fails as often as it is told to."""

    def __init__(self) -> None:
        self.news: list[bool] = []
        self.failures = 0

    def __call__(self, news) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("nobody answers")
        self.news.append(news.firing)


@pytest.fixture
def configuration(tmp_path) -> dict:
    return {
        "host": "app",
        "silence_seconds": 300,
        "repeat_seconds": 3600,
        "state_file": str(tmp_path / "watchdog.json"),
    }


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def switch(configuration, clock, told):
    return program.Switch(configuration, {"mail": told}, clock)


def go_on(switch, clock, seconds: float, step: float = 1.0) -> None:
    end = clock.now + seconds
    while clock.now < end:
        clock.now += step
        switch.look()


def test_it_is_quiet_while_the_watchdog_comes(switch, clock, told):
    for _ in range(30):
        switch.hear()
        go_on(switch, clock, 60)
    assert told.news == []


def test_it_tells_once_after_the_limit_and_not_before(switch, clock, told):
    switch.hear()
    go_on(switch, clock, 300)
    assert told.news == []
    go_on(switch, clock, 1)
    assert told.news == [True]
    go_on(switch, clock, 3000)
    assert told.news == [True]


def test_it_tells_again_while_the_silence_lasts_and_once_of_its_end(switch, clock, told):
    go_on(switch, clock, 301 + 3601)
    assert told.news == [True, True]
    switch.hear()
    go_on(switch, clock, 200)
    assert told.news == [True, True, False]
    go_on(switch, clock, 200)
    assert told.news == [True, True, False, True]


def test_what_could_not_be_told_is_tried_again_until_it_is(switch, clock, told):
    told.failures = 5
    go_on(switch, clock, 301 + 4 * program.TRY_AGAIN_SECONDS)
    assert told.news == []
    go_on(switch, clock, program.TRY_AGAIN_SECONDS + 1)
    assert told.news == [True]


def test_an_end_that_could_not_be_told_is_tried_again(switch, clock, told):
    go_on(switch, clock, 302)
    told.failures = 2
    for _ in range(60):
        switch.hear()
        go_on(switch, clock, 1)
    assert told.news == [True, False]


def test_nobody_is_told_of_the_end_of_a_silence_that_nobody_was_told_of(switch, clock, told):
    told.failures = 1
    go_on(switch, clock, 302)
    switch.hear()
    go_on(switch, clock, 60)
    assert told.news == []


def test_one_way_that_fails_does_not_hold_up_the_other(configuration, clock, told):
    broken = Told()
    broken.failures = 10**9
    switch = program.Switch(configuration, {"webhook": broken, "mail": told}, clock)
    go_on(switch, clock, 400)
    assert (broken.news, told.news) == ([], [True])


def test_a_restart_gives_no_more_time(configuration, switch, clock, told):
    switch.hear()
    go_on(switch, clock, 299)
    again = program.Switch(configuration, {"mail": told}, clock)
    go_on(again, clock, 2)
    assert told.news == [True]


@pytest.mark.parametrize("content", ["", "{}", '{"heard": "yesterday"}', '{"heard": 9e12}', "[1]"])
def test_a_damaged_state_file_counts_from_the_start(configuration, clock, told, content):
    Path(configuration["state_file"]).write_text(content)
    switch = program.Switch(configuration, {"mail": told}, clock)
    go_on(switch, clock, 300)
    assert told.news == []
    go_on(switch, clock, 2)
    assert told.news == [True]


# Over the network.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    place = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", place / "host.key", "-out", place / "host.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    (place / "password").write_text(PASSWORD + "\n")
    return place


@pytest.fixture
def server(configuration, certificate, switch):
    made = program.Server(
        {
            **configuration,
            "address": "127.0.0.1",
            "port": 0,
            "user": "alertmanager",
            "password_file": str(certificate / "password"),
            "certificate_file": str(certificate / "host.crt"),
            "key_file": str(certificate / "host.key"),
        },
        switch,
    )
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"https://localhost:{made.server_address[1]}/"
    made.shutdown()
    made.server_close()


def ask(url: str, certificate: Path, body: bytes | None = None, password: str = PASSWORD) -> tuple[int, dict]:
    request = urllib.request.Request(url, body)  # noqa: S310 (the test's own address)
    request.add_header("Authorization", program._basic("alertmanager", password))
    context = ssl.create_default_context(cafile=certificate / "host.crt")
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def webhook(name: str, status: str = "firing") -> bytes:
    return json.dumps({"alerts": [{"status": status, "labels": {"alertname": name}}]}).encode()


def test_the_watchdog_is_heard_and_nothing_else(server, certificate, clock):
    clock.now += 100
    for body in (webhook("HighErrorRate"), webhook("Watchdog", "resolved")):
        assert ask(server, certificate, body) == (200, {"heard": False})
    assert ask(server, certificate)[1]["seconds_since_watchdog"] == 100
    assert ask(server, certificate, webhook("Watchdog")) == (200, {"heard": True})
    assert ask(server, certificate)[1]["seconds_since_watchdog"] == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"no json", b'{"alerts": 3}', b'{"alerts": [{}]}', b'{"alerts": [{"status": "firing", "labels": 1}]}'],
)
def test_what_is_no_webhook_is_refused_and_not_heard(server, certificate, clock, body):
    clock.now += 100
    assert ask(server, certificate, body)[0] == 400
    assert ask(server, certificate)[1]["seconds_since_watchdog"] == 100


@pytest.mark.parametrize("body", [None, webhook("Watchdog")])
def test_nobody_gets_in_without_the_password(server, certificate, clock, body):
    clock.now += 100
    assert ask(server, certificate, body, password="guessed")[0] == 401
    assert ask(server, certificate)[1]["seconds_since_watchdog"] == 100


def test_a_client_that_says_nothing_holds_nobody_up(server, certificate):
    port = int(server.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        assert ask(server, certificate)[0] == 200


def test_the_webhook_is_one_of_alertmanagers_and_needs_the_right_certificate(configuration, certificate):
    taken: list[dict] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.headers["Authorization"] == program._basic("alertmanager", PASSWORD)
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "host.crt", certificate / "host.key")
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    settings = {
        "url": f"https://localhost:{receiver.server_address[1]}/",
        "user": "alertmanager",
        "password_file": str(certificate / "password"),
        "ca_file": str(certificate / "host.crt"),
    }
    for firing in (True, False):
        program.webhook_way(settings)(program.News(configuration, 1_000_000.0, firing=firing))
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        program.webhook_way({**settings, "ca_file": ""})(program.News(configuration, 0, firing=True))
    receiver.shutdown()
    receiver.server_close()
    (first,), (second,) = (each["alerts"] for each in taken)
    assert (first["status"], second["status"]) == ("firing", "resolved")
    assert first["labels"] == second["labels"] == {
        "alertname": "DeadMansSwitch", "severity": "critical", "service": "monitoring", "instance": "app",
    }  # fmt: skip
    assert "300 s" in first["annotations"]["description"]


class MailServer(threading.Thread):
    """A small SMTP server of the test's own that only speaks STARTTLS and AUTH PLAIN, one session; it keeps what it was given."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate / "host.crt", certificate / "host.key")
        self.said: list[str] = []
        self.mail = ""

    def run(self) -> None:
        connection, _ = self.listener.accept()
        stream = connection.makefile("rw", newline="\r\n")
        self._say(stream, "220 localhost ESMTP")
        with contextlib.suppress(OSError):
            self._session(connection, stream)

    def _session(self, connection, stream) -> None:
        while line := stream.readline():
            word = line.split()[0].upper()
            self.said.append(word)
            if word == "EHLO":
                self._say(stream, "250-localhost", "250-STARTTLS", "250 AUTH PLAIN")
            elif word == "STARTTLS":
                self._say(stream, "220 go on")
                connection = self.context.wrap_socket(connection, server_side=True)
                stream = connection.makefile("rw", newline="\r\n")
            elif word == "AUTH":
                self._say(stream, "235 welcome")
            elif word == "DATA":
                self._say(stream, "354 go on")
                while (text := stream.readline()) != ".\r\n":
                    self.mail += text
                self._say(stream, "250 taken")
            else:
                self._say(stream, "221 bye" if word == "QUIT" else "250 ok")

    @staticmethod
    def _say(stream, *lines: str) -> None:
        stream.write("".join(f"{line}\r\n" for line in lines))
        stream.flush()


def mail_settings(certificate: Path, port: int) -> dict:
    return {
        "host": "localhost", "port": port, "implicit_tls": False, "from": "switch@example.org",
        "to": ["on-call@example.org", "boss@example.org"], "user": "switch", "password_file": str(certificate / "password"),
        "ca_file": str(certificate / "host.crt"),
    }  # fmt: skip


def test_the_mail_goes_over_verified_tls_only(configuration, certificate):
    server = MailServer(certificate)
    server.start()
    program.mail_way(mail_settings(certificate, server.port))(program.News(configuration, 1_000_000.0, firing=True))
    server.join(10)
    assert (
        server.said.index("STARTTLS")
        < server.said.index("AUTH")
        < server.said.index("MAIL")
        < server.said.index("DATA")
    )
    assert server.said.count("RCPT") == 2
    assert "Subject: [CRITICAL] No Watchdog comes any more" in server.mail
    assert "systemctl status prometheus" in server.mail.replace("=\r\n", "")


def test_a_mail_server_without_the_right_certificate_gets_neither_password_nor_mail(configuration, certificate):
    server = MailServer(certificate)
    server.start()
    settings = {**mail_settings(certificate, server.port), "ca_file": ""}
    with pytest.raises((ssl.SSLError, smtplib.SMTPException)):
        program.mail_way(settings)(program.News(configuration, 0, firing=True))
    server.join(10)
    assert not {"AUTH", "MAIL", "DATA"} & set(server.said)
    assert server.mail == ""

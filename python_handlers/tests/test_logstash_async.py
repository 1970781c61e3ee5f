import contextlib
import json
import logging
import logging.config
import socket
import sqlite3
import ssl
import stat

import pytest
from conftest import eventually
from sink import Sink, numbered

import logbastion
from logbastion.shipping.logstash_async import VerifiedTransport, gated_handler, moved_over

THEIRS = {
    "class": "logstash_async.handler.AsynchronousLogstashHandler",
    "host": "logs1.example.org",
    "port": 5959,
    "ssl_enable": True,
    "ca_certs": "/etc/school/ca.crt",
    "certfile": "/etc/school/client.crt",
    "keyfile": "/etc/school/client.key",
    "database_path": "/var/lib/school/events.db",
}


@pytest.fixture
def quick(monkeypatch):
    """The handler looks for events often, and does not wait for many."""
    from logstash_async.constants import constants  # not installed everywhere that the quick tests run

    monkeypatch.setattr(constants, "QUEUE_CHECK_INTERVAL", 0.02)
    monkeypatch.setattr(constants, "QUEUED_EVENTS_FLUSH_INTERVAL", 0.02)


@pytest.fixture
def stranger(certificates):
    """A receiver whose certificate the right authority has signed, for another host."""
    sink = Sink(certificates, server=certificates.authority.issue_cert("other.example.org"))
    sink.start()
    yield sink
    sink.stop()


def events(sink):
    return [json.loads(line) for line in sink.lines]


def of(sink, certificates):
    host, port = sink.address.rsplit(":", 1)
    files = certificates.client
    return {
        "host": host,
        "port": int(port),
        "ca_certs": files["ca_file"],
        "certfile": files["certificate_file"],
        "keyfile": files["key_file"],
    }


@pytest.mark.integration
def test_event_passes_the_gate_and_arrives(sink, certificates, quick, logger, tmp_path):
    path = tmp_path / "events.db"
    handler = gated_handler(**of(sink, certificates), database_path=path, environment="lab")
    logger.addHandler(handler)
    logger.warning("log-in with password=hunter2", extra={"api_key": "abc123def456", "n": 0})
    handler.flush()
    (event,) = eventually(lambda: events(sink))
    assert event["service"]["environment"] == "lab"
    assert event["event"]["id"]
    assert "hunter2" not in str(event)
    assert "abc123def456" not in str(event)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.integration
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_batch_is_sent_when_the_receiver_has_read_all_of_it(certificates, version):
    sink = Sink(certificates, version=version)
    sink.start()
    try:
        transport = VerifiedTransport(**of(sink, certificates))
        transport.send([line + b"\n" for line in numbered(0, 3000)])
        # It has returned, so there is nothing to wait for.
        assert sink.numbers() == list(range(3000))
    finally:
        sink.stop()


@pytest.mark.integration
def test_certificate_of_another_host_is_refused_which_its_own_transport_takes(stranger, certificates, quick, logger):
    with pytest.raises(ConnectionError, match="certificate"):
        VerifiedTransport(**of(stranger, certificates)).send([b"{}\n"])
    assert events(stranger) == []
    from logstash_async.handler import AsynchronousLogstashHandler

    theirs = AsynchronousLogstashHandler(**of(stranger, certificates), database_path=None, ssl_enable=True)
    logger.addHandler(theirs)
    logger.warning("sent to anybody")
    theirs.flush()
    assert eventually(lambda: events(stranger))


@pytest.mark.integration
def test_event_waits_in_the_database_until_the_receiver_is_there(certificates, quick, logger, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    where = {**of(Sink(certificates), certificates), "port": port}
    handler = gated_handler(**where, database_path=tmp_path / "events.db")
    logger.addHandler(handler)
    logger.warning("waits")

    def waiting():
        # Another thread makes the table; by then there may be none yet.
        with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(tmp_path / "events.db") as database:
            return database.execute("SELECT count(*) FROM event").fetchone()[0]

    assert eventually(waiting) == 1
    sink = Sink(certificates)
    sink.port = port
    sink.start()
    try:
        assert eventually(lambda: events(sink))
        eventually(lambda: waiting() == 0)
    finally:
        sink.stop()


@pytest.mark.parametrize("switched_off", [{"ssl_enable": False}, {"ssl_verify": False}])
def test_verification_cannot_be_switched_off(switched_off):
    with pytest.raises(ValueError, match="verified TLS only"):
        VerifiedTransport("localhost", 5959, **switched_off)


def test_settings_that_are_moved_over():
    assert moved_over(THEIRS) == {
        "ingest": "logs1.example.org:5959",
        "transport": "tcp",
        "ca_file": "/etc/school/ca.crt",
        "certificate_file": "/etc/school/client.crt",
        "key_file": "/etc/school/client.key",
        "spool_directory": "/var/lib/school/spool",
    }
    beats = {
        **THEIRS,
        "transport": "logstash_async.transport.BeatsTransport",
        "host": "2001:db8::1",
        "database_path": None,
    }
    moved = moved_over(beats)
    assert (moved["transport"], moved["ingest"]) == ("beats", "[2001:db8::1]:5959")
    assert "spool_directory" not in moved


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"ssl_enable": False}, "in clear"),
        ({"ssl_verify": False}, "does not verify"),
        ({"transport": "logstash_async.transport.UdpTransport"}, "UdpTransport has none"),
        ({"ca_certs": None}, "ca_certs is missing"),
        ({"username": "u", "password": "p"}, "password_file"),
    ],
)
def test_settings_that_cannot_be_moved_over(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        moved_over({**THEIRS, **changed})


@pytest.mark.integration
def test_application_that_has_moved_over_sends_to_the_same_receiver(
    sink, certificates, clean_environment, root_logging, tmp_path
):
    old = {"ssl_enable": True, "database_path": str(tmp_path / "events.db"), **of(sink, certificates)}
    logging.config.dictConfig(logbastion.logging_config("test", **moved_over(old)))
    logging.getLogger("business").warning("moved")
    (event,) = eventually(lambda: events(sink))
    assert event["message"] == "moved"
    assert (tmp_path / "spool").is_dir()

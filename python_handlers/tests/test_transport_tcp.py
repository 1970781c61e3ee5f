import contextlib
import json
import os
import socket
import ssl
import time

import pytest
from conftest import eventually
from sink import Feeder, Silent, Sink, numbered

from logbastion.shipping.transports import Promise, TransportError
from logbastion.shipping.transports.connection import Connection
from logbastion.shipping.transports.tcp import TcpTransport

pytestmark = pytest.mark.integration


@pytest.fixture
def connect(certificates):
    """Makes a transport, and leaves no connection behind."""
    made = []

    def make(destinations, **options):
        transport = TcpTransport(destinations, **{**certificates.client, **options})
        made.append(transport)
        return transport

    yield make
    for transport in made:
        transport.forget()


@contextlib.contextmanager
def running(sink):
    sink.start()
    try:
        yield sink
    finally:
        sink.stop()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def failure_of(transport):
    with pytest.raises(TransportError) as caught:
        transport.send(numbered(0, 1))
    assert caught.value.receipt.settled == 0
    return str(caught.value)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_everything_arrives_once_in_order_and_the_connection_ends_in_order(certificates, connect, version):
    with running(Sink(certificates, version=version)) as sink:
        feeder = Feeder(connect(sink.address), numbered(0, 20_000))
        assert feeder.transport.promise is Promise.SENT
        feeder.hand_over()
        assert feeder.settled == 0  # nothing has proved yet that it was read
        feeder.finish()
        # finish() has returned with everything settled, so the receiver has read to the end: nothing to wait for.
        assert feeder.settled == 20_000
        assert sink.numbers() == list(range(20_000))
        assert sink.clean_ends == 1
        assert sink.versions == {version.name.replace("_", ".")}


def test_events_are_settled_when_the_connection_has_held(connect, sink):
    feeder = Feeder(connect(sink.address, settle_seconds=0.3), numbered(0, 500))
    feeder.hand_over()
    assert feeder.settled == 0
    feeder.run()
    assert sink.numbers() == list(range(500))


def test_events_are_settled_when_enough_has_been_acknowledged_after_them(connect, sink):
    feeder = Feeder(connect(sink.address, settle_seconds=3600, settle_bytes=1_000_000), numbered(0, 3000, 1000))
    feeder.hand_over()
    eventually(lambda: feeder.step() and feeder.settled >= 2000)
    assert sum(len(event) + 1 for event in feeder.events[feeder.settled :]) >= 1_000_000
    feeder.finish()
    assert feeder.settled == 3000
    assert sink.numbers() == list(range(3000))


def test_ipv6(certificates, connect):
    with running(Sink(certificates, family=socket.AF_INET6)) as sink:
        feeder = Feeder(connect(sink.address), numbered(0, 3))
        feeder.hand_over()
        feeder.finish()
        assert sink.numbers() == [0, 1, 2]


def test_every_address_of_a_name_is_tried(certificates, connect, monkeypatch):
    with running(Sink(certificates)) as sink, Silent() as silent:
        real = socket.getaddrinfo

        def two(host, port, **options):
            # The name has a second address, where something accepts and never answers.
            return real("127.0.0.1", silent.port, **options) + real("127.0.0.1", port, **options)

        monkeypatch.setattr(socket, "getaddrinfo", two)
        feeder = Feeder(connect(sink.address, connect_timeout=1), numbered(0, 3))
        feeder.hand_over()
        feeder.finish()
        assert sink.numbers() == [0, 1, 2]


def test_a_receiver_of_another_authority_gets_nothing(certificates, connect, sink):
    assert "CERTIFICATE_VERIFY_FAILED" in failure_of(connect(sink.address, ca_file=certificates.other_ca))
    assert sink.lines == []


def test_the_authorities_of_the_system_are_asked_when_none_is_named(certificates, connect, sink, monkeypatch):
    assert "CERTIFICATE_VERIFY_FAILED" in failure_of(connect(sink.address, ca_file=None))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    Feeder(connect(sink.address, ca_file=None), numbered(0, 3)).hand_over()
    eventually(lambda: sink.numbers() == [0, 1, 2])


@pytest.mark.parametrize("names", [("elsewhere.example",), ("127.0.0.1",), ("*.localhost",)])
def test_a_receiver_with_another_name_gets_nothing(certificates, connect, names):
    with running(Sink(certificates, server=certificates.authority.issue_cert(*names))) as sink:
        assert "Hostname mismatch" in failure_of(connect(sink.address))
        assert sink.lines == []


def test_an_address_is_verified_like_a_name(certificates, connect):
    with running(Sink(certificates, server=certificates.authority.issue_cert("localhost"))) as sink:
        assert "IP address mismatch" in failure_of(connect(f"127.0.0.1:{sink.port}"))


def test_tls_1_1_is_refused(certificates, connect):
    with running(Sink(certificates, version=ssl.TLSVersion.TLSv1_1)) as sink:
        assert "PROTOCOL" in failure_of(connect(sink.address)).upper()
        # The same receiver is reached by a client that speaks that version: it is the version that was refused.
        context = ssl.create_default_context(cafile=str(certificates.ca))
        context.load_cert_chain(certificates.certificate, certificates.key)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(("localhost", sink.port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as old,
        ):
            assert old.version() == "TLSv1.1"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_refused_client_certificate_is_noticed(certificates, connect, version):
    with running(Sink(certificates, version=version)) as sink:
        failure_of(connect(sink.address, certificate_file=None, key_file=None))
        assert sink.lines == []


def test_the_receiver_sees_the_name_it_was_asked_for(certificates, connect):
    seen = []
    sink = Sink(certificates)
    sink.context.sni_callback = lambda _socket, name, _context: seen.append(name)
    with running(sink):
        Feeder(connect(sink.address), numbered(0, 1)).hand_over()
    assert seen == ["localhost"]


def test_certificates_that_cannot_be_read_get_a_sentence(certificates, connect, sink, tmp_path):
    missing = tmp_path / "missing.pem"
    assert f"the certificates cannot be read ({missing}" in failure_of(connect(sink.address, ca_file=missing))
    with pytest.raises(ValueError, match="both or neither"):
        connect(sink.address, key_file=None)


def test_a_renewed_certificate_needs_no_restart(certificates, connect, sink, tmp_path):
    certificate = tmp_path / "client.pem"
    certificate.write_bytes(certificates.server.cert_chain_pems[0].bytes())  # does not belong to the key
    transport = connect(sink.address, certificate_file=certificate)
    assert "KEY_VALUES_MISMATCH" in failure_of(transport)
    certificate.write_bytes(certificates.certificate.read_bytes())
    Feeder(transport, numbered(0, 3)).hand_over()
    eventually(lambda: sink.numbers() == [0, 1, 2])


def test_a_killed_receiver_loses_nothing(connect, sink):
    """Numbered events across resets: what the dead receiver had not read comes again."""
    events = numbered(0, 5000)
    feeder = Feeder(connect(sink.address), [])
    for round_ in range(4):
        sink.reading.clear()  # bytes go into kernel buffers, read by nobody
        feeder.events = events[: (round_ + 1) * 1000]
        feeder.hand_over()
        sink.stop()
        sink.reading.set()
        sink.start()
        eventually(lambda: not feeder.step())  # noticed without anything to send
    feeder.events = events
    feeder.hand_over()
    feeder.finish()
    assert feeder.settled == 5000
    assert set(sink.numbers()) == set(range(5000))
    assert set(sink.lines) == set(events)  # a repetition is the same line


@pytest.mark.parametrize("close_after", [1, 100, 65_536, 300_000])
def test_a_connection_that_breaks_in_the_middle_of_a_batch(connect, sink, close_after):
    sink.close_after = close_after
    feeder = Feeder(connect(sink.address, settle_seconds=0.2), numbered(0, 5000), batch=1000)
    feeder.run()
    assert len(feeder.errors) == 1
    assert sink.connections == 2
    numbers = sink.numbers()
    assert set(numbers) == set(range(5000))
    assert numbers[-5000:] == list(range(5000))


def test_a_receiver_that_never_reads_is_noticed(connect, sink):
    sink.reading.clear()
    feeder = Feeder(connect(sink.address, send_timeout=0.5), numbered(0, 20_000, 1000), batch=1000)
    eventually(lambda: not feeder.step())
    assert "lost" in str(feeder.errors[0])
    assert feeder.settled == 0
    sink.reading.set()
    feeder.hand_over()
    feeder.finish()
    assert feeder.settled == 20_000
    assert set(sink.numbers()) == set(range(20_000))


def filled(transport):
    """Send until this side's buffer has much that the receiver's, which is not read, has no room for."""
    feeder = Feeder(transport, numbered(0, 100_000, 1000), batch=10)
    eventually(lambda: feeder.step() and transport._connection.unacknowledged() > 100_000)
    del feeder.events[feeder.handed :]
    return feeder


def test_a_receiver_that_stops_reading_is_noticed_with_nothing_more_to_send(connect, sink):
    sink.reading.clear()
    feeder = filled(connect(sink.address, send_timeout=0.5, settle_seconds=0.1))
    eventually(lambda: not feeder.step())
    assert "takes no more bytes" in str(feeder.errors[0])
    # What its kernel had not acknowledged is not settled, however long ago it was sent.
    assert sum(len(event) for event in feeder.events[feeder.settled :]) > 80_000


def test_a_receiver_that_closes_without_having_read_proves_nothing(connect, sink):
    sink.reading.clear()
    feeder = Feeder(connect(sink.address), numbered(0, 10))
    feeder.hand_over()
    eventually(lambda: sink.connections == 1)
    sink.half_close()
    eventually(feeder.transport._connection.has_arrived)  # the end
    feeder.finish(1)
    assert feeder.settled == 0


def test_a_receiver_that_closes_while_bytes_are_on_their_way_proves_nothing(connect, sink, monkeypatch):
    sink.reading.clear()
    feeder = filled(connect(sink.address))
    real = Connection.read_now
    calls = []

    def and_then_it_closes(connection):
        found = real(connection)
        calls.append(1)
        if len(calls) == 2:  # the last look before the end
            sink.half_close()
        return found

    monkeypatch.setattr(Connection, "read_now", and_then_it_closes)
    feeder.finish(1)
    assert len(calls) == 2
    assert feeder.settled == 0


def test_a_receiver_that_never_answers_the_handshake(connect):
    with Silent() as silent:
        began = time.monotonic()
        assert "timed out" in failure_of(connect(silent.address, connect_timeout=0.3))
        assert time.monotonic() - began >= 0.3


def test_a_second_destination_takes_over_and_the_first_gets_its_work_back(certificates, connect, sink):
    with running(Sink(certificates)) as second:
        transport = connect(f"{sink.address},{second.address}", return_after=0.2, settle_seconds=0.2)
        feeder = Feeder(transport, numbered(0, 1000))
        feeder.run()
        assert second.connections == 0
        sink.stop()
        feeder.events += numbered(1000, 2000)
        feeder.run()
        assert set(range(1000, 2000)) <= set(second.numbers())
        sink.start()
        eventually(lambda: feeder.step() and sink.connections == 2)
        feeder.events += numbered(2000, 3000)
        feeder.run()
        assert set(range(2000, 3000)) <= set(sink.numbers())
        assert second.clean_ends == 1
        assert not set(range(2000, 3000)) & set(second.numbers())


def test_a_destination_that_accepts_and_breaks_every_time_is_left_alone(certificates, connect, sink):
    with running(Sink(certificates)) as second:
        sink.close_after = 1
        feeder = Feeder(connect(f"{sink.address},{second.address}", settle_seconds=0.2), numbered(0, 1000))
        feeder.run()
        assert set(second.numbers()) == set(range(1000))
        assert sink.connections == 1


def test_going_back_to_the_first_settles_what_the_second_has_read(certificates, connect, sink):
    sink.stop()
    with running(Sink(certificates)) as second:
        transport = connect(f"{sink.address},{second.address}", return_after=0.1, settle_seconds=3600)
        feeder = Feeder(transport, numbered(0, 1000))
        feeder.hand_over()
        sink.start()
        eventually(lambda: feeder.step() and feeder.settled == 1000)
        assert second.numbers() == list(range(1000))
        assert feeder.errors == []


def test_all_destinations_are_named_when_none_answers(connect):
    first, second = free_port(), free_port()
    text = failure_of(connect(f"localhost:{first},localhost:{second}"))
    assert f"localhost:{first}: [Errno 111]" in text
    assert f"localhost:{second}: [Errno 111]" in text
    assert "localhost.invalid" in failure_of(connect("localhost.invalid:1"))


def test_the_end_says_when_the_receiver_has_not_read_everything(connect, sink):
    sink.reading.clear()
    feeder = Feeder(connect(sink.address), numbered(0, 10))
    feeder.hand_over()
    feeder.finish(0.3)
    assert feeder.settled == 0
    sink.reading.set()
    feeder.run_to_the_end()
    assert set(sink.numbers()) == set(range(10))


def test_the_end_of_a_receiver_that_was_gone_already_settles_nothing(connect, sink):
    feeder = Feeder(connect(sink.address), numbered(0, 10))
    feeder.hand_over()
    eventually(lambda: len(sink.numbers()) == 10)
    sink.stop()
    feeder.finish()
    assert feeder.settled == 0


def test_a_forked_child_does_not_disturb_its_parent(connect, sink):
    transport = connect(sink.address, settle_seconds=0.2)
    feeder = Feeder(transport, numbered(0, 1000))
    feeder.hand_over()
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            transport.forget()
            own = Feeder(transport, numbered(1000, 2000))
            own.hand_over()
            own.finish()
            status = 0 if own.settled == 1000 else 2
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    feeder.events += numbered(2000, 3000)
    feeder.run()
    assert feeder.errors == []
    assert sorted(sink.numbers()) == list(range(3000))
    assert sink.connections == 2


def test_descriptors_do_not_leak(connect, sink):
    transport = connect(sink.address, settle_seconds=0)
    feeder = Feeder(transport, numbered(0, 1))
    feeder.run()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1, 50):
        feeder.events += numbered(number, number + 1)
        sink.close_after = 1
        eventually(lambda: not feeder.step())
        feeder.run()
    feeder.finish()
    assert len(feeder.errors) >= 49
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_what_is_sent_is_the_bytes_that_were_given(connect, sink):
    events = [json.dumps({"message": text}, ensure_ascii=False).encode() for text in ("ä", "\\n", "𝄞", "")]
    Feeder(connect(sink.address), events).hand_over()
    eventually(lambda: len(sink.lines) == 4)
    assert sink.lines == events


def test_nothing_to_do_needs_no_connection(connect):
    transport = connect(f"localhost:{free_port()}")
    assert transport.poll().settled == 0
    assert transport.finish(1).settled == 0
    transport.forget()

import logging
import os
import socket

import pytest
from conftest import eventually
from sink import Feeder, numbered

from logbastion.shipping.handler import ShippingHandler
from logbastion.shipping.transports import Promise, TransportError
from logbastion.shipping.transports.udp import UdpTransport


class Datagrams:
    """A UDP socket that listens."""

    def __init__(self, host="127.0.0.1", port=0):
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.bind((host, port))
        self.port = self._socket.getsockname()[1]
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self._socket.close()

    def take(self, count):
        self._socket.settimeout(20)
        return [self._socket.recv(70_000) for _ in range(count)]


@pytest.fixture
def server():
    with Datagrams() as made:
        yield made


@pytest.fixture
def connect():
    made = []

    def make(destinations, **options):
        transport = UdpTransport(destinations, **options)
        made.append(transport)
        return transport

    yield make
    for transport in made:
        transport.forget()


def test_each_event_is_a_datagram(connect, server):
    feeder = Feeder(connect(server.address), numbered(0, 100))
    assert feeder.transport.promise is Promise.NOTHING
    feeder.hand_over()
    assert feeder.settled == 100
    assert server.take(100) == feeder.events
    feeder.finish()
    feeder.events += numbered(100, 101)
    feeder.hand_over()
    assert server.take(1) == feeder.events[100:]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
def test_loopback_names_and_addresses(connect, host):
    with Datagrams(socket.gethostbyname(host)) as server:
        Feeder(connect(f"{host}:{server.port}"), numbered(0, 1)).hand_over()
        assert server.take(1) == numbered(0, 1)


def test_ipv6(connect):
    with Datagrams("::1") as server:
        Feeder(connect(server.address), numbered(0, 3)).hand_over()
        assert server.take(3) == numbered(0, 3)


@pytest.mark.parametrize("host", ["192.0.2.1", "observer", "[2001:db8::1]", "localhost.example", "127.1"])
def test_plain_text_has_to_be_written_out(host):
    with pytest.raises(ValueError, match="write plaintext=True"):
        UdpTransport(f"localhost:1,{host}:5959")
    UdpTransport(f"{host}:5959", plaintext=True)


def test_localhost_is_believed_only_when_it_is_this_host(connect, monkeypatch):
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_arguments, **_options: [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.1", 5959))],
    )
    with pytest.raises(TransportError, match="no loopback address"):
        connect("localhost:5959").send(numbered(0, 1))


def test_an_event_above_the_limit_is_refused_and_not_cut(connect, server):
    overhead = len(numbered(1, 2)[0])
    events = [
        *numbered(0, 1),
        *numbered(1, 2, 65_507 - overhead),
        *numbered(2, 3, 65_508 - overhead),
        *numbered(3, 4, 200_000),
        *numbered(4, 5),
    ]
    for limit in ({}, {"max_bytes": 10_000_000}):  # ours, and the kernel's own
        feeder = Feeder(connect(server.address, **limit), events)
        feeder.hand_over()
        assert feeder.settled == 5
        assert [event for event, _ in feeder.refused] == events[2:4]
        assert "65508 bytes do not fit" in feeder.refused[0][1]
        assert server.take(3) == [events[0], events[1], events[4]]
    feeder = Feeder(connect(server.address, max_bytes=1000), events)
    feeder.hand_over()
    assert len(feeder.refused) == 3


def test_a_listener_that_never_answers_is_no_failure(server):
    transport = UdpTransport(server.address, send_timeout=0.05)
    assert transport.send([b'{"event":1}']).settled == 1
    assert transport.poll().settled == 0  # does not wait for an answer, so the time-out cannot pass
    assert transport.send([b'{"event":2}']).settled == 1
    assert server.take(2) == [b'{"event":1}', b'{"event":2}']


def test_nobody_listening_is_noticed(connect, server):
    address = server.address
    server.__exit__()
    feeder = Feeder(connect(address), numbered(0, 100), batch=1)
    eventually(lambda: not feeder.step())
    assert "[Errno 111]" in str(feeder.errors[0])
    assert feeder.settled < 100
    settled = feeder.settled
    del feeder.events[settled:]
    feeder.events += numbered(settled, settled + 1)
    assert feeder.step()
    eventually(lambda: not feeder.step())  # by poll(), with nothing to send
    with Datagrams(port=int(address.rpartition(":")[2])) as again:
        feeder.events += numbered(500, 510)
        feeder.run()
        assert again.take(10) == numbered(500, 510)


def test_what_was_sent_before_a_failure_is_settled(connect, server, monkeypatch):
    transport = connect(server.address)
    transport.send(numbered(0, 1))
    real = transport._socket.send

    class Failing:
        count = 0

        def send(self, data):
            self.count += 1
            if self.count == 4:
                raise OSError(101, "Network is unreachable")
            return real(data)

        def close(self):
            pass

    monkeypatch.setattr(transport, "_socket", Failing())
    feeder = Feeder(transport, [*numbered(1, 2), b"x" * 100_000, *numbered(2, 10)])
    assert not feeder.step()
    assert feeder.settled == 4
    assert len(feeder.refused) == 1
    feeder.run()
    assert server.take(10) == numbered(0, 10)


def test_a_second_destination_takes_over(connect, server):
    with Datagrams() as second:
        address = server.address
        server.__exit__()
        feeder = Feeder(connect(f"{address},{second.address}"), numbered(0, 100), batch=1)
        feeder.run()
        assert len(feeder.errors) == 1
        # What was sent until the refusal came back is lost: UDP promises nothing.
        taken = second.take(95)
        lost = feeder.events.index(taken[0])
        assert 1 <= lost <= 5
        assert taken == feeder.events[lost : lost + 95]


def test_a_forked_child_has_a_socket_of_its_own(connect, server):
    transport = connect(server.address)
    transport.send(numbered(0, 1))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            transport.forget()
            status = 0 if transport.send(numbered(1, 2)).settled == 1 else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert transport.send(numbered(2, 3)).settled == 1
    assert server.take(3) == numbered(0, 3)


def test_nothing_to_do():
    transport = UdpTransport("localhost:1")
    assert transport.poll().settled == transport.finish(1).settled == 0
    transport.forget()
    with pytest.raises(TransportError, match=r"localhost.invalid"):
        UdpTransport("localhost.invalid:1", plaintext=True).send(numbered(0, 1))


def test_what_is_too_large_is_counted_and_kept_among_the_dead_letters(server, tmp_path):
    handler = ShippingHandler(UdpTransport(server.address, max_bytes=2000), spool_directory=tmp_path / "spool")
    logger = logging.Logger("business.large")
    logger.addHandler(handler)
    try:
        for number in range(4):
            logger.warning("event %d %s", number, "x" * (3000 if number % 2 else 10))
        assert handler.wait(20)
        assert (handler.counts().refused, handler.counts().acknowledged) == (2, 2)
    finally:
        handler.close()
    (file,) = (tmp_path / "spool/dead_letters").glob("*.jsonl")
    kept = file.read_text()
    assert ["event 1 " in kept, "event 3 " in kept, "event 0 " in kept] == [True, True, False]

"""How long a connection is believed in: a slow receiver is no dead one, and the kernel watches those that are idle."""

import os
import socket
import time

import pytest
from sink import Feeder, numbered

from logbastion.shipping.transports import connection, connector
from logbastion.shipping.transports.tcp import TcpTransport

pytestmark = pytest.mark.integration


@pytest.fixture
def transport(certificates, sink):
    made = TcpTransport(sink.address, **certificates.client, send_timeout=1.0)
    yield made
    made.forget()


def test_a_receiver_that_reads_slowly_is_waited_for(transport, sink, monkeypatch):
    """A batch takes it longer than any single wait may last."""
    small = socket.SO_SNDBUF, socket.SO_RCVBUF
    monkeypatch.setattr(connector, "_keep_alive", lambda plain, _: plain.setsockopt(socket.SOL_SOCKET, small[0], 16384))
    sink._listener.setsockopt(socket.SOL_SOCKET, small[1], 16384)
    sink.slowness = 0.08
    feeder = Feeder(transport, numbered(0, 500, 1000), batch=500)
    feeder.hand_over()
    sink.slowness = 0.0
    feeder.finish()
    assert feeder.errors == []
    assert sink.numbers() == list(range(500))


@pytest.mark.parametrize("slowness", [0.08, 60.0])
def test_what_counts_is_progress_and_not_how_long_a_piece_takes(transport, sink, monkeypatch, slowness):
    """A receiver that takes something all the time is alive, although a piece takes it longer than any wait may last.

    One that takes nothing is given up.
    """
    small = socket.SO_SNDBUF, socket.SO_RCVBUF
    monkeypatch.setattr(connector, "_keep_alive", lambda plain, _: plain.setsockopt(socket.SOL_SOCKET, small[0], 16384))
    sink._listener.setsockopt(socket.SOL_SOCKET, small[1], 16384)
    sink.slowness = slowness
    feeder = Feeder(transport, numbered(0, 400, 1000), batch=400)
    began = time.monotonic()
    taken = feeder.step()
    seconds = time.monotonic() - began
    sink.slowness = 0.0
    assert taken == (slowness < 1)
    assert seconds > transport._connector.send_timeout
    if not taken:
        assert "takes no more bytes" in str(feeder.errors[0])


def test_between_pieces_other_threads_have_the_processor(transport, sink, monkeypatch):
    feeder = Feeder(transport, numbered(0, 1000, 1000), batch=1000)
    monkeypatch.setattr(connection, "_PIECE", 1000)
    yielded = []
    monkeypatch.setattr(connection.os, "sched_yield", lambda: yielded.append(1))
    feeder.hand_over()
    feeder.finish()
    assert sink.numbers() == list(range(1000))
    data = sum(map(len, feeder.events)) + len(feeder.events)
    assert len(yielded) == -(-data // 1000) - 1


def test_nothing_is_written_after_the_deadline(transport, sink):
    feeder = Feeder(transport, numbered(0, 1))
    feeder.hand_over()
    transport._connection.deadline = time.monotonic() - 1
    with pytest.raises(TimeoutError):
        transport._connection.sendall(b"late\n")


def test_the_kernel_is_asked_to_notice_that_a_receiver_is_gone(transport, sink):
    """Of an idle connection; see tcp(7). What a busy one does is seen in test_transport_tcp.py."""
    feeder = Feeder(transport, numbered(0, 1))
    feeder.hand_over()
    with socket.socket(fileno=os.dup(feeder.transport._connection.fileno())) as plain:
        assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT", "TCP_NODELAY")
        found = [plain.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in options]
    assert found == [30, 10, 3, 2000, 1]

"""How long a connection is believed in: a slow receiver is no dead one, and the kernel watches those that are idle."""

import os
import socket

import pytest
from sink import Feeder, numbered

from logbastion.shipping.transports import connection
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
    monkeypatch.setattr(
        connection, "_keep_alive", lambda plain, _: plain.setsockopt(socket.SOL_SOCKET, small[0], 16384)
    )
    sink._listener.setsockopt(socket.SOL_SOCKET, small[1], 16384)
    sink.slowness = 0.08
    feeder = Feeder(transport, numbered(0, 500, 1000), batch=500)
    feeder.hand_over()
    sink.slowness = 0.0
    feeder.finish()
    assert feeder.errors == []
    assert sink.numbers() == list(range(500))


def test_the_kernel_is_asked_to_notice_that_a_receiver_is_gone(transport, sink):
    """Of an idle connection; see tcp(7). What a busy one does is seen in test_transport_tcp.py."""
    feeder = Feeder(transport, numbered(0, 1))
    feeder.hand_over()
    with socket.socket(fileno=os.dup(feeder.transport._connection.fileno())) as plain:
        assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT", "TCP_NODELAY")
        found = [plain.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in options]
    assert found == [30, 10, 3, 2000, 1]

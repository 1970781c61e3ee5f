import itertools
import json
import os
import threading

import pytest
from conftest import eventually
from lumberjack_servers import (
    LumberjackStandIn,
    Receiver,
    ReferenceProgram,
    acknowledge,
    break_off,
    build,
    hang_up,
    in_pieces,
)
from sink import Feeder, Silent, numbered

from logbastion.shipping.transports import Promise, TransportError
from logbastion.shipping.transports.beats import BeatsTransport

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def binaries(tmp_path_factory):
    return build(tmp_path_factory.mktemp("lumberjack"))


@pytest.fixture
def receiver(binaries, certificates, tmp_path):
    with Receiver(binaries, certificates, tmp_path) as made:
        yield made


@pytest.fixture
def connect(certificates):
    made = []

    def make(destinations, **options):
        transport = BeatsTransport(destinations, **{**certificates.client, **options})
        made.append(transport)
        return transport

    yield make
    for transport in made:
        transport.forget()


def everything(connection, window):
    connection.sendall(acknowledge(len(window)))


@pytest.mark.parametrize("windows", [1, 4])
@pytest.mark.parametrize("compression_level", [0, 3])
def test_the_reference_server_takes_and_acknowledges_everything(connect, receiver, windows, compression_level):
    transport = connect(receiver.address, windows=windows, compression_level=compression_level)
    assert transport.promise is Promise.ACKNOWLEDGED
    feeder = Feeder(transport, numbered(0, 10_000), batch=500)
    feeder.hand_over()
    assert feeder.settled >= 10_000 - 500 * (windows - 1)
    feeder.finish()
    assert feeder.settled == 10_000
    eventually(lambda: len(receiver.numbers()) >= 10_000)
    assert receiver.numbers() == list(range(10_000))
    assert [json.loads(line) for line in receiver.lines[:50]] == [json.loads(line) for line in feeder.events[:50]]


@pytest.mark.parametrize("compression_level", [0, 9])
def test_the_reference_program_behind_tls_that_acknowledges_slowly(binaries, certificates, connect, compression_level):
    with ReferenceProgram(binaries, certificates, "-rate", "10") as program:
        eventually(program.is_up)
        feeder = Feeder(connect(program.address, compression_level=compression_level), numbered(0, 3000), batch=300)
        feeder.hand_over()
        feeder.finish()
        assert feeder.settled == 3000
        eventually(lambda: sum(program.batches()) >= 3000)
        assert program.batches() == [300] * 10


def test_acknowledgements_are_taken_in_while_there_is_nothing_to_send(connect, receiver):
    feeder = Feeder(connect(receiver.address), numbered(0, 200))
    feeder.hand_over()
    eventually(lambda: feeder.step() and feeder.settled == 200)


def test_a_server_that_says_that_it_is_working_is_waited_for(binaries, certificates, connect, tmp_path):
    with Receiver(binaries, certificates, tmp_path, "-hold", "3s", "-keepalive", "200ms") as receiver:
        feeder = Feeder(connect(receiver.address, windows=1, acknowledge_timeout=2), numbered(0, 10))
        assert feeder.step()
        assert feeder.settled == 10


def test_a_server_that_does_not_acknowledge_is_noticed(binaries, certificates, connect, tmp_path):
    with Receiver(binaries, certificates, tmp_path, "-hold", "1h", "-keepalive", "0s") as receiver:
        feeder = Feeder(connect(receiver.address, windows=1, acknowledge_timeout=0.5), numbered(0, 10))
        assert not feeder.step()
        assert "timed out" in str(feeder.errors[0])
        # The same with nothing to send.
        feeder = Feeder(connect(receiver.address, windows=4, acknowledge_timeout=0.5), numbered(0, 10))
        assert feeder.step()
        eventually(lambda: not feeder.step())
        assert "does not acknowledge" in str(feeder.errors[0])
        assert feeder.settled == 0
        feeder.finish(0.3)


def test_a_killed_server_loses_nothing(connect, receiver):
    """What it had written is what it has acknowledged, or more; never less."""
    events = numbered(0, 20_000)
    feeder = Feeder(connect(receiver.address), [])
    for round_ in range(1, 5):
        feeder.events = events[: round_ * 4000]
        feeder.hand_over()
        receiver.kill()
        assert set(receiver.numbers()) >= set(range(feeder.settled))
        receiver.start()
        eventually(lambda: not feeder.step())  # noticed, whatever was still under way
    feeder.events = events
    feeder.run_to_the_end()
    eventually(lambda: len(set(receiver.numbers())) == 20_000)
    assert feeder.refused == []


def test_an_event_that_makes_the_server_hang_up_is_found(connect, receiver):
    events = [*numbered(0, 150), b"{not json", *numbered(150, 180), b"[1]", b"\xff", *numbered(180, 400)]
    feeder = Feeder(connect(receiver.address), events)
    feeder.run(pause=0.01)
    assert feeder.errors
    assert [event for event, _ in feeder.refused] == [b"{not json", b"[1]", b"\xff"]
    # "[1]" is JSON: the reference server would have taken it, an index would not.
    numbers = [json.loads(line)["extra"]["n"] for line in receiver.lines if line.startswith(b"{")]
    assert set(numbers) == set(range(400))


def test_a_batch_of_nothing_but_bad_events_is_refused(connect, receiver):
    feeder = Feeder(connect(receiver.address), [b"{", *numbered(0, 99), *[b"}"] * 200, *numbered(99, 200)])
    feeder.run(pause=0.01)
    assert feeder.settled == 401
    assert len(feeder.refused) == 201
    assert set(receiver.numbers()) == set(range(200))


def test_without_a_client_certificate_nothing_is_settled(connect, receiver):
    with pytest.raises(TransportError):
        connect(receiver.address, certificate_file=None, key_file=None, windows=1).send(numbered(0, 3))
    assert connect(receiver.address, windows=1).send(numbered(0, 3)).settled == 3


def test_another_authority_gets_nothing(certificates, connect, receiver):
    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        connect(receiver.address, ca_file=certificates.other_ca).send(numbered(0, 3))
    assert receiver.lines == []


def test_a_second_destination_takes_over_and_the_first_gets_its_work_back(
    binaries, certificates, connect, receiver, tmp_path
):
    other = tmp_path / "other"
    other.mkdir()
    with Receiver(binaries, certificates, other) as second:
        feeder = Feeder(connect(f"{receiver.address},{second.address}", return_after=0.2), numbered(0, 1000))
        feeder.run()
        assert second.lines == []
        receiver.kill()
        feeder.events += numbered(1000, 2000)
        feeder.run()
        assert set(second.numbers()) >= set(range(1000, 2000))
        receiver.start()
        eventually(lambda: feeder.step() and feeder.transport._connection.index == 0)
        feeder.events += numbered(2000, 3000)
        feeder.run()
        assert set(receiver.numbers()) >= set(range(2000, 3000))
        assert not set(second.numbers()) & set(range(2000, 3000))


def test_answers_in_pieces_and_in_part(certificates, connect):
    with LumberjackStandIn(certificates, in_pieces) as server:
        feeder = Feeder(connect(server.address, compression_level=6), numbered(0, 1000))
        feeder.run()
        assert feeder.errors == []
        assert list(itertools.chain(*server.windows)) == feeder.events


def test_part_of_a_window_is_settled_before_the_connection_breaks(certificates, connect):
    def half(connection, window):
        connection.sendall(acknowledge(len(window) // 2))
        connection.unwrap()
        raise EOFError

    with LumberjackStandIn(certificates, half) as server:
        feeder = Feeder(connect(server.address, windows=1), numbered(0, 100))
        assert not feeder.step()
        assert feeder.settled == 50
        server.reply = everything
        feeder.run()
        assert list(itertools.chain(*server.windows[1:])) == feeder.events[50:]


def test_refusals_of_several_windows_in_one_receipt_are_told_apart(certificates, connect):
    events = [*numbered(0, 3), b"{", *numbered(3, 16), b"}", *numbered(16, 18)]

    def both(connection, _window):
        if server.connections == 1 and len(server.windows) == 2:
            hang_up(connection, [])
        if len(server.windows) == 4:
            connection.sendall(acknowledge(9) * 2)

    with LumberjackStandIn(certificates, both) as server:
        feeder = Feeder(connect(server.address), events, batch=10)
        assert feeder.step()
        assert feeder.step()
        eventually(lambda: not feeder.step())
        feeder.run()
        assert [event for event, _ in feeder.refused] == [b"{", b"}"]
        assert [len(window) for window in server.windows] == [10, 10, 9, 9]


@pytest.mark.parametrize(
    "reply",
    [
        break_off,
        hang_up,
        lambda connection, _window: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n"),
        lambda connection, window: connection.sendall(acknowledge(len(window) + 1)),
        lambda connection, _window: connection.sendall(b"1A\0\0\0\1"),
    ],
    ids=["reset", "closed", "HTTP", "too many", "version 1"],
)
def test_a_wrong_answer_settles_nothing(certificates, connect, reply):
    with LumberjackStandIn(certificates, reply) as server:
        feeder = Feeder(connect(server.address, windows=1), numbered(0, 100))
        assert not feeder.step()
        assert feeder.settled == 0
        server.reply = everything
        feeder.run()
        assert feeder.refused == []
        assert server.connections == 2


def test_acknowledgements_that_nobody_waits_for(certificates, connect):
    def twice(connection, window):
        connection.sendall(acknowledge(len(window)) * 2)

    with LumberjackStandIn(certificates, twice) as server:
        feeder = Feeder(connect(server.address), numbered(0, 100))
        assert feeder.step()
        eventually(lambda: not feeder.step())
        assert "none were under way" in str(feeder.errors[0])


def test_a_server_that_never_reads_is_noticed(connect, certificates):
    def never(_connection, _window):
        stop.wait(60)

    stop = threading.Event()
    with LumberjackStandIn(certificates, never) as server:
        feeder = Feeder(connect(server.address, windows=1000, send_timeout=0.5), numbered(0, 20_000, 1000), batch=1000)
        eventually(lambda: not feeder.step())
        assert feeder.settled == 0
    stop.set()
    with Silent() as silent, pytest.raises(TransportError, match="timed out"):
        connect(silent.address, connect_timeout=0.3).send(numbered(0, 1))


def test_a_forked_child_does_not_disturb_its_parent(connect, receiver):
    transport = connect(receiver.address)
    feeder = Feeder(transport, numbered(0, 1000))
    assert feeder.step()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            transport.forget()
            own = Feeder(transport, numbered(1000, 2000))
            own.hand_over()
            own.finish()
            status = 0 if own.settled == 1000 else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    feeder.run()
    assert feeder.errors == []
    eventually(lambda: len(receiver.numbers()) >= 2000)
    assert sorted(receiver.numbers()) == list(range(2000))


@pytest.mark.parametrize("wrong", [{"compression_level": 10}, {"compression_level": -1}, {"windows": 0}])
def test_wrong_numbers_get_a_sentence(connect, wrong):
    with pytest.raises(ValueError, match="must be"):
        connect("localhost:1", **wrong)


def test_nothing_to_do_needs_no_connection(connect):
    transport = connect("localhost:1")
    assert transport.poll().settled == transport.finish(1).settled == 0

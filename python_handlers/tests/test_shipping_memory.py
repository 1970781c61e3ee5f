"""What an outage costs in memory: less than 30 MB above the interpreter, however much waits."""

import pytest
from sink import Sink
from spool_helpers import python

pytestmark = pytest.mark.integration

EVENTS = 40_000
"""With half a kilobyte each and what Python itself needs, more than the bound if they were all in memory."""
BOUND = 30_000_000

PROGRAM = """
import logging, re, sys

def memory(kind):
    return int(re.search(rf"{kind}:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

idle = memory("VmRSS")
from logbastion.shipping import ShippingHandler, TcpTransport
address, ca, certificate, key, spool, events = sys.argv[1:]
transport = TcpTransport(address, ca_file=ca, certificate_file=certificate, key_file=key, send_timeout=1)
handler = ShippingHandler(transport, spool_directory=spool or None, exit_timeout=0.1)
log = logging.getLogger("business")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(handler)
for n in range(int(events)):
    log.info("number %d", n, extra={"n": n, "pad": "x" * 200})
counts = handler.counts()
print(memory("VmHWM") - idle, counts.queued, sum(counts.dropped.values()))
"""


@pytest.fixture(params=["nobody", "deaf"])
def address(request, certificates):
    """Where nobody is, or somebody who accepts connections and reads nothing."""
    sink = Sink(certificates)
    sink.start()
    sink.reading.clear()
    if request.param == "nobody":
        sink.stop()
    yield sink.address
    sink.stop()


@pytest.mark.parametrize("spooled", [True, False])
def test_memory_is_bounded_while_nothing_is_taken(certificates, address, tmp_path, spooled):
    spool = tmp_path / "spool" if spooled else ""
    files = (certificates.ca, certificates.certificate, certificates.key)
    process = python(PROGRAM, address, *files, spool, EVENTS)
    output, _ = process.communicate(timeout=120)
    used, queued, dropped = map(int, output.split())
    assert queued + dropped >= EVENTS
    assert bool(dropped) is not spooled
    assert used < BOUND

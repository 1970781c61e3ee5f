"""A process that logs numbers and ends, in the ways in which processes end."""

from spool_helpers import python

PROGRAM = """
import atexit, logging, os, sys
from logbastion import processes
from logbastion.shipping import ShippingHandler, TcpTransport
address, ca, certificate, key, spool, what = sys.argv[1:]
transport = TcpTransport(address, ca_file=ca, certificate_file=certificate, key_file=key)
handler = ShippingHandler(transport, spool_directory=spool or None)
logging.basicConfig(level=logging.INFO, handlers=[handler])
log = logging.getLogger("business")
if what == "late":  # registered after logging's own, so it runs before it
    atexit.register(lambda: log.info("late", extra={"n": 0}))
elif what == "for ever":
    number = 0
    while True:
        log.info("number", extra={"n": number})
        os.write(1, b"%d\\n" % number)
        number += 1
else:
    for n in range(300):
        log.info("number", extra={"n": n})
"""


def program(certificates, address, spool, what, **options):
    files = (certificates.ca, certificates.certificate, certificates.key)
    return python(PROGRAM, address, *files, spool, what, **options)

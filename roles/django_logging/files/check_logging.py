"""Does the package accept the settings in this environment, and does each ingest take the certificate? Says what is wrong and exits with 1."""

import os
import socket
import ssl
import sys
from collections.abc import Iterator

import logbastion
from logbastion.pseudonym_keys import read_keys

CONNECT_SECONDS = 10
REFUSAL_SECONDS = 2
"""With TLS 1.3 a server refuses a client's certificate after the handshake: only reading shows it. One that is content says nothing."""


def refusal(destination: str) -> str | None:
    """Return why the ingest `host:port` cannot be used, or None."""
    name, _, port = destination.rpartition(":")
    name = name.strip("[]")
    context = ssl.create_default_context(cafile=os.environ["LOGBASTION_CA_FILE"])
    context.load_cert_chain(os.environ["LOGBASTION_CERTIFICATE_FILE"], os.environ["LOGBASTION_KEY_FILE"])
    try:
        with (
            socket.create_connection((name, int(port)), CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            secured.settimeout(REFUSAL_SECONDS)
            try:
                return None if secured.recv(1) else "It closed the connection at once."
            except TimeoutError:
                return None
    except ssl.SSLCertVerificationError as error:
        return f"Its certificate is not valid for {name} under our authority ({error.verify_message})."
    except ssl.SSLError as error:
        return f"It refuses our certificate ({error.reason})."
    except OSError as error:
        return f"It cannot be reached ({error})."


def problems(*, greet: bool) -> Iterator[str]:
    """Yield a sentence for each thing that does not work."""
    try:
        logbastion.logging_config()
        read_keys(os.environ["LOGBASTION_PSEUDONYM_KEYS_FILE"])
    except ValueError as error:
        yield str(error)
        return
    for destination in os.environ["LOGBASTION_INGEST"].split(",") if greet else ():
        reason = refusal(destination)
        if reason:
            yield (
                f"The ingest {destination}: {reason} Check that it runs, that its port is open for this host, "
                "and that both have their certificates from the same authority (django_logging_check_ingest: false skips this)."
            )


found = list(problems(greet=sys.argv[1] == "greet"))
print("\n".join(found))
sys.exit(1 if found else 0)

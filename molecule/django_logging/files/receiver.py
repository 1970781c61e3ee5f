"""Takes JSON lines over TLS from whoever has a client certificate of the authority, and appends them to a file."""

import pathlib
import socketserver
import ssl

RECEIVED = pathlib.Path("/srv/received.jsonl")
CONTEXT = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="/etc/receiver/ca.crt")
CONTEXT.load_cert_chain("/etc/receiver/host.crt", "/etc/receiver/host.key")
CONTEXT.verify_mode = ssl.CERT_REQUIRED


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self):
        """Write down what comes and from whom."""
        try:
            with CONTEXT.wrap_socket(self.request, server_side=True) as secured:
                name = dict(pair for (pair,) in secured.getpeercert()["subject"])["commonName"]
                while data := secured.recv(65536):
                    with RECEIVED.open("ab") as file:
                        file.write(data)
                    RECEIVED.with_suffix(".sender").write_text(name)
        except OSError as error:
            print(error, flush=True)


class Server(socketserver.ThreadingTCPServer):
    """All connections, each in a thread."""

    allow_reuse_address = True
    daemon_threads = True


with Server(("", 5959), Handler) as server:
    server.serve_forever()

"""A stand-in for Kibana (that of the scenario) over TLS on loopback."""

import base64
import http.server
import ssl
import threading

import pytest
import trustme
from kibana_parts import PASSWORD, kibana_content, stand_in_for_kibana


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    made = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.crt"
    made.cert_pem.write_to_path(file)
    return made, file


@pytest.fixture
def stand_in(authority, tmp_path):
    """Yield the store of a stand-in that serves, with `url` and `ca_file`."""
    made, ca_file = authority
    store = stand_in_for_kibana.Store(tmp_path / "store.json")
    right = "Basic " + base64.b64encode(f"elastic:{PASSWORD}".encode()).decode()
    handler = stand_in_for_kibana.handler(stand_in_for_kibana.Api(store), lambda given: given == right, lambda: True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("localhost").configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    store.url, store.ca_file = f"https://localhost:{server.server_port}", ca_file
    yield store
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def kibana(stand_in):
    """Return the module's client for the stand-in."""
    return kibana_content.Kibana(stand_in.url, str(stand_in.ca_file), "elastic", PASSWORD, 10)

"""Nothing listens in clear, no wrong credential is taken, no secret is printed."""

import re
import socket
import ssl
import subprocess

import pytest
import requests
from elasticsearch import AuthenticationException, AuthorizationException, Elasticsearch

from lab import hosts, stack

pytestmark = pytest.mark.usefixtures("running")

LOOPBACK = re.compile(r"^(127\.|\[::1\]|\[::ffff:127\.)")


def listeners(host: str) -> list[tuple[str, int]]:
    """Return address and port of every listening TCP socket of the host."""
    lines = hosts.execute(host, "ss", "--listening", "--tcp", "--numeric", "--no-header").splitlines()
    return [(address, int(port)) for line in lines for address, _, port in [line.split()[3].rpartition(":")]]


def open_ports(host: str) -> set[int]:
    return {port for address, port in listeners(host) if not LOOPBACK.match(address)}


def test_only_the_documented_ports_are_open(deployed_again):
    assert open_ports(stack.OBSERVER) == {5959, 5960, 9090, 9093, 9200, 9300}
    assert open_ports(stack.APPLICATION) == {8443, 9095, 9099}


HANDSHAKE = """
import socket, ssl, sys
address, port, authority = sys.argv[1:]
context = ssl.create_default_context(cadata=authority)
with socket.create_connection((address, int(port)), timeout=10) as plain:
    print(context.wrap_socket(plain, server_hostname="localhost").version())
"""


@pytest.mark.parametrize("host", [stack.OBSERVER, stack.APPLICATION])
def test_what_listens_on_loopback_speaks_verified_tls(deployed_again, host):
    """From inside the host, where loopback is reached; what listens on all addresses is reached there, too."""
    every_address = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1", "[::ffff:127.0.0.1]": "127.0.0.1"}  # noqa: S104
    reached = {
        (every_address.get(address, address.strip("[]")), port)
        for address, port in listeners(host)
        if address in every_address or LOOPBACK.match(address)
    }
    assert reached
    authority = stack.AUTHORITY.read_text(encoding="ascii")
    for address, port in sorted(reached):
        spoken = hosts.execute(host, "python3", "-I", "-c", HANDSHAKE, address, str(port), authority)
        assert spoken.strip() in {"TLSv1.2", "TLSv1.3"}, (address, port)


@pytest.mark.parametrize("host", [stack.OBSERVER, stack.APPLICATION])
def test_every_open_port_speaks_verified_tls(deployed_again, host):
    context = ssl.create_default_context(cafile=stack.AUTHORITY)
    # Ports that ask for a client certificate finish the handshake with one.
    name = f"{stack.APPLICATION}.log-shipper"
    clients = stack.SECRETS / "certificates/clients"
    context.load_cert_chain(clients / f"{name}.crt", clients / f"{name}.key")
    address = hosts.address(host)
    for port in open_ports(host):
        with (
            socket.create_connection((address, port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            assert tls.version() in {"TLSv1.2", "TLSv1.3"}, port


@pytest.mark.parametrize("host", [stack.OBSERVER, stack.APPLICATION])
def test_old_tls_is_refused(deployed_again, host):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(stack.AUTHORITY)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    for port in open_ports(host):
        with (
            socket.create_connection((hosts.address(host), port), timeout=10) as plain,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            context.wrap_socket(plain, server_hostname=host)


@pytest.mark.parametrize(
    ("host", "port", "path"),
    [
        (stack.OBSERVER, 9200, "/"),
        (stack.OBSERVER, 5960, "/metrics"),
        (stack.OBSERVER, 9090, "/metrics"),
        (stack.OBSERVER, 9093, "/api/v2/alerts"),
        (stack.APPLICATION, 8443, "/metrics"),
        (stack.APPLICATION, 9095, "/"),
        (stack.APPLICATION, 9099, "/"),
    ],
)
def test_without_or_with_a_wrong_credential_there_is_no_answer(deployed_again, host, port, path):
    address = f"{stack.url(host, port)}{path}"
    assert requests.get(address, verify=stack.AUTHORITY, timeout=10).status_code == 401
    assert requests.get(address, auth=("elastic", "changeme"), verify=stack.AUTHORITY, timeout=10).status_code == 401
    assert (
        requests.get(address, headers={"Authorization": "Bearer wrong"}, verify=stack.AUTHORITY, timeout=10).status_code
        == 401
    )


def test_ingest_refuses_a_client_without_or_with_another_certificate(deployed_again):
    """A host's certificate is signed by the same authority, and is still no log shipper's."""
    hosts_directory = stack.SECRETS / "certificates/hosts"
    other = (hosts_directory / f"{stack.APPLICATION}.crt", hosts_directory / f"{stack.APPLICATION}.key")
    for certificate in (None, other):
        context = ssl.create_default_context(cafile=stack.AUTHORITY)
        if certificate:
            context.load_cert_chain(*certificate)
        with (
            socket.create_connection((hosts.address(stack.OBSERVER), 5959), timeout=10) as plain,
            pytest.raises((ssl.SSLError, ConnectionError, EOFError)),
        ):
            send_and_wait_for_an_answer(context, plain)


def send_and_wait_for_an_answer(context: ssl.SSLContext, plain: socket.socket) -> None:
    """Send an event; with TLS 1.3 the refusal comes after the client's own handshake is done, when it reads."""
    tls = context.wrap_socket(plain, server_hostname=stack.OBSERVER)
    tls.sendall(b'{"message":"not mine"}\n')
    if tls.recv(1) == b"":
        raise EOFError("closed by the other side")


def test_each_credential_does_one_thing(deployed_again):
    writer = stack.elasticsearch("log_writer")
    with pytest.raises(AuthorizationException):
        writer.search(index=stack.index("application"))
    with pytest.raises(AuthorizationException):
        writer.indices.delete(index=stack.index("application"))
    with pytest.raises(AuthorizationException):
        writer.index(index="somewhere-else", document={"message": "no"})
    reader = stack.elasticsearch("log_reader")
    assert reader.count(index=stack.index("application"))["count"] > 0
    with pytest.raises(AuthorizationException):
        reader.search(index=stack.index("security"))
    with pytest.raises(AuthorizationException):
        stack.elasticsearch("security_log_reader").search(index=stack.index("application"))
    with pytest.raises(AuthenticationException):
        Elasticsearch(
            stack.url(stack.OBSERVER, 9200), ca_certs=str(stack.AUTHORITY), basic_auth=("log_reader", "x" * 32)
        ).count(index="logs-*")


def secrets() -> dict[str, str]:
    """Return every generated secret by its file."""
    passwords = {
        path.name: path.read_text(encoding="utf-8").strip() for path in (stack.SECRETS / "passwords").iterdir()
    }
    keys = {
        path.name: path.read_text(encoding="ascii").splitlines()[1]
        for path in (stack.SECRETS / "certificates").rglob("*.key")
    }
    return passwords | keys


def test_secrets_are_private_on_the_control_node(deployed_again):
    files = [path for path in stack.SECRETS.rglob("*") if path.is_file()]
    assert len(files) > 10
    private = [path for path in files if path.suffix not in {".crt", ".csr"}]
    assert [path for path in private if path.stat().st_mode & 0o077] == []
    assert stack.SECRETS.stat().st_mode & 0o077 == 0


def test_no_secret_is_world_readable_on_a_host(deployed_again):
    values = [value for value in secrets().values() if len(value) >= 20]
    for host in (stack.OBSERVER, stack.APPLICATION):
        script = "find /etc /opt /var/lib /var/log /run -xdev -type f -perm -o=r -size -2000k -not -path '/var/lib/dpkg/*' -print0 2>/dev/null | xargs -0 cat 2>/dev/null || true"
        content = subprocess.run(
            ["podman", "exec", hosts.container_name(host), "sh", "-c", script], capture_output=True, check=False
        ).stdout
        assert len(content) > 10000
        assert [value[:4] for value in values if value.encode() in content] == [], host


def test_no_secret_is_in_a_journal(deployed_again):
    for host in (stack.OBSERVER, stack.APPLICATION):
        journal = hosts.execute(host, "journalctl", "--no-pager", "--output=cat")
        assert [name for name, value in secrets().items() if value in journal] == []


def test_no_secret_is_in_the_output_at_v(lab, deployed_again):
    printed = "\n".join(lab.transcript)
    assert "TASK [" in printed
    assert [name for name, value in secrets().items() if value in printed] == []


def test_log_files_have_their_modes_and_owners(deployed_again):
    listing = hosts.execute(stack.APPLICATION, "stat", "--format", "%a %U %G", stack.LOG_DIRECTORY).split()
    assert listing[0][-3:] == "750"
    files = hosts.execute(
        stack.APPLICATION, "sh", "-c", f"stat --format '%a %U %G' {stack.LOG_DIRECTORY}/*.log"
    ).splitlines()
    assert len(files) >= 4
    assert set(files) == {"640 django-app log-readers"}

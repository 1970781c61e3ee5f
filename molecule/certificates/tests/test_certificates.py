"""What the role leaves on the control node and on the hosts."""

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID


@pytest.fixture
def certificates(secrets_directory):
    return secrets_directory / "certificates"


@pytest.fixture
def authority(certificates):
    return x509.load_pem_x509_certificate((certificates / "ca/ca.crt").read_bytes())


@pytest.fixture
def host_certificate(certificates, inventory_name):
    return x509.load_pem_x509_certificate((certificates / f"hosts/{inventory_name}.crt").read_bytes())


@pytest.fixture
def client_certificate(certificates, inventory_name):
    return x509.load_pem_x509_certificate((certificates / f"clients/{inventory_name}.log-shipper.crt").read_bytes())


def usages(certificate):
    return set(certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value)


def test_nobody_else_reads_the_keys(certificates, inventory_name):
    assert {path.stat().st_mode & 0o777 for path in (certificates, *certificates.iterdir())} == {0o700}
    keys = [*certificates.glob("*/*.key")]
    assert certificates / f"hosts/{inventory_name}.key" in keys
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


def test_keys_are_pkcs8_on_p256(certificates):
    for path in certificates.glob("*/*.key"):
        text = path.read_bytes()
        assert text.startswith(b"-----BEGIN PRIVATE KEY-----")
        key = serialization.load_pem_private_key(text, password=None)
        assert isinstance(key.curve, ec.SECP256R1)


def test_authority_signs_hosts_and_no_further_authority(authority):
    constraints = authority.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    usage = authority.extensions.get_extension_for_oid(ExtensionOID.KEY_USAGE)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature


def test_host_certificate_names_the_host(host, host_certificate, inventory_name):
    names = host_certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    own_addresses = set(host.check_output("hostname --all-ip-addresses").split())
    assert {inventory_name, "localhost", "logs.example.org"} <= set(names.get_values_for_type(x509.DNSName))
    assert own_addresses
    assert own_addresses | {"127.0.0.1", "::1", "192.0.2.77"} == addresses
    assert usages(host_certificate) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_client_certificate_cannot_be_used_for_a_server(client_certificate, inventory_name):
    names = client_certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert names.get_values_for_type(x509.DNSName) == [f"{inventory_name}.log-shipper"]
    assert client_certificate.subject.rfc4514_string() == f"CN={inventory_name}.log-shipper"
    assert usages(client_certificate) == {ExtendedKeyUsageOID.CLIENT_AUTH}


@pytest.mark.parametrize(
    ("kind", "name", "purpose"), [("hosts", "", "sslserver"), ("clients", ".log-shipper", "sslclient")]
)
def test_openssl_follows_the_chain(certificates, inventory_name, kind, name, purpose):
    leaf = certificates / kind / f"{inventory_name}{name}.crt"
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", certificates / "ca/ca.crt", leaf]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{leaf}: OK\n"


@pytest.mark.parametrize(
    ("directory", "name", "group"), [("/etc/service/certs", "host", "daemon"), ("/etc/client/certs", "client", "root")]
)
def test_installed_files_belong_to_one_service(host, directory, name, group):
    made = {
        path: (file.user, file.group, file.mode)
        for path in (directory, *(f"{directory}/{entry}" for entry in host.file(directory).listdir()))
        for file in [host.file(path)]
    }
    assert made == {
        directory: ("root", group, 0o750),
        f"{directory}/ca.crt": ("root", group, 0o644),
        f"{directory}/{name}.crt": ("root", group, 0o644),
        f"{directory}/{name}.key": ("root", group, 0o640),
    }


def test_installed_files_are_those_of_the_control_node(host, certificates, inventory_name):
    for installed, made in {
        "/etc/service/certs/ca.crt": "ca/ca.crt",
        "/etc/service/certs/host.crt": f"hosts/{inventory_name}.crt",
        "/etc/service/certs/host.key": f"hosts/{inventory_name}.key",
        "/etc/client/certs/client.crt": f"clients/{inventory_name}.log-shipper.crt",
        "/etc/client/certs/client.key": f"clients/{inventory_name}.log-shipper.key",
    }.items():
        assert host.file(installed).content == (certificates / made).read_bytes()


def test_authority_key_stays_on_the_control_node(host, certificates):
    secret = (certificates / "ca/ca.key").read_text().splitlines()[1]
    assert (
        host.run(
            "grep --recursive --files-with-matches --fixed-strings -e %s /etc /opt /srv /var /tmp /root", secret
        ).stdout
        == ""
    )

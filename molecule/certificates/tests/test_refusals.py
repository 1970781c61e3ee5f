"""What is refused with a sentence, and certificates of somebody else's authority, which are used when they are right."""

import datetime
import ipaddress
import shutil

import pytest
import testinfra
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "certificates-bookworm"
CLIENT = f"{HOST}.log-shipper"
NAMES = (HOST, "logs.example.org", "192.0.2.77")
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
DAY = datetime.timedelta(days=1)


def pem(key, form=serialization.PrivateFormat.PKCS8):
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


class Company:
    """A company's authority, with an intermediate one that signs."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("Company", self.key.public_key(), "Company", self.key, days=900, ca=True)
        self.issuer_key = ec.generate_private_key(ec.SECP256R1())
        self.issuer = self._sign(
            "Company servers", self.issuer_key.public_key(), "Company", self.key, days=800, ca=True
        )

    def issue(self, name, key, names, usage=BOTH, days=300):
        """Return the certificate and its intermediate one, PEM."""
        leaf = self._sign(
            name, key.public_key(), "Company servers", self.issuer_key, names=names, usage=usage, days=days
        )
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, self.issuer))

    @staticmethod
    def _sign(name, public_key, issuer, issuer_key, *, days, names=(), usage=(), ca=False):
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 100 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            entries = [x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(entries), critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="module")
def company():
    return Company()


def right_material(directory, company):
    """Make a directory with everything right in it."""
    for name in ("ca", "hosts", "clients"):
        (directory / name).mkdir(parents=True)
    (directory / "ca/ca.crt").write_bytes(company.certificate.public_bytes(serialization.Encoding.PEM))
    key = ec.generate_private_key(ec.SECP256R1())
    put(directory, "hosts", HOST, company.issue(HOST, key, NAMES), pem(key))
    put(
        directory,
        "clients",
        CLIENT,
        company.issue(CLIENT, key, (CLIENT,), (ExtendedKeyUsageOID.CLIENT_AUTH,)),
        pem(key),
    )
    return directory


def put(directory, kind, name, certificate, key):
    (directory / kind / f"{name}.crt").write_bytes(certificate)
    (directory / kind / f"{name}.key").write_bytes(key)


def with_host(provided, company, key=None, names=NAMES, **how):
    key = key or ec.generate_private_key(ec.SECP256R1())
    put(provided, "hosts", HOST, company.issue(HOST, key, names, **how), pem(key))


def expired(provided, company):
    with_host(provided, company, days=-1)


def missing_name(provided, company):
    with_host(provided, company, names=(HOST, "192.0.2.77"))


def only_for_clients(provided, company):
    with_host(provided, company, usage=(ExtendedKeyUsageOID.CLIENT_AUTH,))


def other_key(provided, company):
    (provided / f"hosts/{HOST}.key").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))


def old_key_format(provided, company):
    key = ec.generate_private_key(ec.SECP256R1())
    put(
        provided,
        "hosts",
        HOST,
        company.issue(HOST, key, NAMES),
        pem(key, serialization.PrivateFormat.TraditionalOpenSSL),
    )


def other_authority(provided, company):
    with_host(provided, Company())


def no_certificate(provided, company):
    (provided / f"hosts/{HOST}.crt").write_text("certificate\n")


def no_client(provided, company):
    (provided / f"clients/{CLIENT}.key").unlink()


def no_authority(provided, company):
    (provided / "ca/ca.crt").unlink()


def leaf_for_an_authority(provided, company):
    shutil.copy(provided / f"hosts/{HOST}.crt", provided / "ca/ca.crt")


SPOILT = {
    expired: "expired at ",
    missing_name: "is not valid for logs.example.org",
    only_for_clients: "must be usable for serverAuth and clientAuth (extended key usage), and is for clientAuth only.",
    other_key: "does not belong to the key beside it",
    old_key_format: "has a key that is not PKCS#8",
    other_authority: f"{HOST}.crt was not signed by ",
    no_certificate: f"{HOST}.crt cannot be read as a certificate.",
    no_client: f"{CLIENT}.key does not exist.",
    no_authority: "ca/ca.crt does not exist.",
    leaf_for_an_authority: "is not the certificate of an authority",
}
WRONG = [
    (
        {"certificates_validity_days": "soon"},
        "argument 'certificates_validity_days' is of type str and we were unable to convert to int",
    ),
    ({"certificates_renew_before_days": 397}, "certificates_renew_before_days (397) must be at least 1 and less than"),
    ({"certificates_client_names": ["../ca/ca"]}, "Rename ../ca/ca."),
    ({"certificates_provided_directory": "somewhere"}, "must be absolute paths on the control node"),
]


def contents(directory):
    return {path: path.read_bytes() for path in directory.glob("**/*") if path.is_file()}


def test_what_cannot_be_done_gets_a_sentence_and_changes_nothing(
    tmp_path, company, secrets_directory, assert_each_is_refused
):
    cases = {}

    for spoil, sentence in SPOILT.items():
        directory = right_material(tmp_path / spoil.__name__, company)
        spoil(directory, company)
        cases[spoil.__name__] = {"certificates_provided_directory": str(directory)}, sentence
    for number, (variables, sentence) in enumerate(WRONG):
        cases[f"variable {number}"] = variables, sentence
    half = tmp_path / "half"
    shutil.copytree(secrets_directory / "certificates", half)
    (half / "ca/ca.key").unlink()
    cases["half an authority"] = {"certificates_directory": str(half)}, "Put the key back from the backup"
    cases["nothing wrong"] = {}, "done"

    before = contents(tmp_path), contents(secrets_directory)
    run = assert_each_is_refused(cases, HOST)
    assert (contents(tmp_path), contents(secrets_directory)) == before
    assert run.changed == 1, "only the answers were written"
    assert "PRIVATE KEY-----" not in run.output


def test_right_material_is_installed(tmp_path, company, run_playbook, secrets_directory):
    provided = right_material(tmp_path, company)
    # A wildcard stands for the first label, and the file may carry the intermediate certificate.
    with_host(provided, company, names=(HOST, "*.example.org", "192.0.2.77"))
    before = contents(tmp_path), contents(secrets_directory)
    try:
        run = run_playbook(limit=HOST, variables={"certificates_provided_directory": str(provided)})
        assert not run.failed, run.output
        installed = testinfra.get_host(f"podman://logbastion-{HOST}")
        for path, name in (
            ("/etc/service/certs/host", f"hosts/{HOST}"),
            ("/etc/client/certs/client", f"clients/{CLIENT}"),
        ):
            for end in (".crt", ".key"):
                assert installed.file(path + end).content == (provided / (name + end)).read_bytes()
        assert installed.file("/etc/service/certs/ca.crt").content == (provided / "ca/ca.crt").read_bytes()
        assert (contents(tmp_path), contents(secrets_directory)) == before
    finally:
        assert not run_playbook(limit=HOST).failed

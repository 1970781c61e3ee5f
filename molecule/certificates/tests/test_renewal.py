"""What a later run does: renewal, other names, the authority's end. All of it happens on the control node, so one host is enough."""

import datetime
import shutil

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

HOST = "certificates-bookworm"


def days_left(path):
    left = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left.total_seconds() / 86400


@pytest.fixture
def certificates(secrets_directory, tmp_path):
    """The scenario's certificates; what a test does to them is undone."""
    directory = secrets_directory / "certificates"
    kept = tmp_path / "kept"
    shutil.copytree(directory, kept)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(kept, directory)


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.glob("*/*")}


def test_certificate_near_its_end_is_renewed_under_the_same_key_and_name(secrets_directory, run_playbook):
    directory = secrets_directory / "certificates"
    before = contents(directory)
    renewed = {f"hosts/{HOST}.crt", f"clients/{HOST}.log-shipper.crt"}
    for name in renewed:
        (directory / name).unlink()
    short = {"certificates_validity_days": 20, "certificates_renew_before_days": 1}
    assert not run_playbook(playbook="issue.yml", limit=HOST, variables=short).failed
    assert max(days_left(directory / name) for name in renewed) < 21
    run = run_playbook(limit=HOST)
    assert not run.failed
    assert "Tell that the service would be reloaded" in run.output
    after = contents(directory)
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} == renewed
    assert min(days_left(directory / name) for name in renewed) > 390
    assert run_playbook(playbook="issue.yml", limit=HOST).changed == 0


def test_new_name_of_the_host_gives_a_new_certificate(certificates, run_playbook):
    before = contents(certificates)
    names = {"certificates_extra_names": ["other.example.org"]}
    foretold = run_playbook("--check", playbook="issue.yml", limit=HOST, variables=names)
    assert contents(certificates) == before
    assert foretold.changed == 1
    assert not run_playbook(playbook="issue.yml", limit=HOST, variables=names).failed
    after = contents(certificates)
    assert {name for name in before if before[name] != after[name]} == {f"hosts/{HOST}.crt"}
    certificate = x509.load_pem_x509_certificate(after[f"hosts/{HOST}.crt"])
    dns = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value.get_values_for_type(
        x509.DNSName
    )
    assert "other.example.org" in dns
    assert "logs.example.org" not in dns


def test_certificate_ends_with_its_authority_and_the_end_is_announced(certificates, run_playbook):
    shutil.rmtree(certificates)
    short = {
        "certificates_authority_validity_days": 50,
        "certificates_validity_days": 40,
        "certificates_authority_warn_days": 60,
    }
    run = run_playbook(playbook="issue.yml", limit=HOST, variables=short)
    assert not run.failed
    assert "in less than 60 days. Plan its replacement" in run.sentences
    # Neither 397 days nor 60 more can be had from an authority with 50 left: signed once, to its end, and not again.
    more = {"certificates_renew_before_days": 60}
    assert run_playbook(playbook="issue.yml", limit=HOST, variables=more).changed == 2
    for path in (certificates / f"hosts/{HOST}.crt", certificates / f"clients/{HOST}.log-shipper.crt"):
        assert days_left(path) == pytest.approx(days_left(certificates / "ca/ca.crt"), abs=0.001)
    assert run_playbook(playbook="issue.yml", limit=HOST, variables=more).changed == 0


def test_misspelt_variable_is_refused(certificates, run_playbook):
    run = run_playbook(playbook="issue.yml", limit=HOST, variables={"certificates_validity_day": 5})
    assert run.failed
    assert "knows no variable certificates_validity_day." in run.sentences

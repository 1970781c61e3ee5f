"""What is judged without Django, with real files, modes, certificates and handlers."""

import datetime
import json
import logging
import logging.handlers
import os
import re
import ssl

import pytest
import trustme

from logbastion import EventFormatter, diagnosis_rules
from logbastion.certificate_dates import expiry_dates
from logbastion.cli import doctor, main
from logbastion.diagnosis import (
    certificate_findings,
    diagnose,
    environment_in_use,
    log_directory_findings,
    pseudonym_key_findings,
    secret_file_findings,
    spool_findings,
)
from logbastion.diagnosis_rules import RULES, breach, identifier
from logbastion.pseudonym_keys import add_key

pytestmark = pytest.mark.usefixtures("clean_environment")
UTC = datetime.timezone.utc


def ids(found):
    return [finding.id.removeprefix("logbastion.") for finding in found]


@pytest.fixture
def logs(tmp_path):
    path = tmp_path / "logs"
    path.mkdir()
    path.chmod(0o750)
    for name in ("security.log", "audit.log.1"):
        (path / name).write_text("{}\n")
        (path / name).chmod(0o640)
    return path


class TestRules:
    def test_the_table_in_the_documentation_is_the_one_in_use(self):
        rows = re.findall(r"^(\d{3})\s+(\S+)\s+(\S+)\s+(\S.*)$", diagnosis_rules.__doc__, re.MULTILINE)
        documented = {int(number): (strict, otherwise) for number, strict, otherwise, _ in rows}
        assert len(rows) == len(documented)
        assert documented == {
            number: (
                identifier(number, rule.strict)[-4:],
                identifier(number, rule.otherwise)[-4:] if rule.otherwise else "silent",
            )
            for number, rule in RULES.items()
        }
        assert all(rule.hint.endswith(".") for rule in RULES.values())

    @pytest.mark.parametrize("environment", ["production", "staging", "lab", "prodution"])
    def test_strict_ones(self, environment):
        (finding,) = breach(1, environment, "DEBUG is on.")
        assert (finding.id, finding.level, finding.message) == ("logbastion.E001", "error", "DEBUG is on.")
        assert "DEBUG = False" in finding.hint

    @pytest.mark.parametrize("environment", ["development", "test"])
    def test_others(self, environment):
        assert breach(1, environment, "DEBUG is on.") == []
        assert ids(breach(20, environment, "Open.")) == ["W020"]


class TestFiles:
    def test_private_ones_are_fine(self, logs):
        assert log_directory_findings(str(logs), "production") == []
        assert spool_findings(str(logs), "production") == []

    @pytest.mark.parametrize("mode", [0o755, 0o751, 0o752])
    def test_an_open_directory(self, logs, mode):
        logs.chmod(mode)
        assert ids(log_directory_findings(str(logs), "production")) == ["E020"]
        (finding,) = spool_findings(str(logs), "development")
        assert finding.id == "logbastion.W023"
        assert f"{mode:04o}" in finding.message

    @pytest.mark.parametrize("name", ["security.log", "audit.log.1"])
    @pytest.mark.parametrize("mode", [0o644, 0o642])
    def test_an_open_file(self, logs, name, mode):
        (logs / name).chmod(mode)
        (finding,) = log_directory_findings(str(logs), "staging")
        assert finding.id == "logbastion.E021"
        assert str(logs / name) in finding.message

    def test_what_is_no_file_is_no_log(self, logs):
        (logs / "link").symlink_to("/etc/passwd")
        (logs / "directory").mkdir(mode=0o755)
        assert log_directory_findings(str(logs), "production") == []

    def test_a_file_of_somebody_else(self, logs, monkeypatch):
        real = os.stat

        def stat(path, **options):
            status = list(real(path, **options))
            status[4] += 1
            return os.stat_result(status)

        monkeypatch.setattr(os, "stat", stat)  # the directory's owner; the files are asked through scandir
        assert ids(log_directory_findings(str(logs), "production")) == ["W022"] * 2

    def test_one_that_is_made_later_is_fine(self, tmp_path):
        assert log_directory_findings(str(tmp_path / "later"), "production") == []
        assert spool_findings(str(tmp_path / "later"), "production") == []

    @pytest.mark.parametrize("look", [log_directory_findings, spool_findings, secret_file_findings])
    def test_what_cannot_be_looked_at(self, logs, look):
        (finding,) = look(f"{logs}/audit.log.1/below", "production")
        assert finding.id == "logbastion.W099"
        assert "Not a directory" in finding.message
        assert ids(look("\0", "production")) == ["W099"]

    @pytest.mark.parametrize(("mode", "found"), [(0o600, []), (0o640, []), (0o644, ["E040"]), (0o660, ["E040"])])
    def test_a_secret(self, tmp_path, mode, found):
        path = tmp_path / "client.key"
        path.write_text("content of the key")
        path.chmod(mode)
        findings = secret_file_findings(str(path), "production")
        assert ids(findings) == found
        assert "content" not in str(findings)

    def test_a_missing_secret(self, tmp_path):
        assert ids(secret_file_findings(str(tmp_path / "none"), "production")) == ["E041"]


class TestPseudonymKeys:
    def test_none_is_named(self):
        assert ids(pseudonym_key_findings(None, "production")) == ["E030"]
        assert pseudonym_key_findings(None, "development") == []

    def test_a_good_one_and_then_an_open_one(self, tmp_path):
        path = tmp_path / "keys"
        add_key(path)
        assert pseudonym_key_findings(str(path), "production") == []
        path.chmod(0o644)
        findings = pseudonym_key_findings(str(path), "production")
        assert ids(findings) == ["E031"]
        assert path.read_text().split()[1] not in str(findings)

    def test_a_missing_one(self, tmp_path):
        assert ids(pseudonym_key_findings(str(tmp_path / "keys"), "test")) == ["W031"]

    def test_a_key_in_place_of_the_path_is_not_shown(self):
        key = "0123456789abcdef" * 4
        findings = pseudonym_key_findings(key, "production")
        assert ids(findings) == ["E031"]
        assert key not in str(findings)


@pytest.fixture(scope="module")
def expiring(tmp_path_factory):
    """Files of certificates that expire after so many days."""
    authority = trustme.CA()
    directory = tmp_path_factory.mktemp("expiring")

    def make(*days):
        path = directory / "-".join(map(str, days))
        path.unlink(missing_ok=True)
        now = datetime.datetime.now(UTC)
        for day in days:
            end = now + datetime.timedelta(days=day)
            made = authority.issue_cert("a.example.org", not_before=end - datetime.timedelta(days=400), not_after=end)
            made.cert_chain_pems[0].write_to_path(str(path), append=True)
        return path

    return make


class TestCertificates:
    @pytest.mark.parametrize(
        ("days", "found"),
        [((15,), []), ((13,), ["W043"]), ((-1,), ["E042"]), ((400, 13, 90), ["W043"]), ((400, -1), ["E042"])],
    )
    def test_the_one_that_expires_first_counts(self, expiring, days, found):
        assert ids(certificate_findings(str(expiring(*days)), "production")) == found

    @pytest.mark.parametrize("days", [-10_000, 1000, 40_000])
    def test_both_forms_of_dates_are_read_as_openssl_does(self, expiring, days):
        path = expiring(days)  # in the last century, in this one, and after 2049 as a GeneralizedTime
        text = ssl._ssl._test_decode_cert(str(path))["notAfter"]
        assert [date.timestamp() for date in expiry_dates(path.read_text())] == [ssl.cert_time_to_seconds(text)]

    def test_an_authority_of_old(self, certificates):
        (made,) = expiry_dates(certificates.ca.read_text())
        (known,) = [one["notAfter"] for one in ssl.create_default_context(cafile=certificates.ca).get_ca_certs()]
        assert made.timestamp() == ssl.cert_time_to_seconds(known)

    def test_a_damaged_one_is_said_and_never_raised(self, expiring, tmp_path):
        der = ssl.PEM_cert_to_DER_cert(expiring(15).read_text())
        path = tmp_path / "damaged"
        path.write_text("nothing")
        assert ids(certificate_findings(str(path), "production")) == ["W099"]
        for length in range(0, len(der), 7):
            path.write_text(ssl.DER_cert_to_PEM_cert(der[:length]))
            assert ids(certificate_findings(str(path), "production")) == ["W099"], length

    def test_a_missing_one(self, tmp_path):
        assert ids(certificate_findings(str(tmp_path / "none"), "production")) == ["E041"]


@pytest.mark.usefixtures("alone")
class TestEnvironment:
    @pytest.mark.parametrize(
        ("formatter", "variable", "name"),
        [
            (None, None, "development"),
            (None, "staging", "staging"),
            ("production", None, "production"),
            ("production", "development", "production"),
            ("test", "production", "production"),
            ("test", "lab", "lab"),
            ("lab", "staging", "staging"),
        ],
    )
    @pytest.mark.usefixtures("alone")
    def test_the_strict_one_counts(self, monkeypatch, logger, formatter, variable, name):
        monkeypatch.setattr(logging.root.manager, "loggerDict", {logger.name: logger})
        if formatter:
            handler = logging.StreamHandler()
            handler.setFormatter(EventFormatter("school", formatter))
            logger.addHandler(handler)
        if variable:
            monkeypatch.setenv("LOGBASTION_ENVIRONMENT", variable)
        assert environment_in_use() == name

    def test_an_unknown_one_is_said(self):
        assert ids(diagnose("prod", {})) == ["W010", "E030"]
        assert diagnose("test", {}) == []


@pytest.fixture
def host(logs, tmp_path, certificates, monkeypatch):
    """A host on which all is well."""
    spool, key, keys = tmp_path / "spool", tmp_path / "client.key", tmp_path / "keys"
    spool.mkdir()
    spool.chmod(0o750)
    key.write_bytes(certificates.key.read_bytes())
    key.chmod(0o640)
    add_key(keys)
    variables = {
        "ENVIRONMENT": "production", "LOG_DIRECTORY": logs, "SPOOL_DIRECTORY": spool, "PSEUDONYM_KEYS_FILE": keys,
        "CA_FILE": certificates.ca, "CERTIFICATE_FILE": certificates.certificate, "KEY_FILE": key, "API_KEY_FILE": "",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(f"LOGBASTION_{name}", str(value))
    return variables


class TestDoctor:
    def test_all_is_well(self, host, capsys):
        assert main(["doctor"]) == 0
        assert capsys.readouterr().out == "Judged as production (strict).\nNothing unsafe was found.\n"

    def test_everything_is_looked_at(self, host, capsys, tmp_path, monkeypatch):
        for name in ("LOG_DIRECTORY", "SPOOL_DIRECTORY", "PSEUDONYM_KEYS_FILE", "KEY_FILE"):
            host[name].chmod(0o777)
        for name in ("CA_FILE", "CERTIFICATE_FILE", "PASSWORD_FILE", "API_KEY_FILE", "METRICS_TOKEN_FILE"):
            monkeypatch.setenv(f"LOGBASTION_{name}", str(tmp_path / name))
        assert main(["doctor", "--json"]) == 1
        result = json.loads(capsys.readouterr().out)
        assert (result["version"], result["environment"], result["strict"]) == (1, "production", True)
        found = [finding["id"][-4:] for finding in result["findings"]]
        assert sorted(found) == ["E020", "E023", "E031", "E040", *["E041"] * 5]
        assert set(result["findings"][0]) == {"id", "level", "message", "hint"}

    def test_errors_come_first_and_nothing_drives_the_terminal(self, host, capsys, monkeypatch):
        monkeypatch.setenv("LOGBASTION_LOG_DIRECTORY", "/dev/null/\x1b[2J")
        host["SPOOL_DIRECTORY"].chmod(0o755)
        assert main(["doctor"]) == 1
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert re.findall(r"^[A-Z]+ logbastion\.\w+", out, re.MULTILINE) == [
            "ERROR logbastion.E023",
            "WARNING logbastion.W099",
        ]

    def test_another_environment(self, host, capsys):
        host["SPOOL_DIRECTORY"].chmod(0o755)
        assert main(["doctor", "--environment", "test"]) == 1
        assert "WARNING logbastion.W023" in capsys.readouterr().out

    def test_without_any_configuration_it_does_not_say_that_all_is_well(self, capsys):
        assert main(["doctor"]) == 2
        assert "no LOGBASTION_ variable is set" in capsys.readouterr().err

    def test_help_helps(self, capsys):
        with pytest.raises(SystemExit) as end:
            main(["doctor", "--help"])
        assert end.value.code == 0
        assert "exit codes:" in capsys.readouterr().out
        assert doctor.NAME == "doctor"

import json
import logging
import logging.config
import os
import subprocess
import sys

import pytest
from conftest import eventually, read_lines
from http_sink import ElasticsearchBulkStandIn

from logbastion import ConfigurationError, logging_config
from logbastion.shipping import ShippingHandler
from logbastion.shipping.transports.named import TRANSPORT_NAMES

pytestmark = pytest.mark.usefixtures("clean_environment")


def test_nothing_given_writes_to_the_console_only():
    config = logging_config()
    assert set(config["handlers"]) == {"console", "prometheus"}
    assert config["formatters"]["event"]["environment"] == "development"
    assert config["formatters"]["event"]["service_name"] == "django"


def test_the_environment_is_read_and_arguments_win(monkeypatch, tmp_path, certificates):
    for name, value in {
        "ENVIRONMENT": "lab",
        "SERVICE_NAME": "school",
        "LOG_DIRECTORY": str(tmp_path),
        "SPOOL_DIRECTORY": str(tmp_path / "spool"),
        "INGEST": "one:5959, [2001:db8::1]:5960",
        "CA_FILE": str(certificates.ca),
        "CERTIFICATE_FILE": str(certificates.certificate),
        "KEY_FILE": str(certificates.key),
    }.items():
        monkeypatch.setenv(f"LOGBASTION_{name}", value)
    config = logging_config(service_name="other")
    assert config["formatters"]["event"] == {
        "()": "logbastion.formatters.EventFormatter", "service_name": "other", "environment": "lab",
    }  # fmt: skip
    assert config["handlers"]["files"]["directory"] == str(tmp_path)
    assert config["handlers"]["shipping"]["destinations"] == ["one:5959", "[2001:db8::1]:5960"]
    assert config["handlers"]["shipping"]["spool_directory"] == str(tmp_path / "spool")
    assert "console" not in config["handlers"]
    json.dumps(config)  # plain


def test_every_record_is_written_once(tmp_path, root_logging):
    logging.getLogger("django").addHandler(logging.StreamHandler())
    logging.getLogger("django.server").propagate = False
    logging.config.dictConfig(logging_config("test", log_directory=tmp_path, level="WARNING"))
    assert logging.getLogger("django").handlers == []
    for name in ("django.request", "django.server", "business.x", "other"):
        logging.getLogger(name).warning(name)
        logging.getLogger(name).info("not written: the root's level is WARNING")
    logging.getLogger("accounts.auth").info("written whatever the level")
    logging.getLogger("django.db.backends").debug("SELECT secret")
    application = [json.loads(line)["message"] for line in read_lines(tmp_path / "application.log")]
    assert application == ["django.request", "django.server", "business.x", "other"]
    assert len(read_lines(tmp_path / "security.log")) == 1
    assert not (tmp_path / "debug.log").exists()


def test_sql_with_its_parameters_is_never_written(tmp_path, root_logging):
    logging.config.dictConfig(logging_config("test", log_directory=tmp_path, level="DEBUG"))
    logging.getLogger("django.db.backends").debug("SELECT secret")
    logging.getLogger("business").debug("shown")
    assert len(read_lines(tmp_path / "debug.log")) == 1


def test_the_transport_is_a_setting(monkeypatch, tmp_path, certificates, root_logging):
    """Straight to what stands in for Elasticsearch, with everything from the environment."""
    password = tmp_path / "password"
    password.write_text("a secret\n")
    with ElasticsearchBulkStandIn(certificates) as server:
        server.expect("log_writer", "a secret")
        for name, value in {
            "INGEST": server.address,
            "TRANSPORT": "elasticsearch",
            "CA_FILE": certificates.ca,
            "USERNAME": "log_writer",
            "PASSWORD_FILE": password,
            "SPOOL_DIRECTORY": tmp_path / "spool",
        }.items():
            monkeypatch.setenv(f"LOGBASTION_{name}", str(value))
        config = logging_config("lab")
        json.dumps(config)  # plain
        assert "a secret" not in str(config)
        logging.config.dictConfig(config)
        logging.getLogger("business").info("number", extra={"n": 7})
        eventually(lambda: server.numbers() == [7])
    ((index, _),) = server.documents
    assert index == "logs-django.application-lab"


def test_a_classification_of_ones_own(tmp_path, root_logging):
    own = [{"kind": "number", "category": "educational", "treatment": "mask", "reason": "ours", "words": ["matricula"]}]
    config = logging_config("lab", log_directory=tmp_path, classification=own, harmless_fields=["api_token"])
    json.dumps(config)  # plain
    logging.config.dictConfig(config)
    logging.getLogger("business").info("a@b.pt matricula=A1", extra={"matricula": "A1", "api_token": "x"})
    (line,) = read_lines(tmp_path / "application.log")
    assert json.loads(line)["message"] == "[redacted:email] matricula=[redacted:number]"
    assert json.loads(line)["extra"] == {"matricula": "[redacted:number]", "api_token": "x"}
    with pytest.raises(ConfigurationError, match=r"classification: The entry 'x'.* needs a reason"):
        logging_config(classification=[{"kind": "x", "category": "pii", "treatment": "mask"}])


@pytest.mark.parametrize("transport", TRANSPORT_NAMES)
def test_every_transport_can_be_named(transport, certificates, root_logging):
    logging.config.dictConfig(logging_config(ingest="localhost:1", transport=transport, ca_file=certificates.ca))
    (handler,) = [found for found in logging.getLogger().handlers if isinstance(found, ShippingHandler)]
    assert type(handler.transport).__name__.lower() == f"{transport}transport"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"environment": "Production"}, "small letters"),
        ({"level": "LOUD"}, "write DEBUG, INFO"),
        ({"ingest": "observer"}, "write host:port"),
        ({"ingest": "observer:5959"}, "ca_file .* is not set"),
        ({"ingest": "observer:5959", "ca_file": "/nowhere/ca.pem"}, "does not exist"),
        ({"ingest": "a:1", "ca_file": __file__, "transport": "udp"}, "choose from tcp, http, beats, elasticsearch"),
        ({"ingest": "a:1", "ca_file": __file__, "transport": "beats", "username": "x"}, "client certificates only"),
        ({"ingest": "a:1", "ca_file": __file__, "transport": "http", "username": "x"}, "user name with one of"),
        (
            {"ingest": "a:1", "ca_file": __file__, "transport": "http", "api_key_file": "/nowhere/key"},
            "api_key_file .LOGBASTION_API_KEY_FILE.: the file /nowhere/key does not exist",
        ),
        ({"certificate_file": "/a"}, "certificate_file is set without key_file"),
        ({"key_file": "/a"}, "key_file is set without certificate_file"),
        ({"log_directory": "/nowhere/at/all"}, "cannot be created"),
        ({"log_directory": __file__}, "is not a directory"),
        (
            {"ingest": "observer:5959", "ca_file": __file__, "spool_directory": "/nowhere/at/all"},
            "spool_directory .LOGBASTION_SPOOL_DIRECTORY.: .* cannot be created",
        ),
    ],
)
def test_wrong_settings_get_a_sentence(arguments, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        logging_config(**arguments)


def test_unreadable_files_and_directories_get_a_sentence(tmp_path, certificates):
    """Run as a user without rights, because root may read and write everything."""
    key, logs, metrics = tmp_path / "key.pem", tmp_path / "logs", tmp_path / "metrics"
    key.write_text("x")
    key.chmod(0o600)
    logs.mkdir(mode=0o700)
    metrics.mkdir(mode=0o700)
    real_access = os.access
    cases = [
        (
            key,
            {"ingest": "a:1", "ca_file": certificates.ca, "certificate_file": key, "key_file": key},
            "may not be read",
        ),
        (logs, {"log_directory": logs}, "may not be written"),
    ]
    for denied, arguments, sentence in cases:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "access", lambda path, how, denied=denied: path != denied and real_access(path, how))
            with pytest.raises(ConfigurationError, match=sentence):
                logging_config(**arguments)


def test_a_missing_metrics_directory_gets_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="PROMETHEUS_MULTIPROC_DIR"):
        logging_config()
    assert set(logging_config(prometheus=False)["handlers"]) == {"console"}


def test_works_where_django_is_not_installed(tmp_path):
    program = """
import sys
sys.modules["django"] = sys.modules["asgiref"] = None
import logging, logging.config, logbastion
logging.config.dictConfig(logbastion.logging_config("test", log_directory=sys.argv[1]))
with logbastion.bind("job-7"):
    logging.getLogger("business.jobs").info("no Django here")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60, env=environment)
    assert json.loads((tmp_path / "application.log").read_text())["correlation_id"] == "job-7"

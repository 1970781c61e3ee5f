"""What each environment writes where, and what it refuses."""

import json
import logging
import logging.config
import re

import pytest
from conftest import read_lines

from logbastion import ConfigurationError, environments, logging_config
from logbastion.environments import ENVIRONMENTS, is_strict, rules_of
from logbastion.recent import CircularBufferHandler

pytestmark = pytest.mark.usefixtures("clean_environment", "root_logging")
STRICT = ("staging", "production", "lab", "prodution")
ALL = (*ENVIRONMENTS, "lab")
NAMES = ("development", "test", "staging", "production")
ROOT, LEAST, HANDLERS = "Level of the root", "Least level", "Handlers"


def outputs(config):
    return set(config["handlers"]) - {"prometheus"}


def documented():
    """Return the rows of the table in the module's documentation."""
    rows = re.findall(r"^([A-Z].{21}) {2}(\S.*)$", environments.__doc__, re.MULTILINE)
    return {name.strip(): re.split(r" {2,}", cells.strip()) for name, cells in rows if cells.strip("= ")}


class TestTable:
    def test_the_documentation_is_what_is_in_use(self):
        table = documented()
        rules = [ENVIRONMENTS[name] for name in NAMES]
        assert table["What"] == list(ENVIRONMENTS) == list(NAMES)
        assert table[ROOT] == [rule.level for rule in rules]
        assert table[LEAST] == [rule.least_level for rule in rules]
        usual = [rule.fallback if rule.console or not rule.strict else "files, shipping" for rule in rules]
        assert table[HANDLERS] == usual
        assert table["Breach of a rule"] == ["error" if rule.strict else "warning, silent" for rule in rules]
        assert table["Redaction"] == ["may be weakened" if rule.may_weaken else "only stricter" for rule in rules]

    def test_a_name_that_nobody_knows_has_the_rules_of_production(self):
        assert rules_of("prod") == rules_of("lab") == ENVIRONMENTS["production"]
        assert [is_strict(name) for name in (*NAMES, "lab")] == [False, False, True, True, True]


class TestHandlers:
    @pytest.mark.parametrize(
        ("environment", "bare", "with_places"),
        [
            ("development", {"console"}, {"files", "shipping", "console"}),
            ("test", {"memory"}, {"files", "shipping"}),
            ("staging", {"console"}, {"files", "shipping"}),
            ("production", {"console"}, {"files", "shipping"}),
            ("lab", {"console"}, {"files", "shipping"}),
        ],
    )
    def test_where_events_go(self, environment, bare, with_places, tmp_path, certificates):
        places = {"log_directory": tmp_path, "ingest": "observer:5959", "ca_file": certificates.ca}
        assert outputs(logging_config(environment)) == bare
        assert outputs(logging_config(environment, **places)) == with_places
        assert outputs(logging_config(environment, **places, console=True)) == with_places | {"console"}
        assert outputs(logging_config(environment, **places, console=False)) == {"files", "shipping"}

    def test_a_test_keeps_its_events_in_its_own_memory(self, capfd):
        logging.config.dictConfig(logging_config("test"))
        logging.getLogger("business").info("for nobody else")
        (handler,) = [one for one in logging.root.handlers if isinstance(one, CircularBufferHandler)]
        (line,) = handler.get_recent_logs(10)
        assert json.loads(line)["service"]["environment"] == "test"
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("environment", STRICT)
    def test_no_place_at_all_is_refused_where_data_are_real(self, environment):
        with pytest.raises(ConfigurationError, match=rf"'{environment}' events need a place.*log_directory"):
            logging_config(environment, console=False)

    def test_elsewhere_no_place_is_a_choice(self):
        assert outputs(logging_config("development", console=False)) == set()


class TestLevels:
    @pytest.mark.parametrize(("environment", "root"), [("development", "DEBUG"), *[(name, "INFO") for name in ALL[1:]]])
    def test_of_the_root(self, environment, root, monkeypatch):
        assert logging_config(environment)["root"]["level"] == root
        monkeypatch.setenv("LOGBASTION_LEVEL", "error")
        assert logging_config(environment)["root"]["level"] == "ERROR"
        assert logging_config(environment, level="WARNING")["root"]["level"] == "WARNING"

    def test_libraries_are_quiet_in_development_unless_they_are_asked_for(self, tmp_path):
        for level, expected in ((None, ["mine"]), ("DEBUG", ["asyncio", "django.template", "mine"])):
            directory = tmp_path / str(level)
            logging.getLogger("asyncio").setLevel(logging.NOTSET)
            logging.config.dictConfig(logging_config("development", log_directory=directory, level=level))
            for name in ("asyncio", "django.template", "django.db.backends", "mine"):
                logging.getLogger(name).debug(name)
            assert [json.loads(line)["logger"] for line in read_lines(directory / "debug.log")] == expected
        logging.getLogger("asyncio").setLevel(logging.NOTSET)

    @pytest.mark.parametrize("how", ["argument", "variable"])
    @pytest.mark.parametrize("environment", ["production", "lab", "prodution"])
    def test_debug_is_refused_in_production(self, environment, how, monkeypatch):
        if how == "variable":
            monkeypatch.setenv("LOGBASTION_LEVEL", "debug")
        with pytest.raises(ConfigurationError, match=rf"DEBUG is refused in the environment '{environment}'"):
            logging_config(environment, level="debug" if how == "argument" else None)

    @pytest.mark.parametrize("environment", ["development", "test", "staging"])
    def test_debug_may_be_asked_for_elsewhere(self, environment):
        assert logging_config(environment, level="DEBUG")["root"]["level"] == "DEBUG"

    @pytest.mark.parametrize(("environment", "files"), [("production", 1), ("lab", 1), ("staging", 2)])
    def test_no_logger_of_a_program_gets_debug_into_production(self, environment, files, tmp_path, logger):
        logging.config.dictConfig(logging_config(environment, log_directory=tmp_path))
        logger.propagate = True  # it is at DEBUG
        logger.debug("not for production")
        logger.info("for everybody")
        assert len(list(tmp_path.iterdir())) == files
        assert "not for production" not in (tmp_path / "application.log").read_text()


class TestTls:
    @pytest.mark.parametrize("environment", ALL)
    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"ingest": "http://observer:8080"}, "begins with http://.*verified TLS only, never in plain text"),
            ({"ingest": "udp://observer:5959"}, "begins with udp://.*verified TLS only, never in plain text"),
            ({"ingest": "observer:5959", "transport": "udp"}, "'udp' is unknown: .* all over TLS"),
            ({"ingest": "observer:5959", "ca_file": None}, "verified TLS only. Name the PEM file"),
        ],
    )
    def test_plain_text_is_refused_everywhere(self, environment, options, sentence, certificates):
        with pytest.raises(ConfigurationError, match=sentence):
            logging_config(environment, **{"ca_file": certificates.ca, **options})


def entry(kind, treatment, **more):
    return {"kind": kind, "category": "pii", "treatment": treatment, "reason": "to look for a fault", **more}


class TestRedaction:
    @pytest.mark.parametrize(
        "own", [entry("password", "keep"), entry("card_check", "last_four"), entry("card", "mask", kept_in=["debug"])]
    )
    def test_log_in_and_payment_data_are_weakened_only_where_data_are_invented(self, own):
        for environment in ("development", "test"):
            assert logging_config(environment, classification=[own])
        for environment in STRICT:
            with pytest.raises(ConfigurationError, match=rf"of {own['kind']} more would be written .*'{environment}'"):
                logging_config(environment, classification=[own])

    @pytest.mark.parametrize("own", [entry("card", "drop"), entry("token", "mask"), entry("ip", "keep")])
    def test_what_is_stricter_or_concerns_other_data_is_a_projects_choice(self, own):
        assert logging_config("production", classification=[own])

    @pytest.mark.parametrize("environment", ALL)
    def test_an_exception_is_written_without_the_variables_of_its_frames(self, environment, tmp_path):
        logging.config.dictConfig(logging_config(environment, log_directory=tmp_path))
        _fail("Amélia", "a4d1" * 9)
        (line,) = read_lines(tmp_path / "application.log")
        trace = json.loads(line)["error"]["stack_trace"]
        assert "in _fail" in trace
        assert "ZeroDivisionError" in trace
        assert "pupil" not in trace.replace("def _fail(pupil", "")
        assert b"a4d1" not in line
        assert "Am" not in trace


def _fail(pupil, key):
    copies = [pupil, key]
    try:
        len(copies) / 0
    except ZeroDivisionError:
        logging.getLogger("business").exception("It failed")

"""One call that configures logging: ``LOGGING = logbastion.logging_config(...)``."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from logbastion.environments import Environment, rules_of
from logbastion.formatters import EventFormatter
from logbastion.incidents.options import checked_options, with_environment
from logbastion.names import DEFAULT_ENVIRONMENT, checked_environment
from logbastion.pseudonyms import pseudonym_of
from logbastion.redaction import Classification, Redactor
from logbastion.redaction.classification import weakened_kinds
from logbastion.shipping.destinations import parse_destinations
from logbastion.shipping.handler import ShippingHandler
from logbastion.shipping.transports.named import make_transport

PREFIX: Final = "LOGBASTION_"
# Django and its server attach handlers of their own to these; taken away, so that nothing is written twice.
_WITH_OWN_HANDLERS: Final = ("django", "django.server")
# These tell much at DEBUG that is of no use to who develops something else.
_TALKATIVE: Final = ("django", "asyncio", "urllib3")
# These may not be silenced by a high root level: metrics, alerts and evidence hang on them.
_ALWAYS_INFO: Final = (
    "accounts", "finances", "security", "privacy", "performance", "system.log_management", "incidents",
    "django.security",
)  # fmt: skip


class ConfigurationError(ValueError):
    """A setting cannot work. The text says what is wrong and what to do."""


def logging_config(
    environment: str | None = None,
    *,
    service_name: str | None = None,
    log_directory: str | os.PathLike[str] | None = None,
    ingest: str | Sequence[str] | None = None,
    transport: str | None = None,
    ca_file: str | os.PathLike[str] | None = None,
    certificate_file: str | os.PathLike[str] | None = None,
    key_file: str | os.PathLike[str] | None = None,
    username: str | None = None,
    password_file: str | os.PathLike[str] | None = None,
    api_key_file: str | os.PathLike[str] | None = None,
    level: str | None = None,
    console: bool | None = None,
    prometheus: bool = True,
    metric_loggers: Collection[str] = (),
    spool_directory: str | os.PathLike[str] | None = None,
    classification: Collection[Mapping[str, Any]] = (),
    harmless_fields: Collection[str] = (),
    incidents: Mapping[str, Any] | bool = False,
) -> dict[str, Any]:
    """Return a dict for :func:`logging.config.dictConfig`, which is also Django's ``LOGGING``.

    What is not given comes from the environment variables ``LOGBASTION_ENVIRONMENT``, ``_SERVICE_NAME``,
    ``_LOG_DIRECTORY``, ``_SPOOL_DIRECTORY``, ``_INGEST``, ``_TRANSPORT``, ``_CA_FILE``, ``_CERTIFICATE_FILE``,
    ``_KEY_FILE``, ``_USERNAME``, ``_PASSWORD_FILE``, ``_API_KEY_FILE`` and ``_LEVEL``. An empty variable counts as not
    set. Nothing is opened or connected here; the files are only looked at.

    What else is not given comes from the table in :mod:`logbastion.environments`, which also says what is refused in
    which environment.

    Args:
        environment: ``development``, ``test``, ``staging`` or ``production``; ``development`` when nothing says
            otherwise. Another name of small letters, digits and underscores has the rules of production.
        service_name: ``service.name`` of the events; ``django`` when nothing says otherwise.
        log_directory: where ``<stream>.log`` are written; without it no files.
        ingest: ``host:port``, several separated by commas or as a sequence; without it nothing is sent.
        transport: how: ``tcp`` (JSON lines for rsyslog or Logstash's ``tcp`` input; the default), ``http`` or ``beats``
            (Logstash's inputs of these names), or ``elasticsearch`` (straight into the data streams by ``_bulk``).
        ca_file: the authority that signed the ingest's certificate. Demanded with ``ingest``.
        certificate_file: client certificate for the ingest.
        key_file: its key.
        username: for ``http`` and ``elasticsearch``, with ``password_file``.
        password_file: holds the password.
        api_key_file: holds an API key in Elasticsearch's ``encoded`` form, instead of user and password.
        level: the root logger's level; by default ``INFO``, in development ``DEBUG``, which production refuses.
            Security, audit and performance loggers log from INFO on whatever it is.
        console: whether events go to standard error. By default in development, and in staging and production when
            there is neither a directory nor an ingest. False is refused there in that case.
        prometheus: whether records are counted.
        metric_loggers: further values for the label ``logger`` of ``django_log_messages_total``.
        spool_directory: where events wait for the ingest, also over the end of the process; made with mode 0750 when it
            is missing. Without it they wait in memory, and what waits there is lost with the process.
        classification: entries of your own for the table of what is redacted; see
            :meth:`logbastion.redaction.Classification.standard`.
        harmless_fields: names of fields of yours that nothing is sensitive about, although their names look so.
        incidents: True, or a mapping with what :mod:`logbastion.incidents.options` lists: records from WARNING on are
            looked at for incidents, also with ``LOGBASTION_INCIDENTS_ALERTMANAGER`` and its like.

    Raises:
        ConfigurationError: with a sentence, when something given here or in the environment cannot work.

    """
    environment = _checked_environment(environment or _variable("ENVIRONMENT") or DEFAULT_ENVIRONMENT)
    rules = rules_of(environment)
    given_level = level or _variable("LEVEL")
    root_level = _checked_level(given_level or rules.level, environment, rules)
    formatter: dict[str, Any] = {
        "()": "logbastion.formatters.EventFormatter",
        "service_name": service_name or _variable("SERVICE_NAME") or "django",
        "environment": environment,
    }
    if classification or harmless_fields:
        formatter["()"] = "logbastion.config.event_formatter"
        formatter["classification"] = [dict(entry) for entry in classification]
        formatter["harmless_fields"] = list(harmless_fields)
        _check_classification(formatter, rules)
    handlers: dict[str, dict[str, Any]] = {}
    directory = log_directory or _variable("LOG_DIRECTORY")
    if directory:
        handlers["files"] = _handler("logbastion.files.StreamFileHandler", directory=str(_checked_directory(directory)))
    destinations = ingest or _variable("INGEST")
    certificate, key = certificate_file or _variable("CERTIFICATE_FILE"), key_file or _variable("KEY_FILE")
    if bool(certificate) != bool(key):
        given, missing = ("certificate_file", "key_file") if certificate else ("key_file", "certificate_file")
        raise ConfigurationError(
            f"{given} is set without {missing}: a client certificate and its key belong together. Set both "
            f"({PREFIX}CERTIFICATE_FILE and {PREFIX}KEY_FILE) or neither."
        )
    if destinations:
        receiver: dict[str, Any] = {
            "destinations": _checked_destinations(destinations),
            "transport": transport or _variable("TRANSPORT") or "tcp",
            "ca_file": _checked_file("ca_file", "CA_FILE", ca_file or _variable("CA_FILE")),
            "certificate_file": certificate and _checked_file("certificate_file", "CERTIFICATE_FILE", certificate),
            "key_file": key and _checked_file("key_file", "KEY_FILE", key),
            "username": username or _variable("USERNAME"),
            "password_file": _checked_secret("password_file", password_file),
            "api_key_file": _checked_secret("api_key_file", api_key_file),
        }
        _check_receiver(receiver)
        handlers["shipping"] = _handler(
            "logbastion.config.shipping_handler",
            **receiver,
            spool_directory=_checked_spool(spool_directory or _variable("SPOOL_DIRECTORY")),
            prometheus=prometheus,
        )
    _add_where_nothing_lasts(handlers, console, environment, rules)
    if rules.least_level != "DEBUG":
        for handler in handlers.values():
            handler["level"] = rules.least_level
    if prometheus:
        _check_metrics_directory()
        handlers["prometheus"] = {
            "()": "logbastion.metrics.PrometheusLoggingHandler",
            "known_loggers": list(metric_loggers),
            "log_directory": str(directory) if directory else None,
        }
    if incidents is not False:
        handlers["incidents"] = _incident_handler(incidents, formatter["service_name"], environment)
    loggers: dict[str, dict[str, Any]] = {
        name: {"handlers": [], "level": "NOTSET", "propagate": True} for name in _WITH_OWN_HANDLERS
    }
    if logging.getLevelName(root_level) > logging.INFO:
        loggers.update({name: {"level": "INFO"} for name in _ALWAYS_INFO})
    if not given_level and root_level == "DEBUG":
        for name in _TALKATIVE:
            loggers[name] = {**loggers.get(name, {}), "level": "INFO"}
    # With DEBUG on, Django logs every SQL statement with its parameters here, which are people's data.
    loggers["django.db.backends"] = {"level": "INFO"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"correlation": {"()": "logbastion.correlation.CorrelationIdFilter"}},
        "formatters": {"event": formatter},
        "handlers": handlers,
        "loggers": loggers,
        "root": {"level": root_level, "handlers": list(handlers)},
    }


def event_formatter(
    service_name: str, environment: str, classification: Collection[Mapping[str, Any]], harmless_fields: Collection[str]
) -> EventFormatter:
    """Make the formatter that :func:`logging_config` names where a project has a classification of its own.

    Raises:
        ClassificationError: an entry cannot work.

    """
    gate = Redactor(more=classification, harmless=harmless_fields, pseudonym=pseudonym_of)
    return EventFormatter(service_name, environment, gate=gate)


def shipping_handler(
    destinations: Sequence[str],
    *,
    ca_file: str,
    certificate_file: str | None = None,
    key_file: str | None = None,
    transport: str = "tcp",
    username: str | None = None,
    password_file: str | None = None,
    api_key_file: str | None = None,
    spool_directory: str | None = None,
    prometheus: bool = True,
) -> ShippingHandler:
    """Make the handler that :func:`logging_config` names; for ``"()"`` in a configuration of your own too.

    Raises:
        ValueError: see :func:`~logbastion.shipping.transports.named.make_transport`.

    """
    publish = None
    if prometheus:
        # Needs a registry only when wanted.
        from logbastion.certificate_metrics import watch_certificates  # noqa: PLC0415
        from logbastion.shipping_metrics import ShippingMetrics  # noqa: PLC0415

        publish = ShippingMetrics()
        watch_certificates({"ca": ca_file, "client": certificate_file})
    made = make_transport(
        transport,
        destinations,
        ca_file=ca_file,
        certificate_file=certificate_file,
        key_file=key_file,
        username=username,
        password_file=password_file,
        api_key_file=api_key_file,
    )
    return ShippingHandler(made, spool_directory=spool_directory, publish=publish)


def _handler(factory: str, **arguments: Any) -> dict[str, Any]:
    name = "class" if factory.startswith("logging.") else "()"
    return {name: factory, "formatter": "event", "filters": ["correlation"], **arguments}


def _incident_handler(asked: Mapping[str, Any] | bool, service_name: str, environment: str) -> dict[str, Any]:
    options = asked if not isinstance(asked, (Mapping, bool)) else with_environment(asked, os.environ)
    try:
        checked_options(options)
    except ValueError as error:
        raise ConfigurationError(f"incidents: {error}") from None
    return {
        "()": "logbastion.incidents.handler.IncidentDetectionHandler",
        "filters": ["correlation"],
        "level": "WARNING",
        "options": options,
        "service_name": service_name,
        "environment": environment,
    }


def _variable(name: str) -> str | None:
    return os.environ.get(PREFIX + name) or None


def _checked_environment(name: str) -> str:
    try:
        return checked_environment(name)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _checked_level(name: str, environment: str, rules: Environment) -> str:
    upper = name.upper() if isinstance(name, str) else ""
    if upper not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ConfigurationError(f"The level {name!r} is unknown: write DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    if logging.getLevelName(upper) < logging.getLevelName(rules.least_level):
        raise ConfigurationError(
            f"level ({PREFIX}LEVEL): {upper} is refused in the environment {environment!r}: nobody has looked at what "
            f"such records hold. Write {rules.least_level} or a higher one, and look for the fault in staging."
        )
    return upper


def _add_where_nothing_lasts(
    handlers: dict[str, dict[str, Any]], console: bool | None, environment: str, rules: Environment
) -> None:
    """Add the handler for the console or, in a test, for memory; see the table of the environments."""
    lasting = bool(handlers)
    if console or (console is None and (rules.console or (not lasting and rules.fallback == "console"))):
        handlers["console"] = _handler("logging.StreamHandler")
    if not handlers and rules.fallback == "memory":
        handlers["memory"] = _handler("logbastion.recent.CircularBufferHandler")
    if not handlers and rules.strict:
        raise ConfigurationError(
            f"In the environment {environment!r} events need a place, and none is left with console=False: set "
            f"log_directory ({PREFIX}LOG_DIRECTORY) or ingest ({PREFIX}INGEST)."
        )


def _checked_destinations(given: str | Sequence[str]) -> list[str]:
    try:
        return [str(destination) for destination in parse_destinations(given)]
    except ValueError as error:
        tls = " Events are sent over verified TLS only, never in plain text." if "://" in str(error) else ""
        raise ConfigurationError(f"ingest ({PREFIX}INGEST): {error}{tls}") from None


def _check_classification(formatter: dict[str, Any], rules: Environment) -> None:
    try:
        Classification.standard(formatter["classification"], formatter["harmless_fields"])
    except ValueError as error:
        raise ConfigurationError(f"classification: {error}") from None
    weakened = [] if rules.may_weaken else weakened_kinds(formatter["classification"])
    if weakened:
        raise ConfigurationError(
            f"classification: of {', '.join(weakened)} more would be written than by the standard table, which the "
            f"environment {formatter['environment']!r} refuses for log-in and financial data. Choose drop, mask or the "
            "standard treatment, without kept_in; name fields that only look so in harmless_fields."
        )


def _check_receiver(receiver: dict[str, Any]) -> None:
    """Find out now what would otherwise be an error in the middle of ``dictConfig``. Opens nothing."""
    options = dict(receiver)
    try:
        make_transport(options.pop("transport"), options.pop("destinations"), **options)
    except ValueError as error:
        raise ConfigurationError(
            f"transport ({PREFIX}TRANSPORT) and what belongs to it cannot be used as they are set. {error}"
        ) from None


def _checked_secret(argument: str, given: str | os.PathLike[str] | None) -> str | None:
    """Return the path of a file that holds a password or an API key; None when none is given."""
    variable = argument.upper()
    path = given or _variable(variable)
    return _readable_file(f"{argument} ({PREFIX}{variable})", path) if path else None


def _checked_file(argument: str, variable: str, given: str | os.PathLike[str] | None) -> str:
    where = f"{argument} ({PREFIX}{variable})"
    if not given:
        raise ConfigurationError(
            f"{where} is not set, but ingest is: events are sent over verified TLS only. Name the PEM file of the "
            "authority that signed the ingest's certificate."
        )
    return _readable_file(where, given)


def _readable_file(where: str, given: str | os.PathLike[str]) -> str:
    path = Path(given)
    if not path.is_file():
        raise ConfigurationError(f"{where}: the file {path} does not exist or its directory may not be entered.")
    if not os.access(path, os.R_OK):
        raise ConfigurationError(f"{where}: the file {path} may not be read by this user (uid {os.geteuid()}).")
    return str(path)


def _checked_spool(given: str | os.PathLike[str] | None) -> str | None:
    return str(_checked_directory(given, "spool_directory", "SPOOL_DIRECTORY")) if given else None


def _checked_directory(
    given: str | os.PathLike[str], argument: str = "log_directory", variable: str = "LOG_DIRECTORY"
) -> Path:
    where, path = f"{argument} ({PREFIX}{variable})", Path(given)
    if path.is_dir():
        if not os.access(path, os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"{where}: the directory {path} may not be written by this user (uid {os.geteuid()}). "
                "Make the application's user its owner, with mode 0750."
            )
        return path
    if path.exists():
        raise ConfigurationError(f"{where}: {path} is not a directory.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"{where}: the directory {path} does not exist and cannot be created in {path.parent}. "
            "Create it with mode 0750 for the application's user."
        )
    return path


def _check_metrics_directory() -> None:
    given = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if given and not (os.path.isdir(given) and os.access(given, os.W_OK | os.X_OK)):
        raise ConfigurationError(
            f"PROMETHEUS_MULTIPROC_DIR is {given}, which is not a directory that this user (uid {os.geteuid()}) may "
            "write. Create it for the application's user, or do not set the variable for this command."
        )

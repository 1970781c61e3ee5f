"""What the role tells the delivery."""

import json
from dataclasses import dataclass, fields
from urllib.parse import urlsplit


class ConfigurationError(Exception):
    """The configuration file cannot be used; the text says why."""


@dataclass(frozen=True)
class Configuration:
    """What the role writes into deliver.json."""

    elasticsearch_urls: list[str]
    ca_file: str
    username: str
    password_file: str
    dead_letter_file: str
    datasets: list[str]
    environments: list[str]
    maximum_event_bytes: int
    request_timeout_seconds: int
    metrics_directory: str
    queue_directory: str
    queue_maximum_bytes: int

    @classmethod
    def read(cls, path: str) -> "Configuration":
        """Read and check a configuration file.

        Raises:
            ConfigurationError: when it is not JSON, or a setting is missing, unknown or of another type.
        """
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error
        types = {field.name: field.type for field in fields(cls)}
        if not isinstance(values, dict) or values.keys() != types.keys():
            raise ConfigurationError(f"{path} must have exactly these settings: {', '.join(types)}.")
        for name, value in values.items():
            kind = {"int": int, "str": str}.get(str(getattr(types[name], "__name__", types[name])), list)
            if not isinstance(value, kind) or (kind is not list and not value):
                raise ConfigurationError(f"{name} in {path} must be a {kind.__name__} and not empty.")
        urls = [urlsplit(str(url)) for url in values["elasticsearch_urls"]]
        if not urls or any(url.scheme != "https" or not url.hostname for url in urls):
            raise ConfigurationError(f"elasticsearch_urls in {path} must be a list of https:// addresses.")
        if not values["datasets"]:
            raise ConfigurationError(f"datasets in {path} must name at least one dataset.")
        return cls(**values)

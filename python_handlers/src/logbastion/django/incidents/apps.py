"""``INSTALLED_APPS = ["logbastion.django", "logbastion.django.incidents", ...]``: incidents in the database."""

from __future__ import annotations

from django.apps import AppConfig


class IncidentsConfig(AppConfig):  # type: ignore[misc, unused-ignore] # Django may be without types
    """Provides the store of ``logging_config(incidents={"store": "database"})``, and has its table."""

    name = "logbastion.django.incidents"
    label = "logbastion_incidents"
    verbose_name = "Logbastion: incidents"

    def ready(self) -> None:
        """Start."""
        from logbastion.django.incidents.store import provide  # noqa: PLC0415 - the models are there only now

        provide()

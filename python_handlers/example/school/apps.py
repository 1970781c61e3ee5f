"""The school's application."""

from django.apps import AppConfig


class SchoolConfig(AppConfig):
    name = "school"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the receivers of Django's log-in signals."""
        from school import signals  # noqa: F401, PLC0415 - needs the loaded applications

"""``INSTALLED_APPS = ["logbastion.django", ...]``: applies the settings, logs what Django signals, registers checks."""

from __future__ import annotations

from django.apps import AppConfig

from logbastion.django.options import apply_settings, signals_are_on


class LogbastionConfig(AppConfig):  # type: ignore[misc, unused-ignore] # Django may be without types
    """Reads ``LOGBASTION_TRUSTED_PROXIES`` and ``LOGBASTION_PSEUDONYM_KEYS_FILE``, and connects the signals.

    The system checks of :mod:`logbastion.django.checks` are registered, too.
    ``LOGBASTION_SIGNALS = False`` leaves the signals alone, for a team that logs log-ins itself.
    """

    name = "logbastion.django"
    label = "logbastion"  # the last part of the name would be `django`
    verbose_name = "Logbastion"

    def ready(self) -> None:
        """Start.

        Raises:
            ImproperlyConfigured: with a sentence, when a setting or its environment variable cannot be used.

        """
        apply_settings()
        from logbastion.django import checks  # noqa: PLC0415 - they read settings that are complete only now

        checks.register()
        if signals_are_on():
            from logbastion.django import signals  # noqa: PLC0415 - the models are there only now

            signals.connect()

"""``INSTALLED_APPS = ["logbastion.django", "logbastion.django.detection", ...]``: detection as the settings have it."""

from __future__ import annotations

from django.apps import AppConfig


class DetectionConfig(AppConfig):  # type: ignore[misc, unused-ignore] # Django may be without types
    """Makes the detector of ``LOGBASTION_DETECTION``; without that setting detection is off."""

    name = "logbastion.django.detection"
    label = "logbastion_detection"
    verbose_name = "Logbastion: detection"

    def ready(self) -> None:
        """Start.

        Raises:
            ImproperlyConfigured: with a sentence, when the setting cannot be used.

        """
        from logbastion.django.detection.setup import apply_detection  # noqa: PLC0415 - the models are there only now

        apply_detection()

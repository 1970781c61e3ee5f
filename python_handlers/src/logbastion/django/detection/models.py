"""The tables of detection: who is counted, and which networks are blocked. Times are seconds since 1970."""

from __future__ import annotations

from typing import Any

from django.db import models


class Subject(models.Model):  # type: ignore[misc, unused-ignore] # Django may be without types
    """What is remembered of one address, account or user for one rule. The key is a digest and names nobody."""

    key: Any = models.CharField(max_length=80, primary_key=True)
    times: Any = models.JSONField(default=dict)
    quiet_until: Any = models.FloatField(default=0.0)
    seen_at: Any = models.FloatField(default=0.0, db_index=True)
    forget_at: Any = models.FloatField(default=0.0, db_index=True)

    class Meta:
        """Django's options."""

        app_label = "logbastion_detection"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.key)


class AddressBlock(models.Model):  # type: ignore[misc, unused-ignore]
    """A network that is blocked, or was not long ago: the next block is longer."""

    network: Any = models.CharField(max_length=43, primary_key=True)
    since: Any = models.FloatField(default=0.0)
    until: Any = models.FloatField(default=0.0, db_index=True)
    number: Any = models.PositiveIntegerField(default=0)
    reason: Any = models.CharField(max_length=64, default="")
    dry_run: Any = models.BooleanField(default=False)
    forget_at: Any = models.FloatField(default=0.0)

    class Meta:
        """Django's options."""

        app_label = "logbastion_detection"
        verbose_name = "blocked address"
        verbose_name_plural = "blocked addresses"
        default_permissions = ("view", "delete")  # to list, and to lift

    def __str__(self) -> str:
        return str(self.network)

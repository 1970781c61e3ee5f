"""The tables of detection."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):  # type: ignore[misc, unused-ignore] # Django may be without types
    """Make them."""

    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.CreateModel(
            name="AddressBlock",
            fields=[
                ("network", models.CharField(max_length=43, primary_key=True, serialize=False)),
                ("since", models.FloatField(default=0.0)),
                ("until", models.FloatField(db_index=True, default=0.0)),
                ("number", models.PositiveIntegerField(default=0)),
                ("reason", models.CharField(default="", max_length=64)),
                ("dry_run", models.BooleanField(default=False)),
                ("forget_at", models.FloatField(default=0.0)),
            ],
            options={
                "verbose_name": "blocked address",
                "verbose_name_plural": "blocked addresses",
                "default_permissions": ("view", "delete"),
            },
        ),
        migrations.CreateModel(
            name="Subject",
            fields=[
                ("key", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("times", models.JSONField(default=dict)),
                ("quiet_until", models.FloatField(default=0.0)),
                ("seen_at", models.FloatField(db_index=True, default=0.0)),
                ("forget_at", models.FloatField(db_index=True, default=0.0)),
            ],
            options={"default_permissions": ()},
        ),
    ]

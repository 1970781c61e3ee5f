"""The table of incidents."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):  # type: ignore[misc, unused-ignore] # Django may be without types
    """Make it."""

    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.CreateModel(
            name="IncidentBook",
            fields=[
                ("scope", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("content", models.TextField(default="{}")),
                ("forget_at", models.FloatField(default=0.0)),
            ],
            options={"default_permissions": ()},
        ),
    ]

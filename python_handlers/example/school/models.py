"""Schools, their members and students, payments."""

from django.conf import settings
from django.db import models


class School(models.Model):
    name = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """Says to which school a user belongs, and whether the user may see the others."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="membership")
    school = models.ForeignKey(School, on_delete=models.PROTECT)
    may_see_other_schools = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"membership {self.pk}"


class Student(models.Model):
    school = models.ForeignKey(School, on_delete=models.CASCADE, related_name="students")
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return f"student {self.pk}"  # not the name: this text may end up in a log


class Payment(models.Model):
    intent_id = models.CharField(max_length=64, unique=True)
    student = models.ForeignKey(Student, on_delete=models.PROTECT)
    paid_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    amount = models.DecimalField(max_digits=8, decimal_places=2)
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.intent_id


class PaymentPause(models.Model):
    """Payments are not taken before this moment: the answer of the application to a failing payment provider."""

    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"until {self.until.isoformat()}"

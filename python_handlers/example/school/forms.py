"""Forms of the example."""

from decimal import Decimal

from django import forms

from school.models import Student


class SearchForm(forms.Form):
    q = forms.CharField(label="Name", max_length=100)


class PaymentForm(forms.Form):
    student = forms.ModelChoiceField(Student.objects.none())
    amount = forms.DecimalField(min_value=Decimal("0.50"), max_value=Decimal(5000), decimal_places=2)
    card_number = forms.RegexField(r"^\d{13,19}$", widget=forms.TextInput(attrs={"autocomplete": "cc-number"}))

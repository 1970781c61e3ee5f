"""What an officer fills in, as a question to the security stream.

An e-mail address must not stand in an address of the page: browsers, proxies and access logs keep those. So the form is
posted, and answered with a redirect to an address that has the pseudonyms in its place.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django import forms

from logbastion.correlation import is_well_formed
from logbastion.pseudonyms import EMAIL, configured_pseudonymizer
from logbastion.security_log import Cursor, Query
from logbastion.security_log.query import moment_of

SPANS: Final[dict[str, tuple[str, datetime.timedelta]]] = {
    "1h": ("Last hour", datetime.timedelta(hours=1)),
    "24h": ("Last 24 hours", datetime.timedelta(days=1)),
    "7d": ("Last 7 days", datetime.timedelta(days=7)),
    "30d": ("Last 30 days", datetime.timedelta(days=30)),
    "365d": ("Last 365 days", datetime.timedelta(days=365)),
}
DEFAULT_SPAN: Final = "24h"
FILTERS: Final = ("event_type", "address", "user", "correlation_id")
_PSEUDONYM: Final = re.compile(r"p1:[a-z0-9-]{1,12}:[a-z2-7]{26}")
_CURSOR: Final = re.compile(r"([0-9T:.+Z-]{1,40})~([\w.:-]{0,128})", re.ASCII)
_MINUTES: Final = "%Y-%m-%dT%H:%M"
_YEARS: Final = (2000, 2199)  # Elasticsearch's date_nanos ends in 2262
_LONGEST: Final = 1024


class FilterForm(forms.Form):  # type: ignore[misc, unused-ignore] # Django may be without types
    """The form above the list. ``by_name`` says whether names may be typed: in a posted form, not in an address."""

    span = forms.ChoiceField(
        label="Time",
        required=False,
        choices=[(name, label) for name, (label, _) in SPANS.items()],
        initial=DEFAULT_SPAN,
    )
    since = forms.CharField(label="or from (UTC)", required=False, max_length=40)
    until = forms.CharField(label="until (UTC)", required=False, max_length=40)
    event_type = forms.CharField(label="Type", required=False, max_length=_LONGEST)
    address = forms.CharField(label="Address or network", required=False, max_length=64)
    user = forms.CharField(
        label="User: e-mail address, user name or pseudonym", required=False, max_length=_LONGEST, strip=True
    )
    correlation_id = forms.CharField(label="Correlation id", required=False, max_length=256)

    def __init__(self, data: Mapping[str, Any], *, now: datetime.datetime, by_name: bool) -> None:
        super().__init__({**data, "span": data.get("span") or DEFAULT_SPAN})
        self._now, self._by_name = now, by_name

    @property
    def times(self) -> list[Any]:
        """The fields of the time, for the template."""
        return [self["since"], self["until"]]

    @property
    def texts(self) -> list[Any]:
        """The fields for texts, for the template."""
        return [self["address"], self["user"], self["correlation_id"]]

    def clean_since(self) -> datetime.datetime | None:
        """Return the moment."""
        return _moment(self.cleaned_data["since"])

    def clean_until(self) -> datetime.datetime | None:
        """Return the moment."""
        return _moment(self.cleaned_data["until"])

    def clean_address(self) -> str:
        """Return the address or network as Elasticsearch wants it."""
        text = self.cleaned_data["address"]
        if not text:
            return ""
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise forms.ValidationError(
                "Write an address such as 192.0.2.7, or a network such as 192.0.2.0/24."
            ) from None
        return str(network) if network.num_addresses > 1 else str(network.network_address)

    def clean_user(self) -> tuple[str, ...]:
        """Return the pseudonyms of the person."""
        text = self.cleaned_data["user"]
        given = text.replace(",", " ").split()
        if all(map(_PSEUDONYM.fullmatch, given)):
            return tuple(dict.fromkeys(given))
        if not self._by_name:
            raise forms.ValidationError("Type names into the form: the address of a page must not hold them.")
        pseudonymizer = configured_pseudonymizer()
        if pseudonymizer is None:
            raise forms.ValidationError(
                "People can be found by a name only where LOGBASTION_PSEUDONYM_KEYS_FILE names keys: events have no "
                "pseudonyms otherwise."
            )
        try:
            return pseudonymizer.all_pseudonyms(EMAIL, text)
        except ValueError as error:
            raise forms.ValidationError(f"No pseudonym can be made of this: {error}.") from None

    def clean_correlation_id(self) -> str:
        """Return the id."""
        text: str = self.cleaned_data["correlation_id"]
        if text and not is_well_formed(text):
            raise forms.ValidationError("A correlation id has letters, digits and . _ : - only.")
        return text

    def clean(self) -> dict[str, Any]:
        """See to it that the time has a length."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        since, until = values.get("since"), values.get("until") or self._now
        if since is not None and since >= until:
            raise forms.ValidationError("The time ends before it begins: correct from and until.")
        return values

    def query(self, size: int) -> Query:
        """Return the question of a valid form."""
        values = self.cleaned_data
        until = values["until"] or self._now
        return Query(
            values["since"] or until - SPANS[values["span"]][1],
            until,
            event_type=values["event_type"],
            address=values["address"],
            pseudonyms=values["user"],
            correlation_id=values["correlation_id"],
            size=size,
        )

    def as_query_string(self, **changed: str) -> str:
        """Return what stands behind the ``?`` of an address with this filter; an empty change takes a part away."""
        values = self.cleaned_data
        parts = {
            "span": values["span"],
            "since": values["since"].strftime(_MINUTES) if values["since"] else "",
            "until": values["until"].strftime(_MINUTES) if values["until"] else "",
            "event_type": values["event_type"],
            "address": values["address"],
            "user": ",".join(values["user"]),
            "correlation_id": values["correlation_id"],
            **changed,
        }
        return urlencode({name: value for name, value in parts.items() if value})

    def for_the_record(self) -> dict[str, Any]:
        """Return the filter for the event of who looked: what is no part of it is left out."""
        values = self.cleaned_data
        found = {name: values[name] for name in FILTERS if values.get(name)}
        if "user" in found:
            found["user"] = list(found["user"])
        for name in ("since", "until"):
            if values.get(name):
                found[name] = values[name].isoformat()
        return {"span": values.get("span"), **found}


def cursor_text(cursor: Cursor) -> str:
    """Return a cursor as it stands in an address."""
    return f"{cursor.moment}~{cursor.event_id}"


def cursor_from(text: str) -> Cursor | None:
    """Return the cursor that an address names; None when it is none."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        return None
    try:
        moment_of(match[1])
    except ValueError:
        return None
    return Cursor(match[1], match[2])


def _moment(text: str) -> datetime.datetime | None:
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        raise forms.ValidationError("Write a day and a time in UTC, such as 2026-11-26T08:00.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise forms.ValidationError(f"Write a time between the years {_YEARS[0]} and {_YEARS[1]}.")
    return moment.astimezone(datetime.timezone.utc)

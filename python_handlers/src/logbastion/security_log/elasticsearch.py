"""The security stream in Elasticsearch, with a credential that only reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from logbastion.names import checked_environment
from logbastion.security_log.query import MAX_TYPES, SEVERE, Found, Query
from logbastion.shipping.transports.base import TransportError
from logbastion.shipping.transports.connector import Connector
from logbastion.shipping.transports.exchange import Credentials, Exchange

if TYPE_CHECKING:
    from pathlib import Path

_OK: Final = 200
# As strings that cursors have, whoever made them. Nanoseconds, because the field has them.
_MOMENT: Final = {"format": "strict_date_optional_time_nanos", "numeric_type": "date_nanos"}


class LogAwayError(Exception):
    """Elasticsearch gave no answer that can be shown; the text says why."""


class ElasticsearchLog:
    """Asks the data stream ``logs-django.security-<environment>``. Each question has a connection of its own.

    Args:
        destinations: ``host:port``, several separated by commas, or a sequence of them; the next is asked where one
            does not answer.
        environment: ``service.environment`` of the events.
        ca_file: PEM file of the authority that signed Elasticsearch's certificate; None: those of the system.
        username: of the credential, with ``password_file``.
        password_file: a file with the password.
        api_key_file: a file with an API key in Elasticsearch's ``encoded`` form, instead.
        timeout: seconds for a whole question.

    Raises:
        ValueError: a destination cannot be understood, or the credential is half given or twice.

    """

    def __init__(
        self,
        destinations: str | Sequence[str],
        environment: str,
        *,
        ca_file: str | Path | None = None,
        username: str | None = None,
        password_file: str | Path | None = None,
        api_key_file: str | Path | None = None,
        timeout: float = 5.0,
    ) -> None:
        self.index = f"logs-django.security-{checked_environment(environment)}"
        self._timeout = timeout
        self._credentials = Credentials(username, None, password_file, None, api_key_file)
        if not self._credentials_given():
            raise ValueError(
                "Elasticsearch needs a user name with a file of its password, or a file with an API key: nobody may "
                "read the security stream without one."
            )
        self._connector = Connector(destinations, ca_file=ca_file, connect_timeout=min(timeout, 3.0))

    def search(self, query: Query) -> Found:
        """Return a page of events with the counts.

        Raises:
            LogAwayError: there is no answer in time, or it says no.

        """
        path = f"/{self.index}/_search?ignore_unavailable=true&allow_no_indices=true"
        exchange = Exchange(self._connector, path, "application/json", self._credentials)
        try:
            response = exchange.request(json.dumps(body_of(query)).encode(), time.monotonic() + self._timeout)
        except TransportError as error:
            raise LogAwayError(f"Elasticsearch is away: {error}") from None
        finally:
            exchange.close()
        if response.status != _OK:
            raise LogAwayError(f"Elasticsearch refuses: {response.complaint()}")
        try:
            return _found(query, json.loads(response.body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LogAwayError(f"Elasticsearch's answer cannot be read: {type(error).__name__}") from error

    def _credentials_given(self) -> bool:
        return self._credentials.username is not None or self._credentials.api_key_file is not None


def body_of(query: Query) -> dict[str, Any]:
    """Return the body of the search."""
    order = "asc" if query.direction == "newer" else "desc"
    of_type: dict[str, Any] = {"term": {"event_type": query.event_type}} if query.event_type else {"match_all": {}}
    bars = {
        "date_histogram": {"field": "@timestamp", "fixed_interval": f"{query.step_seconds}s", "min_doc_count": 1},
        "aggs": {"severe": {"filter": {"terms": {"level": sorted(SEVERE)}}}},
    }
    body: dict[str, Any] = {
        "size": query.size + 1,
        "track_total_hits": True,
        "query": {"bool": {"filter": _filters(query)}},
        "sort": [{"@timestamp": {"order": order, **_MOMENT}}, {"event.id": {"order": order}}],
        "aggs": {
            "types": {"terms": {"field": "event_type", "size": MAX_TYPES}},
            "asked": {"filter": of_type, "aggs": {"bars": bars}},
        },
        # After the counts by type, which are of all types: they are what one can choose from.
        "post_filter": of_type,
    }
    if query.cursor is not None:
        body["search_after"] = [query.cursor.moment, query.cursor.event_id or None]
    return body


def _filters(query: Query) -> list[dict[str, Any]]:
    span = {"gte": query.since.isoformat(), "lte": query.until.isoformat(), "format": "strict_date_optional_time"}
    filters: list[dict[str, Any]] = [{"range": {"@timestamp": span}}]
    for name, value in (
        ("correlation_id", query.correlation_id),
        ("security.source_ip", query.address),
    ):
        if value:
            filters.append({"term": {name: value}})
    if query.pseudonyms:
        # As a field's whole value, as what stands for an address that was taken out of one, and within the message.
        written = [text for name in query.pseudonyms for text in (name, f"[redacted:email:{name}]")]
        # Both ways there, too: the words of a text are cut where a digit meets a colon, and not between letters.
        said = [{"match_phrase": {"message": text}} for text in written]
        filters.append({"bool": {"should": [{"terms": {"extra": written}}, *said], "minimum_should_match": 1}})
    return filters


def _found(query: Query, answer: dict[str, Any]) -> Found:
    hits = [hit["_source"] for hit in answer["hits"]["hits"]]
    further = len(hits) > query.size
    events = hits[: query.size]
    if query.direction == "newer":
        events.reverse()
    aggregations = answer.get("aggregations", {})  # absent where no index has the name
    counted = {
        bucket["key"] // 1000: (bucket["doc_count"], bucket["severe"]["doc_count"])
        for bucket in aggregations.get("asked", {}).get("bars", {}).get("buckets", ())
    }
    notes = []
    if answer.get("timed_out") or answer["_shards"]["failed"]:
        notes.append("Elasticsearch answered for a part of the stream only: events may be missing below.")
    return Found(
        events,
        total=answer["hits"]["total"]["value"],
        older=further if query.direction == "older" else True,
        newer=further if query.direction == "newer" else query.cursor is not None,
        bars=query.bars(counted),
        types=[(each["key"], each["doc_count"]) for each in aggregations.get("types", {}).get("buckets", ())],
        notes=notes,
    )

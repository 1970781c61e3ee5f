"""Numbered events of one person and of others who look alike, in the streams of an environment."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logbastion.erasure.elasticsearch import ElasticsearchPlace
from logbastion.erasure.elasticsearch_loans import NOTE

from lab.elasticsearch_process import Node

STREAMS = ("application", "security", "audit", "performance", "debug")
KEPT = ("security", "audit")
"""Streams of which the rules keep the record without the person."""
PERSON = "12"
EMAIL = "Maria.Silva@example.org"
IDENTIFIER = "+351 912 345 678"
ERASED = "[erased]"


def of_person(pseudonym: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return what an event may have of the person, beside the same without the person."""
    return [
        ({"user_id": 12}, {"user_id": None}),
        ({"user_id": "12"}, {"user_id": ERASED}),
        (
            {"extra": {"a": [{"b": {"user": {"id": 12, "role": "parent"}}}], "school": "12"}},
            {"extra": {"a": [{"b": {"user": {"id": None, "role": "parent"}}}], "school": "12"}},
        ),
        ({"message": f"sent to {EMAIL.upper()}, 12 pages"}, {"message": f"sent to {ERASED}, 12 pages"}),
        ({"error": {"stack_trace": f"KeyError: {EMAIL}\n at 12"}}, {"error": {"stack_trace": f"KeyError: {ERASED}\n at 12"}}),
        ({"not_indexed": {"deep": {"who": EMAIL}}}, {"not_indexed": {"deep": {"who": ERASED}}}),
        ({"extra": {"email_pseudonym": pseudonym}}, {"extra": {"email_pseudonym": ERASED}}),
        ({"extra": {"phone": f"call {IDENTIFIER}."}}, {"extra": {"phone": f"call {ERASED}."}}),
        ({"message": "user 12 has left"}, {"message": f"user {ERASED} has left"}),
    ]  # fmt: skip


OTHERS: list[dict[str, Any]] = [
    {"user_id": 123},
    {"user_id": 4123},
    {"user_id": "0012"},
    {"user_id": -12},
    {"message": "12 of 12 done in 12 ms at 12:12", "process": {"pid": 12}},
    {"extra": {"count": 12, "user": {"id": 120}, "users": 12}},
    {"message": "sent to ana.maria.silva@example.org"},
    {"message": "user 123 and user 4123"},
    {
        "extra": {
            "email_pseudonym": "p1:other:aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "amount": "12.00",
            "ratio": 0.1,
            "big": 2**60,
        }
    },
    {},
]


@dataclass
class Filled:
    """The events, and what there is to be afterwards; by number, which is the document's id."""

    environment: str
    before: dict[str, dict[str, Any]]
    after: dict[str, dict[str, Any]]
    people: set[str]
    """Numbers of the person's events."""


def numbered(number: int, extra_fields: dict[str, Any]) -> dict[str, Any]:
    made = {
        "@timestamp": f"2026-11-12T12:12:12.{number:06}Z",
        "event": {"id": f"n{number}"},
        "message": f"number {number}",
    }
    return {**made, **copy.deepcopy(extra_fields)}  # fmt: skip


def filled(
    node: Node, environment: str, pseudonym: str, *, streams: tuple[str, ...] = STREAMS, indices: int = 2
) -> Filled:
    """Write the events; each stream gets so many backing indices."""
    all_of_it = Filled(environment, {}, {}, set())
    number = 0
    for stream in streams:
        name = f"logs-django.{stream}-{environment}"
        for index in range(indices):
            if index:
                node.asked("POST", f"/{name}/_rollover")
            lines: list[dict[str, Any]] = []
            for own, without in [*of_person(pseudonym), *((each, None) for each in OTHERS)]:
                number += 1
                event = numbered(number, own)
                lines += [{"create": {"_index": name, "_id": f"n{number}"}}, event]
                all_of_it.before[f"n{number}"] = event
                if without is None:
                    all_of_it.after[f"n{number}"] = event
                    continue
                all_of_it.people.add(f"n{number}")
                if stream in KEPT:
                    all_of_it.after[f"n{number}"] = numbered(number, without)
            written = node.asked("POST", "/_bulk?refresh=true", lines, user="log_writer")
            assert written["errors"] is False, written
    return all_of_it


def place(node: Node, environment: str, directory: Path, **options: Any) -> ElasticsearchPlace:
    """Return the place, by the credential that is meant for it; old versions, which take half a minute, are left."""
    user = options.pop("user", "log_eraser")
    secret = directory / f"{user}.secret"
    secret.touch(mode=0o600)
    secret.write_text(node.passwords[user])
    given = {"clean_seconds": 0, "ca_file": node.ca_file, "environments": (environment,), **options}
    return ElasticsearchPlace(node.url, user=user, password_file=secret, **given)


def stored(node: Node, environment: str) -> dict[str, dict[str, Any]]:
    """Return every document of the environment by its id, as a superuser sees it."""
    return {hit["_id"]: hit["_source"] for hit in _hits(node, environment)}


def versions(node: Node, environment: str) -> dict[str, int]:
    """Return how often each document was written."""
    return {hit["_id"]: hit["_version"] for hit in _hits(node, environment)}


def _hits(node: Node, environment: str) -> Iterator[dict[str, Any]]:
    node.asked("POST", f"/logs-django.*-{environment}/_refresh?expand_wildcards=all")
    body = {"size": 10_000, "version": True, "query": {"match_all": {}}}
    answer = node.asked("POST", f"/logs-django.*-{environment}/_search?expand_wildcards=all", body)
    assert answer["hits"]["total"]["value"] < 10_000
    hits = answer["hits"]["hits"]
    assert len({hit["_id"] for hit in hits}) == len(hits)
    yield from hits


def indices(node: Node, environment: str, stream: str = "*") -> dict[str, dict[str, str]]:
    """Return the settings of the stream's backing indices."""
    told = node.asked("GET", f"/logs-django.{stream}-{environment}/_settings?flat_settings=true&expand_wildcards=all")
    return {name: each["settings"] for name, each in sorted(told.items())}


def traces(settings: dict[str, str]) -> dict[str, str]:
    """Return what an erasure may have left in an index's settings."""
    return {key: value for key, value in settings.items() if NOTE in key or "blocks" in key or "expunge" in key}

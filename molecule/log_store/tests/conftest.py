"""Elasticsearch as each of the users sees it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from lab import hosts

STREAMS = ("application", "security", "audit", "performance", "debug")


@dataclass(frozen=True)
class Elasticsearch:
    """The node of one host; every call is made as `user`, with the password that the scenario has for that user."""

    host: str
    secrets: Path

    def call(
        self, method: str, path: str, body: Any = None, *, user: str = "elastic", password: str | None = None
    ) -> requests.Response:
        """Send JSON, or NDJSON when the body is a list; nothing is raised for a status."""
        data = (
            "".join(f"{json.dumps(line)}\n" for line in body)
            if isinstance(body, list)
            else json.dumps(body)
            if body is not None
            else None
        )
        return requests.request(
            method,
            f"https://{hosts.address(self.host)}:9200{path}",
            data=data,
            headers={"Content-Type": "application/x-ndjson" if isinstance(body, list) else "application/json"},
            auth=(user, password or (self.secrets / "passwords" / user).read_text().strip()),
            verify=str(self.secrets / "certificates/ca/ca.crt"),
            timeout=60,
        )

    def create(self, index: str, *documents: dict[str, Any], user: str = "log_writer") -> list[dict[str, Any]]:
        """Store documents in one bulk as the ingest does, ids from `event.id`; return each one's answer."""
        lines: list[dict[str, Any]] = []
        for document in documents:
            lines += [{"create": {"_index": index, "_id": document["event"]["id"]}}, document]
        return [item["create"] for item in self.call("POST", "/_bulk", lines, user=user).json()["items"]]

    def found(self, index: str, query: dict[str, Any] | str, **more: Any) -> list[dict[str, Any]]:
        """Return the hits of a query, or of a query string."""
        self.call("POST", f"/{index}/_refresh")
        query = {"query_string": {"query": query}} if isinstance(query, str) else query
        answer = self.call("POST", f"/{index}/_search", {"query": query, "size": 100, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["hits"]["hits"]

    def ids(self, index: str, query: dict[str, Any] | str, **more: Any) -> list[str]:
        """Return the ids of the hits, sorted."""
        return sorted(hit["_id"] for hit in self.found(index, query, **more))


@pytest.fixture(scope="module")
def store(inventory_name, secrets_directory):
    return Elasticsearch(inventory_name, secrets_directory)

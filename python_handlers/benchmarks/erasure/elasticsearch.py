"""Streams in a real Elasticsearch: what is there is read by its scroll, every document of every index."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lab.elasticsearch_process import Node

from benchmarks.erasure.events import ENVIRONMENT, STREAMS, line_of
from benchmarks.erasure.files import chunks

_LINES = 5_000


def make_streams(node: Node, numbers: range, users: int, events: int) -> None:
    """Write the events as the log writer; each stream gets two backing indices, the older one closed to writing."""
    half = numbers.start + len(numbers) // 2
    for part in (range(numbers.start, half), range(half, numbers.stop)):
        for _, stream, chunk in chunks(part, events):
            for start in range(chunk.start, chunk.stop, _LINES):
                _write(node, stream, range(start, min(start + _LINES, chunk.stop)), users)
        if part.start == numbers.start:
            for stream in STREAMS:
                name = f"logs-django.{stream}-{ENVIRONMENT}"
                rolled = node.asked("POST", f"/{name}/_rollover")
                node.asked("PUT", f"/{rolled['old_index']}/_block/write")
    node.asked("POST", f"/logs-django.*-{ENVIRONMENT}/_refresh")


def _write(node: Node, stream: str, numbers: range, users: int) -> None:
    lines = []
    for number in numbers:
        event = json.loads(line_of(number, users, stream))
        lines += [{"create": {"_index": f"logs-django.{stream}-{ENVIRONMENT}", "_id": event["event"]["id"]}}, event]
    if node.asked("POST", "/_bulk", lines, user="log_writer")["errors"]:
        raise RuntimeError("Elasticsearch refused an event of the benchmark")


def documents_of(node: Node) -> Iterator[bytes]:
    """Return every document, as the line that it would be: field for field what it was, if nobody has changed it."""
    names = f"/logs-django.*-{ENVIRONMENT}"
    node.asked("POST", f"{names}/_refresh?expand_wildcards=all")
    page = node.asked("POST", f"{names}/_search?expand_wildcards=all&scroll=5m", {"size": _LINES, "sort": ["_doc"]})
    while page["hits"]["hits"]:
        for hit in page["hits"]["hits"]:
            yield json.dumps(hit["_source"], separators=(",", ":")).encode()
        page = node.asked("POST", "/_search/scroll", {"scroll": "5m", "scroll_id": page["_scroll_id"]})


def bytes_stored(node: Node) -> int:
    """Return what the streams take on disk."""
    told = node.asked("GET", f"/logs-django.*-{ENVIRONMENT}/_stats/store?expand_wildcards=all")
    size: int = told["_all"]["total"]["store"]["size_in_bytes"]
    return size

"""What an erasure asks of Elasticsearch: which indices there are, every document of one, changes to documents."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from logbastion.erasure.elasticsearch_questions import GoneError, Questions, Verdict, refused
from logbastion.erasure.place import PlaceError
from logbastion.names import checked_environment
from logbastion.streams import STREAMS

READING: Final = ("read", "view_index_metadata", "maintenance")
WRITING: Final = ("index", "delete", "indices:admin/settings/update", "indices:monitor/stats")

_STREAM: Final = re.compile(r"(?:\.ds-)?logs-django\.([a-z]+)-")
_KEEP_ALIVE: Final = "5m"
_MERGE_SECONDS: Final = 3600.0
_PAGE: Final = 200
"""Documents. Of the longest events, 256 KiB, they are 50 MiB."""
_BULK_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class Index:
    """A backing index, or an index restored beside its data stream.

    Args:
        name: of the index.
        stream: such as ``security``.
        settings: what Elasticsearch says below ``index``, by names with dots; values are texts.

    """

    name: str
    stream: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Document:
    """A document as it was read, with what shows later whether it is still that one."""

    identifier: str
    routing: str | None
    sequence_number: int
    primary_term: int
    source: dict[str, Any]


class Pace:
    """Keeps documents at a rate.

    Args:
        documents_per_second: 0 for no limit.
        clock: seconds.
        sleep: waits so many seconds.

    """

    def __init__(
        self,
        documents_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = documents_per_second, clock, sleep
        self._free = clock()

    def take(self, count: int) -> None:
        """Wait until so many more may be read or written."""
        if self._rate:
            now = self._clock()
            if self._free > now:
                self._sleep(self._free - now)
            self._free = max(now, self._free) + count / self._rate


class Store:
    """One Elasticsearch.

    Args:
        url: ``https://host:port`` or ``host:port``, several separated by commas; the next is asked where one does not
            answer.
        user: its name.
        password_file: a file with the password.
        ca_file: PEM file of the authority that signed Elasticsearch's certificate; None: those of the system.
        environments: of the streams; empty for all.
        services: only documents with one of these in ``service.name``; empty for all.
        documents_per_second: read and written, at most; 0 for no limit.
        patience: seconds for which a cluster that has answered before and does not, or is too busy, is asked again.

    Raises:
        ValueError: an address, an environment or a rate cannot be used.

    """

    def __init__(
        self,
        url: str,
        *,
        user: str,
        password_file: str | Path,
        ca_file: str | Path | None = None,
        environments: Iterable[str] = (),
        services: Iterable[str] = (),
        documents_per_second: float = 0,
        patience: float = 120.0,
    ) -> None:
        if documents_per_second < 0:
            raise ValueError("The documents per second are 0, for no limit, or more.")
        self.environments = tuple(map(checked_environment, environments))
        self._services = tuple(services)
        self.pace = Pace(documents_per_second)
        self._questions = Questions(url, user=user, password_file=password_file, ca_file=ca_file, patience=patience)

    def close(self) -> None:
        """Give up the connection; the next question makes another one."""
        self._questions.close()

    def refuse_missing_rights(self, *, writing: bool) -> None:
        """Refuse a credential that does not see, or must not change, one of the streams.

        Elasticsearch leaves out of an answer what a credential must not see, so the person would seem to be gone.

        Args:
            writing: whether documents are to be changed.

        Raises:
            PlaceError: a right is missing; the text names it and the stream.

        """
        names = [name for stream in STREAMS for name in self._names_of(stream)]
        wanted = [*READING, *(WRITING if writing else ())]
        asked = {"index": [{"names": names, "privileges": wanted}]}
        given = self._questions.asked("POST", "/_security/user/_has_privileges", asked).get("index", {})
        missing = [f"{right} on {name}" for name in names for right in wanted if not given.get(name, {}).get(right)]
        if missing:
            raise PlaceError(
                f"This user of Elasticsearch misses {len(missing)} rights, the first is {missing[0]}. Take the user "
                "log_eraser, whom the role log_store makes."
            )

    def indices(self) -> list[Index]:
        """Return all indices of the streams, hidden and closed ones too, in the order of their names.

        Raises:
            PlaceError: Elasticsearch does not say.

        """
        found: dict[str, Index] = {}
        for stream in STREAMS:
            options = "expand_wildcards=all&ignore_unavailable=true&allow_no_indices=true&flat_settings=true"
            answer = self._questions.asked("GET", f"/{','.join(self._names_of(stream))}/_settings?{options}")
            for name, told in answer.items():
                match = _STREAM.match(name)
                settings = {key.removeprefix("index."): str(value) for key, value in told["settings"].items()}
                found[name] = Index(name, match[1] if match else stream, settings)
        return [found[name] for name in sorted(found)]

    def settings_of(self, name: str) -> dict[str, str]:
        """Return the settings of an index by names with dots, without ``index.``.

        Raises:
            PlaceError: Elasticsearch does not say.

        """
        (told,) = self._questions.asked("GET", f"/{name}/_settings?flat_settings=true").values()
        return {key.removeprefix("index."): str(value) for key, value in told["settings"].items()}

    def change_settings(self, name: str, changes: Mapping[str, str | None]) -> None:
        """Change settings of an index, all at once or none; None takes one away.

        Raises:
            PlaceError: Elasticsearch refuses.

        """
        self._questions.asked("PUT", f"/{name}/_settings", {f"index.{key}": value for key, value in changes.items()})

    def refresh(self, name: str) -> None:
        """Make everything that was written findable. An index that is closed to changes has nothing of the kind.

        Raises:
            PlaceError: Elasticsearch refuses.

        """
        verdict, _ = self._questions.answer("POST", f"/{name}/_refresh")
        if not verdict.done and not verdict.blocked:
            raise refused(verdict)

    def state_of(self, name: str) -> str:
        """Return a text that is another one after each change to the documents of an index.

        It is empty while a change is on its way to the copies: after the loss of the first of them, another change can
        have its number (Elasticsearch, "Sequence IDs": only what is below the global checkpoint stays).

        Raises:
            PlaceError: Elasticsearch does not say.

        """
        path = f"/{name}/_stats?level=shards&filter_path=indices.*.uuid,indices.*.shards"
        try:
            (told,) = self._questions.asked("GET", path)["indices"].values()
        except GoneError:
            return ""
        numbers = []
        for shard, copies in sorted(told["shards"].items()):
            for copy in copies:
                if copy["routing"]["primary"]:
                    changes = copy["seq_no"]
                    if changes["max_seq_no"] != changes["global_checkpoint"]:
                        return ""
                    numbers.append(f"{shard}:{changes['max_seq_no']}")
        return " ".join([told["uuid"], *numbers, *sorted(self._services)])

    def count(self, names: Sequence[str]) -> int:
        """Return how many documents indices have, for a bar of progress."""
        return sum(
            int(self._questions.asked("POST", f"/{name}/_count", {"query": self._query()})["count"])
            for name in dict.fromkeys(names)
        )

    def documents(self, name: str) -> Iterator[list[Document]]:
        """Give every document that an index has now, page by page.

        Raises:
            PlaceError: a part of the index does not answer.

        """
        view = self._questions.asked("POST", f"/{name}/_pit?keep_alive={_KEEP_ALIVE}")["id"]
        after: list[Any] | None = None
        try:
            while True:
                body: dict[str, Any] = {
                    "pit": {"id": view, "keep_alive": _KEEP_ALIVE},
                    "size": _PAGE,
                    "sort": ["_shard_doc"],
                    "query": self._query(),
                    "seq_no_primary_term": True,
                    "track_total_hits": False,
                }
                if after is not None:
                    body["search_after"] = after
                answer = self._questions.asked("POST", "/_search?allow_partial_search_results=false", body)
                if answer.get("timed_out") or answer["_shards"]["failed"]:
                    raise PlaceError("A part of the index did not answer. Run it again when the cluster is green.")
                view, hits = answer["pit_id"], answer["hits"]["hits"]
                if not hits:
                    return
                self.pace.take(len(hits))
                after = hits[-1]["sort"]
                yield [_document(hit) for hit in hits]
        finally:
            # One that cannot be given back ends by itself.
            self._questions.answer("DELETE", "/_pit", {"id": view}, patience=0)

    def again(self, name: str, documents: Sequence[Document]) -> list[Document]:
        """Return those of some documents that are still there, as they are now.

        Raises:
            PlaceError: Elasticsearch does not say.

        """
        asked = [{"_id": each.identifier, **({"routing": each.routing} if each.routing else {})} for each in documents]
        answer = self._questions.asked("POST", f"/{name}/_mget", {"docs": asked})
        return [_document(each) for each in answer["docs"] if each.get("found")]

    def change(self, name: str, changes: Sequence[tuple[Document, dict[str, Any] | None]]) -> list[Verdict]:
        """Put other documents in the place of some, where they are still those that were read.

        Args:
            name: of the index.
            changes: the document, and what is to stand there; None deletes it.

        Returns:
            What has become of each.

        Raises:
            PlaceError: Elasticsearch is away.

        """
        verdicts: list[Verdict] = []
        lines: list[bytes] = []
        size = waiting = 0
        for document, wanted in changes:
            part = _lines(name, document, wanted)
            if lines and size + len(part) > _BULK_BYTES:
                verdicts += self._bulk(lines, waiting)
                lines, size, waiting = [], 0, 0
            lines.append(part)
            size, waiting = size + len(part), waiting + 1
        return verdicts + (self._bulk(lines, waiting) if lines else [])

    def old_versions(self, name: str) -> int:
        """Have old versions of documents taken out of an index's files; return how many are left there.

        Raises:
            PlaceError: Elasticsearch refuses.

        """
        try:
            # The log of changes has them until a flush begins a new one.
            self._questions.asked("POST", f"/{name}/_flush?force=true&wait_if_ongoing=true", seconds=_MERGE_SECONDS)
            self._questions.asked("POST", f"/{name}/_forcemerge?only_expunge_deletes=true", seconds=_MERGE_SECONDS)
            told = self._questions.asked("GET", f"/{name}/_stats/docs")
        except GoneError:
            return 0
        return int(told["_all"]["total"].get("docs", {}).get("deleted", 0))

    def _names_of(self, stream: str) -> list[str]:
        """Return the names of a stream, and of its indices where they are there without it."""
        if not self.environments:
            return [f"logs-django.{stream}-*", f".ds-logs-django.{stream}-*"]
        streams = [f"logs-django.{stream}-{each}" for each in self.environments]
        return [*streams, *(f".ds-{name}-*" for name in streams)]

    def _bulk(self, lines: list[bytes], count: int) -> list[Verdict]:
        self.pace.take(count)
        path = "/_bulk?filter_path=items.*.status,items.*.error.type"
        verdict, answer = self._questions.answer("POST", path, b"".join(lines), content_type="application/x-ndjson")
        if not verdict.done:
            raise refused(verdict)
        items = [next(iter(item.values())) for item in answer.get("items", ())]
        if len(items) != count:
            raise PlaceError("Elasticsearch's answer to _bulk cannot be read.")
        return [Verdict(item["status"], item.get("error", {}).get("type", "")) for item in items]

    def _query(self) -> dict[str, Any]:
        return {"terms": {"service.name": list(self._services)}} if self._services else {"match_all": {}}


def _document(hit: Mapping[str, Any]) -> Document:
    return Document(hit["_id"], hit.get("_routing"), hit["_seq_no"], hit["_primary_term"], hit["_source"])


def _lines(name: str, document: Document, wanted: dict[str, Any] | None) -> bytes:
    target: dict[str, Any] = {
        "_index": name,
        "_id": document.identifier,
        "if_seq_no": document.sequence_number,
        "if_primary_term": document.primary_term,
    }
    if document.routing:
        target["routing"] = document.routing
    if wanted is None:
        return json.dumps({"delete": target}).encode() + b"\n"
    return json.dumps({"index": target}).encode() + b"\n" + json.dumps(wanted).encode() + b"\n"

"""The place "elasticsearch": every index of the five streams, also those that are closed to writing."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from logbastion.erasure.elasticsearch_loans import give_back, is_lent, lend
from logbastion.erasure.elasticsearch_questions import GoneError, Verdict
from logbastion.erasure.elasticsearch_store import Document, Index, Store
from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import ExportedEvent, PlaceError, PlaceResult, Progress
from logbastion.erasure.rules import DELETE, Rules
from logbastion.erasure.searched import Searched
from logbastion.shipping.backoff import Backoff
from logbastion.streams import STREAMS

CLEAN_SECONDS: Final = 180.0
"""Elasticsearch notes every 30 seconds that nobody needs old versions any more."""
_ATTEMPTS: Final = 8
_CONFLICT: Final = 409
_GONE: Final = 404


@dataclass
class _Tally:
    """What was done so far."""

    searched: int = 0
    found: int = 0
    anonymised: int = 0
    deleted: int = 0
    held: int = 0
    errors: list[str] = field(default_factory=list)

    def count(self, changed: int, *, delete: bool) -> None:
        if delete:
            self.deleted += changed
        else:
            self.anonymised += changed

    def result(self, place: str) -> PlaceResult:
        return PlaceResult(
            place,
            self.searched,
            self.found,
            self.anonymised,
            self.deleted,
            self.held,
            tuple(dict.fromkeys(self.errors)),
        )


@dataclass(frozen=True)
class _Work:
    """One erasure."""

    rules: Rules
    dry_run: bool
    progress: Progress
    tally: _Tally
    opened: list[str]
    """Indices whose settings are to be put back."""
    states: Mapping[str, str]
    """Of the indices as they are to be noted when nothing is found in them."""


class ElasticsearchPlace:
    """Reads every document of every index, because a query finds only what is indexed; changes those of the person.

    A document is changed where it is still the one that was read; one that has changed meanwhile is read again. An
    index that is closed to writing is opened, and closed in the same way afterwards. At the end Elasticsearch is asked
    to take the old versions out of its files; it does so about half a minute after the last change.

    Args:
        url: ``https://host:port`` or ``host:port``, several separated by commas.
        user: of Elasticsearch; the role ``log_store`` makes ``log_eraser`` for it.
        password_file: a file with the password.
        ca_file: PEM file of the authority that signed Elasticsearch's certificate; None: those of the system.
        environments: of the streams (``service.environment``); empty for all. User 12 of another environment is
            another person.
        services: only events of these (``service.name``); empty for all. So is user 12 of another application.
        held: streams under legal hold: what is found there is counted and left.
        documents_per_second: read and written, at most; 0 for no limit.
        clean_seconds: how long to wait until old versions are out of the files; 0 leaves that to Elasticsearch, which
            does it when it merges segments by itself.

    Raises:
        ValueError: an address, an environment, a stream or a rate cannot be used.

    """

    name: str = "elasticsearch"

    def __init__(
        self,
        url: str,
        *,
        user: str,
        password_file: str | Path,
        ca_file: str | Path | None = None,
        environments: Iterable[str] = (),
        services: Iterable[str] = (),
        held: Collection[str] = (),
        documents_per_second: float = 0,
        clean_seconds: float = CLEAN_SECONDS,
    ) -> None:
        unknown = sorted(set(held) - set(STREAMS))
        if unknown:
            raise ValueError(f"there is no stream {unknown[0]!r}; the streams are {', '.join(STREAMS)}")
        self._held = frozenset(held)
        self._clean_seconds = clean_seconds
        self._searched: Searched | None = None
        self._store = Store(
            url,
            user=user,
            password_file=password_file,
            ca_file=ca_file,
            environments=environments,
            services=services,
            documents_per_second=documents_per_second,
        )

    def resume(self, searched: Searched) -> None:
        """See :meth:`.place.ResumablePlace.resume`."""
        self._searched = searched

    def erase(self, matcher: Matcher, rules: Rules, *, dry_run: bool, progress: Progress) -> PlaceResult:
        """See :meth:`Place.erase`."""
        tally = _Tally()
        try:
            self._store.refuse_missing_rights(writing=not dry_run)
            indices = self._store.indices()
            opened = [] if dry_run else [index.name for index in indices if is_lent(index.settings)]
            searched = None if dry_run else self._searched
            states = {index.name: self._state_of(index) for index in indices} if searched else {}
            wanted = indices
            if searched:
                wanted = [each for each in indices if not searched.has(self.name, each.name, states[each.name])]
            self._begin(progress, "searching", wanted)
            work, done = _Work(rules, dry_run, progress, tally, opened, states), False
            try:
                for index in wanted:
                    self._erase_in(index, matcher, work)
                done = True
            finally:
                self._end(opened, tally, progress if done else None)
        except PlaceError as error:
            tally.errors.append(str(error))
        finally:
            self._store.close()
        return tally.result(self.name)

    def hits(self, matcher: Matcher, *, progress: Progress) -> int:
        """See :meth:`Place.hits`."""
        left = 0
        try:
            self._store.refuse_missing_rights(writing=False)
            indices = self._store.indices()
            self._begin(progress, "verifying", indices)
            for index in indices:
                for page in self._documents(index):
                    left += sum(matcher.in_event(document.source) for document in page)
                    progress.step(len(page))
        finally:
            self._store.close()
        return left

    def export(self, matcher: Matcher) -> Iterator[ExportedEvent]:
        """See :meth:`Place.export`."""
        try:
            self._store.refuse_missing_rights(writing=False)
            for index in self._store.indices():
                for page in self._documents(index):
                    for document in page:
                        if matcher.in_event(document.source):
                            yield ExportedEvent(self.name, index.name, document.source)
        finally:
            self._store.close()

    def _state_of(self, index: Index) -> str:
        return "" if _is_closed(index) else self._store.state_of(index.name)

    def _begin(self, progress: Progress, work: str, indices: Iterable[Index]) -> None:
        names = [index.name for index in indices if not _is_closed(index)]
        progress.begin(self.name, work, self._store.count(names), "events")

    def _documents(self, index: Index) -> Iterator[list[Document]]:
        if _is_closed(index):
            raise PlaceError(
                f"The index {index.name} is closed, so nobody can say what is in it. Open it "
                f"(POST /{index.name}/_open) and run this again, or delete it."
            )
        try:
            self._store.refresh(index.name)
            yield from self._store.documents(index.name)
        except GoneError:  # its time had come meanwhile
            return
        except PlaceError as error:
            raise PlaceError(f"The index {index.name} cannot be searched. {error}") from None

    def _erase_in(self, index: Index, matcher: Matcher, work: _Work) -> None:
        tally = work.tally
        delete = work.rules.action_for(index.stream) == DELETE
        before = tally.found
        try:
            for page in self._documents(index):
                found = [document for document in page if matcher.in_event(document.source)]
                tally.searched += len(page)
                tally.found += len(found)
                if index.stream in self._held:
                    tally.held += len(found)
                elif work.dry_run:
                    tally.count(len(found), delete=delete)
                elif found:
                    if index.name not in work.opened:
                        work.opened.append(index.name)
                        lend(self._store, index.name)
                    self._change(index, found, matcher, delete=delete, tally=tally)
                work.progress.step(len(page))
        except PlaceError as error:
            tally.errors.append(str(error))
        else:
            if self._searched and tally.found == before:
                self._searched.add(self.name, index.name, work.states.get(index.name, ""))

    def _change(
        self, index: Index, documents: list[Document], matcher: Matcher, *, delete: bool, tally: _Tally
    ) -> None:
        backoff = Backoff(first=0.2, cap=5.0)
        waiting = documents
        for _ in range(_ATTEMPTS):
            wanted = [(each, None if delete else matcher.anonymised(each.source)) for each in waiting]
            verdicts = self._store.change(index.name, wanted)
            done = sum(verdict.done for verdict in verdicts)
            tally.count(done, delete=delete)
            stale, passing = [], []
            for document, verdict in zip(waiting, verdicts, strict=True):
                if verdict.status in (_CONFLICT, _GONE):
                    stale.append(document)
                elif verdict.passing or verdict.blocked:
                    passing.append(document)
                elif not verdict.done:
                    tally.errors.append(_complaint(index, verdict))
            # Another erasure, or Elasticsearch itself, has closed the index again.
            if any(verdict.blocked for verdict in verdicts):
                lend(self._store, index.name)
            fresh = self._store.again(index.name, stale) if stale else []
            waiting = passing + [document for document in fresh if matcher.in_event(document.source)]
            if not waiting:
                return
            time.sleep(backoff.next())
        raise PlaceError(
            f"{len(waiting)} documents of the index {index.name} could not be changed: it is blocked again and again, "
            "or the cluster is too busy. See whether its disk is full, and run this again."
        )

    def _end(self, opened: list[str], tally: _Tally, progress: Progress | None) -> None:
        """Clean the indices that were opened, unless somebody has broken off, and close them as they were."""
        dirty = set(opened) if self._clean_seconds else set()
        try:
            if progress and dirty:
                dirty = self._clean(opened, progress)
        except PlaceError as error:
            tally.errors.append(f"Old versions may be in the files of {len(dirty)} indices. {error}")
        finally:
            for name in opened:
                try:
                    give_back(self._store, name, clean=name not in dirty)
                except PlaceError as error:
                    tally.errors.append(
                        f"The index {name} does not have its settings back, such as its block. Run this again. {error}"
                    )
        if dirty:
            tally.errors.append(
                f"Elasticsearch still has old versions of documents in the files of {len(dirty)} indices; no search "
                "finds them. It keeps them for copies that are away, up to 12 hours. Run this again when the cluster "
                "is green."
            )

    def _clean(self, names: Iterable[str], progress: Progress) -> set[str]:
        """Have old versions of documents taken out of the files; return the indices that have some left."""
        dirty: set[str] = set(names)
        progress.begin(self.name, "removing old versions", len(dirty), "indices")
        until = time.monotonic() + self._clean_seconds
        while dirty:
            for name in sorted(dirty):
                if not self._store.old_versions(name):
                    dirty.discard(name)
                    progress.step(1)
            if dirty:
                if time.monotonic() >= until:
                    break
                time.sleep(2.0)
        return dirty


def _is_closed(index: Index) -> bool:
    return index.settings.get("verified_before_close") == "true"


def _complaint(index: Index, verdict: Verdict) -> str:
    why = f"{verdict.status} {verdict.error}".strip()
    return (
        f"Elasticsearch refuses to change a document of the index {index.name}: {why}. Its mapping may be older than "
        "this package; delete the index, or the document by hand."
    )

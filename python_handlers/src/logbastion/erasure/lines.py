"""Lines of files, and what becomes of those that are about the person: shorter or gone, or as long as before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

from logbastion.encoding import encode_event
from logbastion.erasure.matching import Matcher, parsed
from logbastion.erasure.place import PlaceError
from logbastion.erasure.rules import DELETE, Rules
from logbastion.erasure.texts import MARK, SHORT_MARK

LONGEST_LINE: Final = 64 << 20
"""Bytes. An event has 256 KiB at most; a longer line of others is searched, too, as long as it fits into memory."""
_FRAME: Final = ("@timestamp", "timestamp", "level", "logger", "event", "service", "host", "process", "ecs")
_DATASET: Final = "django."


def lines_of(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Give the lines of a file with their line breaks; the last may have none.

    Raises:
        PlaceError: a line is too long to be searched as a whole.

    """
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise PlaceError(f"{name} has a line of more than {LONGEST_LINE >> 20} MiB, which cannot be searched")
        yield line


def stream_in(event: Mapping[str, Any] | None) -> str:
    """Return the stream that an event, or a dead letter with an event, says that it belongs to; empty when it does not.

    Args:
        event: as it was parsed; None for a line that is no JSON.

    """
    if event is None:
        return ""
    given = event.get("stream")
    if isinstance(given, str):
        return given
    inner = event.get("event")
    if isinstance(inner, Mapping) and isinstance(inner.get("dataset"), str):
        return str(inner["dataset"]).removeprefix(_DATASET)
    raw = event.get("raw")
    if isinstance(raw, str):
        return stream_in(parsed(raw.encode("utf-8", "surrogatepass")))
    return stream_in(inner) if isinstance(inner, Mapping) else ""


class LineEraser:
    """Says what a line about the person becomes.

    Args:
        matcher: of the person.
        rules: of the streams.

    """

    def __init__(self, matcher: Matcher, rules: Rules) -> None:
        self._matcher, self._rules = matcher, rules

    def deletes(self, line: bytes, stream: str) -> bool:
        """Return whether the rule is to delete.

        Args:
            line: about the person.
            stream: of its file; empty when the line itself has to say.

        """
        return self._rules.action_for(stream or stream_in(parsed(line))) == DELETE

    def rewritten(self, line: bytes, stream: str) -> bytes:
        """Return the line without the person, nothing when it is deleted."""
        return b"" if self.deletes(line, stream) else self._matcher.anonymised_bytes(line)

    def same_length(self, line: bytes, stream: str) -> bytes:
        """Return what takes the line's place without moving the next one: as many bytes, spaces at the end.

        Of what is deleted, an event without content is left (time, id and where it was written), or only spaces of what
        was none.

        Args:
            line: about the person; its line break stays.
            stream: of its file; empty when the line itself has to say.

        """
        body = line.removesuffix(b"\n")
        end = line[len(body) :]
        event = parsed(body)
        candidates = self._remains(event) if self.deletes(line, stream) else self._anonymised(body, event)
        for made in candidates:
            if len(made) <= len(body) and not self._matcher.in_bytes(made):
                return made.ljust(len(body)) + end
        return b" " * len(body) + end

    def _anonymised(self, body: bytes, event: dict[str, Any] | None) -> Iterator[bytes]:
        yield self._matcher.anonymised_bytes(body)
        if event is not None:
            short = self._matcher.anonymised(event, short=True)
            yield encode_event(short)
            yield json.dumps(short, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        yield self._matcher.cleaned_text(body, short=True)
        yield from self._remains(event)

    def _remains(self, event: dict[str, Any] | None) -> Iterator[bytes]:
        if event is None:
            return
        frame: dict[str, Any] = {name: event[name] for name in _FRAME if name in event}
        for mark in (MARK, SHORT_MARK):
            kept = self._matcher.anonymised(frame, short=mark == SHORT_MARK)
            yield encode_event({**kept, "message": mark})

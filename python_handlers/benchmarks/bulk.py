"""``python -m benchmarks.bulk``: into a real Elasticsearch, ours beside ``parallel_bulk`` of the official client.

Both send the same documents over TLS, in turns, with as many requests under way, into data streams of their own
(``logs-django.debug-bench_...``), which stay. Ours starts from lines, as they lie in the spool; the client from
dictionaries, as it wants them.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from elasticsearch import Elasticsearch, OrjsonSerializer
from elasticsearch.helpers import parallel_bulk

from benchmarks.shipping.event import ARGUMENTS, MESSAGE, fields, mark
from logbastion import EventFormatter
from logbastion.shipping.transports.elasticsearch import ElasticsearchTransport, action_for

_FINISH_SECONDS: Final = 60
_LOGGER: Final = "debug.bulk"


class _Round(NamedTuple):
    stored: int
    seconds: float
    cpu_seconds: float


def _events(count: int, environment: str) -> list[bytes]:
    formatter = EventFormatter(environment=environment)
    made = []
    for number in range(count):
        record = logging.LogRecord(_LOGGER, logging.DEBUG, "", 1, MESSAGE, ARGUMENTS, None)
        record.__dict__.update(fields(mark(number)))
        made.append(formatter.format_bytes(record).rstrip(b"\n"))
    return made


def _ours(options: argparse.Namespace, events: Sequence[bytes]) -> Callable[[], int]:
    def send() -> int:
        transport = ElasticsearchTransport(
            options.destination,
            ca_file=str(options.ca_file),
            username=options.username,
            password_file=options.password_file,
            parallel=options.parallel,
        )
        stored = 0
        for first in range(0, len(events), options.batch):
            receipt = transport.send(events[first : first + options.batch])
            stored += receipt.settled - len(receipt.refused)
        receipt = transport.finish(_FINISH_SECONDS)
        return stored + receipt.settled - len(receipt.refused)

    return send


def _parallel_bulk(options: argparse.Namespace, events: Sequence[bytes], **client: Any) -> Callable[[], int]:
    actions = []
    for event in events:
        target = json.loads(action_for(event) or b"")["create"]
        actions.append({"_op_type": "create", **target, "_source": json.loads(event)})

    def send() -> int:
        with Elasticsearch(
            f"https://{options.destination}",
            ca_certs=str(options.ca_file),
            basic_auth=(options.username, options.password_file.read_text().strip()),
            connections_per_node=options.parallel,
            **client,
        ) as connected:
            results = parallel_bulk(connected, actions, thread_count=options.parallel, chunk_size=options.batch)
            return sum(ok for ok, _ in results)

    return send


_SETUPS: Final[dict[str, Callable[[argparse.Namespace, Sequence[bytes]], Callable[[], int]]]] = {
    "logbastion": _ours,
    "parallel_bulk": _parallel_bulk,
    "parallel_bulk, orjson": lambda options, events: _parallel_bulk(options, events, serializer=OrjsonSerializer()),
}


def _timed(send: Callable[[], int]) -> _Round:
    begin, cpu = time.perf_counter(), time.process_time()
    stored = send()
    return _Round(stored, time.perf_counter() - begin, time.process_time() - cpu)


def _print(results: dict[str, list[_Round]], documents: int) -> None:
    print("|  | documents/s | CPU us a document of the sender | time, ours = 1 |\n|---|---:|---:|---:|")
    for name, rounds in results.items():
        seconds = statistics.median(one.seconds for one in rounds)
        cpu = statistics.median(one.cpu_seconds for one in rounds) / documents * 1e6
        # Of one round each: a machine that is slow for a while is slow for both.
        ratio = statistics.median(
            one.seconds / ours.seconds for one, ours in zip(rounds, results["logbastion"], strict=True)
        )
        print(f"| {name} | {documents / seconds:,.0f} | {cpu:.1f} | {ratio:.2f} |")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, medians of the rounds; 1 when not every document was stored."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--destination", required=True, help="host:port of Elasticsearch")
    parser.add_argument("--ca-file", type=Path, required=True)
    parser.add_argument("--username", default="log_writer", help="may create documents (default: %(default)s)")
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=50_000, help="in each round (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=500, help="documents a request (default: %(default)s)")
    parser.add_argument("--parallel", type=int, default=4, help="requests under way (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="the first one is not counted (default: %(default)s)")
    options = parser.parse_args(arguments)
    results: dict[str, list[_Round]] = {name: [] for name in _SETUPS}
    for number in range(options.rounds + 1):
        for name, make in _SETUPS.items():
            # One data stream for all, so that none has a younger index than the other; the identifiers are new ones.
            send = make(options, _events(options.documents, f"bench_{int(time.time()) // 86400}"))
            result = _timed(send)
            if result.stored != options.documents:
                print(f"{name}: only {result.stored} of {options.documents} documents were stored.", file=sys.stderr)
                return 1
            print(f"round {number}, {name}: {result.seconds:.2f} s", file=sys.stderr)
            if number:
                results[name].append(result)
    _print(results, options.documents)
    return 0


if __name__ == "__main__":
    sys.exit(main())

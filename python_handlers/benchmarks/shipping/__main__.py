"""``python -m benchmarks.shipping``."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import trustme

from benchmarks.shipping import measures
from benchmarks.shipping.measures import MEASURES, SPEED, Bench
from benchmarks.shipping.processes import ProcessError, Sink
from benchmarks.shipping.setups import SETUPS
from benchmarks.shipping.table import Results, broken_promises, table

_PACKAGES: Final = (
    "logbastion", "orjson", "python-logstash-async", "structlog", "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
)  # fmt: skip
_ROUNDS: Final = (
    "rounds of flow and paced, 1 to 20 (default: 3, with --quick 1); of the others, which are slow, a third as many"
)
_EPILOG: Final = """
Set-ups: {setups}.
Measures: {measures}.
Exit code: 0; 1 when a set-up did not keep what it promises (a sentence for each on standard error); 2 for a wrong
argument. Times are printed, never judged.
"""


def _names(known: Sequence[str]) -> Any:
    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        wrong = [name for name in names if name not in known]
        if wrong or not names:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(wrong) or text!r}; choose from {', '.join(known)}")
        return names

    return parse


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.shipping",
        description="Measures ways of shipping log events beside each other, in alternation, on this machine.",
        epilog=_EPILOG.format(setups=", ".join(SETUPS), measures=", ".join(MEASURES)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="few events and short waits: does it work?")
    parser.add_argument("--only", type=_names(list(SETUPS)), metavar="A,B", help="these set-ups")
    parser.add_argument("--measure", type=_names(list(MEASURES)), metavar="A,B", help="these measures")
    parser.add_argument("--repeat", type=int, metavar="N", help=_ROUNDS)
    parser.add_argument(
        "--minutes", type=float, default=60, help="after which no further measure is begun (default: 60)"
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench-shipping.json"), help="default: %(default)s")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="print the tables of an earlier run's file, and end"
    )
    options = parser.parse_args(arguments)
    if options.repeat is None:
        options.repeat = 1 if options.quick else 3
    if not 1 <= options.repeat <= 20:  # noqa: PLR2004
        parser.error("--repeat takes 1 to 20")
    return options


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    processor = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
        memory = int(Path("/proc/meminfo").read_text(encoding="ascii").split()[1]) // 1024
    except OSError:
        memory = None
    return {
        "system": platform.platform(),
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory,
        "load_at_start": os.getloadavg()[0],
    }


def _certificate(directory: Path) -> tuple[str, str]:
    """Make an authority and a certificate for localhost; return the paths of the authority's and of the sink's PEM."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    server = authority.issue_cert("localhost", "127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(str(directory / "sink.pem"))
    return str(directory / "ca.pem"), str(directory / "sink.pem")


def run(options: argparse.Namespace, directory: Path) -> tuple[Results, bool]:
    """Measure; return the results and whether all was measured before the time was over."""
    ca_file, certificate = _certificate(directory)
    extent = measures.QUICK if options.quick else measures.FULL
    results: Results = {name: {} for name in options.only or SETUPS}
    end = time.monotonic() + options.minutes * 60
    sink = Sink(directory, certificate)
    try:
        for number in range(options.repeat):
            for measure in options.measure or MEASURES:
                if measure not in SPEED and number % 3:
                    continue
                # Set-ups alternate inside, so that a machine that slows down slows all of them down. Each time in
                # another order: what the one before has left, or a processor that has rested, is worth some per cent.
                for name in random.sample(list(results), len(results)):
                    if not SETUPS[name].patience and measure not in ("flow", "paced"):
                        continue
                    if time.monotonic() > end:
                        return results, False
                    place = directory / f"{number}-{measure}-{name}"
                    place.mkdir()
                    begin = time.monotonic()
                    try:
                        figures = MEASURES[measure](Bench(name, sink, ca_file, place, extent))
                    except ProcessError as error:
                        figures = {"failed": str(error)}
                        if sink.process.poll() is not None:
                            raise
                    figures["took_s"] = time.monotonic() - begin
                    results[name].setdefault(measure, []).append(figures)
                    print(f"{number + 1}/{options.repeat} {measure} {name}: {json.dumps(figures)}", file=sys.stderr)
    finally:
        sink.kill()
    return results, True


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the file; return the exit code."""
    options = _arguments(arguments)
    if options.markdown:
        print(table(json.loads(options.markdown.read_text(encoding="utf-8"))["results"], markdown=True))
        return 0
    machine = _machine()
    with tempfile.TemporaryDirectory(prefix="bench-shipping-") as directory:
        results, complete = run(options, Path(directory))
    print(table(results))
    broken = broken_promises(results)
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {package: _version(package) for package in _PACKAGES},
        "quick": options.quick,
        "rounds": options.repeat,
        "complete": complete,
        "titles": {name: SETUPS[name].title for name in results},
        "in_clear": [name for name in results if not SETUPS[name].tls and SETUPS[name].patience],
        "results": results,
        "broken_promises": broken,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(
        f"\nWritten to {options.output}." + ("" if complete else " The time was over before everything was measured.")
    )
    for sentence in broken:
        print(sentence, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

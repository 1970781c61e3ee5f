"""``python -m fuzz``: every target for its share of the time, one process after another; prints what was found."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fuzz.seeds import write_seeds

_SHARES: Final = {"text": 0.4, "event": 0.3, "formatter": 0.1, "sanitize": 0.1, "frames": 0.1}
_EXECUTED: Final = re.compile(r"^#(\d+)\t", re.MULTILINE)
_ERROR: Final = re.compile(r"^(?:[\w.]+(?:Error|Exception)\b|==\d+== ERROR: libFuzzer: ).*", re.MULTILINE)
_SHOWN: Final = 600
_MOST_FINDINGS: Final = 20
_PACKAGE: Final = Path(__file__).resolve().parents[1]


class Result(NamedTuple):
    """What came of a target."""

    executions: int
    cpu_seconds: float
    findings: int


def _run(target: str, seconds: float, directory: Path) -> Result:
    """Fuzz one target; after a finding it is started again, until its time is up."""
    corpus, findings = directory / "corpus" / target, directory / "findings" / target
    write_seeds(target, corpus)
    findings.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + seconds
    executions, found, cpu = 0, 0, 0.0
    while (left := int(end - time.monotonic())) > 0 and found < _MOST_FINDINGS:
        command = [
            *(sys.executable, "-m", "fuzz.one", target, f"-max_total_time={left}", "-timeout=20", "-rss_limit_mb=2048"),
            *("-max_len=2048", "-use_value_profile=1", f"-dict={_PACKAGE / 'fuzz' / 'words.dict'}"),
            *(f"-artifact_prefix={findings}/", str(corpus)),
        ]
        before = os.times()
        done = subprocess.run(command, cwd=_PACKAGE, capture_output=True, text=True, errors="replace", check=False)
        after = os.times()
        cpu += after.children_user + after.children_system - before.children_user - before.children_system
        output = done.stdout + done.stderr
        executions += max(map(int, _EXECUTED.findall(output)), default=0)
        if done.returncode:
            found += 1
            error = _ERROR.search(output)
            print(f"  {target}: {error.group()[:_SHOWN] if error else output[-_SHOWN:]}", flush=True)
    return Result(executions, cpu, found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together (default: %(default)s)")
    parser.add_argument("--directory", type=Path, required=True, help="for corpora and findings; kept between runs")
    parser.add_argument("--only", choices=sorted(_SHARES), action="append", help="these targets only")
    options = parser.parse_args(arguments)
    shares = {target: share for target, share in _SHARES.items() if not options.only or target in options.only}
    total = 0
    for target, share in shares.items():
        seconds = options.seconds * share / sum(shares.values())
        result = _run(target, seconds, options.directory.resolve())
        total += result.findings
        print(
            f"{target}: {result.executions} executions, {result.cpu_seconds:.0f} s of CPU, {result.findings} findings",
            flush=True,
        )
    print(f"findings: {total}{f', the inputs are in {options.directory}/findings' if total else ''}")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())

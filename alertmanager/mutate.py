"""Changes the alert rules in one place at a time, and says which changes no test notices.

Changed are: each number (thresholds, factors, horizons), each window and offset, each label of a `by` or `on` clause, each label matcher, and each `for`.
Each changed rule file is run against the tests that load it. Run it by `make test-alert-mutations`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
EQUIVALENT = HERE / "equivalent_mutants.yml"
TARGET = 0.95

_STRING = r'"(?:[^"\\]|\\.)*"'
_NUMBER = re.compile(rf"{_STRING}|\[[^\]]*\]|offset \w+|[A-Za-z_:][\w:]*|(?P<number>\d+(?:\.\d+)?)(?![\w.])")
_WINDOW = re.compile(r"(?<=\[)(?P<window>\d+[smhd])(?=\])|(?<=offset )(?P<offset>\d+[smhd])")
_CLAUSE = re.compile(r"\b(?:by|on) \((?P<labels>[^)]*)\)")
_MATCHER = re.compile(rf"(?P<label>\w+)(?P<operator>=~|!~|!=|=)(?P<value>{_STRING})")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Mutant:
    """A rule file with one place changed."""

    file: str
    rule: str
    change: str
    text: str


def main() -> int:
    """Run all mutants; 1 when a test fails without any change or the score is too low."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--promtool", default=shutil.which("promtool"), help="the program (default: that of the PATH)")
    parser.add_argument("--rule", help="only rules whose name contains this")
    arguments = parser.parse_args()
    if not arguments.promtool:
        parser.error(
            "promtool is not in the PATH: say --promtool, or run `make test-alert-mutations`, which fetches it"
        )
    promtool = str(Path(arguments.promtool).resolve())
    loads = {test: _loaded(test) for test in sorted((HERE / "tests").glob("*.yml"))}
    if not _passes(promtool, None, list(loads)):
        print("The tests fail with the rules as they are: nothing to learn from changes.", file=sys.stderr)
        return 1
    equivalent: dict[str, str] = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or {}
    mutants = [mutant for mutant in _mutants() if not arguments.rule or arguments.rule in mutant.rule]

    def noticed(mutant: Mutant) -> bool:
        tests = [test for test, files in loads.items() if mutant.file in files]
        return not all(_passes(promtool, mutant, [test]) for test in tests)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(zip(mutants, pool.map(noticed, mutants), strict=True))
    return _report(results, equivalent, whole=not arguments.rule)


def _report(results: list[tuple[Mutant, bool]], equivalent: dict[str, str], *, whole: bool) -> int:
    names = {f"{mutant.rule}: {mutant.change}": killed for mutant, killed in results}
    survivors = [name for name, killed in names.items() if not killed and name not in equivalent]
    stale = [name for name in equivalent if names.get(name, whole)]
    for name in survivors:
        print(f"not noticed: {name}")
    for name in stale:
        print(f"listed in {EQUIVALENT.name}, but noticed or gone: {name}")
    counted = [name for name in names if name not in equivalent]
    score = 1 - len(survivors) / max(len(counted), 1)
    print(
        f"{len(counted) - len(survivors)} of {len(counted)} changes noticed: {score:.1%}"
        f" ({len(names) - len(counted)} more change nothing that could be seen; the target is over {TARGET:.0%})"
    )
    return 0 if score > TARGET and not stale else 1


def _loaded(test: Path) -> set[str]:
    return {Path(name).name for name in yaml.safe_load(test.read_text(encoding="utf-8"))["rule_files"]}


def _passes(promtool: str, mutant: Mutant | None, tests: list[Path]) -> bool:
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(HERE / "rules", Path(place) / "rules")
        shutil.copytree(HERE / "tests", Path(place) / "tests")
        if mutant is not None:
            (Path(place) / "rules" / mutant.file).write_text(mutant.text, encoding="utf-8")
        names = [f"tests/{test.name}" for test in tests]
        run = subprocess.run(
            [promtool, "test", "rules", *names], cwd=place, capture_output=True, text=True, check=False
        )
        if mutant is None and run.returncode:
            print(run.stdout + run.stderr, file=sys.stderr)
        return run.returncode == 0


def _mutants() -> Iterator[Mutant]:
    for path in sorted((HERE / "rules").glob("*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in content["groups"]:
            for rule in group["rules"]:
                labels = ",".join(rule.get("labels", {}).values()) if "record" in rule else ""
                name = rule.get("alert") or f"{rule['record']}{{{labels}}}"
                original = dict(rule)
                for change, changed in _changes(rule):
                    rule.update(changed)
                    yield Mutant(path.name, name, change, yaml.safe_dump(content, sort_keys=False))
                    rule.clear()
                    rule.update(original)


def _changes(rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what is changed, in words that stay the same from run to run, and the changed parts of the rule."""
    query = " ".join(rule["expr"].split())
    for part in (_numbers, _windows, _clauses, _matchers):
        seen: dict[str, int] = {}
        for change, changed in part(query):
            seen[change] = seen.get(change, 0) + 1
            yield (change if seen[change] == 1 else f"{change} (place {seen[change]})"), {"expr": changed}
    if "alert" in rule:
        wait = rule.get("for", "0m")
        for other in _other_durations(wait):
            yield f"for {wait} -> {other}", {"for": other}


def _replaced(query: str, match: re.Match[str], group: str | int, text: str) -> str:
    return query[: match.start(group)] + text + query[match.end(group) :]


def _numbers(query: str) -> Iterator[tuple[str, str]]:
    for match in _NUMBER.finditer(query):
        number = match["number"]
        if number is None:
            continue
        others = ["1", "-1"] if float(number) == 0 else [f"{float(number) * 1.2:g}", f"{float(number) * 0.8:g}"]
        for other in others:
            yield f"{number} -> {other}", _replaced(query, match, "number", other)


def _windows(query: str) -> Iterator[tuple[str, str]]:
    for match in _WINDOW.finditer(query):
        group = "window" if match["window"] else "offset"
        for other in _other_durations(match[group]):
            yield f"{group} {match[group]} -> {other}", _replaced(query, match, group, other)


def _other_durations(duration: str) -> list[str]:
    seconds = int(duration[:-1]) * _SECONDS[duration[-1]]
    return [f"{seconds * 2}s", f"{seconds // 2}s"] if seconds else ["60s"]


def _clauses(query: str) -> Iterator[tuple[str, str]]:
    for match in _CLAUSE.finditer(query):
        labels = match["labels"].split(", ")
        for label in labels:
            rest = ", ".join(other for other in labels if other != label)
            yield f"{match[0]} without {label}", _replaced(query, match, "labels", rest)
        if match[0].startswith("by") and "instance" not in labels:
            yield f"{match[0]} with instance", _replaced(query, match, "labels", ", ".join([*labels, "instance"]))


def _matchers(query: str) -> Iterator[tuple[str, str]]:
    for match in _MATCHER.finditer(query):
        for other in (f'{match["label"]}=~".*"', f'{match["label"]}{match["operator"]}"{match["value"][1:-1]}x"'):
            yield f"{match[0]} -> {other}", _replaced(query, match, 0, other)


if __name__ == "__main__":
    sys.exit(main())

"""Changes the alert rules in one place at a time, and says which changes no test notices.

Changed are: each number (thresholds, factors, horizons), each window and offset, each label of a `by` or `on` clause, each label matcher, and each `for`.
A changed rule is run against one test after the other until one fails: first those that noticed another change of the same rule, then the quickest. Of each
test only the assertions on the rule, or on one that reads it, are kept, and only the rules that these need: no other assertion can tell the change. Run it by
`make test-alert-mutations`.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

HERE = Path(__file__).resolve().parent
EQUIVALENT = HERE / "equivalent_mutants.yml"
TARGET = 0.95

_STRING = r'"(?:[^"\\]|\\.)*"'
_NUMBER = re.compile(rf"{_STRING}|\[[^\]]*\]|offset \w+|[A-Za-z_:][\w:]*|(?P<number>\d+(?:\.\d+)?)(?![\w.])")
_WINDOW = re.compile(r"(?<=\[)(?P<window>\d+[smhd])(?=\])|(?<=offset )(?P<offset>\d+[smhd])")
_CLAUSE = re.compile(r"\b(?:by|on) \((?P<labels>[^)]*)\)")
_MATCHER = re.compile(rf"(?P<label>\w+)(?P<operator>=~|!~|!=|=)(?P<value>{_STRING})")
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Mutant:
    """A rule file with one place changed."""

    file: str
    rule: str
    change: str
    changed: dict[str, str]

    @property
    def plain_name(self) -> str:
        """The alert or the recording, without the labels that a recording adds."""
        return self.rule.partition("{")[0]

    @property
    def name(self) -> str:
        """What it is called in the output and among the equivalent ones."""
        return f"{self.rule}: {self.change}"


@dataclass(frozen=True)
class Test:
    """One test of a test file, as a file of its own; `seconds` is what it took with the rules as they are."""

    name: str
    files: frozenset[str]
    content: dict[str, Any]
    seconds: float = 0.0

    def about(self, names: set[str]) -> dict[str, Any] | None:
        """Return the test with only those assertions that one of these rules can change, None when there is none."""
        (test,) = self.content["tests"]
        alerts = [each for each in test.get("alert_rule_test", []) if each["alertname"] in names]
        queries = [each for each in test.get("promql_expr_test", []) if _may_tell(each["expr"], names)]
        if not alerts and not queries:
            return None
        rest = {key: value for key, value in test.items() if key not in {"alert_rule_test", "promql_expr_test"}}
        return {**self.content, "tests": [{**rest, "alert_rule_test": alerts, "promql_expr_test": queries}]}


class Tests:
    """All tests, each of which promtool can run alone, and which of them can tell about a rule."""

    def __init__(self, promtool: str) -> None:
        self._promtool = promtool
        self._tests: list[Test] = []
        self._readers = _readers()
        self._noticed_before: set[tuple[str, str]] = set()
        self._pass_unchanged: dict[tuple[str, str], bool] = {}

    def learn(self, files: set[str]) -> list[str]:
        """Run each test that loads one of the rule files, with these as they are; return the names of those that fail."""
        failed = []
        for test in _tests():
            if not test.files & files:
                continue
            started = time.monotonic()
            if not self._passes(test.content, _contents()):
                failed.append(test.name)
            self._tests.append(Test(test.name, test.files, test.content, time.monotonic() - started))
        return failed

    def notice(self, mutant: Mutant) -> bool:
        """Say whether a test fails with this change."""
        concerned = self._readers[mutant.plain_name]
        needed = {name for name in self._readers if self._readers[name] & concerned}

        def rank(test: Test) -> tuple[bool, float]:
            return (mutant.rule, test.name) not in self._noticed_before, test.seconds

        for test in sorted((test for test in self._tests if mutant.file in test.files), key=rank):
            content = test.about(concerned)
            if content is None:
                continue
            rules = set(self._readers) if _asks_for_any_alert(content) else needed
            if not self._passes(content, _reduced(rules, mutant)):
                if not self._passes_unchanged(test, mutant.plain_name, content, rules):
                    raise RuntimeError(f"The part of the test {test.name!r} on {mutant.plain_name} fails alone.")
                self._noticed_before.add((mutant.rule, test.name))
                return True
        return False

    def _passes_unchanged(self, test: Test, rule: str, content: dict[str, Any], needed: set[str]) -> bool:
        """Say whether that part of the test passes without a change: otherwise its failure tells nothing."""
        key = rule, test.name
        if key not in self._pass_unchanged:
            self._pass_unchanged[key] = self._passes(content, _reduced(needed, None))
        return self._pass_unchanged[key]

    def _passes(self, test: dict[str, Any], rules: dict[str, dict[str, Any]]) -> bool:
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "rules").mkdir()
            for name, content in {**rules, "../test.yml": test}.items():
                (Path(place) / "rules" / name).write_text(yaml.dump(content, Dumper=_DUMPER, sort_keys=False))
            command = [self._promtool, "test", "rules", "test.yml"]
            return subprocess.run(command, cwd=place, capture_output=True, check=False).returncode == 0


def main() -> int:
    """Run the mutants; 1 when a test fails without any change or a file's score is too low."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--promtool", default=shutil.which("promtool"), help="the program (default: that of the PATH)")
    parser.add_argument("--rules", metavar="FILE", help="only the rules of this file")
    parser.add_argument("--alert", metavar="NAME", help="only alerts and recordings whose name contains this")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="changes tried side by side (default: 2)")
    arguments = parser.parse_args()
    if not arguments.promtool:
        parser.error(
            "promtool is not in the PATH: say --promtool, or run `make test-alert-mutations`, which fetches it"
        )
    mutants = [
        mutant
        for mutant in _mutants()
        if (not arguments.rules or Path(arguments.rules).name == mutant.file)
        and (not arguments.alert or arguments.alert in mutant.rule)
    ]
    if not mutants:
        parser.error("there is no such rule")
    console = Console(highlight=False, soft_wrap=True)
    tests = Tests(str(Path(arguments.promtool).resolve()))
    if failed := tests.learn({mutant.file for mutant in mutants}):
        console.print(
            "These tests fail with the rules as they are, so there is nothing to learn from changes:", *failed
        )
        return 1
    equivalent: dict[str, str] = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or {}
    noticed = _try(mutants, tests, set(equivalent), arguments.jobs, console)
    return _report(mutants, noticed, equivalent, console, whole=not arguments.rules and not arguments.alert)


def _try(mutants: list[Mutant], tests: Tests, equivalent: set[str], jobs: int, console: Console) -> dict[str, bool]:
    """Try all; say of each rule, as soon as its changes are tried, which of them no test noticed."""
    noticed: dict[str, bool] = {}
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with ThreadPoolExecutor(jobs) as pool, Progress(*columns, console=console) as progress:
        task = progress.add_task("changes", total=len(mutants))
        results = zip(mutants, pool.map(tests.notice, mutants), strict=True)
        for rule, tried in groupby(results, key=lambda result: result[0].rule):
            begin = time.monotonic()
            survivors = 0
            for mutant, told in tried:
                noticed[mutant.name] = told
                progress.advance(task)
                if not told and mutant.name not in equivalent:
                    survivors += 1
                    console.print(f"not noticed: {mutant.name}", markup=False)
            seconds = time.monotonic() - begin
            console.print(
                f"{len(noticed)}/{len(mutants)} {rule}: {survivors} not noticed ({seconds:.0f} s)", markup=False
            )
    return noticed


def _report(
    mutants: Iterable[Mutant], noticed: dict[str, bool], equivalent: dict[str, str], console: Console, *, whole: bool
) -> int:
    stale = [name for name in equivalent if noticed.get(name, whole)]
    for name in stale:
        console.print(f"listed in {EQUIVALENT.name}, but noticed or gone: {name}", markup=False)
    enough = True
    for file, of_file in groupby(mutants, key=lambda mutant: mutant.file):
        names = [mutant.name for mutant in of_file]
        counted = [name for name in names if name not in equivalent]
        killed = sum(noticed[name] for name in counted)
        score = killed / max(len(counted), 1)
        enough = enough and (score > TARGET or not counted)
        console.print(
            f"{file}: {killed} of {len(counted)} changes noticed: {score:.1%}"
            f" ({len(names) - len(counted)} more change nothing that could be seen)"
        )
    console.print(f"The target is over {TARGET:.0%} in each file.")
    return 0 if enough and not stale else 1


def _tests() -> Iterator[Test]:
    for path in sorted((HERE / "tests").glob("*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        files = [Path(name).name for name in content["rule_files"]]
        for test in content["tests"]:
            alone = {**content, "rule_files": [f"rules/{name}" for name in files], "tests": [test]}
            yield Test(test["name"], frozenset(files), alone)


def _may_tell(query: str, names: set[str]) -> bool:
    """Say whether one of these rules can change what a query gives: it names the rule, or it asks for alerts without a name."""
    return _is_nameless(query) or any(re.search(rf"(?<![\w:]){re.escape(name)}(?![\w:])", query) for name in names)


def _is_nameless(query: str) -> bool:
    return "ALERTS" in query and "alertname=" not in query


def _asks_for_any_alert(content: dict[str, Any]) -> bool:
    """Say whether the test asks for alerts without naming them: then all rules have to be there."""
    return any(_is_nameless(each["expr"]) for test in content["tests"] for each in test["promql_expr_test"])


def _reduced(names: set[str], mutant: Mutant | None) -> dict[str, dict[str, Any]]:
    """Return the rule files with these rules alone, one of them changed. Groups and order stay: a rule reads what was recorded before it."""
    return {
        file: {
            "groups": [
                {
                    **group,
                    "rules": [_changed(file, rule, mutant) for rule in group["rules"] if _plain_name(rule) in names],
                }
                for group in content["groups"]
            ]
        }
        for file, content in _contents().items()
    }


def _changed(file: str, rule: dict[str, Any], mutant: Mutant | None) -> dict[str, Any]:
    is_meant = mutant is not None and (file, _name(rule)) == (mutant.file, mutant.rule)
    return {**rule, **mutant.changed} if mutant is not None and is_meant else rule


def _readers() -> dict[str, set[str]]:
    """Return for each alert and recording its own name and those of all that read it, directly or through others."""
    rules = [rule for content in _contents().values() for group in content["groups"] for rule in group["rules"]]
    readers = {_plain_name(rule): {_plain_name(rule)} for rule in rules}
    grown = True
    while grown:
        grown = False
        for names in readers.values():
            more = {_plain_name(rule) for rule in rules if any(name in rule["expr"] for name in names)} - names
            names.update(more)
            grown = grown or bool(more)
    return readers


def _plain_name(rule: dict[str, Any]) -> str:
    return str(rule.get("alert") or rule["record"])


def _name(rule: dict[str, Any]) -> str:
    labels = ",".join(rule.get("labels", {}).values()) if "record" in rule else ""
    return _plain_name(rule) + (f"{{{labels}}}" if "record" in rule else "")


@cache
def _contents() -> dict[str, dict[str, Any]]:
    return {
        path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((HERE / "rules").glob("*.yml"))
    }


def _mutants() -> Iterator[Mutant]:
    for file, content in _contents().items():
        for group in content["groups"]:
            for rule in group["rules"]:
                for change, changed in _changes(rule):
                    yield Mutant(file, _name(rule), change, changed)


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

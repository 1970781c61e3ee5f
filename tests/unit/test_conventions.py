"""Rules that a reader of the code would otherwise have to look for."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def lines_with(pattern: str, *, suffixes: set[str]) -> list[str]:
    expression = re.compile(pattern)
    here = Path(__file__)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked_files()
        if path.suffix in suffixes and path != here
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if expression.search(line)
    ]


def test_there_are_files_to_look_at():
    assert len(tracked_files()) > 50


def test_tls_is_verified_everywhere():
    unverified = r"validate_certs:\s*(false|no)\b|verify\s*=\s*False|curl\s[^|]*(-k\b|--insecure)"
    assert lines_with(unverified, suffixes={".py", ".yml", ".yaml", ".j2", ".sh", ".md", ".conf", ".toml"}) == []


def test_facts_are_read_from_their_dictionary():
    injected = r"\bansible_(hostname|fqdn|distribution|default_ipv4|all_ipv4_addresses|memtotal_mb|processor_vcpus|os_family)\b"
    assert lines_with(injected, suffixes={".yml", ".yaml", ".j2"}) == []


def test_secrets_are_ignored_by_git():
    for path in ("secrets/lab/passwords/elastic", "secrets/production/certificates/ca/ca.key"):
        assert subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False).returncode == 0, path


def test_no_file_does_too_much():
    code = {".py", ".sh", ".java", ".j2", ".c"}
    lengths = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in tracked_files()
        if path.suffix in code
    }
    assert {path for path, lines in lengths.items() if lines > 400} == set()

"""Each alert has a runbook with its four parts, and what a runbook tells people to type exists in this project."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = sorted(path for path in (ROOT / "alertmanager/runbooks").glob("*.md") if path.name != "README.md")
# Programs of Debian's base system, of its packages prometheus, promtool and prometheus-alertmanager, and of Ansible.
PROGRAMS = {
    "amtool", "ansible-playbook", "curl", "df", "du", "getent", "grep", "head", "journalctl", "ls", "openssl", "promtool", "runuser", "sort", "ss",
    "systemctl", "tail", "uniq", "uptime",
}  # fmt: skip
APPLICATION = "django-app"
LOGBASTION = f"/opt/{APPLICATION}/venv/bin/logbastion"


def words_of_commands(path: Path) -> list[list[str]]:
    """Return the words of each command in the runbook; the parts of a pipe are commands of their own."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL):
        for line in block.splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|")
            lexer.whitespace_split = True
            words = list(lexer)
            while "|" in words:
                found.append(words[: words.index("|")])
                words = words[words.index("|") + 1 :]
            found.append(words)
    return found


def shown_inline(path: Path) -> list[list[str]]:
    inline = re.findall(r"(?<!`)`([^`\n]+)`", path.read_text())
    return [text.split() for text in inline if text.split()[0] in PROGRAMS]


def variables_of_roles() -> dict[str, str]:
    found = {}
    for path in [*ROOT.glob("roles/*/defaults/main.yml"), *ROOT.glob("roles/*/vars/main.yml")]:
        found.update({k: v for k, v in (yaml.safe_load(path.read_text()) or {}).items() if isinstance(v, str)})
    return found


def filled_in(text: str, variables: dict[str, str]) -> str:
    for _ in range(5):
        text = re.sub(r"\{\{ (\w+) \}\}", lambda match: variables.get(match[1], match[0]), text)
    return text


@pytest.fixture(scope="module")
def roles_text() -> str:
    """Tasks, templates and variables of all roles, with the defaults put in where a variable is named."""
    variables = variables_of_roles()
    files = [path for path in ROOT.glob("roles/*/[dhtv]*/*") if path.suffix in {".yml", ".j2"}]
    return filled_in("\n".join(path.read_text() for path in files), variables)


@pytest.fixture(scope="module")
def logbastion():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "python_handlers/src")
        yield importlib.import_module("logbastion.cli.main").main


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    rules = "".join(path.read_text() for path in (ROOT / "alertmanager/rules").glob("*.yml"))
    assert {path.stem for path in RUNBOOKS} == set(re.findall(r"- alert: (\w+)", rules))


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_runbook_has_its_parts(path):
    text = path.read_text()
    assert text.startswith(f"# {path.stem}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert all(part.strip() for part in re.split(r"^#.*$", text, flags=re.MULTILINE)[2:])
    assert words_of_commands(path), "no command"


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_prometheus_can_serve_it(path):
    # It takes what it serves for a template of HTML.
    assert not re.search(r"\{\{|<", path.read_text())


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_programs_and_units_exist(path, roles_text):
    for words in words_of_commands(path) + shown_inline(path):
        assert words[0] in PROGRAMS, words
        if words[0] == "runuser":
            assert words[1:5] == ["-u", APPLICATION, "--", LOGBASTION]
        unit = re.search(r"journalctl --unit (\S+)|systemctl \w+ (\S+)", " ".join(words))
        if unit:
            name = unit[1] or unit[2]
            # The application's unit is the team's own; the roles call it as the inventory of the lab does.
            assert name == APPLICATION or f"{name}.service" in roles_text, words


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_paths_are_those_of_the_roles(path, roles_text):
    for name in re.findall(r"(?<![\w.:/$}])(/(?:etc|var|opt|run|usr)/[\w./-]+)", path.read_text()):
        directory, _, base = name.rpartition("/")
        known = name in roles_text or (directory in roles_text and re.search(rf"\b{re.escape(base)}\b", roles_text))
        # The library makes these, below directories of the role: a file a stream, the quarantine; pip makes the command.
        streams = re.fullmatch(rf"/var/log/{APPLICATION}/(application|security|audit|performance)\.log", name)
        assert known or streams or name in {f"/var/spool/{APPLICATION}/quarantine", LOGBASTION}, name


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_subcommands_and_options_of_logbastion_exist(path, logbastion, capsys):
    for words in words_of_commands(path):
        if LOGBASTION not in words:
            continue
        arguments = words[words.index(LOGBASTION) + 1 :]
        command = [word for word in arguments[:2] if word in {"doctor", "spool", "status", "drain", "dead-letters"}]
        with pytest.raises(SystemExit) as ended:
            logbastion([*command, "--help"])
        assert ended.value.code == 0
        explained = capsys.readouterr().out
        assert all(word in explained for word in arguments if word.startswith("--")), words


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_playbooks_and_tags_exist(path):
    site = (ROOT / "playbooks/site.yml").read_text()
    for words in words_of_commands(path) + shown_inline(path):
        if words[0] != "ansible-playbook":
            continue
        assert "playbooks/site.yml" in words
        if "--tags" in words:
            assert re.search(rf"tags: .*\b{words[words.index('--tags') + 1]}\b", site)

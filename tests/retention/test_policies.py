"""ILM and SLM policies read by Elasticsearch's own classes: they are taken, validated, and mean the same when they come back."""

import importlib.util
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from lab import elasticsearch_package

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("PolicyCheck.java")


_spec = importlib.util.spec_from_file_location("store_objects", ROOT / "roles/log_store/module_utils/store_objects.py")
store_objects = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(store_objects)


@pytest.fixture(scope="module")
def elasticsearch_classes(tmp_path_factory) -> str:
    """Return a class path with the server and x-pack-core of the distribution that the lab uses."""
    unpacked = tmp_path_factory.mktemp("elasticsearch")
    with zipfile.ZipFile(elasticsearch_package.ensure_distribution()) as archive:
        root = archive.namelist()[0].split("/")[0]
        wanted = (f"{root}/lib/", f"{root}/modules/x-pack-core/")
        archive.extractall(unpacked, [name for name in archive.namelist() if name.startswith(wanted)])
    return f"{unpacked / root}/lib/*:{unpacked / root}/modules/x-pack-core/*"


def as_read(classes: str, kind: str, files: list[Path]) -> list[str]:
    done = subprocess.run(
        ["java", "-cp", classes, str(PROGRAM), kind, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("{", "REFUSED"))]
    assert len(lines) == len(files), done.stdout + done.stderr
    return lines


def written(directory: Path, kind: str, bodies: dict[str, dict]) -> list[Path]:
    """Write bodies as Elasticsearch's parser takes them: an ILM policy without its wrapper."""
    files = []
    for name, body in bodies.items():
        files.append(directory / f"{name}.json")
        files[-1].write_text(json.dumps(body["policy"] if kind == "ilm" else body))
    return files


def ours(kind: str) -> dict[str, dict]:
    return {
        path.stem: json.loads(path.read_text()) for path in sorted((ROOT / f"elk_templates/{kind}_policies").glob("*"))
    }


@pytest.mark.parametrize(("kind", "number"), [("ilm", 5), ("slm", 4)])
def test_elasticsearch_takes_our_policies_and_gives_back_what_we_wrote(elasticsearch_classes, tmp_path, kind, number):
    bodies = ours(kind)
    assert len(bodies) == number
    answers = as_read(elasticsearch_classes, kind, written(tmp_path, kind, bodies))
    found = {name: json.loads(answer) for name, answer in zip(bodies, answers, strict=True)}
    normal = store_objects.normal
    assert {name: normal(f"{kind}_policy", body) for name, body in found.items()} == {
        name: normal(f"{kind}_policy", body) for name, body in bodies.items()
    }


def test_elasticsearch_refuses_what_is_wrong(elasticsearch_classes, tmp_path):
    ilm, slm = next(iter(ours("ilm").values())), next(iter(ours("slm").values()))

    def spoilt(body: dict, *path: str, value: object) -> dict:
        copy = json.loads(json.dumps(body))
        inner = copy
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return copy

    wrong_ilm = {
        "action": spoilt(ilm, "policy", "phases", "warm", "actions", "forcemrge", value={"max_num_segments": 1}),
        "phase": spoilt(ilm, "policy", "phases", "lukewarm", value={"min_age": "1d", "actions": {}}),
        "place": spoilt(ilm, "policy", "phases", "delete", "actions", "rollover", value={"max_age": "1d"}),
        "period": spoilt(ilm, "policy", "phases", "delete", "min_age", value="seven years"),
    }
    wrong_slm = {
        "schedule": spoilt(slm, "schedule", value="daily"),
        "name": spoilt(slm, "name", value="<Logs/{now/d}>"),
        "period": spoilt(slm, "retention", "expire_after", value="a month"),
    }
    for kind, bodies in (("ilm", wrong_ilm), ("slm", wrong_slm)):
        answers = as_read(elasticsearch_classes, kind, written(tmp_path, kind, bodies))
        assert {name: answer[:7] for name, answer in zip(bodies, answers, strict=True)} == dict.fromkeys(
            bodies, "REFUSED"
        )

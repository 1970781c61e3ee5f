"""Erasure in Elasticsearch: what takes longer than its quick tests."""

import subprocess

from logbastion.erasure.place import PlaceResult

from tests.elasticsearch import people
from tests.elasticsearch.conftest import environment, node
from tests.elasticsearch.erasing import erase, hits, keys, killed_at_each, matcher, pseudonym, run_and_kill, scene
from tests.elasticsearch.people import EMAIL, indices, place

__all__ = ["environment", "keys", "matcher", "node", "pseudonym", "scene"]  # fixtures


def test_killed_at_each_question_and_run_again_it_ends_the_same(scene):
    assert killed_at_each(scene, every=1) > 30


def test_old_versions_are_out_of_the_files_of_the_index(node, environment, tmp_path, matcher):
    name = f"logs-django.security-{environment}"
    lines = [
        part
        for number in range(200)
        for part in (
            {"create": {"_index": name, "_id": f"n{number}"}},
            people.numbered(number, {"extra": {"email": EMAIL, "k": f"qj{environment}"}} if number == 77 else {}),
        )
    ]
    assert node.asked("POST", "/_bulk?refresh=true", lines, user="log_writer")["errors"] is False
    (index,) = indices(node, environment)
    node.asked("POST", f"/{index}/_forcemerge?max_num_segments=1&flush=true")
    directory = node.directory / "data/indices" / indices(node, environment)[index]["index.uuid"]
    assert files_with(directory, EMAIL), "the search over the files would not notice it either"
    where = place(node, environment, tmp_path, clean_seconds=180)
    # Killed at the question after the change, it leaves a note of what is to be cleaned.
    assert not run_and_kill(where, matcher, "_flush", after=False)
    assert (hits(where, matcher), files_with(directory, EMAIL) != []) == (0, True)
    assert erase(where, matcher) == PlaceResult("elasticsearch", 200, 0)
    assert files_with(directory, EMAIL) == []
    assert files_with(directory, f"qj{environment}") != []
    assert node.asked("GET", f"/{index}/_stats/docs")["_all"]["total"]["docs"] | {"total_size_in_bytes": 0} == {
        "count": 200, "deleted": 0, "total_size_in_bytes": 0,
    }  # fmt: skip


def files_with(directory, text):
    found = subprocess.run(
        ["grep", "--recursive", "--text", "--fixed-strings", "--files-with-matches", text, directory],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode in (0, 1), found.stderr
    return found.stdout.splitlines()

"""What playbooks/erase_user.yml makes of the words of its hosts."""

import importlib.util
import json
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "playbooks/filter_plugins/erasure_summary.py"


@pytest.fixture(scope="module")
def plugin():
    spec = importlib.util.spec_from_file_location("erasure_summary", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(found=0, left=0, errors=()):
    counts = {"searched": 9, "found": found, "anonymised": 0, "deleted": found, "held": 0, "left": left}
    return json.dumps({"places": [{"place": "files", **counts}], "errors": list(errors)})


@pytest.mark.parametrize(
    ("said", "good", "good_in_check_mode", "words"),
    [
        ({"rc": 0, "stdout": report(2)}, True, True, "files: 9 searched, 2 found"),
        ({"rc": 1, "stdout": report(2, left=1)}, False, True, "1 left"),
        ({"rc": 3, "stdout": report(2, errors=["a.gz is damaged."])}, False, False, "a.gz is damaged."),
        ({"rc": 2, "stdout": "", "stderr": "logbastion: no place is named"}, False, False, "no place is named"),
        ({"rc": 0, "stdout": ""}, False, False, "nobody knows"),
        ({}, False, False, "nobody knows"),
        (None, False, False, "nobody knows"),
        ({"rc": 0, "stdout": report(), "waiting": "0"}, True, True, "nothing of the person"),
        ({"rc": 0, "stdout": report(), "waiting": "7"}, False, True, "7 events wait"),
        ({"rc": 0, "stdout": report(3), "waiting": "0"}, False, True, "3 events of the person are delivered"),
        ({"rc": 0, "stdout": report(), "waiting": "0", "restart": "no unit"}, False, True, "restarted, look at the"),
        ({"rc": 3, "stdout": "", "stderr": "no directory", "waiting": "0"}, False, False, "no directory"),
    ],
)
def test_only_what_was_searched_and_has_nothing_left_is_good(plugin, said, good, good_in_check_mode, words):
    (told,) = plugin.erasure_told([{"host": "app1", "what": "application", "said": said}], False)
    assert (told["host"], told["good"]) == ("app1", good)
    assert words in told["sentence"]
    (told,) = plugin.erasure_told([{"host": "app1", "what": "application", "said": said}], True)
    assert told["good"] == good_in_check_mode


def test_what_was_found_is_added_up(plugin):
    assert [plugin.erasure_found(text) for text in (report(3), report(), "", None, "[1]")] == [3, 0, 0, 0, 0]

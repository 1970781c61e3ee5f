"""What the tests of erasure in Elasticsearch share: the person, the credential's place, an eraser that is killed."""

import itertools
import os
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import NoProgress, PlaceResult
from logbastion.erasure.rules import Rules
from logbastion.erasure.subject import Subject
from logbastion.pseudonym_keys import new_key_line
from logbastion.pseudonyms import Pseudonymizer

from lab.elasticsearch_process import Node
from tests.elasticsearch.people import EMAIL, IDENTIFIER, PERSON, filled, indices, place, stored, traces

RULES = Rules.standard()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.touch(mode=0o600)
    file.write_text(f"{new_key_line('old')}\n{new_key_line('new')}\n")
    return Pseudonymizer.from_file(file)


@pytest.fixture(scope="module")
def matcher(keys):
    return Matcher(Subject.of(PERSON, [EMAIL], [IDENTIFIER], keys))


@pytest.fixture(scope="module")
def pseudonym(keys):
    """Of the address, under the older key."""
    return keys.all_pseudonyms("email", EMAIL)[-1]


class Scene(NamedTuple):
    """What most tests need."""

    node: Node
    environment: str
    directory: Path
    matcher: Matcher
    pseudonym: str


@pytest.fixture
def scene(node, environment, tmp_path, matcher, pseudonym):
    return Scene(node, environment, tmp_path, matcher, pseudonym)


def erase(where, matcher, *, dry_run=False) -> PlaceResult:
    return where.erase(matcher, RULES, dry_run=dry_run, progress=NoProgress())


def hits(where, matcher) -> int:
    return where.hits(matcher, progress=NoProgress())


def killed_at_each(scene, *, every) -> int:
    """Kill the eraser before and after its questions to Elasticsearch, at every so many of these moments, run it again
    and look whether all is as it should be; return how often.
    """
    node, environment, tmp_path, matcher, pseudonym = scene
    had = {"index.blocks.write": "true", "index.merge.policy.expunge_deletes_allowed": "7.0"}
    notes = 0
    for at in itertools.count(1):
        name = f"{environment}_{at}"
        events = filled(node, name, pseudonym, streams=("audit",), indices=1)
        (index,) = indices(node, name)
        node.asked("PUT", f"/{index}/_settings", had)
        where = place(node, name, tmp_path)
        if run_and_kill(where, matcher, (every * at + 1) // 2, after=every * at % 2 == 0):
            break
        notes += "exclude" in str(traces(indices(node, name)[index]))
        done = erase(where, matcher)
        assert (done.errors, stored(node, name), traces(indices(node, name)[index])) == ((), events.after, had), at
    assert notes, "the index was open at none of the moments"
    return at - 1


def run_and_kill(where, matcher, at, *, after):
    """Erase in a process that kills itself at a question, by number or path; return whether it came to its end before."""
    child = os.fork()
    if not child:
        exchange = where._store._questions._exchange
        ask, asked = exchange.request, itertools.count(1)

        def request(*arguments, **named):
            last = at in (next(asked), named["path"].partition("?")[0].rpartition("/")[2])
            if last and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = ask(*arguments, **named)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        exchange.request = request
        erase(where, matcher)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)

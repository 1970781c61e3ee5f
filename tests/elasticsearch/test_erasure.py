"""The right to erasure on a real Elasticsearch: nothing of the person is left, nobody else's document was touched."""

import json
import os

import pytest
from logbastion.cli.main import main
from logbastion.erasure.elasticsearch import ElasticsearchPlace
from logbastion.erasure.elasticsearch_store import Store
from logbastion.erasure.place import PlaceError, PlaceResult
from logbastion.erasure.searched import Searched

from tests.elasticsearch import people
from tests.elasticsearch.erasing import erase, hits, keys, killed_at_each, matcher, pseudonym, run_and_kill, scene
from tests.elasticsearch.people import EMAIL, PERSON, filled, indices, numbered, place, stored, traces, versions

__all__ = ["keys", "matcher", "pseudonym", "scene"]  # fixtures


def test_the_person_is_gone_from_every_index_and_nobody_else_was_touched(
    node, environment, tmp_path, matcher, pseudonym
):
    events = filled(node, environment, pseudonym)
    elsewhere = filled(node, environment + "2", pseudonym)
    where = place(node, environment, tmp_path)
    written = versions(node, environment)
    assert hits(where, matcher) == len(events.people) == 90

    rehearsed = erase(where, matcher, dry_run=True)
    assert rehearsed == PlaceResult("elasticsearch", 190, 90, anonymised=36, deleted=54)
    assert (stored(node, environment), versions(node, environment)) == (events.before, written)

    done = erase(where, matcher)
    assert done == PlaceResult("elasticsearch", 190, 90, anonymised=36, deleted=54)
    assert hits(where, matcher) == 0
    assert stored(node, environment) == events.after
    others = {number: 1 for number in written if number not in events.people}
    now = versions(node, environment)
    assert {number: now[number] for number in others} == others
    assert stored(node, environment + "2") == elsewhere.before

    assert erase(where, matcher) == PlaceResult("elasticsearch", 136, 0)
    assert versions(node, environment) == now
    assert [traces(each) for each in indices(node, environment).values()] == [{}] * 10


def test_after_a_kill_only_indices_that_have_changed_are_searched_again(scene):
    node, environment, tmp_path, matcher, pseudonym = scene
    name = f"logs-django.application-{environment}"
    events = [numbered(5000 + number, {"user_id": 123}) for number in range(50)]
    lines = [part for event in events for part in ({"create": {"_index": name, "_id": event["event"]["id"]}}, event)]
    assert node.asked("POST", "/_bulk?refresh=true", lines, user="log_writer")["errors"] is False
    filled(node, environment, pseudonym, streams=("audit",), indices=1)

    def resumed():
        where = place(node, environment, tmp_path)
        where.resume(Searched(tmp_path / "searched"))
        return where

    # The application's index comes first; the kill is at the first change of the other one.
    assert not run_and_kill(resumed(), matcher, "_bulk", after=False)
    assert erase(resumed(), matcher) == PlaceResult("elasticsearch", 19, 9, anonymised=9)
    late = numbered(6000, {"user_id": 12})
    node.asked("POST", f"/{name}/_create/late?refresh=true", late, user="log_writer")
    assert erase(resumed(), matcher) == PlaceResult("elasticsearch", 51 + 19, 1, deleted=1)
    assert hits(resumed(), matcher) == 0
    assert erase(resumed(), matcher).searched == 50


def test_every_document_of_the_person_is_exported(node, environment, tmp_path, matcher, pseudonym):
    events = filled(node, environment, pseudonym, streams=("audit", "debug"))
    found = {each.event["event"]["id"]: each for each in place(node, environment, tmp_path).export(matcher)}
    assert {number: each.event for number, each in found.items()} == {n: events.before[n] for n in events.people}
    assert {each.where for each in found.values()} == set(indices(node, environment))


@pytest.mark.parametrize("block", ["write", "read_only", "read_only_allow_delete"])
def test_a_closed_index_is_opened_for_the_erasure_and_closed_in_the_same_way(scene, block):
    node, environment, tmp_path, matcher, pseudonym = scene
    events = filled(node, environment, pseudonym, streams=("security",))
    first, second = indices(node, environment)
    node.asked("PUT", f"/{first}/_settings", {f"index.blocks.{block}": True})
    done = erase(place(node, environment, tmp_path), matcher)
    assert (done.anonymised, done.errors) == (18, ())
    assert stored(node, environment) == events.after
    after = indices(node, environment)
    assert traces(after[first]) == {f"index.blocks.{block}": "true"}
    assert traces(after[second]) == {}


def test_killed_at_some_questions_and_run_again_it_ends_the_same(scene):
    """The eraser is killed at every fifth moment before or after a question; `make test-long` does it at each."""
    assert killed_at_each(scene, every=5) > 4


def test_writers_in_four_processes_lose_nothing(node, environment, tmp_path, matcher, pseudonym):
    events = filled(node, environment, pseudonym, streams=("application", "audit"), indices=1)
    stop = tmp_path / "stop"
    children = [write_until(node, environment, which, stop, tmp_path) for which in range(4)]
    where = place(node, environment, tmp_path)
    try:
        done = erase(where, matcher)
    finally:
        stop.touch()
        ended = [os.waitpid(child, 0)[1] for child in children]
    assert ended == [0] * 4
    assert done.errors == ()
    written = [int((tmp_path / f"written{which}").read_text()) for which in range(4)]
    assert min(written) > 0
    expected = {f"w{which}-{number}" for which in range(4) for number in range(written[which])}
    found = stored(node, environment)
    assert {number for number in found if number.startswith("w")} == expected
    assert {number: each for number, each in found.items() if number in events.before} == events.after
    assert hits(where, matcher) == 0


def write_until(node, environment, which, stop, directory):
    """Append numbered documents of others to two streams, in a process of its own, until a file is there."""
    child = os.fork()
    if not child:
        number = 0
        while not stop.exists():
            lines = []
            for each in range(number, number + 5):
                name = f"logs-django.{('application', 'audit')[each % 2]}-{environment}"
                lines += [
                    {"create": {"_index": name, "_id": f"w{which}-{each}"}},
                    people.numbered(each, {"user_id": 123}),
                ]
            if node.asked("POST", "/_bulk", lines, user="log_writer")["errors"]:
                os._exit(1)
            number += 5
        (directory / f"written{which}").write_text(str(number))
        os._exit(0)
    return child


def test_a_document_that_changes_between_reading_and_writing_is_read_again(scene, monkeypatch):
    node, environment, tmp_path, matcher, pseudonym = scene
    filled(node, environment, pseudonym, streams=("security",), indices=1)
    (index,) = indices(node, environment)
    change = Store.change
    rounds = []

    def slow_change(self, name, changes):
        rounds.append(len(changes))
        if len(rounds) == 1:
            for number, fields in ((1, {"user_id": 12, "message": "changed"}), (2, {"user_id": 123})):
                is_as_it_was = f"if_seq_no={number - 1}&if_primary_term=1"
                node.asked("PUT", f"/{index}/_doc/n{number}?{is_as_it_was}", people.numbered(number, fields))
            node.asked("DELETE", f"/{index}/_doc/n3")
        return change(self, name, changes)

    monkeypatch.setattr(Store, "change", slow_change)
    done = erase(place(node, environment, tmp_path), matcher)
    assert (rounds, done.found, done.anonymised, done.errors) == ([9, 1], 9, 7, ())
    found = stored(node, environment)
    assert found["n1"] == people.numbered(1, {"user_id": None, "message": "changed"})
    assert found["n2"] == people.numbered(2, {"user_id": 123})
    assert "n3" not in found


def test_an_index_that_is_closed_again_meanwhile_is_opened_again(scene, monkeypatch):
    node, environment, tmp_path, matcher, pseudonym = scene
    events = filled(node, environment, pseudonym, streams=("security",), indices=1)
    (index,) = indices(node, environment)
    change, rounds = Store.change, []

    def blocked_change(self, name, changes):
        rounds.append(len(changes))
        if len(rounds) == 1:
            node.asked("PUT", f"/{index}/_settings", {"index.blocks.write": True})
        return change(self, name, changes)

    monkeypatch.setattr(Store, "change", blocked_change)
    assert erase(place(node, environment, tmp_path), matcher).errors == ()
    assert rounds == [9, 9]
    assert stored(node, environment) == events.after
    assert traces(indices(node, environment)[index]) == {"index.blocks.write": "true"}


def test_an_index_that_was_restored_without_its_stream_is_searched_too(node, environment, tmp_path, matcher):
    name = f".ds-logs-django.audit-{environment}-2020.01.01-000001"
    for number, user in enumerate((12, 123)):
        node.asked("PUT", f"/{name}/_doc/n{number}?refresh=true", people.numbered(number, {"user_id": user}))
    where = place(node, environment, tmp_path)
    assert erase(where, matcher) == PlaceResult("elasticsearch", 2, 1, anonymised=1)
    assert hits(where, matcher) == 0
    found = node.asked("GET", f"/{name}/_search")["hits"]["hits"]
    assert {hit["_id"]: hit["_source"]["user_id"] for hit in found} == {"n0": None, "n1": 123}


def test_a_stream_under_legal_hold_is_counted_and_left(node, environment, tmp_path, matcher, pseudonym):
    events = filled(node, environment, pseudonym, streams=("audit", "debug"), indices=1)
    where = place(node, environment, tmp_path, held=["audit"])
    assert erase(where, matcher) == PlaceResult("elasticsearch", 38, 18, deleted=9, held=9)
    assert hits(where, matcher) == 9
    held = {number for number in events.people if int(number[1:]) <= 19}
    kept = {**{n: each for n, each in events.after.items() if n not in held}, **{n: events.before[n] for n in held}}
    assert stored(node, environment) == kept


def test_another_application_with_numbers_of_its_own_is_left(node, environment, tmp_path, matcher):
    name = f"logs-django.audit-{environment}"
    lines = [
        part
        for number, service in enumerate(("school", "shop"))
        for part in ({"create": {"_index": name, "_id": f"n{number}"}}, people.numbered(number, {"user_id": 12, "service": {"name": service}}))
    ]  # fmt: skip
    assert node.asked("POST", "/_bulk?refresh=true", lines, user="log_writer")["errors"] is False
    where = place(node, environment, tmp_path, services=["school"])
    assert erase(where, matcher) == PlaceResult("elasticsearch", 1, 1, anonymised=1)
    assert {number: each["user_id"] for number, each in stored(node, environment).items()} == {"n0": None, "n1": 12}


def test_what_cannot_be_searched_or_seen_fails_and_says_so(node, environment, tmp_path, matcher, pseudonym):
    filled(node, environment, pseudonym, streams=("security", "debug"), indices=1)
    where = place(node, environment, tmp_path)
    index = next(name for name in indices(node, environment) if "security" in name)
    node.asked("POST", f"/{index}/_close")
    done = erase(where, matcher)
    assert done.deleted == 9
    assert [index in error and "is closed" in error for error in done.errors] == [True]
    with pytest.raises(PlaceError, match="is closed"):
        hits(where, matcher)
    with pytest.raises(PlaceError, match="is closed"):
        list(where.export(matcher))
    node.asked("POST", f"/{index}/_open?wait_for_active_shards=1")

    # It sees one stream, and would find nobody in the others.
    half = place(node, environment, tmp_path, user="security_page_reader")
    (error,) = erase(half, matcher).errors
    assert "misses" in error
    assert "log_eraser" in error
    with pytest.raises(PlaceError, match="misses"):
        hits(half, matcher)
    (tmp_path / "log_eraser.secret").write_text("wrong")
    (error,) = erase(where, matcher).errors
    assert "401" in error
    assert "password" in error
    (error,) = erase(place(node, environment, tmp_path, ca_file=None), matcher).errors
    assert "certificate verify failed" in error
    with pytest.raises(ValueError, match="not encrypted"):
        ElasticsearchPlace("http://127.0.0.1:1", user="x", password_file="y")


def test_the_credential_can_do_nothing_else(node, environment, pseudonym):
    filled(node, environment, pseudonym, streams=("audit",), indices=1)
    (index,) = indices(node, environment)
    name = f"logs-django.audit-{environment}"
    document = {"@timestamp": "2026-11-23T10:00:00Z"}
    asked = [
        ("DELETE", f"/{index}", None),
        ("DELETE", f"/{name}", None),
        ("POST", f"/{index}/_close", None),
        ("PUT", f"/{index}/_block/write", None),
        ("PUT", f"/{index}/_mapping", {"properties": {"mine": {"type": "keyword"}}}),
        ("POST", f"/{name}/_rollover", None),
        ("POST", f"/{index}/_clone/logs-django.audit-{environment}2", None),
        ("PUT", f"/logs-django.audit-{environment}2", None),
        ("POST", f"/logs-django.audit-{environment}2/_doc", document),
        ("POST", "/logs-other-lab/_doc", document),
        ("GET", "/logs-other-lab/_search", None),
        ("GET", "/.security/_search", None),
        ("GET", "/_security/user", None),
        ("PUT", "/_security/user/elastic/_password", {"password": "taken-over"}),
        ("POST", "/_security/api_key", {"name": "mine"}),
        ("GET", "/_cluster/settings", None),
        ("PUT", "/_cluster/settings", {"persistent": {"action.destructive_requires_name": False}}),
        ("GET", "/_snapshot", None),
        ("PUT", "/_index_template/mine", {"index_patterns": ["mine-*"]}),
        ("PUT", "/_component_template/logbastion-event", {"template": {}}),
        ("GET", "/_nodes", None),
    ]
    answers = [(call[:2], node.call(*call, user="log_eraser").status_code) for call in asked]
    assert answers == [(call[:2], 403) for call in asked]
    assert len(stored(node, environment)) == 19


def test_the_command_erases_from_elasticsearch_and_keeps_what_a_legal_hold_keeps(scene, monkeypatch, capsys):
    node, environment, tmp_path, _, pseudonym = scene
    events = filled(node, environment, pseudonym, streams=("security", "audit", "debug"), indices=1)
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    secret.write_text(node.passwords["log_eraser"])
    monkeypatch.setenv("LOGBASTION_CA_FILE", str(node.ca_file))
    monkeypatch.delenv("LOGBASTION_ENVIRONMENT", raising=False)
    for name in ("LOGBASTION_LOG_DIRECTORY", "LOGBASTION_SPOOL_DIRECTORY", "LOGBASTION_ARCHIVE"):
        monkeypatch.delenv(name, raising=False)
    command = ["erase-user", PERSON, "--email", EMAIL, "--json", "--elasticsearch", node.url, "--held", "audit"]
    assert main([*command, "--dry-run"]) == 2
    assert "--elasticsearch-password-file" in capsys.readouterr().err
    command += ["--elasticsearch-password-file", str(secret)]
    assert main([*command, "--dry-run"]) == 2
    assert "--environment" in capsys.readouterr().err
    command += ["--environment", environment, "--clean-seconds", "0"]
    assert main([*command, "--dry-run"]) == 1
    assert json.loads(capsys.readouterr().out)["places"][0]["found"] == 21
    assert stored(node, environment) == events.before

    # Without the keys and the telephone number, two of nine are not known to be of the person.
    assert main([*command, "--yes"]) == 1
    (told,) = json.loads(capsys.readouterr().out)["places"]
    assert (told["anonymised"], told["deleted"], told["held"], told["left"]) == (7, 7, 7, 7)
    assert EMAIL not in json.dumps(told)


def test_without_an_environment_all_are_searched(node, environment, tmp_path, matcher, pseudonym):
    events = filled(node, environment, pseudonym, streams=("debug",), indices=1)
    found = place(node, environment, tmp_path, environments=()).export(matcher)
    assert {each.event["event"]["id"] for each in found if environment in each.where} == events.people

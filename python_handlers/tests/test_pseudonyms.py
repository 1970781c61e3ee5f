"""Pseudonyms: joined by person, apart by key and kind, found again after a rotation; and the keys stay hidden."""

import copy
import gc
import hashlib
import hmac
import logging
import multiprocessing
import os
import pickle
import re
import stat
import traceback

import pytest

from logbastion import pseudonym_keys, pseudonyms
from logbastion.cards import mask_card_numbers
from logbastion.pseudonym_keys import PseudonymKey, PseudonymKeyError, add_key, new_key_line, read_keys
from logbastion.pseudonyms import (
    Pseudonymizer,
    configure_pseudonyms,
    configured_pseudonymizer,
    normalised,
    pseudonym_of,
)

OLD = "4f8a1c0be3d259677a90c4d2e8b1f3056c9d7e2f1a0b3c4d5e6f708192a3b4c5"
NEW = "9b2e7f60d1c3a5480f7e6d5c4b3a29180716f5e4d3c2b1a09f8e7d6c5b4a3928"
MARIA = "maria.silva@example.org"


@pytest.fixture(autouse=True)
def _nothing_configured(clean_environment):
    configure_pseudonyms(None)
    yield
    configure_pseudonyms(None)


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys"
    write(path, f"# of the school\n\nold {OLD}\nnew {NEW}\n")
    return path


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)


class TestPseudonyms:
    def test_it_is_the_hmac_of_kind_and_value_under_the_newest_key(self, keys):
        made = Pseudonymizer.from_file(keys).pseudonym("email", MARIA)
        mac = hmac.new(bytes.fromhex(NEW), b"logbastion p1\0email\0" + MARIA.encode(), hashlib.sha256).digest()
        version, key_id, text = made.split(":")
        assert (version, key_id) == ("p1", "new")
        assert re.fullmatch("[a-z2-7]{26}", text)
        import base64

        assert base64.b32decode(text.upper() + "======") == mac[:16]

    @pytest.mark.parametrize(
        "same", [" Maria.Silva@EXAMPLE.org\n", "\u00a0maria.silva@example.org", "\uff4d\uff41ria.silva@example.org"]
    )
    def test_one_address_in_several_spellings(self, keys, same):
        pseudonymizer = Pseudonymizer.from_file(keys)
        assert pseudonymizer.pseudonym("email", same) == pseudonymizer.pseudonym("email", MARIA)

    def test_decomposed_letters_are_the_same_and_stay_normal_after_folding(self):
        assert normalised("email", "jose\u0301@example.org") == normalised("email", "JOSÉ@example.org")
        assert normalised("email", "\u1e9e@x") == "ss@x"

    def test_other_values_kinds_and_keys_are_apart(self, keys):
        pseudonymizer = Pseudonymizer.from_file(keys)
        made = [
            pseudonymizer.pseudonym("email", MARIA),
            pseudonymizer.pseudonym("email", "maria.silv@example.org"),
            pseudonymizer.pseudonym("email", "maria.silva+x@example.org"),
            pseudonymizer.pseudonym("guardian", MARIA),
            pseudonymizer.pseudonym("guardian", MARIA.upper()),
            pseudonymizer.pseudonym("user_id", 12),
            *pseudonymizer.all_pseudonyms("email", MARIA)[:-1],
        ]
        assert len({text.rpartition(":")[2] for text in made}) == len(made)
        assert pseudonymizer.pseudonym("user_id", 12) == pseudonymizer.pseudonym("user_id", "12")

    @pytest.mark.parametrize("value", ["", " \t", None, b"x", 1.5, True, "x" * 1025, 1 << 1024, [], object()])
    def test_values_that_cannot_be_meant_are_refused_without_quoting_them(self, keys, value):
        with pytest.raises(ValueError, match="pseudonym") as caught:
            Pseudonymizer.from_file(keys).pseudonym("email", value)
        assert "xxx" not in str(caught.value)

    @pytest.mark.parametrize("kind", ["", "E-mail", "e\0x", "1st", "x" * 65, None, 5])
    def test_kinds_have_one_form(self, keys, kind):
        with pytest.raises(ValueError, match="kind"):
            Pseudonymizer.from_file(keys).pseudonym(kind, MARIA)

    def test_text_without_a_utf8_form(self, keys):
        assert Pseudonymizer.from_file(keys).pseudonym("email", "\ud800@example.org").startswith("p1:new:")

    def test_no_pseudonym_is_taken_for_a_card_number(self, keys):
        pseudonymizer = Pseudonymizer.from_file(keys)
        texts = [pseudonymizer.pseudonym("user_id", number) for number in range(3000)]
        assert [mask_card_numbers(text)[1] for text in texts] == [0] * len(texts)


class TestRotation:
    def test_after_a_rotation_old_events_are_still_found(self, tmp_path):
        path = tmp_path / "keys"
        assert add_key(path, "2025") == "2025"
        before = Pseudonymizer.from_file(path).pseudonym("email", MARIA)
        add_key(path, "2026")
        pseudonymizer = Pseudonymizer.from_file(path)
        after = pseudonymizer.pseudonym("email", MARIA)
        assert (pseudonymizer.key_ids, after.split(":")[1]) == (("2025", "2026"), "2026")
        assert pseudonymizer.all_pseudonyms("email", MARIA) == (before, after)
        for known in (before, after):
            assert pseudonymizer.matches(known, "email", MARIA.upper())
            assert not pseudonymizer.matches(known, "email", "jo@example.org")
        assert not pseudonymizer.matches("\ud800é", "email", MARIA)

    def test_the_file_is_private_whatever_the_umask(self, tmp_path):
        before = os.umask(0)
        try:
            add_key(tmp_path / "keys")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
        assert os.listdir(tmp_path) == ["keys"]

    def test_what_is_there_stays_byte_for_byte_with_its_mode_and_its_link(self, tmp_path, keys):
        keys.write_text(keys.read_text().rstrip("\n"))  # somebody's editor ends without a line break
        before = keys.read_bytes()
        keys.chmod(0o640)
        (tmp_path / "link").symlink_to(keys)
        add_key(tmp_path / "link", "newest")
        after = keys.read_bytes()
        assert after.startswith(before + b"\nnewest ")
        assert (tmp_path / "link").is_symlink()
        assert stat.S_IMODE(keys.stat().st_mode) == 0o640

    def test_several_rotations_in_one_day(self, tmp_path):
        made = [add_key(tmp_path / "keys") for _ in range(3)]
        assert made == [made[0], f"{made[0]}-2", f"{made[0]}-3"]
        assert re.fullmatch(r"\d{8}", made[0])

    def test_rotations_of_several_processes_lose_no_key(self, tmp_path):
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=add_key, args=(tmp_path / "keys", f"key-{n}")) for n in range(8)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(30)
        assert sorted(key.key_id for key in read_keys(tmp_path / "keys")) == [f"key-{n}" for n in range(8)]

    @pytest.mark.parametrize("key_id", ["old", "", "Ü", "UPPER", "a b", "a\nb", "-a", "a-", "x" * 13, OLD])
    def test_ids_that_are_taken_or_wrong_change_nothing(self, keys, key_id):
        before = keys.read_bytes()
        with pytest.raises(PseudonymKeyError) as caught:
            add_key(keys, key_id)
        assert keys.read_bytes() == before
        assert OLD not in str(caught.value)

    def test_a_file_that_cannot_be_used_is_not_rotated(self, keys):
        keys.chmod(0o644)
        before = keys.read_bytes()
        with pytest.raises(PseudonymKeyError, match="chmod"):
            add_key(keys)
        assert keys.read_bytes() == before

    @pytest.mark.parametrize("step", ["write", "fsync", "rename"])
    def test_a_full_disk_leaves_the_old_file(self, keys, monkeypatch, step):
        def full(*_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space") as caught:
            patch.setattr(pseudonym_keys.os, step, full)
            add_key(keys, "newest")
        assert [key.key_id for key in read_keys(keys)] == ["old", "new"]
        assert os.listdir(keys.parent) == ["keys"]
        assert NEW not in shown(caught.value)

    def test_lines_are_random(self):
        first, second = new_key_line("a"), new_key_line("a")
        assert first != second
        assert re.fullmatch("a [0-9a-f]{64}", first)


def shown(error):
    """What a collector of errors would show: every frame below the test's with its local variables."""
    frames = error.__traceback__.tb_next
    made = traceback.TracebackException(type(error), error, frames, capture_locals=True)
    text = "".join(made.format())
    assert "self = " in text or "path = " in text  # or nothing was captured
    return text


class TestFiles:
    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o620, 0o660, 0o610, 0o777])
    def test_modes_that_let_others_in(self, keys, mode):
        keys.chmod(mode)
        with pytest.raises(PseudonymKeyError, match=f"mode {mode:04o}.*chmod 0600") as caught:
            read_keys(keys)
        assert NEW not in shown(caught.value)

    @pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
    def test_modes_that_do_not(self, keys, mode):
        keys.chmod(mode)
        assert [key.key_id for key in read_keys(keys)] == ["old", "new"]

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "has no key"),
            ("# nothing\n", "has no key"),
            (f"old {OLD}\nold {NEW}\n", "line 2: the key id old stands there twice"),
            (f"{OLD}\n", "line 1: write a key id"),
            (f"old {OLD[:-1]}\n", "line 1: write a key id"),
            (f"old {OLD}00\n", "line 1: write a key id"),
            (f"old {OLD} current\n", "line 1: write a key id"),
            (f"\nold {OLD[:-1]}g\n", "line 2: write a key id"),
            (f"{OLD} {NEW}\n", "line 1: the key id"),
            (f"OLD {OLD}\n", "line 1: the key id"),
            (f"\xff\xfe {OLD}\n", "line 1: the key id"),
            (f"old {'00' * 32}\n", "line 1: this is a placeholder"),
            (f"old {'abcd' * 16}\n", "line 1: this is a placeholder"),
            ("#" * 70_000, "more than 65536 bytes"),
        ],
    )
    def test_what_is_no_file_of_keys_gets_a_sentence_without_a_key(self, keys, text, sentence):
        keys.write_text(text)
        with pytest.raises(PseudonymKeyError, match=sentence) as caught:
            Pseudonymizer.from_file(keys)
        assert not [half for half in (OLD[:32], OLD[32:-1], NEW[:32]) if half in shown(caught.value)]

    def test_what_is_not_there_no_file_or_a_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "pipe", 0o600)
        for name, sentence in (("nowhere", "cannot be opened"), ("pipe", "no regular file"), ("", "no regular file")):
            with pytest.raises(PseudonymKeyError, match=sentence):
                read_keys(tmp_path / name)
        for nonsense in ("a\0b", None, 5.5):
            with pytest.raises(PseudonymKeyError, match="is no path"):
                read_keys(nonsense)

    @pytest.mark.parametrize("instead", [OLD, f"old {OLD}"])
    def test_a_key_where_the_path_belongs_is_not_repeated(self, instead):
        with pytest.raises(PseudonymKeyError, match="looks like a key") as caught:
            read_keys(instead)
        assert OLD not in str(caught.value)


class TestKeysAreHidden:
    def test_not_in_repr_state_or_copies(self, keys):
        pseudonymizer = Pseudonymizer.from_file(keys)
        (key, _) = read_keys(keys)
        assert repr(key) == "<PseudonymKey old>"
        assert repr(pseudonymizer) == "<Pseudonymizer keys old, new>"
        for thing in (key, pseudonymizer):
            for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError, match="neither copied nor pickled"):
                    duplicate(thing)

    def test_not_in_any_object_that_can_be_reached_from_it(self, keys):
        pseudonymizer = Pseudonymizer.from_file(keys)
        pseudonymizer.all_pseudonyms("email", MARIA)
        secrets_ = [bytes.fromhex(OLD), bytes.fromhex(NEW), OLD.encode(), NEW.encode()]
        seen, todo, found = set(), [pseudonymizer], []
        while todo and len(seen) < 200_000:
            thing = todo.pop()
            if id(thing) in seen or isinstance(thing, type):
                continue
            seen.add(id(thing))
            raw = thing.encode("utf-8", "replace") if isinstance(thing, str) else thing
            if isinstance(raw, (bytes, bytearray)):
                found += [secret for secret in secrets_ if secret in bytes(raw)]
            if not isinstance(thing, dict) or "__builtins__" not in thing:
                todo += gc.get_referents(thing)
        assert len(seen) > 5
        assert found == []

    def test_what_it_was_read_into_is_wiped(self, keys, monkeypatch):
        seen, wipe = [], pseudonym_keys._wipe

        def watched(secret):
            seen.append((secret, bytes(secret)))
            wipe(secret)

        monkeypatch.setattr(pseudonym_keys, "_wipe", watched)
        read_keys(keys)
        before = b"".join(content for _, content in seen)
        assert [part for part in (NEW.encode(), bytes.fromhex(NEW)) if part not in before] == []
        assert {byte for secret, _ in seen for byte in secret} == {0}

    def test_not_in_the_traceback_of_a_wrong_call(self, keys):
        pseudonymizer = Pseudonymizer.from_file(keys)
        with pytest.raises(ValueError, match="nothing") as caught:
            pseudonymizer.pseudonym("email", "")
        text = shown(caught.value)
        assert [secret for secret in (OLD, NEW, repr(bytes.fromhex(NEW))) if secret in text] == []

    def test_not_in_the_traceback_of_a_wrong_id(self):
        secret = bytes.fromhex(OLD)
        with pytest.raises(PseudonymKeyError) as caught:
            PseudonymKey("NO", secret)
        assert repr(secret)[2:-1] not in shown(caught.value)

    def test_not_in_django_s_error_page(self, keys):
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_settings")
        import django

        django.setup()
        from django.views.debug import ExceptionReporter

        pseudonymizer = Pseudonymizer.from_file(keys)
        try:
            pseudonymizer.pseudonym("email", 5.5)
        except ValueError as error:
            page = ExceptionReporter(None, type(error), error, error.__traceback__).get_traceback_text()
        assert "whole number" in page
        assert not [secret for secret in (OLD, NEW, repr(bytes.fromhex(NEW))) if secret in page]


class TestConfigured:
    def test_without_a_file_there_are_none(self):
        assert configured_pseudonymizer() is None
        assert pseudonym_of("email", MARIA) is None

    def test_the_environment_names_the_file_and_a_rotation_needs_no_restart(self, keys, monkeypatch):
        monkeypatch.setenv("LOGBASTION_PSEUDONYM_KEYS_FILE", str(keys))
        assert pseudonym_of("email", MARIA).startswith("p1:new:")
        assert configured_pseudonymizer() is configured_pseudonymizer()
        add_key(keys, "newest")
        assert pseudonym_of("email", MARIA).startswith("p1:newest:")
        assert [value for value in os.environ.values() if OLD in value or NEW in value] == []

    def test_the_setting_goes_before_the_environment(self, keys, tmp_path, monkeypatch):
        add_key(tmp_path / "other", "other")
        monkeypatch.setenv("LOGBASTION_PSEUDONYM_KEYS_FILE", str(keys))
        configure_pseudonyms(tmp_path / "other")
        assert pseudonym_of("email", MARIA).startswith("p1:other:")

    @pytest.mark.parametrize("value", ["", None, 5.5, "x" * 5000, object()])
    def test_what_has_no_pseudonym(self, keys, value):
        configure_pseudonyms(keys)
        assert pseudonym_of("email", value) is None

    def test_a_file_that_breaks_is_told_of_once_and_the_keys_stay_until_it_is_well_again(self, keys, caplog):
        configure_pseudonyms(keys)
        before = pseudonym_of("email", MARIA)
        keys.chmod(0o644)
        with caplog.at_level(logging.ERROR):
            assert [pseudonym_of("email", MARIA), pseudonym_of("email", MARIA)] == [before, before]
        (record,) = caplog.records
        assert (record.name, record.event_type) == ("system.log_management", "pseudonym_keys_unusable")
        assert "go on" in record.getMessage()
        assert "mode 0644" in record.getMessage()
        assert NEW not in record.getMessage()
        keys.chmod(0o600)
        add_key(keys, "well")
        assert pseudonym_of("email", MARIA).startswith("p1:well:")

    def test_another_file_that_is_broken_does_not_go_on_with_the_first_one_s_keys(self, keys, tmp_path, caplog):
        configure_pseudonyms(keys)
        assert pseudonym_of("email", MARIA)
        configure_pseudonyms(tmp_path / "nowhere")
        with caplog.at_level(logging.ERROR):
            assert pseudonym_of("email", MARIA) is None
        assert "cannot be made" in caplog.text

    def test_a_handler_that_asks_again_does_not_turn_in_circles(self, tmp_path):
        asked = []

        class Asks(logging.Handler):
            def emit(self, record):
                asked.append(pseudonyms.pseudonym_of("email", MARIA))
                raise RuntimeError("broken handler")

        logger, handler = logging.getLogger("system.log_management"), Asks()
        logger.addHandler(handler)
        try:
            configure_pseudonyms(tmp_path / "none")
            assert pseudonym_of("email", MARIA) is None
        finally:
            logger.removeHandler(handler)
        assert asked == [None]

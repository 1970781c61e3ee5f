import multiprocessing
import os
import stat

import pytest

from logbastion import rotating
from logbastion.rotating import RotatingFile


def numbers(directory):
    found = []
    for path in directory.iterdir():
        content = path.read_bytes()
        assert content.endswith(b"\n")
        found.extend(int(line.split()[0]) for line in content.splitlines())
    return found


def lines(path):
    return [int(line.split()[0]) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(("size", "backups"), [(0, 5), (100, 0)])
def test_arguments_that_cannot_work(tmp_path, size, backups):
    with pytest.raises(ValueError, match="must be 1 or more"):
        RotatingFile(str(tmp_path / "a.log"), size, backups)


def test_full_files_move_on_and_the_oldest_goes(tmp_path):
    file = RotatingFile(str(tmp_path / "a.log"), 20, 3)
    for number in range(100, 111):  # two lines of 10 bytes a file
        file.write(b"%d pad..\n" % number)
    assert lines(tmp_path / "a.log") == [110]
    assert [lines(tmp_path / f"a.log.{n}") for n in (1, 2, 3)] == [[108, 109], [106, 107], [104, 105]]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_line_longer_than_a_file_gets_one(tmp_path):
    file = RotatingFile(str(tmp_path / "a.log"), 20, 3)
    for number in (1, 2):
        file.write(b"%d " % number + b"x" * 100 + b"\n")
    assert lines(tmp_path / "a.log") == [2]
    assert lines(tmp_path / "a.log.1") == [1]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        file = RotatingFile(str(tmp_path / "a.log"), 10, 3)
        for number in range(100, 104):
            file.write(b"%d pad..\n" % number)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}


def test_a_locked_directory_puts_rotation_off(tmp_path):
    file = RotatingFile(str(tmp_path / "a.log"), 10, 3)
    with rotating._alone_in(tmp_path) as alone:
        assert alone
        for number in (100, 101):
            file.write(b"%d pad..\n" % number)
    file.write(b"102 pad..\n")
    assert lines(tmp_path / "a.log") == [102]
    assert lines(tmp_path / "a.log.1") == [100, 101]


def write_many(path, worker):
    file = RotatingFile(path, 2000, 1000)
    for number in range(1000):
        file.write(b"%d %b\n" % (worker * 1000 + number, b"x" * (number % 90)))


def test_processes_that_rotate_one_file_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=write_many, args=(str(tmp_path / "a.log"), worker)) for worker in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert sorted(numbers(tmp_path)) == list(range(4000))
    assert len(list(tmp_path.iterdir())) > 5

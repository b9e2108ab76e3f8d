"""Atomic writing of files and folders."""

import errno
import os
import pathlib
import subprocess
import sys

import pytest

from kgan import files
from kgan.images.listing import find_pictures


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_is_there_when_it_is_whole(tmp_path):
    target = tmp_path / "a.txt"
    with files.whole(target) as partial:
        partial.write_text("half", encoding="utf-8")
        assert (partial.name, target.exists()) == ("a.txt", False)
        partial.write_text("whole", encoding="utf-8")
    assert (names(tmp_path), target.read_text(encoding="utf-8")) == (["a.txt"], "whole")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()], ids=repr)
def test_nothing_changes_when_writing_fails(tmp_path, error):
    target = tmp_path / "a.txt"
    files.write_text(target, "before")

    def fail():
        with files.whole(target) as partial:
            partial.write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (names(tmp_path), target.read_text(encoding="utf-8")) == (["a.txt"], "before")


def test_others_may_read_it(tmp_path):
    """Files have the usual permissions of the user, not only for the owner."""
    before = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "a.bin", b"\x00\xff")
        with files.whole(tmp_path / "folder") as partial:
            partial.mkdir()
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.bin", "folder")] == [0o640, 0o750]


def test_texts_are_utf_8_whatever_the_locale(tmp_path):
    files.write_text(tmp_path / "a.txt", "Brücke 橋\n")
    assert (tmp_path / "a.txt").read_bytes() == b"Br\xc3\xbccke \xe6\xa9\x8b\n"


def test_names_as_long_as_they_may_be(tmp_path):
    target = tmp_path / ("ü" * 125 + ".png")  # 254 bytes of 255
    files.write_bytes(target, b"x")
    assert names(tmp_path) == [target.name]


def test_a_folder_takes_the_place_of_another(tmp_path):
    target = tmp_path / "model"
    for content in ("one", "two"):
        with files.whole(target) as partial:
            partial.mkdir()
            (partial / content).write_bytes(b"")
    assert names(tmp_path) == ["model", "model/two"]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_previous_one(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_bytes(b"")

    def fail():
        with files.whole(target) as partial:
            partial.mkdir()
            (partial.parent / "model-previous").write_bytes(b"")  # a file: no folder can be renamed to its name

    with pytest.raises(NotADirectoryError):
        fail()
    assert names(tmp_path) == ["model", "model/old"]


KILLED = """
import os, pathlib, sys
from kgan import files
with files.whole(pathlib.Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_leaves_is_hidden_and_swept(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"before")
    (tmp_path / ".formerly-1").write_bytes(b"")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", KILLED, str(target)], env=environment).returncode == -9
    assert target.read_bytes() == b"before"
    (left,) = tmp_path.glob(".a.png-*.partial")
    assert find_pictures(tmp_path) == [target]
    files.sweep(tmp_path, ".formerly-*")
    assert names(tmp_path) == ["a.png"]
    assert not left.exists()


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write_text(pathlib.Path("a.txt"), "x")
    assert names(tmp_path) == ["a.txt"]


def test_an_error_beside_a_file_names_it(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, files.beside(tmp_path / "a.onnx"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a.onnx")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_reported_with_the_file(tmp_path):
    def write():
        with files.whole(tmp_path / "a.npz"), open("/dev/full", "w", encoding="utf-8") as full:
            full.write("text")
            full.flush()

    with pytest.raises(OSError, match="No space left") as raised:
        write()
    assert raised.value.filename == str(tmp_path / "a.npz")
    assert names(tmp_path) == []

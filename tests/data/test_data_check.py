"""`kgan check`: names every problem file and its reason."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kgan.data import check, pool
from kgan.errors import RunError, UserError


@pytest.fixture
def folder(tmp_path):
    for index in range(4):
        Image.new("RGB", (20, 10), (index, 0, 0)).save(tmp_path / f"{index}.png")
    return tmp_path


def test_clean_folder(folder, capsys):
    assert check.main([folder]) == 0
    assert capsys.readouterr().out == "4 pictures checked, all good\n"


def test_every_problem_is_printed(folder, capsys):
    (folder / "deep").mkdir()
    (folder / "deep/text.jpg").write_text("words", encoding="utf-8")
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:-30])
    assert [path.name for path, _ in check.check_folders([folder])] == ["2.png", "text.jpg"]
    assert check.main([folder]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{folder}/2.png: damaged or truncated")
    assert lines[1].startswith(f"{folder}/deep/text.jpg: not a JPEG, PNG, WebP or GIF")
    assert lines[2:] == ["5 pictures checked, 2 cannot be used"]


def test_animations_are_remarked_on_and_good(folder, capsys):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    assert check.main([folder]) == 0
    remark = "animated: only the first frame is used"
    assert capsys.readouterr().out == f"{folder}/moving.gif: {remark}\n5 pictures checked, all good\n"
    assert check.check_folders([folder]) == []


def test_single_files_and_missing_folders(folder):
    assert check.check_folders([folder / "0.png"]) == []
    with pytest.raises(UserError, match="no such folder"):
        check.check_folders([folder, folder / "none"])


def test_many_pictures_go_through_processes(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    for index in range(pool.FEW + 20):
        Image.fromarray(pixels).save(tmp_path / f"{index:03}.png")
    (tmp_path / "050.png").write_bytes(b"x")
    assert [path.name for path, _ in check.check_folders([tmp_path])] == ["050.png"]


def test_pool_keeps_the_order():
    assert list(pool.map_in_processes(abs, range(-200, 0))) == list(range(200, 0, -1))


def test_a_script_from_standard_input_works_alone():
    """A worker process would look for a file of the name <stdin>."""
    script = "from kgan.data import pool\nprint(sum(pool.map_in_processes(abs, range(-200, 0))))"
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("20100\n", "")


def test_worker_that_dies_is_a_run_error():
    with pytest.raises(RunError, match="worker process died"):
        list(pool.map_in_processes(os._exit, range(200)))

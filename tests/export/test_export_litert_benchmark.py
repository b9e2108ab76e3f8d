"""`python scripts/benchmark.py litert`: its rows, and its messages about other files."""

import pathlib
import re
import sys

import pytest
from small_models import make_generator

from kgan.export import export_fixed, export_litert

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts"))

import benchmark
import litert_speed

FAST = ["--size", "32", "--windows", "2", "--window-steps", "1"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speed")
    generator = make_generator("content_noise")
    return export_litert(generator, folder / "any.tflite"), export_fixed(generator, folder / "fixed.tflite", (32, 48))


@pytest.mark.long
def test_a_row_for_each_file_and_number_of_threads(files, capsys):
    assert benchmark.main(["litert", *map(str, files), *FAST, "--threads", "1", "2"]) == 0
    title, *rows = capsys.readouterr().out.splitlines()
    assert title == "32x32, one picture, CPU"
    for path in files:
        for threads in ("1 thread", "2 threads"):
            (row,) = (row for row in rows if row.startswith(f"{path}, {threads} "))
            middle, low, high = map(float, re.search(r"([\d.]+) ms \(([\d.]+)-([\d.]+)\)$", row).groups())
            assert 0 <= low <= middle <= high
    assert any(litert_speed.PEER in row for row in rows)  # timed too, or how to install it


def test_windows_take_turns():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    seconds = litert_speed.measure(runs, windows=2, window_steps=3)
    assert "".join(calls) == "ab" + "aaabbb" * 2
    assert [len(each) for each in seconds.values()] == [2, 2]


@pytest.mark.long
@pytest.mark.parametrize("size", ["40", "31"])
def test_a_file_without_that_size(files, capsys, size):
    assert benchmark.main(["litert", str(files[1]), "--size", size]) == 2
    assert capsys.readouterr().err == f"benchmark: {files[1]}: is no LiteRT model for pictures of {size}x{size}\n"


def test_no_model(tmp_path, capsys):
    (tmp_path / "m.tflite").write_bytes(b"nothing of the kind, whatever the suffix says")
    for path in (tmp_path / "m.tflite", tmp_path / "gone.tflite"):
        assert benchmark.main(["litert", str(path), *FAST]) == 2
        assert capsys.readouterr().err == f"benchmark: {path}: is no LiteRT model for pictures of 32x32\n"

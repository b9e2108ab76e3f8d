"""The builder of docs/batch.md, which prepares a large training set with TFDS on Beam."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import kgan
from kgan.data import open_pictures
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

PAGE = pathlib.Path(kgan.__file__).parents[1] / "docs" / "batch.md"


@pytest.mark.long
def test_its_set_is_trained_on(tmp_path, monkeypatch):
    (text,) = re.findall(r"^```python\n(import io\n.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    (tmp_path / "prepare.py").write_text(text, encoding="utf-8")
    files = {}
    for folder, count in (("photos", 5), ("paintings", 3)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            path = tmp_path / folder / f"{number}.jpg"
            Image.fromarray(np.full((24, 32, 3), 40 * number + count, np.uint8)).save(path)
            files[f"{folder}/{number}.jpg"] = path.read_bytes()
    subprocess.run([sys.executable, "prepare.py"], cwd=tmp_path, check=True, timeout=300)
    monkeypatch.chdir(tmp_path)
    asked = TrainConfig(recipe="cut", data="tfds:sets/paintings/1.0.0", cache=str(tmp_path / "cache"), size=16)
    pictures = open_pictures(recipes.resolve(asked))
    assert {*pictures.content.names, *pictures.style.names} == files.keys()
    assert (len(pictures.content), len(pictures.style)) == (5, 3)

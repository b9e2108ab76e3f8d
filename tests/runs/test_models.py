"""Models by path and by name, and the messages if there is none."""

import os
import pathlib
import socket

import numpy as np
import pytest

import kgan
from kgan import cli
from kgan.errors import UserError
from kgan.export import export_litert, export_saved_model
from kgan.inference.generate import _training_size
from kgan.networks.generators import ResNetGenerator
from kgan.runs import recipes
from kgan.runs.models import resolve_model, resolve_run
from kgan.runs.settings import TrainConfig
from kgan.runs.shipped import FOLDER

SETTINGS = recipes.resolve(TrainConfig(data="sample", recipe="cyclegan", size=96, filters=4, blocks=1))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    identity = ResNetGenerator(filters=4, blocks=1, residual=True)
    identity(np.zeros((1, 32, 32, 3), np.float32))
    export_saved_model(identity, folder / "saved_model")
    export_litert(identity, folder / "model.tflite")
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch, exported):
    """The current folder and the home folder, both with a run and an export."""
    for folder in (tmp_path / "here", tmp_path / "home"):
        (folder / "runs" / "first").mkdir(parents=True)
        SETTINGS.save(folder / "runs" / "first" / "config.json")
        (folder / "deploy").symlink_to(exported)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize(
    ("word", "kind", "path"),
    [
        ("runs/first", "run", "here/runs/first"),
        ("~/runs/first", "run", "home/runs/first"),
        ("deploy/saved_model", "saved_model", "here/deploy/saved_model"),
        ("~/deploy/model.tflite", "litert", "home/deploy/model.tflite"),
        ("ukiyoe", "run", FOLDER / "ukiyoe"),
    ],
)
def test_a_word_means_one_model(place, word, kind, path):
    for given in (word, pathlib.Path(word)):
        source = resolve_model(given)
        assert (source.kind, source.path.absolute()) == (kind, place / path)
        assert source.is_shipped == (word == "ukiyoe")
        assert (source.config is not None) == (kind == "run")
    assert word != "runs/first" or source.config == SETTINGS


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "the model's name is empty; give a run folder"),
        ("runs/frist", "runs/frist: no model there; did you mean runs/first? Give"),
        ("~/runs/frist", "/home/runs/frist: no model there; did you mean "),
        ("ukioye", "ukioye: no model there; did you mean ukiyoe? Give"),
        ("deploy/modle.tflite", "did you mean deploy/model.tflite?"),
        ("runs", "runs: is no model; did you mean runs/first?"),
        ("deploy", "deploy: is no model; did you mean deploy/model.tflite?"),
        ("runs/first/config.json", "is no model; did you mean runs/first?"),
        ("pipe", "pipe: is neither a file nor a folder; expected a run folder"),
        ("pipe.tflite", "pipe.tflite: is neither a file nor a folder"),
        ("socket", "socket: is neither a file nor a folder"),
        (os.devnull, "/dev/null: is neither a file nor a folder"),
        ("x" * 300, "cannot be read (File name too long)"),
        (
            "nowhere",
            "nowhere: no model there; give a run folder, a SavedModel folder or a .tflite or .onnx file, or one of f",
        ),
    ],
    ids=lambda text: text[:30],
)
def test_a_word_that_means_none(place, word, said):
    os.mkfifo("pipe")
    os.mkfifo("pipe.tflite")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(UserError) as caught:
            resolve_model(word)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_is_asked_for(place):
    assert resolve_run("~/runs/first").config == SETTINGS
    with pytest.raises(UserError, match=r"^deploy/saved_model: is no run folder; it should hold "):
        resolve_run("deploy/saved_model")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"recipe": 3}', '{"content": 3}', '{"new": 1}', "\udcff"])
def test_broken_settings_are_said_when_they_are_needed(place, text):
    path = pathlib.Path("runs/first/config.json")
    path.write_bytes(text.encode(errors="surrogateescape"))
    source = resolve_model("runs/first")  # its SavedModel may still be good
    with pytest.raises(UserError, match=r"^runs/first/config.json: [^\n]*$"):
        _ = source.config


def test_all_commands_know_the_home_folder_and_the_shipped_names(place, exported, capsys):
    picture = FOLDER / "vangogh" / "test_content.png"
    assert kgan.load("~/deploy/model.tflite").name == str(place / "home" / "deploy" / "model.tflite")
    assert _training_size("~/runs/first") == (96, 96)
    assert _training_size("vangogh") == (256, 256)
    assert _training_size("~/deploy/saved_model") == (256, 256)
    for words, said in {
        "evaluate vangogh": "--content is missing: vangogh came with kgan, without pictures",
        "evaluate ~/deploy/saved_model": "--content is missing: saved_model is no run folder",
        "export --run vangogh": "--output is missing: vangogh came with kgan",
        "web ~/deploy/saved_model": "home/deploy/saved_model: cannot be used here",
        f"stylize {picture} --output out --model=~/runs/first": "home/runs/first: holds no checkpoint yet",
    }.items():
        assert cli.main(words.split()) == 2
        assert said in capsys.readouterr().err


def test_a_shipped_model_is_evaluated_as_a_run_and_stays_as_it_is(place, capsys):
    before = sorted(FOLDER.rglob("*"))
    pictures = place / "pictures"
    pictures.mkdir()
    (pictures / "a.png").symlink_to((FOLDER / "vangogh-mobile" / "test_content.png").resolve())
    words = ["evaluate", "vangogh-mobile", "--content", str(pictures), "--size", "64"]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert "Weights: the moving average" in shown
    assert "written" not in shown
    assert sorted(FOLDER.rglob("*")) == before


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_the_fingerprint_of_a_file_is_of_its_content(tmp_path, suffix):
    one, other = (tmp_path / folder / f"model{suffix}" for folder in ("one", "other"))
    for path in (one, other):
        path.parent.mkdir()
        path.write_bytes(b"weights")
    assert resolve_model(one).fingerprint == resolve_model(other).fingerprint
    other.write_bytes(b"other weights")
    assert resolve_model(one).fingerprint != resolve_model(other).fingerprint

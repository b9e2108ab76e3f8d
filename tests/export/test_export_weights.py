"""Weights as numbers alone: model.safetensors beside config.json."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
import small_models
from safetensors.numpy import load_file

import kgan
from kgan import cli
from kgan.assembly import build_generator
from kgan.errors import RunError, UserError
from kgan.export import export_run, load_generator
from kgan.export.weights import export_weights
from kgan.inference.loading import of_generator
from kgan.inference.weights import outline
from kgan.kinds import GENERATORS
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig
from kgan.runs.shipped import FOLDER

PICTURE = np.random.default_rng(0).integers(0, 256, (21, 34, 3), np.uint8)


def settings(**changes):
    return recipes.completed(TrainConfig(**{"recipe": "paired", "filters": 4, "blocks": 1, "size": 32, **changes}))


def trained(config):
    """A generator whose weights are as far from 0 as those after a training."""
    generator, draw = build_generator(config), np.random.default_rng(1)
    for variable in generator.variables:
        variable.assign(draw.normal(0.1, 0.2, variable.shape))
    return generator


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a checkpoint alone, and its generator."""
    config = settings(content="/home/somebody/photos", style="tfds:paintings", noise="uniform", truncation=1.5)
    generator = trained(config)
    return small_models.make_run(tmp_path_factory.mktemp("runs") / "run", generator, config), generator


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_each_network_comes_back(name, half, tmp_path):
    config = settings(generator=name, noise_channels=0 if name == "mobile" else 1, precision="bfloat16")
    generator = trained(config)
    config.save(tmp_path / "config.json")
    file = export_weights(generator, tmp_path / "model.safetensors", half=half)
    read, again = load_generator(tmp_path)
    assert again == config
    for one, other in zip(generator.get_weights(), read.get_weights(), strict=True):
        expected = one.astype(np.float16).astype(np.float32) if half else one
        np.testing.assert_array_equal(other, expected)
        assert other.dtype == np.float32
    numbers = sum(array.size for array in read.get_weights())
    assert 0 < file.stat().st_size - numbers * (2 if half else 4) < 8000


def test_the_file_holds_the_names_and_the_layout_of_keras(run, tmp_path):
    _, generator = run
    tensors = load_file(export_weights(generator, tmp_path / "model.safetensors"))
    assert tensors["block_1/first/convolution/kernel"].shape == (3, 3, 16, 16)
    np.testing.assert_array_equal(tensors["head/bias"], generator.get_layer("head").bias.numpy())
    assert len(tensors) == len(generator.variables)


def test_a_run_is_exported_for_others(run, tmp_path, capsys):
    folder, generator = run
    out = tmp_path / "shared"
    words = ["export", "--run", str(folder), "--format", "safetensors", "--output", str(out)]
    assert cli.main(words) == 0
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]
    assert (out / "model.safetensors").stat().st_mode == (out / "config.json").stat().st_mode
    stored = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert (stored["content"], stored["style"], stored["cache"]) == ("photos", "tfds:paintings", "~/.cache/kgan")
    loaded = kgan.load(out)
    assert (loaded.facts.distribution, loaded.facts.truncation) == ("uniform", 1.5)
    np.testing.assert_array_equal(loaded(PICTURE), of_generator(generator, "uniform", 1.5)(PICTURE))
    (again,) = export_run(out, tmp_path / "again", format="safetensors_float16")
    assert again.stat().st_size < (out / "model.safetensors").stat().st_size
    assert np.abs(kgan.load(again.parent)(PICTURE).astype(int) - loaded(PICTURE)).max() <= 2
    capsys.readouterr()


def test_the_settings_of_another_network_are_kept(run, tmp_path):
    folder, _ = run
    config = settings(filters=8)
    config.save(tmp_path / "config.json")
    with pytest.raises(UserError, match=r"config\.json: is of another network; give another output"):
        export_run(folder, tmp_path, format="safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_older_weights_are_not_taken_for_those_of_a_newer_checkpoint(run, tmp_path):
    config = settings()
    older, newer = trained(config), build_generator(config)
    folder = small_models.make_run(tmp_path / "run", newer, config)
    file = export_weights(older, folder / "model.safetensors")
    checkpoint = next((folder / "checkpoints").glob("*.index")).stat().st_mtime
    for seconds, expected in ((10, older), (-10, newer)):
        os.utime(file, (checkpoint + seconds, checkpoint + seconds))
        made = kgan.load(folder)(PICTURE)
        if seconds < 0:
            np.testing.assert_array_equal(made, of_generator(expected, "normal", 2.0)(PICTURE))


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    generator = build_generator(settings())
    generator.get_layer("head").bias.assign([0.0, 7e4, 0.0])
    with pytest.raises(RunError, match="head/bias is NaN, infinite or too large for float16; no file was written"):
        export_weights(generator, tmp_path / "model.safetensors", half=True)
    assert not list(tmp_path.iterdir())
    export_weights(generator, tmp_path / "model.safetensors")


def test_an_outline_has_shapes_and_draws_no_seeds():
    import random

    config, state = settings(), random.getstate()
    shapes = [tuple(variable.shape) for variable in outline(config, pathlib.Path("config.json")).variables]
    assert random.getstate() == state
    assert shapes == [tuple(variable.shape) for variable in build_generator(config).variables]


@pytest.mark.long
def test_a_shipped_model_is_written_by_one_call(tmp_path):
    export_run("vangogh-mobile", tmp_path / "out", format="safetensors_float16")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(kgan.load(tmp_path / "out")(picture), kgan.load("vangogh-mobile")(picture))
    ours = dataclasses.asdict(TrainConfig.load(tmp_path / "out" / "config.json"))
    assert ours == dataclasses.asdict(TrainConfig.load(FOLDER / "vangogh-mobile" / "config.json"))


def test_what_cannot_be_written_leaves_nothing(run, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kgan.export.weights.write_weights", full)
    with pytest.raises(OSError, match="No space left"):
        export_run(run[0], tmp_path / "out", format="safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sizes": 64}, "sizes: is for litert and onnx"),
        ({"licence": "mit"}, "licence: is for litert and onnx"),
        ({"source": "mine", "format": "safetensors"}, "source: is for litert and onnx"),
        ({"output": "file"}, "output file: is no folder"),
        ({"output": "-"}, "output -: several files cannot be standard output"),
        ({"output": "dangling", "litert": "float32"}, "output dangling: is no folder"),
    ],
)
def test_options_that_would_do_nothing_and_outputs_that_are_no_folders(run, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file").write_text("mine", encoding="utf-8")
    pathlib.Path("dangling").symlink_to("nothing")
    with pytest.raises(UserError, match=said):
        export_run(run[0], **{"output": "out"} | options)
    assert sorted(os.listdir()) == ["dangling", "file"]

"""Evaluation: numbers worked by hand on pictures whose distances are known, pairing, and what is written."""

import json

import numpy as np
import pytest
from PIL import Image

from kgan import recipes
from kgan.config import TrainConfig
from kgan.errors import UserError
from kgan.evaluation import compared, evaluate, fitted, table
from kgan.export import export_saved_model
from kgan.networks import build_generator
from kgan.networks.generators import ResNetGenerator


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    generator = ResNetGenerator(filters=4, blocks=1, residual=True)
    generator(np.zeros((1, 32, 32, 3), np.float32))
    return export_saved_model(generator, tmp_path_factory.mktemp("models") / "identity")


def fill(folder, names, value=None, size=(40, 32)):
    folder.mkdir(parents=True)
    for k, name in enumerate(names):
        random = np.random.default_rng(k).integers(50, 200, (*size, 3), np.uint8)
        Image.fromarray(random if value is None else np.full_like(random, value)).save(folder / name)
    return folder


def test_numbers_by_hand(identity, tmp_path, capsys):
    content = fill(tmp_path / "content", ["a.png", "b.png"], 102)
    truth = fill(tmp_path / "truth", ["a.png", "b.png"], 153)
    report = evaluate(identity, content, truth, output=tmp_path / "numbers.json")
    assert report["pictures"] == 2
    assert report["content_ssim"] == pytest.approx(1, abs=1e-6)
    assert report["content_psnr"] == 100  # equal pictures
    assert report["truth_mse"] == pytest.approx(0.04, rel=1e-4)  # (51 / 255)^2
    assert report["truth_psnr"] == pytest.approx(10 * np.log10(25), abs=1e-3)
    for name in ("ssim", "psnr", "mse"):
        assert report[f"identity_truth_{name}"] == report[f"truth_{name}"]
    assert report["kid_reference"] == "truth"
    assert report["kid_mobilenet"] == report["identity_kid_mobilenet"] > 0
    assert json.loads((tmp_path / "numbers.json").read_text()) == report
    shown = capsys.readouterr().out
    assert "subsets of only 2" in shown
    assert "13.98" in shown


def test_style_is_the_reference_of_kid(identity, tmp_path):
    content = fill(tmp_path / "content", ["a.png", "b.png", "c.png"])
    report = evaluate(identity, content, style=fill(tmp_path / "style", ["x.png", "y.png"], 80), size=32)
    assert report["kid_reference"] == "style"
    assert report["kid_reference_pictures"] == report["kid_subset_size"] == 2
    assert report["kid_mobilenet_std"] > 0  # two of three pictures, drawn again and again
    assert not any(name.startswith("truth") for name in report)


def test_pairs_by_stem(identity, tmp_path, capsys):
    content = fill(tmp_path / "content", ["a.png", "b.png", "c.png"])
    truth = fill(tmp_path / "truth", ["c.webp", "a.webp", "z.webp"], 0)
    assert evaluate(identity, content, truth)["pictures"] == 2
    assert "1 of 3 pictures have no truth" in capsys.readouterr().out
    with pytest.raises(UserError, match="file names of the content, as in a"):
        evaluate(identity, content, fill(tmp_path / "other", ["q.png"]))


def test_pairs_of_unequal_size_need_a_size(identity, tmp_path):
    content = fill(tmp_path / "content", ["a.png"])
    truth = fill(tmp_path / "truth", ["a.png"], size=(64, 64))
    with pytest.raises(UserError, match=r"Received: 32x40 and 64x64; give --size"):
        evaluate(identity, content, truth)
    assert evaluate(identity, content, truth, size=32)["size"] == 32


def test_too_small_for_ssim():
    with pytest.raises(UserError, match="at least 11 pixels"):
        compared("content", np.zeros((10, 40, 3), np.uint8), np.zeros((10, 40, 3), np.uint8), "x.png")


def test_fitted_takes_the_central_square():
    picture = np.zeros((20, 40, 1), np.uint8)
    picture[:, 10:30] = 255
    assert fitted(picture, 20).tolist() == np.full((20, 20, 1), 255).tolist()
    assert fitted(picture, None) is picture


def test_a_file_alone_has_no_test_pictures(identity):
    with pytest.raises(UserError, match="--content is missing"):
        evaluate(identity)


def test_table_shows_a_dash_where_there_is_no_baseline():
    shown = table({"pictures": 1, "size": None, "content_ssim": 0.5, "content_psnr": 20.0, "content_mse": 0.01})
    assert shown.splitlines()[1].split() == ["SSIM", "to", "the", "content", "0.5000", "-"]


def run_folder(folder, config):
    folder.mkdir()
    config.save(folder / "config.json")
    export_saved_model(build_generator(config), folder / "saved_model")
    return folder


@pytest.mark.slow
def test_a_run_is_scored_on_its_own_test_pictures(tmp_path):
    settings = TrainConfig(data="sample", size=32, filters=4, blocks=1, cache=str(tmp_path / "cache"))
    run = run_folder(tmp_path / "run", recipes.resolve(settings))
    report = evaluate(run)
    assert report["pictures"] == 52
    assert report["truth_psnr"] == pytest.approx(report["identity_truth_psnr"], abs=0.05)  # it starts as the identity
    assert json.loads((run / "evaluation.json").read_text()) == report


@pytest.mark.slow
def test_a_synthesis_run_has_kid_alone(tmp_path):
    style = fill(tmp_path / "style", ["a.png", "b.png", "c.png"])
    settings = TrainConfig(recipe="synthesis", style=str(style), size=32, filters=4, blocks=1, noise_channels=2,
                           cache=str(tmp_path / "cache"))  # fmt: skip
    report = evaluate(run_folder(tmp_path / "run", recipes.resolve(settings)))
    assert report["pictures"] == 3
    assert report["kid_mobilenet"] > 0
    assert "content_ssim" not in report

"""A small network learns from a trained one: --distill-from."""

import dataclasses
import pathlib

import numpy as np
import pytest
import small_runs
import tensorflow as tf
from PIL import Image

from kgan import assembly, export
from kgan.assembly import build_gan
from kgan.data import open_pictures
from kgan.errors import UserError
from kgan.evaluation import sets
from kgan.evaluation.evaluate import evaluate
from kgan.evaluation.measure import measured
from kgan.gan import tracking
from kgan.images.resizing import for_scores
from kgan.inference.teacher import load_teacher
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig
from kgan.training.train import train

_determinism_ends = pytest.fixture(autouse=True)(small_runs.determinism_ends)


def settings(run, **changes):
    return small_runs.settings(run, **{"recipe": "distill", "checkpoint_every": 100, **changes})


def content(count=2, size=16, channels=3):
    return np.random.default_rng(1).uniform(-1, 1, (count, size, size, channels)).astype("float32")


def expected(pictures):
    """The results of the teacher of `small_runs`, computed with its function for pictures in [0, 1]."""
    return export.load(small_runs.teacher())(pictures * 0.5 + 0.5) * 2 - 1


@pytest.mark.parametrize("part", ["", "saved_model"])
def test_the_teacher_is_the_model_that_users_run(part, tmp_path):
    teacher = load_teacher(settings(tmp_path, distill_from=f"{small_runs.teacher()}/{part}"))
    np.testing.assert_allclose(teacher(tf.constant(content())), expected(content()), atol=1e-5)


def test_a_teacher_computes_in_the_bfloat16_of_the_run(tmp_path):
    teacher = load_teacher(settings(tmp_path, precision="bfloat16"))
    made = teacher(tf.constant(content()))
    assert made.dtype == tf.float32
    difference = np.abs(made - expected(content())).max()
    assert 1e-4 < difference < 0.05  # 8 bits of a number, not 24


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a student that has learned for some steps."""
    folder = tmp_path_factory.mktemp("distilled") / "run"
    return train(settings(folder, steps=60, sample_every=30, learning_rate=1e-2, ema=0.9))


@pytest.mark.long
def test_a_student_comes_nearer_to_its_teacher(trained):
    lines = small_runs.lines(trained)
    assert lines[-1]["truth_mse"] < 0.5 * lines[0]["truth_mse"]
    assert {"truth_ssim", "truth_psnr", "pixel_loss", "ssim_loss", "features_loss"} <= lines[-1].keys()
    samples = np.asarray(Image.open(sorted((trained / "samples").glob("*.png"))[-1]))
    assert samples.shape[1] >= 3 * 16  # content | stylized | what the teacher makes of it


@pytest.mark.long
def test_the_teacher_is_no_part_of_the_checkpoint(trained):
    names = small_runs.weights(trained, 60)
    assert not [name for name in names if "teacher" in name]
    assert [name for name in names if "stylist" in name]


@pytest.mark.long
def test_it_is_scored_against_its_teacher(trained, monkeypatch):
    monkeypatch.setattr(sets, "RESAMPLES", 5)
    report = evaluate(trained)
    assert report["reference"]["what"] == "pictures of the teacher"
    model, teacher = export.load(trained), export.load(small_runs.teacher())
    pictures = sorted(pathlib.Path(small_runs.pictures(), "testA").iterdir())
    cut = [for_scores(np.asarray(Image.open(path)), 16) for path in pictures]
    by_hand = [measured(model(one), one, teacher(one), "") for one in cut]
    assert report["rows"]["model"]["truth_mse"]["value"] == pytest.approx(
        np.mean([one["truth_mse"] for one in by_hand]), rel=1e-4
    )
    assert report["rows"]["truth"]["truth_mse"]["value"] == 0.0
    last = small_runs.lines(trained)[-1]
    for name in ("truth_ssim", "truth_psnr", "truth_mse", "content_ssim", "checkerboard"):
        assert last[name] == pytest.approx(report["rows"]["model"][name]["value"], abs=6e-7)  # logged with 6 digits


def test_content_alone_is_needed(tmp_path):
    given = {"recipe": None, "data": None, "content": f"{small_runs.pictures()}/trainA"}
    config = settings(tmp_path, **given, distill_from=small_runs.teacher())
    assert (config.recipe, config.generator) == ("distill", "mobile")
    pictures = open_pictures(config)
    assert (len(pictures.content), pictures.style) == (7, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "article"}, "draws noise"),
        ({"channels": 1}, "has 1 channels; give channels 1"),
        ({"stride": 8}, "size 20 should be a multiple of the teacher's stride, at least 16. .* has stride 8"),
    ],
    ids=str,
)
def test_a_teacher_that_cannot_teach_is_one_clear_line(changes, message, tmp_path):
    fields = {"recipe": "fastcut", "size": 16, "filters": 4, "blocks": 1, "data": "x", **changes}
    config = recipes.resolve(TrainConfig(**fields))
    trained = tf.Module()
    trained.stylist = assembly.build_generator(config)
    tracking.checkpoint(gan=trained).save(str(tmp_path / "checkpoints" / "ckpt"))
    config.save(tmp_path / "config.json")
    with pytest.raises(UserError, match=message) as caught:
        load_teacher(settings(tmp_path, distill_from=str(tmp_path), size=20))
    assert "\n" not in str(caught.value)


def test_a_saved_model_teaches_on_one_device_alone(tmp_path):
    config = settings(tmp_path, distill_from=f"{small_runs.teacher()}/saved_model")
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())
    with strategy.scope(), pytest.raises(UserError, match="give a run folder, or devices 1"):
        load_teacher(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distill_from": None}, "distill_from is missing"),
        ({"distill_from": "nowhere"}, "nowhere: no model there"),
        ({"recipe": "cyclegan", "distill_from": "x"}, "distill_from x: recipe cyclegan has no teacher"),
        ({"data": None}, "content is missing"),
    ],
    ids=str,
)
def test_settings_without_a_teacher_or_content(changes, message, tmp_path):
    if changes.get("data", "") is None:
        changes = {**changes, "style": small_runs.pictures()}
    with pytest.raises(UserError, match=message):
        settings(tmp_path, **changes)


def test_a_gan_and_its_teacher_belong_together(tmp_path):
    with pytest.raises(ValueError, match="teacher"):
        build_gan(settings(tmp_path))
    with pytest.raises(ValueError, match="teacher"):
        build_gan(dataclasses.replace(settings(tmp_path), recipe="fastcut"), lambda content: content)

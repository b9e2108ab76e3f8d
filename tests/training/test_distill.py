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
from kgan.inference.teacher import load_teacher, picture_teacher
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


def taught(pictures, **changes):
    """uint8 pictures [N, 32, 32, 3] restyled as in the training, in levels."""
    teacher = load_teacher(settings("run", size=32, **changes))
    return teacher(tf.constant(pictures / 127.5 - 1.0, tf.float32)).numpy() * 127.5 + 127.5


PHOTOS = np.random.default_rng(2).integers(0, 30, (2, 32, 32, 3), dtype=np.uint8)  # texture on two planes
PHOTOS[:, :, 12:] += 150


def test_two_teachers_teach_the_mean_of_their_pictures():
    orange, van_gogh = taught(PHOTOS), taught(PHOTOS, distill_from="vangogh-mobile")
    both = taught(PHOTOS, distill_also="vangogh-mobile")
    assert np.abs(orange - van_gogh).mean() > 10
    np.testing.assert_allclose(both, (orange + van_gogh) / 2, atol=0.01)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, marks=pytest.mark.long),
        pytest.param({"distill_also": "vangogh-mobile"}, marks=pytest.mark.long),
        pytest.param({"distill_from": "vangogh-mobile", "distill_strokes": 2.0}, marks=pytest.mark.long),
        pytest.param({"distill_from": "vangogh-mobile", "distill_flatten": 0.02}, marks=pytest.mark.long),
        {"distill_also": "vangogh-mobile", "distill_strokes": 2.0, "distill_flatten": 0.02},
    ],
    ids=str,
)
def test_scores_compare_with_what_the_training_showed(changes):
    teach = picture_teacher(settings("run", size=32, **changes))
    shown = np.stack([teach(photo) for photo in PHOTOS])
    assert shown.dtype == np.uint8
    # Half a level by rounding. A gradient at the limit of `flatten` may be kept in one of the two alone.
    np.testing.assert_allclose(taught(PHOTOS, **changes), shown, atol=2.0 if "distill_flatten" in changes else 0.6)


def test_strokes_and_flatten_change_what_is_taught():
    once = taught(PHOTOS, distill_from="vangogh-mobile")
    for changes in ({"distill_strokes": 2.0}, {"distill_flatten": 0.02}):
        assert np.abs(taught(PHOTOS, distill_from="vangogh-mobile", **changes) - once).mean() > 2


def test_passes_of_broader_strokes_have_sides_that_the_teacher_takes():
    assert taught(PHOTOS, distill_from="vangogh-mobile", distill_strokes=1.4).shape == PHOTOS.shape  # 24, then 32


@pytest.mark.long
def test_xla_compiles_all_of_a_teacher():
    changes = {"distill_also": "vangogh-mobile", "distill_strokes": 2.0, "distill_flatten": 0.02}
    teacher = load_teacher(settings("run", size=32, **changes))
    content = tf.constant(PHOTOS[:1] / 127.5 - 1.0, tf.float32)
    compiled = tf.function(teacher, jit_compile=True, autograph=False)(content)
    np.testing.assert_allclose(compiled, teacher(content), atol=2e-3)


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


def test_with_style_pictures_the_recipe_is_guided(tmp_path):
    root = small_runs.pictures()
    given = {"recipe": None, "data": None, "content": f"{root}/trainA", "style": f"{root}/trainB"}
    config = settings(tmp_path, **given, distill_from=small_runs.teacher(), style_max_crop=0.6)
    assert (config.recipe, config.discriminator) == ("guided", "projected")
    pictures = open_pictures(config)
    assert (pictures.content.names[0], pictures.paired, len(pictures.style)) == ("0.png", False, 7)


@pytest.mark.long
def test_a_guided_student_is_held_to_its_teacher_and_judged_by_a_discriminator(tmp_path):
    config = small_runs.settings(tmp_path / "run", recipe="guided", steps=4, sample_every=4)
    lines = small_runs.lines(train(config))
    assert {"discriminator_loss", "pixel_loss", "gram_loss", "equivariance_loss"} <= lines[-1].keys()
    model, teacher = export.load(tmp_path / "run"), export.load(small_runs.teacher())
    paths = sorted(pathlib.Path(small_runs.pictures(), "testA").iterdir())
    cut = [for_scores(np.asarray(Image.open(path)), 16) for path in paths]
    by_hand = np.mean([np.square((model(one).astype(float) - teacher(one)) / 255).mean() for one in cut])
    assert lines[-1]["truth_mse"] == pytest.approx(by_hand, rel=1e-3)


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
        ({"distill_also": "nowhere"}, "distill_also nowhere: no model there"),
        ({"distill_also": "x.tflite"}, "distill_also x.tflite: "),
        ({"distill_strokes": 0.5}, "distill_strokes should be at least 1 and at most size. Received: 0.5"),
        ({"distill_strokes": float("nan")}, "distill_strokes should be at least 1"),
        ({"distill_flatten": -1.0}, "distill_flatten should be at least 0 and at most 1. Received: -1"),
        ({"distill_flatten": 2.0}, "distill_flatten should be at least 0 and at most 1. Received: 2"),
        ({"recipe": "cut", "distill_from": None, "distill_strokes": 2.0}, "distill_strokes: recipe cut has no teacher"),
        ({"recipe": "cut", "distill_from": None, "distill_also": "vangogh"}, "distill_also: recipe cut has no teacher"),
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

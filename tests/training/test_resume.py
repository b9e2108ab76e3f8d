"""A run that is stopped and resumed has exactly the same weights as one that is not stopped."""

import dataclasses
import pathlib
import re
import shutil

import keras
import pytest
import small_runs
import tensorflow as tf
from gan_runs import eagerly

from kgan import cli
from kgan.assembly import build_gan
from kgan.data import open_pictures, training_dataset
from kgan.errors import UserError
from kgan.gan.checkpoints import Checkpoints
from kgan.inference.teacher import load_teacher
from kgan.runs.settings import TrainConfig
from kgan.training.devices import build_strategy
from kgan.training.train import machine_defaults, train

_determinism_ends = pytest.fixture(autouse=True)(small_runs.determinism_ends)

ONE, TWO = ["CPU:0"], ["CPU:0", "CPU:1"]
LONG = pytest.mark.long
# These hold all that there is: an embedder of patches and a discriminator on features (painting; cut, fastcut and
# projected hold less), a regularizer and noise (article; mmd and synthesis), a teacher that is not saved (distill), two
# generators and pools on two devices (cyclegan; paired is half of it).
CASES = [
    pytest.param("article", ONE, marks=LONG),
    ("distill", ONE),
    pytest.param("painting", ONE, marks=LONG),
    pytest.param("cyclegan", TWO, marks=LONG),
]


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "devices"), CASES, ids=["article", "distill", "painting", "cyclegan-2"])
def test_a_checkpoint_holds_everything(recipe, devices, tmp_path):
    # Two steps; then back to the first, with all the state of the second in place, and the second again. A pool of a
    # batch begins to swap at the second. Eager, because three steps take less time than to trace one: the next test
    # traces.
    strategy = "mirrored" if len(devices) > 1 else "none"
    config = small_runs.settings(tmp_path, recipe=recipe, image_pool=4, strategy=strategy, devices=len(devices))
    config = machine_defaults(config, devices)
    tf.config.experimental.enable_op_determinism()
    with build_strategy(config, devices).scope(), eagerly():
        gan = build_gan(config, load_teacher(config) if config.distill_from else None)
        pictures = open_pictures(config)
        checkpoints = Checkpoints(gan, tmp_path / "checkpoints", keep=9)

        def step_after(first):
            gan.fit(training_dataset(pictures, config, first), steps_per_epoch=1, shuffle=False, verbose=0)
            checkpoints.save()
            return small_runs.weights(tmp_path, first + 1)

        first, second = step_after(0), step_after(1)
        for path in (tmp_path / "checkpoints").glob("ckpt-2*"):
            path.unlink()
        assert checkpoints.restore() == 1
        again = step_after(1)
    assert small_runs.same_bits(again, second)
    assert not small_runs.same_bits(again, first)


@pytest.mark.long
def test_equal_weights_after_a_stop(tmp_path, capsys, monkeypatch):
    # The schedule is longer than both, so nothing is exported. One run is stopped, moved with its pictures, and made
    # longer before its learning rate has begun to fall; it goes on by the command line, from another folder.
    fixed = {"stop_after": 6, "weight": ("features=0", "palette=1")}
    train(small_runs.settings(tmp_path / "whole", steps=10, **fixed))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "photos").symlink_to(small_runs.pictures())
    monkeypatch.chdir(tmp_path / "here")
    short = {"steps": 32, "minutes": 1e-9, "stop_after": 4}  # to a quarter, whatever the machine
    train(small_runs.settings("runs/parts", data="photos", **fixed | short))
    said = capsys.readouterr().err
    assert "steps     8 instead of 32, for minutes 1e-09: one takes " in said
    assert "so it takes longer" in said
    assert "stopped at step 4 of 8; go on with: kgan.train(run='runs/parts', resume=True)" in said
    keras.utils.set_random_seed(99)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "here" / "runs" / "parts").rename("parts")
    (tmp_path / "here" / "photos").rename("pictures")
    words = ["train", "--run", "parts", "--resume", "--steps", "10", "--stop-after", "6"]
    assert cli.main(words) == 2
    assert f"--data {tmp_path}/here/photos: no such folder; say where its pictures are now" in capsys.readouterr().err
    assert cli.main([*words, "--data", "pictures"]) == 0
    assert "have changed" not in capsys.readouterr().err  # the pictures
    saved = TrainConfig.load(pathlib.Path("parts/config.json"))
    assert (saved.data, saved.steps, saved.extended_at) == (f"{tmp_path}/elsewhere/pictures", 10, 0)
    assert small_runs.same_bits(*(small_runs.weights(tmp_path / run, 6) for run in ("whole", "elsewhere/parts")))
    # Logged every 2 steps, saved every 3: the same lines, and the end of a call (4) has test metrics beside its losses.
    expected, got = (small_runs.lines(tmp_path / run) for run in ("whole", "elsewhere/parts"))
    assert [line["step"] for line in expected] == [0, 2, 3, 4, 6]
    assert "content_ssim" in got[3]
    assert [{name: line[name] for name in other} for line, other in zip(got, expected, strict=True)] == expected


@pytest.mark.long
def test_other_pictures_are_noted_or_refused_and_a_decay_that_has_begun_ends(tmp_path, capsys):
    folder = tmp_path / "pictures"
    shutil.copytree(small_runs.pictures(), folder)
    fixed = {"weight": ("features=0", "palette=1"), "strategy": "mirrored", "devices": 2}  # the others train on one
    config = small_runs.settings(tmp_path / "run", data=str(folder), steps=4, stop_after=3, **fixed)
    run = train(config)
    (folder / "trainA" / "0.png").unlink()
    shutil.copytree(folder, tmp_path / "copy")
    longer = TrainConfig(run=str(run), resume=True, steps=20, stop_after=4)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with pytest.raises(UserError, match=r"copy: not the pictures that the run began with: 7\+7.* then, 6\+7.* here"):
        train(dataclasses.replace(longer, data=str(tmp_path / "copy")))
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    train(longer)
    began, now = (small_runs.weights(run, step)["gan/palette/.ATTRIBUTES/VARIABLE_VALUE"] for step in (3, 4))
    assert began.tobytes() == now.tobytes()  # that of the pictures with which the run began
    assert re.search(r"pictures have changed since the run began: 7\+7\S* .* then, 6\+7", capsys.readouterr().err)
    assert TrainConfig.load(run / "config.json") == dataclasses.replace(
        machine_defaults(config, TWO), run=None, stop_after=None, steps=20, extended_at=3
    )

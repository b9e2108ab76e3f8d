"""A run that is stopped and goes on ends with the weights of one that never stopped, bit for bit."""

import dataclasses
import re
import shutil

import keras
import pytest
import small_runs
import tensorflow as tf

from kgan import recipes
from kgan.checkpoints import Checkpoints
from kgan.data import open_pictures, training_dataset
from kgan.devices import build_strategy
from kgan.export.teacher import load_teacher
from kgan.gan import build_gan
from kgan.training import machine_defaults, train

_determinism_ends = pytest.fixture(autouse=True)(small_runs.determinism_ends)

ONE, TWO = ["CPU:0"], ["CPU:0", "CPU:1"]
# fastcut holds nothing that cut does not; cyclegan on two devices what it holds on one, twice.
ALONE = [recipe for recipe in sorted(recipes.RECIPES) if recipe not in ("cyclegan", "fastcut")]
CASES = [*((recipe, ONE) for recipe in ALONE), ("cyclegan", TWO)]


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "devices"), CASES, ids=[f"{name}-{len(on)}" for name, on in CASES])
def test_a_checkpoint_holds_everything(recipe, devices, tmp_path):
    # Six steps in one go; then back to the third, with all the state of the sixth in place, and three steps again.
    # A pool of two batches begins to swap at step 2.
    strategy = "mirrored" if len(devices) > 1 else "none"
    config = small_runs.settings(tmp_path, recipe=recipe, image_pool=8, strategy=strategy, devices=len(devices))
    config = machine_defaults(config, devices)
    tf.config.experimental.enable_op_determinism()
    with build_strategy(config, devices).scope():
        gan = build_gan(config, load_teacher(config) if config.distill_from else None)
        pictures = open_pictures(config)
        checkpoints = Checkpoints(gan, tmp_path / "checkpoints", keep=9)

        def three_steps(first):
            gan.fit(training_dataset(pictures, config, first), steps_per_epoch=3, shuffle=False, verbose=0)
            checkpoints.save()
            return small_runs.weights(tmp_path, first + 3)

        third, sixth = three_steps(0), three_steps(3)
        for path in (tmp_path / "checkpoints").glob("ckpt-6*"):
            path.unlink()
        assert checkpoints.restore() == 3
        again = three_steps(3)
    assert small_runs.same_bits(again, sixth)
    assert not small_runs.same_bits(again, third)


@pytest.mark.slow
def test_equal_weights_after_a_stop(tmp_path, capsys):
    # The schedule is longer than both, so nothing is exported.
    fixed = {"steps": 10, "stop_after": 6, "weight": ("features=0",)}
    whole, parts = (small_runs.settings(tmp_path / name, **fixed) for name in ("whole", "parts"))
    train(whole)
    train(dataclasses.replace(parts, stop_after=4))
    assert (
        f"stopped at step 4 of 10; go on with: kgan train --run {tmp_path / 'parts'} --resume"
        in capsys.readouterr().out
    )
    keras.utils.set_random_seed(99)
    train(dataclasses.replace(parts, resume=True))
    assert "have changed" not in capsys.readouterr().err  # the pictures
    assert small_runs.same_bits(small_runs.weights(tmp_path / "whole", 6), small_runs.weights(tmp_path / "parts", 6))
    # Logged every 2 steps, saved every 3: the same lines, and the end of a call (4) has test metrics beside its losses.
    expected, got = small_runs.lines(tmp_path / "whole"), small_runs.lines(tmp_path / "parts")
    assert [line["step"] for line in expected] == [0, 2, 3, 4, 6]
    assert "content_ssim" in got[3]
    assert [{name: line[name] for name in other} for line, other in zip(got, expected, strict=True)] == expected


@pytest.mark.slow
def test_going_on_with_other_pictures_is_noted(tmp_path, capsys):
    folder = tmp_path / "pictures"
    shutil.copytree(small_runs.pictures(), folder)
    config = small_runs.settings(tmp_path / "run", data=str(folder), stop_after=1, weight=("features=0",))
    train(config)
    (folder / "trainA" / "0.png").unlink()
    train(dataclasses.replace(config, resume=True, stop_after=2))
    assert re.search(r"pictures have changed since the run began: 7\+7\S* .* then, 6\+7", capsys.readouterr().err)

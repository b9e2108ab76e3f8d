import dataclasses
import functools
import pathlib
import re
import sys

import gan_runs
import keras
import numpy as np
import pytest
import small_runs
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "scripts"))

import benchmark
from arithmetic import operations
from plain_step import PlainStep, missing

from kgan.assembly import build_discriminator, build_gan, build_generator
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

determinism_ends = pytest.fixture(small_runs.determinism_ends)
eager = pytest.fixture(gan_runs.eager)
SMALL = {"size": 32, "filters": 4, "blocks": 1, "discriminator_filters": 4, "batch_size": 4, "steps": 100}
RESNET9_PRODUCTS = (
    (7 * 7 * 3 * 64 + 7 * 7 * 64 * 3) * 256**2  # the first and the last layer
    + 3 * 3 * 64 * 128 * (128**2 + 256**2)  # down at 128, up at 256
    + 3 * 3 * 128 * 256 * (64**2 + 128**2)
    + 9 * 2 * 3 * 3 * 256 * 256 * 64**2
)
"""Multiplications of a forward pass at 256x256: 56.8 billion."""


def settings(recipe, **changes):
    """Resolved settings. The folders are not read."""
    config = recipes.resolve(TrainConfig(recipe=recipe, content="photos", style="paintings", **{**SMALL, **changes}))
    return dataclasses.replace(config, jit=False, devices=1)


def count(function, *shapes):
    return operations(tf.function(function).get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes)))


def pictures(config, seed=3):
    shape = (config.batch_size, config.size, config.size, config.channels)
    domains = ["style"] if recipes.find(config.recipe).pictures == "style" else ["content", "style"]
    return {name: tf.random.stateless_uniform(shape, [seed, n], -1.0, 1.0) for n, name in enumerate(domains)}


def weights(network):
    """The number of weights, without the vectors of spectral norms."""
    return [weight.numpy() for weight in network.weights if weight.name != "u"]


# --- operations -------------------------------------------------------------------------------------------------------


def test_a_convolution():
    """8x8 outputs, each a sum over 3x3x5 for each of 7 filters; two operations a product."""
    assert count(lambda x, w: tf.nn.conv2d(x, w, 2, "SAME"), (2, 16, 16, 5), (3, 3, 5, 7)) == 2 * 2 * 64 * 45 * 7


def test_gradients_cost_as_much_as_the_way_forth_and_only_if_somebody_wants_them():
    shapes = (2, 16, 16, 5), (3, 3, 5, 7)
    forward = count(lambda x, w: tf.nn.conv2d(x, w, 2, "SAME"), *shapes)

    def gradients(wanted):
        def function(x, w):
            with tf.GradientTape() as tape:
                tape.watch([x, w])
                y = tf.reduce_sum(tf.nn.conv2d(x, w, 2, "SAME") ** 2)
            both = tape.gradient(y, [x, w])
            return [both[index] for index in wanted]

        return count(function, *shapes)

    assert gradients([0]) == gradients([1]) == 2 * forward
    assert gradients([0, 1]) == 3 * forward


def test_other_products():
    assert count(tf.matmul, (6, 4), (4, 3)) == 2 * 6 * 4 * 3
    assert count(lambda a, b: tf.matmul(a, b, transpose_a=True), (5, 4, 6), (5, 4, 3)) == 2 * 5 * 6 * 4 * 3
    assert count(lambda a: tf.einsum("npc,npd->ncd", a, a), (2, 9, 4)) == 2 * 2 * 9 * 4 * 4
    depthwise = count(lambda x, w: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "VALID"), (1, 6, 6, 5), (3, 3, 5, 1))
    assert depthwise == 2 * 4 * 4 * 5 * 9
    transposed = keras.layers.Conv2DTranspose(7, 4, 2, "same")
    assert count(lambda x: transposed(x), (1, 8, 8, 5)) == 2 * 8 * 8 * 5 * 16 * 7


def test_what_is_called_counts_too():
    inner = tf.function(lambda a: a @ a)
    assert count(lambda a: inner(a) + inner(2.0 * a), (6, 6)) == 2 * 2 * 6**3


def test_the_cyclegan_generator():
    generator = build_generator(settings("cyclegan", size=256, filters=64, blocks=9))
    assert round(RESNET9_PRODUCTS / 1e9, 1) == 56.8
    # Maps are reflected by one pixel before they are doubled, so that the border of the results is cut off again
    borders = 3 * 3 * 64 * 128 * (260**2 - 256**2) + 3 * 3 * 128 * 256 * (132**2 - 128**2)
    assert count(generator, (1, 256, 256, 3)) == 2 * (RESNET9_PRODUCTS + borders)


@pytest.mark.long
def test_a_step_of_cyclegan():
    """Six translations and their gradients. Of the discriminators: in the generators' turn forth and back to the
    picture, in their own forth with two pictures and back to the weights, of which the first layer is the last."""
    config = settings("cyclegan", size=64)
    generator, judge = (
        count(functools.partial(build(config), training=True), (4, 64, 64, 3))
        for build in (build_generator, build_discriminator)
    )
    gan = build_gan(config)
    gan.load_flat()
    step = operations(benchmark.traced(gan.train_step, config, tf.distribute.get_strategy()))
    # No translation needs the gradient of what went in, except on the second leg of the way there and back.
    assert 2 * 3 * 3 * generator + 2 * 8 * judge == pytest.approx(step, rel=0.1)
    assert step < 2 * 3 * 3 * generator + 2 * 8 * judge


SAME = ("paired", "cyclegan")
"""Recipes whose plain step is compared with kgan's."""

# --- the plain step ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SAME)
def test_it_is_the_same_update(recipe, eager):
    """From equal weights on equal pictures: both updates, the moving average and the losses. Not bit for bit, since
    spectral norm's vectors have moved once more here or there."""
    rate = {"generator_optimizer": "sgd", "discriminator_optimizer": "sgd", "learning_rate": 0.05}
    config = settings(recipe, **rate)
    gan, plain = build_gan(config), PlainStep(config)
    own = [*gan.generator_player.networks, *gan.discriminator_player.networks]
    other = [*plain.generators, *plain.discriminators]
    for network, twin in zip(own, other, strict=True):
        twin.set_weights(network.get_weights())
    plain.average.set_weights(gan.stylist.get_weights())
    before = [weights(network) for network in own]
    batch = pictures(config)
    gan.load_flat()
    logs = gan.train_step(batch)
    gan.store_flat()
    losses = plain(batch)
    assert losses.keys() == set(gan.loss_names)
    for name, value in losses.items():
        assert float(value) == pytest.approx(float(logs[name]), rel=1e-3), name
    starts = [*before, before[0]]
    for network, twin, start in zip([*own, gan.stylist], [*other, plain.average], starts, strict=True):
        for mine, its, old in zip(weights(network), weights(twin), start, strict=True):
            np.testing.assert_allclose(mine, its, rtol=0, atol=1e-6 + 0.01 * np.abs(mine - old).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        name
        for name, recipe in recipes.RECIPES.items()
        if name not in SAME and not recipe.teacher and missing(settings(name), 1) is None
    ],
)
def test_every_other_recipe_has_one(recipe, eager):
    config = settings(recipe)
    plain, batch = PlainStep(config), pictures(config)
    before = [network.get_weights() for network in (*plain.generators, *plain.discriminators, plain.average)]
    losses = plain(batch)
    assert all(np.isfinite(value) for value in losses.values())
    after = [network.get_weights() for network in (*plain.generators, *plain.discriminators, plain.average)]
    for old, new in zip(before, after, strict=True):
        assert any(not np.array_equal(a, b) for a, b in zip(old, new, strict=True))


def test_what_it_does_not_know():
    assert missing(settings("paired"), 1) is None
    assert missing(settings("paired"), 2) == "several devices"
    assert missing(settings("cut"), 1) == missing(settings("fastcut"), 1) == "contrastive terms"
    assert missing(settings("paired", adversarial="wasserstein"), 1) == "the gradient penalty"
    assert missing(settings("article", regularizer="adversarial"), 1) == "a trained regularizer"
    coloured, moved = (settings("mmd", weight=(f"{term}=1",)) for term in ("palette", "stability"))
    assert missing(coloured, 1) == "a map of colours"
    assert missing(moved, 1) == "shifted or disturbed pictures"


# --- the command ------------------------------------------------------------------------------------------------------


QUICK = ("--recipe", "mmd", "--weight", "features=0")


def run(*words):
    source = ["--data", small_runs.pictures(), "--cache", str(small_runs.home() / "cache")]
    sizes = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return benchmark.main([*words, "--windows", "2", "--window-steps", "2", *source, *sizes])


@pytest.mark.long
def test_train_prints_both_steps_and_writes_a_profile(tmp_path, capsys, determinism_ends):
    assert run("train", *QUICK, "--profile", str(tmp_path / "profile")) == 0
    said = capsys.readouterr().out
    figures = r" +[\d.]+ ms \([\d.]+-[\d.]+\) +[\d.]+ images/s  first step [\d.]+ s  peak -  [\d.e-]+ TFLOP a step, "
    for name in ("kgan", "plain"):
        assert re.search(rf"^{name}{figures}.*% of the matrix rate", said, re.MULTILINE)
    assert re.search(r"kgan takes [\d.]+ \([\d.]+-[\d.]+\) of the plain step's time", said)
    (written,) = (tmp_path / "profile").rglob("*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(written.read_bytes())
    names = {data.name for plane in space.planes for data in plane.event_metadata.values()}
    assert "train" in names
    assert any("Conv2DBackpropFilter" in name for name in names)


@pytest.mark.long
def test_one_of_the_two(capsys, determinism_ends):
    """Its term needs the colours of both sets of pictures, as in training."""
    assert run("train", *QUICK, "--weight", "palette=1", "--only", "kgan") == 0
    said = capsys.readouterr().out
    assert "kgan" in said
    assert "plain" not in said


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["train", "--data", "sample", "--weight", "palette="], "--weight palette="),
        (["train", "--data", "no-such-folder"], "--data no-such-folder"),
        (["film", "no-such-model"], "no-such-model"),
        (["engines", "vangogh-mobile", "--windows", "0"], "--windows"),
        (["engines", "vangogh-mobile", "--sizes", "64", "-1"], "--sizes"),
        (["film", "vangogh-mobile", "--batch", "0"], "--batch"),
        (["film", "vangogh-mobile", "--frames", "3", "--batch", "4"], "--frames 3"),
        (["litert", "no-such-file.tflite"], "no-such-file.tflite"),
        (["litert", "no-such-file.tflite", "--threads", "0"], "--threads"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_end_in_one_line(words, wrong, capsys):
    try:
        status = benchmark.main(words)
    except SystemExit as ended:  # argparse
        status = ended.code
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith((" ", "usage:"))]
    assert (status, len(said)) == (2, 1), said
    assert wrong in said[0]


def test_input(capsys, determinism_ends):
    assert run("input", "--recipe", "paired") == 0
    assert re.search(r"^input +[\d.]+ ms", capsys.readouterr().out, re.MULTILINE)


def test_a_profile_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run("train", "--recipe", "paired", "--profile", str(tmp_path / "file")) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_films_are_timed_apart_and_together(capsys):
    assert benchmark.main(["film", "vangogh-mobile", "--size", "32", "48", "--frames", "5", "--batch", "2"]) == 0
    said = capsys.readouterr().out
    for part in ("network, frames on the device", "encode, libx264", "decode  ", "smooth  ", "all of these together"):
        assert float(re.search(rf"^{part} +([\d.]+) frames/s$", said, re.MULTILINE).group(1)) > 0

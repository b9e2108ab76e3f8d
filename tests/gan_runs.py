"""Small GANs that are trained for a few steps, for the tests of `kgan.gan`."""

import contextlib
import dataclasses

import keras
import numpy as np
import small_runs
import tensorflow as tf

from kgan.assembly import build_gan
from kgan.inference.teacher import load_teacher
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

SMALL = {
    "size": 16,
    "filters": 4,
    "blocks": 1,
    "discriminator_filters": 4,
    "batch_size": 4,
    "steps": 100,
    "learning_rate": 2e-4,
    "content": "photos",
    "style": "paintings",
}
EXACT = {"precision": "float64"}
"""Settings for two computations of the same result, which are compared within `PARITY`."""
PARITY = 1e-9
"""What may lie between the weights, of about 1 and less, after some steps. A processor's own order of summing changes
the last bit, 1.1e-16, and every layer and step magnifies that: in float32, whose last bit is 2^29 as large, by some
hundreds after three steps. This leaves room for millions; noise, statistics or a division that miss the other replicas
move the weights by 1e-6 and more."""
SGD = {"generator_optimizer": "sgd", "discriminator_optimizer": "sgd", "decay": "constant"}


def settings(**changes):
    if changes.get("recipe") == "distill":
        changes = {"distill_from": small_runs.teacher(), "style": None, **changes}
    config = recipes.resolve(TrainConfig(**{**SMALL, **changes}))
    # A pool of one batch begins to swap at the second step.
    return dataclasses.replace(config, image_pool=config.batch_size if config.image_pool else 0, jit=False, devices=1)


def batches(config, count):
    shape = (config.batch_size, config.size, config.size, config.channels)
    kind = recipes.find(config.recipe).pictures
    keys = [kind] if kind in ("style", "content") else ["content", "style"]
    draw = np.random.default_rng(17)
    return [{key: np.tanh(draw.normal(size=shape)).astype("float32") for key in keys} for _ in range(count)]


def make(config, replicas=1):
    keras.utils.set_random_seed(5)
    strategy = tf.distribute.get_strategy()
    if replicas > 1:
        names = [f"CPU:{index}" for index in range(replicas)]
        strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())
    with strategy.scope():
        return build_gan(config, load_teacher(config) if config.distill_from else None)


def train(gan, given):
    """Call `fit` with these global batches."""
    with gan.distribute_strategy.scope():
        stacked = {key: np.concatenate([batch[key] for batch in given]) for key in given[0]}
        dataset = tf.data.Dataset.from_tensor_slices(stacked).batch(
            len(next(iter(given[0].values()))), drop_remainder=True
        )
        gan.fit(dataset, verbose=0, shuffle=False)
    return gan


def weights(*networks):
    return [np.asarray(variable) for network in networks for variable in network.variables]


def same(before, after):
    return all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def eager():
    """Body of a fixture in which no function is traced. For a GAN, tracing takes longer than a few steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


eagerly = contextlib.contextmanager(eager)

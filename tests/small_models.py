"""Small generators and exported runs that several test files use."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.gan import tracking
from kgan.networks.generators import ArticleGenerator, ResNetGenerator

GENERATORS = {
    "content": (ResNetGenerator, {"residual": True}),
    "antialias": (ResNetGenerator, {"residual": True, "antialias": True}),
    "content_noise": (ArticleGenerator, {"noise_channels": 2, "norm": "batch", "upsample": "transpose"}),
    "noise": (ArticleGenerator, {"noise_channels": 4, "takes_content": False, "norm": "batch", "downsample": "pool"}),
    "gray_pool": (ResNetGenerator, {"channels": 1, "downsample": "pool", "kernel": 5}),
    "rgba": (ResNetGenerator, {"channels": 4, "stride": 2, "norm": "none"}),
}


def quick_with(kind):
    """All kinds of generators as parameters of a test. Those other than `kind` are left to the long tests."""
    return [each if each == kind else pytest.param(each, marks=pytest.mark.long) for each in sorted(GENERATORS)]


def make_generator(kind, **more):
    cls, arguments = GENERATORS[kind]
    generator = cls(filters=8, blocks=1, **arguments, **more)
    generator(np.zeros((1, 32, 32, generator.input_channels), np.float32))
    for variable in generator.trainable_variables:  # away from zero heads and N(0, 0.02), so that weights matter
        if len(variable.shape) > 1:
            fan_in = np.prod(variable.shape[:-1])
            variable.assign_add(tf.random.normal(variable.shape, stddev=fan_in**-0.5))
    return generator


def disturb(generator):
    """Change the kernels of a generator a little, so that its output depends on them all."""
    draw = np.random.default_rng(2)
    for variable in generator.trainable_variables:
        if len(variable.shape) > 1:
            scale = np.prod(variable.shape[:-1]) ** -0.5
            variable.assign_add(draw.normal(0, 0.3 * scale, variable.shape).astype(np.float32))


def functional_generator():
    """A generator of layers of Keras alone."""
    inputs = keras.Input((None, None, 3))
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(3, 3, padding="same", activation="tanh", name="last")(hidden))


class OwnGenerator(keras.Model):
    """A subclass that is not registered with Keras. It has no `build`: Keras makes its weights at the first call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convolution = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")

    def call(self, inputs):
        return self.convolution(inputs)


def make_run(folder, generator, config):
    """A run folder with settings and a checkpoint of an object with `stylist` and other attributes."""
    folder.mkdir()
    config.save(folder / "config.json")
    gan = tf.Module()
    gan.stylist, gan.other = generator, tf.Variable(1.0)
    manager = tf.train.CheckpointManager(tracking.checkpoint(gan=gan), str(folder / "checkpoints"), 2)
    manager.save(3)
    return folder

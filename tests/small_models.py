"""Small generators and exported runs that several test files use."""

import numpy as np
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


def make_generator(kind, **more):
    cls, arguments = GENERATORS[kind]
    generator = cls(filters=8, blocks=1, **arguments, **more)
    generator(np.zeros((1, 32, 32, generator.input_channels), np.float32))
    for variable in generator.trainable_variables:  # away from zero heads and N(0, 0.02), so that weights matter
        if len(variable.shape) > 1:
            fan_in = np.prod(variable.shape[:-1])
            variable.assign_add(tf.random.normal(variable.shape, stddev=fan_in**-0.5))
    return generator


def make_run(folder, generator, config):
    """A run folder with settings and a checkpoint of an object with `stylist` and other attributes."""
    folder.mkdir()
    config.save(folder / "config.json")
    gan = tf.Module()
    gan.stylist, gan.other = generator, tf.Variable(1.0)
    manager = tf.train.CheckpointManager(tracking.checkpoint(gan=gan), str(folder / "checkpoints"), 2)
    manager.save(3)
    return folder

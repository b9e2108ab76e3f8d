import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kgan import recipes
from kgan.config import TrainConfig
from kgan.gan import build_gan

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
SGD = {"generator_optimizer": "sgd", "discriminator_optimizer": "sgd", "decay": "constant"}
VARIANTS = {
    **{name: {"recipe": name} for name in recipes.RECIPES},
    "wasserstein": {"recipe": "paired", "adversarial": "wasserstein"},
    "adversarial regularizer": {"recipe": "article", "regularizer": "adversarial", "regularizer_network": "dense"},
    "multiscale": {"recipe": "paired", "discriminator": "multiscale", "weight": ("gram=1", "identity=1")},
    "cyclegan with noise": {"recipe": "cyclegan", "noise_channels": 2, "weight": ("ssim=1",)},
}


def settings(**changes):
    config = recipes.resolve(TrainConfig(**{**SMALL, **changes}))
    # Few steps, so that the pool begins to swap within the test.
    return dataclasses.replace(config, image_pool=8 if config.image_pool else 0, jit=False, devices=1)


def batches(config, count):
    shape = (config.batch_size, config.size, config.size, config.channels)
    keys = ["style"] if recipes.find(config.recipe).pictures == "style" else ["content", "style"]
    draw = np.random.default_rng(17)
    return [{key: np.tanh(draw.normal(size=shape)).astype("float32") for key in keys} for _ in range(count)]


def trained(config, steps, replicas):
    """The GAN after `steps` steps of `fit` on the same global batches."""
    import keras

    keras.utils.set_random_seed(5)
    strategy = tf.distribute.get_strategy()
    if replicas > 1:
        names = [f"CPU:{index}" for index in range(replicas)]
        strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())
    with strategy.scope():
        gan = build_gan(config)
        stacked = {key: np.concatenate([b[key] for b in batches(config, steps)]) for key in batches(config, 1)[0]}
        dataset = tf.data.Dataset.from_tensor_slices(stacked).batch(config.batch_size, drop_remainder=True)
        gan.fit(dataset, verbose=0)
    return gan


def weights(gan):
    return {variable.path: np.asarray(variable) for variable in gan.variables if "metric" not in variable.path}


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_two_replicas_train_the_weights_of_one(name):
    config = settings(**VARIANTS[name], **SGD)
    for steps in (1, 3):
        one, two = (list(weights(trained(config, steps, replicas)).values()) for replicas in (1, 2))
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)

"""Networks with state are trained equally on one device, on two replicas, and compiled."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from gan_runs import PARITY

from kgan import kinds, losses

NETWORKS = {
    "spectral patch": lambda: kinds.DISCRIMINATORS["patch"].load()(
        filters=4, norm="none", spectral=True, depth=2, dtype="float64"
    ),
    "spectral and batch norm": lambda: kinds.DISCRIMINATORS["article"].load()(filters=4, depth=2, dtype="float64"),
    "article generator": lambda: kinds.GENERATORS["article"].load()(
        channels=1, noise_channels=2, filters=4, blocks=1, norm="batch", upsample="transpose", dtype="float64"
    ),
}
PICTURES = tf.random.stateless_uniform([4, 32, 32, 3], [1, 2], -1.0, 1.0, tf.float64)


def network_and_optimizer(name):
    keras.utils.set_random_seed(1)
    network = NETWORKS[name]()
    network.build((None, None, None, 3))
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(network.trainable_variables)
    return network, optimizer


def update(network, optimizer, pictures, replicas):
    with tf.GradientTape() as tape:
        outputs = network(pictures, training=True)
        parts = outputs if isinstance(outputs, list) else [outputs]
        loss = tf.add_n([tf.reduce_mean(tf.square(part - 0.3)) for part in parts]) / replicas
    optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)


def trained(name, jit=False):
    network, optimizer = network_and_optimizer(name)
    step = tf.function(lambda pictures: update(network, optimizer, pictures, 1), jit_compile=jit)
    for _ in range(3):
        step(PICTURES)
    return network


def trained_on_two_replicas(name):
    # CPU replicas need a reduction that does not collect: see tf.distribute.
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())
    with strategy.scope():
        network, optimizer = network_and_optimizer(name)
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: PICTURES[2 * context.replica_id_in_sync_group :][:2]
    )

    @tf.function
    def step():
        strategy.run(lambda pictures: update(network, optimizer, pictures, 2), args=(halves,))

    for _ in range(3):
        step()
    return network, strategy


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["spectral and batch norm", "spectral patch", pytest.param("article generator", marks=pytest.mark.long)]
)
def test_two_replicas_train_as_one_and_hold_equal_weights(name):
    network, strategy = trained_on_two_replicas(name)
    for weight, expected in zip(network.weights, trained(name).weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), expected.numpy(), rtol=0, atol=PARITY, err_msg=weight.path)
        first, second = (local.numpy() for local in strategy.experimental_local_results(weight.value))
        np.testing.assert_array_equal(first, second, err_msg=weight.path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["spectral patch", "spectral and batch norm"]
)  # generators: tests/gan/test_gan_compiled.py
def test_a_compiled_step_trains_as_an_uncompiled_one(name):
    for weight, expected in zip(trained(name, jit=True).weights, trained(name).weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), expected.numpy(), rtol=0, atol=PARITY, err_msg=weight.path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["patch", "multiscale", "article"])
def test_gradient_penalty_compiles_for_every_discriminator_and_judges_each_picture_alone(name):
    extra = {"scales": 2} if name == "multiscale" else {}
    network = kinds.DISCRIMINATORS[name].load()(filters=4, norm="none", spectral=True, dtype="float64", **extra)
    network(PICTURES)
    kernel = next(weight for weight in network.trainable_variables if weight.name == "kernel")

    @tf.function(jit_compile=True)
    def penalty_and_gradient(real, fake):
        with tf.GradientTape() as tape:
            penalty = losses.gradient_penalty(network, real, fake, tf.fill([real.shape[0]], 0.5))
        return penalty, tape.gradient(penalty, kernel.value)

    penalty, gradient = penalty_and_gradient(PICTURES, -PICTURES[::-1])
    assert np.isfinite(penalty)
    assert float(tf.norm(gradient)) > 0
    # The mean over a batch of four is the mean of two batches of two: no picture reaches another.
    halves = [
        losses.gradient_penalty(lambda x, training: network(x), *pair, tf.fill([2], 0.5))
        for pair in zip(tf.split(PICTURES, 2), tf.split(-PICTURES[::-1], 2), strict=True)
    ]
    whole = losses.gradient_penalty(lambda x, training: network(x), PICTURES, -PICTURES[::-1], tf.fill([4], 0.5))
    assert float(whole) == pytest.approx(float(tf.reduce_mean(halves)), abs=PARITY)

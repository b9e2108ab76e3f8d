"""GANs compiled with XLA: on one device, on two replicas and in bfloat16. Compilation takes most of the time."""

import dataclasses

import numpy as np
import pytest
from gan_runs import EXACT, PARITY, SGD, batches, eagerly, make, settings, train, weights
from tensorflow.python.framework.config import disable_op_determinism

pytestmark = pytest.mark.long


def test_a_step_compiled_by_xla_is_the_same_step():
    disable_op_determinism()  # another test's training may have asked for it, and Keras then compiles nothing
    config = settings(recipe="fastcut", **SGD, **EXACT)  # cut compiles below
    plain, compiled = make(config), make(dataclasses.replace(config, jit=True))
    mirrored = make(dataclasses.replace(config, jit=True), 2)
    assert compiled.jit_compile
    with mirrored.distribute_strategy.scope():
        assert mirrored._compiles_in_replicas
    with eagerly():
        train(plain, batches(config, 2))
    for gan in (compiled, mirrored):
        train(gan, batches(config, 2))
    for a, b, c in zip(weights(plain), weights(compiled), weights(mirrored), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=PARITY)
        np.testing.assert_allclose(a, c, rtol=0, atol=PARITY)


@pytest.mark.parametrize("recipe", ["article", "cut", "cyclegan"])  # of every loss and network one
def test_compiled_bfloat16_losses_follow_those_in_float32(recipe):
    disable_op_determinism()
    steady = ("equivariance=1", "stability=1") if recipe == "cut" else ()
    exact = settings(recipe=recipe, weight=steady, **SGD)
    rough = dataclasses.replace(exact, precision="bfloat16", jit=True)
    with eagerly():
        expected = losses(train(make(exact), batches(exact, 2)))
    # A generator's hinge loss is a mean of logits of about 1 that nearly cancel.
    np.testing.assert_allclose(losses(train(make(rough), batches(rough, 2))), expected, rtol=0.03, atol=0.03)


def losses(gan):
    return [float(gan.loss_means[name].result()) for name in gan.loss_names]

"""GANs compiled by XLA: on one device, on two replicas, in bfloat16. Compiling is what takes the time."""

import dataclasses

import numpy as np
import pytest
from gan_runs import EXACT, PARITY, SGD, batches, make, settings, train, weights
from tensorflow.python.framework.config import disable_op_determinism

pytestmark = pytest.mark.slow


def test_a_step_compiled_by_xla_is_the_same_step():
    disable_op_determinism()  # another test's training may have asked for it, and Keras then compiles nothing
    config = settings(recipe="cut", **SGD, **EXACT)
    plain, compiled = make(config), make(dataclasses.replace(config, jit=True))
    mirrored = make(dataclasses.replace(config, jit=True), 2)
    assert compiled.jit_compile
    with mirrored.distribute_strategy.scope():
        assert mirrored._compiles_in_replicas
    for gan in (plain, compiled, mirrored):
        train(gan, batches(config, 3))
    for a, b, c in zip(weights(plain), weights(compiled), weights(mirrored), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=PARITY)
        np.testing.assert_allclose(a, c, rtol=0, atol=PARITY)


@pytest.mark.parametrize("recipe", ["article", "cut", "cyclegan"])  # of every loss and network one
def test_compiled_bfloat16_losses_follow_those_in_float32(recipe):
    disable_op_determinism()
    losses = {}
    for precision in ("float32", "bfloat16"):
        gan = make(dataclasses.replace(settings(recipe=recipe, precision=precision), jit=True))
        train(gan, batches(gan.config, 4))
        losses[precision] = [float(gan.loss_means[name].result()) for name in gan.loss_names]
    # A generator's hinge loss is a mean of logits of about 1 that nearly cancel.
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.03, atol=0.03)

"""Noise: a function of its seed, the stated distribution, the same in a graph."""

import numpy as np
import pytest
import tensorflow as tf

from kgan.gan import noise

GOLDEN = [-0.6741727, -0.3586926, -1.8795817]
VARIANCE = {"normal": 1.0, "uniform": 1.0, "truncated": 0.7737}  # 1 - 2 t phi(t) / (2 Phi(t) - 1) at t = 2


@pytest.mark.parametrize("distribution", sorted(VARIANCE))
def test_moments(distribution):
    values = noise.sample(7, (200_000,), distribution).numpy()
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(0, abs=0.01)
    assert values.var() == pytest.approx(VARIANCE[distribution], abs=0.01)


def test_bounds():
    assert np.abs(noise.sample(0, (10_000,), "uniform")).max() <= noise.UNIFORM_BOUND
    for bound in (0.5, 2.0, 8.0):
        assert np.abs(noise.sample(0, (10_000,), "truncated", bound)).max() <= bound


@pytest.mark.parametrize("distribution", sorted(VARIANCE))
def test_same_seed_same_noise_in_a_graph_too(distribution):
    compiled = tf.function(lambda seed, shape: noise.sample(seed, shape, distribution))
    eager = noise.sample(5, (2, 3, 4), distribution).numpy()
    assert (compiled(tf.constant(5), tf.constant([2, 3, 4])).numpy() == eager).all()
    assert (noise.sample((5, 0), (2, 3, 4), distribution).numpy() == eager).all()
    assert (noise.sample(6, (2, 3, 4), distribution).numpy() != eager).any()
    assert (noise.sample((5, 1), (2, 3, 4), distribution).numpy() != eager).any()


def test_golden():
    """Philox gives these values on all machines and TensorFlow versions. Otherwise seeds would be useless."""
    assert noise.sample(7, (3,)).numpy() == pytest.approx(GOLDEN, abs=1e-5)


def test_unknown_distribution():
    with pytest.raises(ValueError, match="normal, uniform or truncated"):
        noise.sample(0, (1,), "cauchy")


def test_interpolation_keeps_ends_and_norm():
    first, second = noise.sample(1, (4096,)), noise.sample(2, (4096,))
    assert np.allclose(noise.interpolate(first, second, 0.0), first, atol=1e-5)
    assert np.allclose(noise.interpolate(first, second, 1.0), second, atol=1e-5)
    middle = noise.interpolate(first, second, 0.5).numpy()
    assert middle.std() == pytest.approx(1.0, abs=0.05)  # a linear mean would have 0.71
    assert np.allclose(noise.interpolate(first, first, 0.3), first, atol=1e-6)

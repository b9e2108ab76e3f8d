"""Noise maps as pure functions of a seed, with the same bits in eager code, in a graph and in a SavedModel."""

import math

import tensorflow as tf

UNIFORM_BOUND = math.sqrt(3.0)
"""Bound of uniform noise. Its variance is 1 in (-sqrt 3, sqrt 3), as for normal noise."""


def sample(
    seed: int | tf.Tensor,
    shape: tuple[int, ...] | tf.Tensor,
    distribution: str = "normal",
    truncation: float = 2.0,
) -> tf.Tensor:
    """Draw noise with mean 0.

    Args:
        seed: an integer or a pair of integers, also as a tensor.
        shape: any shape, static or a tensor.
        distribution: "normal" for N(0, 1), "uniform" in (-sqrt 3, sqrt 3) with variance 1, or "truncated" for N(0, 1)
            with |z| <= truncation. The variance of truncated noise is below 1 (0.77 for a truncation of 2).
        truncation: bound of truncated noise in standard deviations, above 0.

    Returns:
        float32 noise.

    Raises:
        ValueError: if the distribution is unknown or the truncation is not positive.
    """
    pair = _pair(seed)
    if distribution == "normal":
        return tf.random.stateless_normal(shape, pair, alg="philox")
    if distribution == "uniform":
        return tf.random.stateless_uniform(shape, pair, -UNIFORM_BOUND, UNIFORM_BOUND, alg="philox")
    if distribution == "truncated":
        return _truncated(pair, shape, truncation)
    raise ValueError(f"distribution should be normal, uniform or truncated. Received: {distribution}")


def _pair(seed: int | tf.Tensor) -> tf.Tensor:
    """Convert a seed to int64 [2]. A single number s stands for (s, 0)."""
    seed = tf.cast(seed, tf.int64) if tf.is_tensor(seed) else tf.constant(seed, tf.int64)
    return tf.stack([seed, tf.zeros_like(seed)]) if seed.shape.rank == 0 else seed


def _truncated(pair: tf.Tensor, shape: tuple[int, ...] | tf.Tensor, bound: float) -> tf.Tensor:
    """Truncated noise by the inverse of the cumulative distribution, with one uniform number per value and no loop."""
    if bound <= 0:
        raise ValueError(f"truncation should be positive. Received: {bound}")
    tail = 0.5 * math.erfc(bound / math.sqrt(2.0))
    share = tf.random.stateless_uniform(shape, pair, tail, 1.0 - tail, alg="philox")
    return tf.clip_by_value(tf.math.ndtri(share), -bound, bound)  # float32 rounding can exceed the bounds


def interpolate(first: tf.Tensor, second: tf.Tensor, share: float) -> tf.Tensor:
    """Spherical interpolation of two noise maps. The norm varies between their norms.

    Linear interpolation passes through noise of half the variance, which does not occur in training.

    Args:
        first: a noise map.
        second: a noise map of the same shape.
        share: 0 gives the first map and 1 the second.

    Returns:
        A noise map of the same shape.
    """
    a, b = tf.reshape(first, [-1]), tf.reshape(second, [-1])
    cosine = tf.reduce_sum(a * b) / tf.maximum(tf.norm(a) * tf.norm(b), 1e-12)
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    if angle < 1e-4 or angle > math.pi - 1e-4:  # parallel maps, for which the great circle is undefined
        return (1.0 - share) * first + share * second
    return (tf.sin((1.0 - share) * angle) * first + tf.sin(share * angle) * second) / tf.sin(angle)


def bound(distribution: str, truncation: float = 2.0) -> float:
    """The largest absolute value of a distribution, which is infinite for "normal"."""
    return {"uniform": UNIFORM_BOUND, "truncated": truncation}.get(distribution, math.inf)

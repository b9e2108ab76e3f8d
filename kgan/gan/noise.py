"""Noise maps z as pure functions of a seed, the same bits in eager code, in a graph and in a SavedModel."""

import math

import tensorflow as tf

UNIFORM_BOUND = math.sqrt(3.0)
"""Uniform noise in (-sqrt 3, sqrt 3) has unit variance, as normal noise has."""


def sample(
    seed: int | tf.Tensor,
    shape: tuple[int, ...] | tf.Tensor,
    distribution: str = "normal",
    truncation: float = 2.0,
) -> tf.Tensor:
    """Noise of any shape (static or a tensor), float32, zero mean.

    `seed` is an int or a pair of ints (tensors too). "normal": N(0, 1). "uniform": in (-sqrt 3, sqrt 3), unit
    variance. "truncated": N(0, 1) on the condition that |z| <= truncation; its variance is below one (0.77 at 2).
    Raises ValueError for another distribution.
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
    """An int, an int tensor or a pair of ints -> int64 [2]; one number s stands for (s, 0)."""
    seed = tf.cast(seed, tf.int64) if tf.is_tensor(seed) else tf.constant(seed, tf.int64)
    return tf.stack([seed, tf.zeros_like(seed)]) if seed.shape.rank == 0 else seed


def _truncated(pair: tf.Tensor, shape: tuple[int, ...] | tf.Tensor, bound: float) -> tf.Tensor:
    """Inverse of the cumulative distribution: one uniform number a value, so no rejection loop."""
    if bound <= 0:
        raise ValueError(f"truncation should be positive. Received: {bound}")
    tail = 0.5 * math.erfc(bound / math.sqrt(2.0))
    share = tf.random.stateless_uniform(shape, pair, tail, 1.0 - tail, alg="philox")
    return tf.clip_by_value(tf.math.ndtri(share), -bound, bound)  # float32 shares can round to the very ends


def interpolate(first: tf.Tensor, second: tf.Tensor, share: float) -> tf.Tensor:
    """Spherical interpolation of two noise maps: share 0 gives the first, 1 the second; norms vary between theirs.

    Linear interpolation would pass through noise of half the variance, which the generator never saw.
    """
    a, b = tf.reshape(first, [-1]), tf.reshape(second, [-1])
    cosine = tf.reduce_sum(a * b) / tf.maximum(tf.norm(a) * tf.norm(b), 1e-12)
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    if angle < 1e-4 or angle > math.pi - 1e-4:  # parallel: the great circle is not defined
        return (1.0 - share) * first + share * second
    return (tf.sin((1.0 - share) * angle) * first + tf.sin(share * angle) * second) / tf.sin(angle)


def bound(distribution: str, truncation: float = 2.0) -> float:
    """The largest absolute value of a distribution; infinite for "normal"."""
    return {"uniform": UNIFORM_BOUND, "truncated": truncation}.get(distribution, math.inf)

"""A random crop for terms that look through networks with strides."""

import tensorflow as tf

PHASES = 16
"""Positions on a side that the stride of the coarsest perceptual layer tells apart."""


def random_crop(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The same random crop of each of [N, H, W, C]: `PHASES` pixels less a side, at most a quarter of it.

    For networks with strides, which look at a grid of places. A generator that is trained against such a network at
    fixed places draws patterns that repeat with the grid: the network sees one phase of them only.

    Args:
        seed: two ints; the crop is a function of them.
    """
    draws = tf.random.stateless_uniform((2, 1), seed, alg="philox")
    rows, columns = (_kept(pictures.shape[axis], draws[axis - 1], pictures.dtype) for axis in (1, 2))
    return tf.einsum("ih,nhwc,jw->nijc", rows, pictures, columns)


def _kept(side: int, draw: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """[side - p, side]: the rows of the identity that stay, by a draw [1] in [0, 1)."""
    phases = min(PHASES, side // 4)
    first = tf.cast(draw * (phases + 1), tf.int32)
    return tf.one_hot(first + tf.range(side - phases), side, dtype=dtype)

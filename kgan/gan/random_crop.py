"""A random crop for loss terms that use networks with strides."""

import tensorflow as tf

PHASES = 16
"""Stride of the coarsest perceptual layer in pixels."""


def random_crop(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Crop all pictures at the same random position. The sides are reduced by `PHASES` pixels, at most by a quarter.

    Networks with strides sample a grid of positions. A generator that is trained with a fixed grid draws patterns that
    repeat with it, because the network sees only one phase of them.

    Args:
        pictures: [N, H, W, C].
        seed: int32 [2].

    Returns:
        [N, h, w, C].
    """
    draws = tf.random.stateless_uniform((2, 1), seed, alg="philox")
    rows, columns = (_kept(pictures.shape[axis], draws[axis - 1], pictures.dtype) for axis in (1, 2))
    return tf.einsum("ih,nhwc,jw->nijc", rows, pictures, columns)


def _kept(side: int, draw: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """The rows of the identity matrix that are kept, [side - p, side], for a random number [1] in [0, 1)."""
    phases = min(PHASES, side // 4)
    first = tf.cast(draw * (phases + 1), tf.int32)
    return tf.one_hot(first + tf.range(side - phases), side, dtype=dtype)

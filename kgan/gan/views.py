"""Differentiable augmentation: what a discriminator sees of pictures, so that it cannot learn a few of them by heart.

Real and stylized pictures are changed alike and the generator's gradient passes through, so that the changes do not
leak into what is made. Reference: [DiffAugment](https://arxiv.org/abs/2006.10738).
"""

import tensorflow as tf

SHIFT = 1 / 8
"""Largest translation, as a share of a side."""

HOLE = 1 / 2
"""Side of the hole that `cutout` makes, as a share of a side."""


PHASES = 16
"""Places on a side that the coarsest perceptual layer's stride tells apart."""


def draw(seed: tf.Tensor, count: int) -> tf.Tensor:
    """What `seen` needs to be told of `count` pictures: uniform in [0, 1), [count, 7]."""
    return tf.random.stateless_uniform((count, 7), seed, alg="philox")


def seen(pictures: tf.Tensor, changes: str, draws: tf.Tensor) -> tf.Tensor:
    """Pictures [N, H, W, C] in about [-1, 1] after the named changes, by `draws` [N, 7]; same shape and dtype.

    `changes` holds names of `CHANGES` with commas between; each picture is changed by itself.
    """
    for name in CHANGES:
        if name in changes.split(","):
            pictures = CHANGES[name](pictures, tf.cast(draws[:, :, None, None, None], pictures.dtype))
    return pictures


def window(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The same window, anywhere, of each of [N, H, W, C]: `PHASES` pixels less a side, a quarter of it at most.

    For what looks at a grid of places, as networks with strides do. What is trained against it at fixed places gets
    patterns that repeat with the grid, of which it sees one phase only.
    """
    draws = tf.random.stateless_uniform((2, 1), seed, alg="philox")
    rows, columns = (_kept(pictures.shape[axis], draws[axis - 1], pictures.dtype) for axis in (1, 2))
    return tf.einsum("ih,nhwc,jw->nijc", rows, pictures, columns)


def _kept(side: int, draw: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """[side - p, side]: the rows of the identity that stay, by a draw [1] in [0, 1)."""
    phases = min(PHASES, side // 4)
    first = tf.cast(draw * (phases + 1), tf.int32)
    return tf.one_hot(first + tf.range(side - phases), side, dtype=dtype)


def _colour(pictures, draws):
    """Brightness by up to a quarter of the range, saturation by 0 to 2, contrast by 0.5 to 1.5."""
    pictures += draws[:, 0] - 0.5
    gray = tf.reduce_mean(pictures, axis=3, keepdims=True)
    pictures = gray + (pictures - gray) * 2.0 * draws[:, 1]
    mean = tf.reduce_mean(pictures, axis=(1, 2, 3), keepdims=True)
    return mean + (pictures - mean) * (draws[:, 2] + 0.5)


def _translation(pictures, draws):
    """By whole pixels, up to `SHIFT` of each side; what comes in is gray.

    Products with shifted identity matrices: the gradient of a gather is a scatter, which GPUs do slowly.
    """
    rows, columns = (_shifts(pictures.shape[axis], draws[:, 2 + axis, 0, 0]) for axis in (1, 2))
    return tf.einsum("nih,nhwc,njw->nijc", rows, pictures, columns)


def _shifts(side: int, draws: tf.Tensor) -> tf.Tensor:
    """[N, side, side]: identities moved by whole steps, N draws [N, 1] in [0, 1)."""
    reach = int(side * SHIFT)
    steps = tf.cast(tf.cast(draws, tf.float32) * (2 * reach + 1), tf.int32) - reach
    places = tf.range(side)
    return tf.cast(places[None, :, None] + steps[:, :, None] == places[None, None], draws.dtype)


def _cutout(pictures, draws):
    """A gray rectangle of `HOLE` of each side, its middle anywhere in the picture."""
    rows, columns = (_outside(pictures.shape[axis], draws[:, 4 + axis, 0, 0]) for axis in (1, 2))
    outside = tf.maximum(rows[:, :, None], columns[:, None, :])
    return pictures * outside[..., None]


def _outside(side: int, draws: tf.Tensor) -> tf.Tensor:
    """[N, side]: 0 inside the hole, 1 outside."""
    distances = tf.abs(tf.range(side, dtype=tf.float32) + 0.5 - tf.cast(draws, tf.float32) * side)
    return tf.cast(distances >= side * HOLE / 2, draws.dtype)


CHANGES = {"colour": _colour, "translation": _translation, "cutout": _cutout}

"""Differentiable augmentation of the discriminator's pictures, so that it cannot learn a few of them by heart.

Real and stylized pictures are changed alike, and the generator's gradient passes through the changes: so they do not
appear in stylized pictures. Reference: [DiffAugment](https://arxiv.org/abs/2006.10738).
"""

import tensorflow as tf

SHIFT = 1 / 8
"""Largest translation, as a share of a side."""

HOLE = 1 / 2
"""Side of the hole that `cutout` makes, as a share of a side."""


def draw(seed: tf.Tensor, count: int) -> tf.Tensor:
    """Random numbers for `augmented` on `count` pictures: uniform in [0, 1), [count, 7]. `seed`: two ints."""
    return tf.random.stateless_uniform((count, 7), seed, alg="philox")


def augmented(pictures: tf.Tensor, changes: str, draws: tf.Tensor) -> tf.Tensor:
    """Pictures [N, H, W, C] in about [-1, 1] after the named changes; same shape and dtype.

    Args:
        changes: names of `CHANGES` with commas between.
        draws: [N, 7] of `draw`: one row changes one picture.
    """
    for name in CHANGES:
        if name in changes.split(","):
            pictures = CHANGES[name](pictures, tf.cast(draws[:, :, None, None, None], pictures.dtype))
    return pictures


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

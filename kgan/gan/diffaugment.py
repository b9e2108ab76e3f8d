"""Differentiable augmentation of the discriminator's pictures, so that it cannot memorise a small set.

Real and stylized pictures are augmented in the same way, and the generator's gradient passes through the augmentation.
So its effects do not appear in stylized pictures.

Reference: [DiffAugment](https://arxiv.org/abs/2006.10738).
"""

import tensorflow as tf

from kgan.images.pictures import LUMA

SHIFT = 1 / 8
"""Largest translation as a fraction of the side."""

HOLE = 1 / 2
"""Side of the hole of `cutout` as a fraction of the side."""


def draw(seed: tf.Tensor, count: int) -> tf.Tensor:
    """Random numbers for `augmented`.

    Args:
        seed: int32 or int64 [2].
        count: number of pictures.

    Returns:
        float32 [count, 7], uniform in [0, 1).
    """
    return tf.random.stateless_uniform((count, 7), seed, alg="philox")


def augmented(pictures: tf.Tensor, changes: str, draws: tf.Tensor) -> tf.Tensor:
    """Augment pictures.

    Args:
        pictures: [N, H, W, C] in [-1, 1].
        changes: names in `CHANGES`, separated by commas.
        draws: random numbers of `draw`, [N, 7], with a row for each picture.

    Returns:
        Pictures of the same shape and type, in about [-1, 1].
    """
    for name in CHANGES:
        if name in changes.split(","):
            pictures = CHANGES[name](pictures, tf.cast(draws[:, :, None, None, None], pictures.dtype))
    return pictures


def faded(pictures: tf.Tensor, colour: float) -> tf.Tensor:
    """Reduce the distance of each pixel to its own gray.

    Args:
        pictures: [N, H, W, 1|3|4] in [-1, 1].
        colour: share of the colour that is left, from 0 (luminance alone) to 1 (the pictures themselves).

    Returns:
        Pictures of the same shape and type. Alpha is left as it is.
    """
    if colour == 1.0 or pictures.shape[-1] == 1:
        return pictures
    rgb, alpha = pictures[..., :3], pictures[..., 3:]
    gray = tf.reduce_sum(rgb * tf.constant(LUMA, rgb.dtype), axis=-1, keepdims=True)
    return tf.concat([gray + colour * (rgb - gray), alpha], axis=-1)


def _colour(pictures, draws):
    """Shift brightness by up to a quarter of the range, and scale saturation by 0 to 2 and contrast by 0.5 to 1.5."""
    pictures += draws[:, 0] - 0.5
    gray = tf.reduce_mean(pictures, axis=3, keepdims=True)
    pictures = gray + (pictures - gray) * 2.0 * draws[:, 1]
    mean = tf.reduce_mean(pictures, axis=(1, 2, 3), keepdims=True)
    return mean + (pictures - mean) * (draws[:, 2] + 0.5)


def _translation(pictures, draws):
    """Shift by whole pixels, up to `SHIFT` of each side. New pixels are gray.

    This uses products with shifted identity matrices, because the gradient of a gather is a scatter, which is slow on
    GPUs.
    """
    rows, columns = (_shifts(pictures.shape[axis], draws[:, 2 + axis, 0, 0]) for axis in (1, 2))
    return tf.einsum("nih,nhwc,njw->nijc", rows, pictures, columns)


def _shifts(side: int, draws: tf.Tensor) -> tf.Tensor:
    """Identity matrices that are shifted by whole steps, [N, side, side]. `draws` are [N, 1] in [0, 1)."""
    reach = int(side * SHIFT)
    steps = tf.cast(tf.cast(draws, tf.float32) * (2 * reach + 1), tf.int32) - reach
    places = tf.range(side)
    return tf.cast(places[None, :, None] + steps[:, :, None] == places[None, None], draws.dtype)


def _cutout(pictures, draws):
    """Draw a gray rectangle of `HOLE` times each side, whose centre is anywhere in the picture."""
    rows, columns = (_outside(pictures.shape[axis], draws[:, 4 + axis, 0, 0]) for axis in (1, 2))
    outside = tf.maximum(rows[:, :, None], columns[:, None, :])
    return pictures * outside[..., None]


def _outside(side: int, draws: tf.Tensor) -> tf.Tensor:
    """A mask [N, side]: 0 inside the hole, 1 outside."""
    distances = tf.abs(tf.range(side, dtype=tf.float32) + 0.5 - tf.cast(draws, tf.float32) * side)
    return tf.cast(distances >= side * HOLE / 2, draws.dtype)


CHANGES = {"colour": _colour, "translation": _translation, "cutout": _cutout}

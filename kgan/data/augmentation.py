"""From an encoded picture to a training crop. Each random choice depends only on its seed, int64 [2]."""

from collections.abc import Callable

import tensorflow as tf

JPEG_START = b"\xff\xd8\xff"


def picture_shape(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width of a picture, from its header alone.

    Args:
        encoded: the bytes of a JPEG or PNG file, a string scalar.

    Returns:
        int32 [2].
    """
    return tf.cond(
        _is_jpeg(encoded),
        lambda: tf.io.extract_jpeg_shape(encoded)[:2],
        lambda: tf.reverse(tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False), [0]),
    )


def random_window(shape: tf.Tensor, seed: tf.Tensor, min_crop: float, max_crop: float) -> tf.Tensor:
    """A random square inside a picture. All positions are equally likely.

    Args:
        shape: height and width of the picture in pixels, int32 [2].
        seed: int64 [2]. The same seed gives the same relative side and position in every picture.
        min_crop: the smallest side of the square, as a fraction of the picture's short side, in (0, 1].
        max_crop: the largest side of the square, as a fraction of the picture's short side, in (0, 1].

    Returns:
        Top, left and side of the square in pixels, int32 [3].
    """
    draws = tf.random.stateless_uniform([3], seed, alg="philox")
    short = tf.cast(tf.reduce_min(shape), tf.float32)
    side = tf.cast(tf.round(short * (min_crop + (max_crop - min_crop) * draws[0])), tf.int32)
    side = tf.maximum(side, 1)
    room = shape - side
    place = tf.cast(draws[1:] * tf.cast(room + 1, tf.float32), tf.int32)
    return tf.concat([tf.minimum(place, room), [side]], 0)


def decode_window(encoded: tf.Tensor, window: tf.Tensor, size: int, channels: int) -> tf.Tensor:
    """Decode a square of a picture and resize it with antialiasing.

    Only the square of a JPEG is decoded. It is decoded at 1/2, 1/4 or 1/8 of its size where at least `size` pixels
    remain, so that the inverse DCT does the first part of the averaging.

    Args:
        encoded: the bytes of a JPEG or PNG file, a string scalar.
        window: top, left and side of the square in pixels, int32 [3].
        size: the side of the result in pixels.
        channels: channels of the result: 1, 3 or 4.

    Returns:
        float32 [size, size, channels] in [0, 255].
    """
    ratio = tf.minimum(window[2] // size, 8)
    level = tf.cast(ratio >= 2, tf.int32) + tf.cast(ratio >= 4, tf.int32) + tf.cast(ratio >= 8, tf.int32)
    window //= tf.bitwise.left_shift(1, level)  # in pixels of the decoded picture
    crop = tf.cond(
        _is_jpeg(encoded),
        lambda: tf.switch_case(level, [_jpeg_at(encoded, window, channels, 2**power) for power in range(4)]),
        lambda: _png_crop(encoded, window * tf.bitwise.left_shift(1, level), channels),
    )
    crop = tf.ensure_shape(crop, [None, None, channels])
    return tf.image.resize(crop, [size, size], antialias=True)


def random_flip(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image [H, W, C] or its mirror image, each with probability 1/2."""
    flip = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(seed, 1), alg="philox") < 0.5
    return tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image)


def to_range(image: tf.Tensor) -> tf.Tensor:
    """Scale [0, 255] to [-1, 1]. The result is clipped, because resizing can exceed 255 by a rounding error."""
    return tf.clip_by_value(image / 127.5 - 1.0, -1.0, 1.0)


def _is_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, 3) == JPEG_START


def _jpeg_at(encoded: tf.Tensor, window: tf.Tensor, channels: int, ratio: int) -> Callable[[], tf.Tensor]:
    box = tf.gather(window, [0, 1, 2, 2])
    # As fast as the default INTEGER_FAST, which is off by up to 4.
    return lambda: tf.io.decode_and_crop_jpeg(encoded, box, channels, ratio, dct_method="INTEGER_ACCURATE")


def _png_crop(encoded: tf.Tensor, window: tf.Tensor, channels: int) -> tf.Tensor:
    top, left, side = tf.unstack(window)
    return tf.io.decode_png(encoded, channels=channels)[top : top + side, left : left + side]

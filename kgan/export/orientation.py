"""Reads the orientation of a picture file from its EXIF data and applies it, with TensorFlow operations."""

import tensorflow as tf

from kgan.export.chunks import chunk, number, part
from kgan.images.metadata import ORIENTATION

EXIF = b"Exif\0\0"
"""What comes before the EXIF data in a JPEG, and in a WebP of some programs."""

APP1, START_OF_SCAN = 0xE1, 0xDA

MOST_SEGMENTS = 256
"""How many segments of a JPEG are searched."""

MOST_TAGS = 512


def upright(picture: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn a picture upright.

    Args:
        picture: the stored pixels, uint8 [H, W, C].
        orientation: EXIF orientation, an int32 scalar from 1 to 8.

    Returns:
        uint8 [H, W, C], or [W, H, C] for orientations 5 to 8.
    """
    # Orientations 2 to 4 mirror the picture. Orientations 5 to 8 swap the axes first.
    turned = tf.cond(orientation >= 5, lambda: tf.transpose(picture, [1, 0, 2]), lambda: picture)
    mirrored = _one_of(orientation, (2, 3, 6, 7))
    flipped = _one_of(orientation, (3, 4, 7, 8))
    turned = tf.cond(mirrored, lambda: turned[:, ::-1], lambda: turned)
    return tf.cond(flipped, lambda: turned[::-1], lambda: turned)


def _one_of(value: tf.Tensor, values: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(value == tf.constant(values))


def orientation(data: tf.Tensor, formats: dict[str, tf.Tensor]) -> tf.Tensor:
    """Read the EXIF orientation of a JPEG, PNG or WebP file.

    Args:
        data: bytes of the file, a string scalar.
        formats: whether it is "jpeg" and whether it is "png", bool scalars. Otherwise it is a WebP file.

    Returns:
        An int32 scalar from 1 to 8. It is 1 if there is no valid orientation.
    """
    name = tf.where(formats["png"], b"eXIf", b"EXIF")
    start = tf.cond(formats["jpeg"], lambda: _segment(data), lambda: chunk(data, formats["png"], name))
    start += tf.where(part(data, start, len(EXIF)) == EXIF, len(EXIF), 0)
    value = tf.cond(start > 0, lambda: _value(data, start), lambda: tf.constant(1, tf.int64))
    return tf.cast(tf.where((value >= 1) & (value <= 8), value, 1), tf.int32)


def _segment(data: tf.Tensor) -> tf.Tensor:
    """The position of the content of the EXIF segment of a JPEG, or 0. A segment is FF, marker, length and content."""

    def goes_on(at, found):
        head = number(data, at, 2, big=True)
        return (found == 0) & (head // 256 == 0xFF) & (head % 256 != START_OF_SCAN)

    def step(at, found):
        is_exif = (number(data, at, 2, big=True) == 0xFF00 + APP1) & (part(data, at + 4, len(EXIF)) == EXIF)
        following = at + 2 + tf.cast(number(data, at + 2, 2, big=True), tf.int32)
        return following, tf.where(is_exif, at + 4, found)

    return tf.while_loop(goes_on, step, (tf.constant(2), tf.constant(0)), maximum_iterations=MOST_SEGMENTS)[1]


def _value(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The value of the orientation tag in the first directory of the TIFF structure at `start`, or 0."""
    big = part(data, start, 1) == b"M"
    # A position in a broken file may lie behind its end. Zeros are read there.
    directory = start + tf.cast(tf.minimum(number(data, start + 4, 4, big), 2**24), tf.int32)
    count = tf.cast(tf.minimum(number(data, directory, 2, big), MOST_TAGS), tf.int32)
    # An entry has 12 bytes: tag, type, count, value, of 2, 2, 4 and 4 bytes.
    raw = tf.io.decode_raw(part(data, directory + 2, 12 * MOST_TAGS), tf.uint8)
    entries = tf.cast(tf.reshape(raw, [MOST_TAGS, 12])[:count], tf.int64)
    places = tf.where(big, tf.constant([256, 1], tf.int64), tf.constant([1, 256], tf.int64))
    tags, values = (tf.reduce_sum(entries[:, at : at + 2] * places, axis=1) for at in (0, 8))
    return tf.reduce_max(tf.concat([tf.boolean_mask(values, tags == int(ORIENTATION)), [0]], 0))

"""Reads the orientation of a JPEG from its EXIF data and applies it, with TensorFlow operations."""

import tensorflow as tf

from kgan.images.metadata import ORIENTATION

SEARCHED = 2**17
"""Bytes at the start of a file that are searched for the EXIF segment: two segments of full length."""

APP1, LAST_BEFORE_IMAGE = 0xE1, 0xDA


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


def jpeg_orientation(data: tf.Tensor) -> tf.Tensor:
    """Read the EXIF orientation of a JPEG.

    Args:
        data: bytes of the file, a string scalar.

    Returns:
        An int32 scalar from 1 to 8. It is 1 if there is no valid orientation.
    """
    given = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 0, SEARCHED), tf.uint8), tf.int32)
    # Offsets in a broken file may point past its end. Zeros are appended, and larger offsets are clipped to them.
    content = tf.concat([given, tf.zeros([16], tf.int32)], 0)
    start = _exif(content)
    value = tf.cond(start > 0, lambda: _orientation(content, start), lambda: tf.constant(1))
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _exif(content: tf.Tensor) -> tf.Tensor:
    """The position of the TIFF structure in the EXIF segment, or 0. A segment is FF, marker, length and content."""
    # FF Ex, two bytes of length, "Exif\0\0"
    wanted = tf.constant([0xFF, APP1, ord("E"), ord("x"), ord("i"), ord("f"), 0, 0])

    def here(at):
        return tf.gather(content, _inside(content, at + tf.constant([0, 1, 4, 5, 6, 7, 8, 9])))

    def goes_on(at, found):
        marker = here(at)[1]
        return ~found & (here(at)[0] == 0xFF) & (marker != LAST_BEFORE_IMAGE)

    def step(at, found):
        found = tf.reduce_all(here(at) == wanted)
        return tf.where(found, at, at + 2 + _number(content, at + 2, 2, tf.constant(True))), found

    at, found = tf.while_loop(goes_on, step, (tf.constant(2), tf.constant(False)))
    return tf.where(found, at + 10, 0)


def _orientation(content: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The value of the orientation tag in the first directory of the TIFF structure at `start`, or 0."""
    big = content[start] == ord("M")
    directory = start + _number(content, start + 4, 4, big)
    count = tf.minimum(_number(content, directory, 2, big), 512)
    entries = directory + 2 + 12 * tf.range(count)  # tag, type, count, value: 2, 2, 4 and 4 bytes
    tags, values = _number(content, entries, 2, big), _number(content, entries + 8, 2, big)
    return tf.reduce_max(tf.concat([tf.boolean_mask(values, tags == int(ORIENTATION)), [0]], 0))


def _number(content: tf.Tensor, at: tf.Tensor, count: int, big: tf.Tensor) -> tf.Tensor:
    """The numbers of `count` bytes at the positions `at`, int32 of the same shape. Four bytes may overflow."""
    digits = tf.gather(content, _inside(content, at[..., tf.newaxis] + tf.range(count)))
    return tf.reduce_sum(tf.where(big, digits[..., ::-1], digits) * tf.constant([256**k for k in range(count)]), -1)


def _inside(content: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(at, 0, tf.size(content) - 1)

"""Reads the bytes of picture files with TensorFlow operations: numbers, and chunks of PNG and WebP files."""

import tensorflow as tf

MOST_CHUNKS = 8192
"""How many chunks are searched, so that a file of 32 MB with empty chunks costs little."""


def part(data: tf.Tensor, start: tf.Tensor | int, count: int) -> tf.Tensor:
    """Bytes of a file, with zeros for those after its end.

    Args:
        data: bytes of the file, a string scalar.
        start: position of the first byte, an int32 scalar of at least 0.
        count: number of bytes.

    Returns:
        A string scalar of `count` bytes.
    """
    inside = tf.strings.substr(data, tf.minimum(start, tf.strings.length(data)), count)
    return tf.strings.substr(tf.strings.join([inside, b"\0" * count]), 0, count)


def number(data: tf.Tensor, start: tf.Tensor | int, count: int, big: tf.Tensor | bool = False) -> tf.Tensor:
    """The unsigned number in bytes of a file, an int64 scalar.

    Args:
        data: bytes of the file, a string scalar.
        start: position of the first byte, an int32 scalar of at least 0.
        count: number of bytes, at most 7.
        big: whether the first byte is the most significant one.
    """
    digits = tf.cast(tf.io.decode_raw(part(data, start, count), tf.uint8), tf.int64)
    return tf.reduce_sum(tf.where(big, digits[::-1], digits) * tf.constant([256**k for k in range(count)], tf.int64))


def chunk(data: tf.Tensor, png: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Find a chunk of a PNG or WebP file.

    Args:
        data: bytes of the file, a string scalar.
        png: whether it is a PNG file, else a WebP file.
        wanted: the name of the chunk, four bytes.

    Returns:
        The position of the content of the first chunk of that name, or 0, an int32 scalar.
    """
    return _chunk(data, tf.convert_to_tensor(png), tf.convert_to_tensor(wanted))


_TEXT, _BOOL = tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.bool)


# A function, so that an exported file contains the loop once.
@tf.function(input_signature=[_TEXT, _BOOL, _TEXT], autograph=False)
def _chunk(data, png, wanted):
    length, size = tf.where(png, [0, 4], [4, 0]), tf.strings.length(data)  # PNG: length, name; WebP: name, length

    def goes_on(at, found):
        return (found == 0) & (at < size)

    def step(at, found):
        count = number(data, at + length[0], 4, png)
        after = tf.where(png, tf.constant(4, tf.int64), count % 2)  # PNG: a checksum; WebP: an even number of bytes
        following = tf.minimum(tf.cast(at, tf.int64) + 8 + count + after, tf.cast(size, tf.int64))
        return tf.cast(following, tf.int32), tf.where(part(data, at + length[1], 4) == wanted, at + 8, found)

    first = tf.where(png, 8, 12)
    return tf.while_loop(goes_on, step, (first, tf.constant(0)), maximum_iterations=MOST_CHUNKS)[1]

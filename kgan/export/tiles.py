"""Restyles a large picture in tiles in the graph of a served model, as `kgan.inference.tiles` does outside of it."""

import tensorflow as tf

from kgan.export.picture_ops import to_uint8
from kgan.inference.stylist import Stylist, reflected_indices
from kgan.inference.tiles import LARGEST, margin, side_of_tiles
from kgan.networks.statistics import Part


def tiled(stylist: Stylist, picture: tf.Tensor, thumbnail: tf.Tensor, seed: tf.Tensor, affordable: int) -> tf.Tensor:
    """Stylize a picture in tiles, with the statistics of a thumbnail.

    Args:
        stylist: the stylist.
        picture: uint8 [H, W, C].
        thumbnail: the same picture at a size that the network can process at once, uint8 [h, w, C].
        seed: seed of the noise, an int32 scalar.
        affordable: the side of a square that the network can process at once, in pixels.

    Returns:
        uint8 [H, W, C].
    """
    around = margin(stylist.facts.reach, stylist.stride)
    side = side_of_tiles(min(affordable, LARGEST), around, stylist.stride)
    size, small = tf.shape(picture)[:2], tf.shape(thumbnail)[:2]
    noise = thumbnail_noise = None
    if stylist.facts.noise_channels:
        noise = stylist.noise(seed, 1, size[0], size[1])
        thumbnail_noise = stylist.noise(seed, 1, small[0], small[1])
    statistics = stylist.statistics(tf.cast(thumbnail[tf.newaxis], tf.float32) / 255.0, thumbnail_noise)
    axes = [_Axis(size[axis], side, around, stylist.stride) for axis in (0, 1)]

    def tile(row, column):
        spans = [axes[0].span(row), axes[1].span(column)]
        at = [axis.indices[start:stop] for axis, (start, stop, *_) in zip(axes, spans, strict=True)]
        image = tf.cast(_taken(picture, at)[tf.newaxis], tf.float32) / 255.0
        own_noise = None if noise is None else _taken(noise[0], at)[tf.newaxis]
        part = Part(
            tf.stack([spans[0][0], spans[1][0], *(tf.size(axis.indices) for axis in axes)]),
            tf.stack([edge - start for start, _, *inner in spans for edge in inner]),
        )
        made, _ = stylist.tile(image, own_noise, statistics, part)
        rows, columns = (axis.cut(span) for axis, span in zip(axes, spans, strict=True))
        return to_uint8(made[0, rows, columns] * 255.0)

    def strip(row):
        """A row of tiles, [h, W, C]. They are joined along their first axis, which may differ in length."""
        turned = _joined(lambda column: tf.transpose(tile(row, column), [1, 0, 2]), axes[1].count)
        return tf.transpose(turned, [1, 0, 2])

    return tf.ensure_shape(_joined(strip, axes[0].count), picture.shape)


class _Axis:
    """One axis of the padded picture, divided into tiles as by `kgan.inference.tiles.spans`."""

    def __init__(self, length: tf.Tensor, side: int, around: int, stride: int):
        self.indices, self.first = reflected_indices(length, stride)
        self.length, self.around, self.stride = length, around, stride
        padded = tf.size(self.indices)
        self.count = tf.where(padded <= side, 1, -(-padded // (side - 2 * around)))

    def span(self, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """What the network sees of tile k (from, to) and its inner area (from, to)."""
        padded = tf.size(self.indices)
        begin, end = (at * (padded // self.stride) // self.count * self.stride for at in (k, k + 1))
        return tf.maximum(0, begin - self.around), tf.minimum(padded, end + self.around), begin, end

    def cut(self, span: tuple[tf.Tensor, ...]) -> slice:
        """The inner area in the tile, without padding."""
        start, _, *inner = span
        begin, end = (tf.clip_by_value(at, self.first, self.first + self.length) - start for at in inner)
        return slice(begin, end)


def _taken(array: tf.Tensor, at: list[tf.Tensor]) -> tf.Tensor:
    """The rows and columns of an array [H, W, C]."""
    return tf.gather(tf.gather(array, at[0], axis=0), at[1], axis=1)


def _joined(make, count: tf.Tensor) -> tf.Tensor:
    """The arrays uint8 [n, m, C] that `make(k)` gives for k = 0, ..., count - 1, joined along the first axis."""
    parts = tf.TensorArray(tf.uint8, size=count, infer_shape=False)
    _, parts = tf.while_loop(
        lambda k, _: k < count, lambda k, parts: (k + 1, parts.write(k, make(k))), (0, parts), parallel_iterations=1
    )
    return parts.concat()

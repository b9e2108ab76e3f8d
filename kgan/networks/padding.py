"""Reflection padding of pictures and feature maps [N, H, W, C]."""

import keras
import numpy as np
import tensorflow as tf


def reflect(x, before: int, after: int):
    """Pad maps by reflection, without repeating the border.

    With static H and W, as in training, pixels are gathered by index. XLA then copies the map once instead of two
    concatenations for MirrorPad, and the gradient consists of slices and sums instead of a scatter. Otherwise it is
    `reflect_by_slices`.

    Args:
        x: [N, H, W, C].
        before: rows and columns at the top and left.
        after: rows and columns at the bottom and right.

    Returns:
        [N, H + before + after, W + before + after, C].
    """
    if None in x.shape[1:3]:
        return reflect_by_slices(x, before, after)
    return _gather_reflected(before, after)(x)


def same_margins(kernel: int, stride: int = 1) -> tuple[int, int]:
    """The padding of "same" before and after a side that is a multiple of the stride.

    >>> same_margins(7), same_margins(3, 2)
    ((3, 3), (0, 1))
    """
    return (kernel - stride) // 2, (kernel - stride + 1) // 2


def _gather_reflected(before: int, after: int):
    @tf.custom_gradient
    def gather(x):
        padded = x
        for axis in (1, 2):
            places = np.pad(np.arange(x.shape[axis]), (before, after), mode="reflect")
            padded = tf.gather(padded, places, axis=axis)

        def gradient(upstream):
            for axis in (2, 1):
                upstream = _fold(upstream, axis, before, after)
            return upstream

        return padded, gradient

    return gather


def _fold(x, axis: int, before: int, after: int):
    """The gradient of reflection along one axis: values of the padding are added at their origin."""
    size = x.shape[axis] - before - after
    end = before + size
    folded = tf.gather(x, np.arange(before, end), axis=axis)
    # (positions in the padding, in the order of their origins; the first origin)
    for places, start in (
        (np.arange(before - 1, -1, -1), 1),
        (np.arange(end + after - 1, end - 1, -1), size - 1 - after),
    ):
        edges = [[0, 0] for _ in range(4)]
        edges[axis] = [start, size - len(places) - start]
        if len(places):
            folded += tf.pad(tf.gather(x, places, axis=axis), edges)
    return folded


def reflect_by_slices(x, before: int, after: int):
    """The same as `reflect`, with slices and concatenation.

    In LiteRT on CPUs, this is 10 times as fast as MIRROR_PAD (128x128x64, padding 1: 0.4 instead of 4.3 ms). Unlike
    GATHER, it runs on all GPU delegates.

    Args:
        x: [N, H, W, C].
        before: rows and columns at the top and left.
        after: rows and columns at the bottom and right.

    Returns:
        [N, H + before + after, W + before + after, C].
    """
    for axis in (1, 2):
        pixel = (slice(None),) * axis
        first = [x[(*pixel, slice(at, at + 1))] for at in range(before, 0, -1)]
        last = [x[(*pixel, slice(-at - 1, -at))] for at in range(1, after + 1)]
        x = tf.concat([*first, x, *last], axis)
    return x


@keras.saving.register_keras_serializable(package="kgan")
class ReflectionPadding2D(keras.layers.Layer):
    """Reflection padding. H and W must be larger than the padding.

    Args:
        before: rows and columns at the top and left.
        after: rows and columns at the bottom and right. Default: as `before`.
    """

    def __init__(self, before: int, after: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.before, self.after = before, before if after is None else after
        self.folded = False

    def fold(self):
        """Pad with slices, for files of fixed sizes."""
        self.folded = True

    def call(self, inputs):
        pad = reflect_by_slices if self.folded else reflect
        return pad(inputs, self.before, self.after)

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        return (batch, *(side and side + self.before + self.after for side in sides), channels)

    def get_config(self):
        return {**super().get_config(), "before": self.before, "after": self.after}

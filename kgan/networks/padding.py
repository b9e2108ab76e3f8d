"""Reflection padding of pictures and feature maps [N, H, W, C]."""

import keras
import numpy as np
import tensorflow as tf


def reflect(x, padding: int):
    """[N,H,W,C] with H and W padded by mirroring, without repeating the border.

    Where H and W are known, as in training, pixels are gathered by index: XLA copies the whole map once, where it
    concatenates twice for MirrorPad, and the gradient (below) is slices and sums instead of a scatter.
    """
    if None in x.shape[1:3]:
        return tf.pad(x, [[0, 0], [padding] * 2, [padding] * 2, [0, 0]], mode="REFLECT")
    return _gather_reflected(padding)(x)


def _gather_reflected(padding: int):
    @tf.custom_gradient
    def gather(x):
        padded = x
        for axis in (1, 2):
            padded = tf.gather(padded, np.pad(np.arange(x.shape[axis]), padding, mode="reflect"), axis=axis)

        def gradient(upstream):
            for axis in (2, 1):
                upstream = _fold(upstream, axis, padding)
            return upstream

        return padded, gradient

    return gather


def _fold(x, axis: int, padding: int):
    """The gradient of mirroring along one axis: what lies outside is added where it was mirrored from."""
    size = x.shape[axis] - 2 * padding
    inner, before, after = (
        tf.gather(x, np.arange(*limits), axis=axis)
        for limits in (
            (padding, padding + size),
            (padding - 1, -1, -1),
            (size + 2 * padding - 1, size + padding - 1, -1),
        )
    )

    def placed(part, start):
        edges = [[0, 0] for _ in range(4)]
        edges[axis] = [start, size - padding - start]
        return tf.pad(part, edges)

    return inner + placed(before, 1) + placed(after, size - padding - 1)


def reflect_by_slices(x, padding: int):
    """The same for a known H and W, as slices and concatenation.

    LiteRT's CPU code for them is 10 times as fast as for MIRROR_PAD (128x128x64, padding 1: 0.4 instead of 4.3 ms), and
    unlike GATHER they run on every GPU delegate.
    """
    for axis in (1, 2):
        size, pixel = x.shape[axis], (slice(None),) * axis
        before = [x[(*pixel, slice(at, at + 1))] for at in range(padding, 0, -1)]
        after = [x[(*pixel, slice(at, at + 1))] for at in range(size - 2, size - 2 - padding, -1)]
        x = tf.concat([*before, x, *after], axis)
    return x


@keras.saving.register_keras_serializable(package="kgan")
class ReflectionPadding2D(keras.layers.Layer):
    """Pads H and W by mirroring, without repeating the border. H and W must exceed `padding`."""

    def __init__(self, padding: int, **kwargs):
        super().__init__(**kwargs)
        self.padding, self.folded = padding, False

    def fold(self):
        """From now on pad as files of a fixed size want it."""
        self.folded = True

    def call(self, inputs):
        return reflect_by_slices(inputs, self.padding) if self.folded else reflect(inputs, self.padding)

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        return (batch, *(side and side + 2 * self.padding for side in sides), channels)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}

"""What the packaged feature network sees in a set of pictures: what is shown (FID, KID), and in which style."""

import functools

import numpy as np
import tensorflow as tf

from kgan.images.pictures import to_float, with_channels
from kgan.networks.features import build

NETWORK = "mobilenet"
"""The feature network of FID and KID; it is in their names, for numbers of different networks do not compare."""

SIDE = 224
"""Pixels: every picture is resized to this square first (bilinear, antialiased)."""


class PictureFeatures:
    """Gathered picture by picture, computed in batches of equal size."""

    batch = 16

    def __init__(self):
        self._waiting, self._pooled, self._style = [], [], []

    def add(self, picture: np.ndarray) -> None:
        """One more picture [H, W, C], uint8 or float in [0, 1]."""
        if self._waiting and (len(self._waiting) == self.batch or picture.shape != self._waiting[0].shape):
            self._flush()
        self._waiting.append(picture)

    def pooled(self) -> np.ndarray:
        """[N, 1024]: the last layer's means, in the order of adding; what FID and KID compare."""
        return self._gathered(self._pooled)

    def style(self) -> np.ndarray:
        """[N, S]: mean and deviation of every channel of the perceptual layers: colours, strokes and texture.

        Reference: [Li et al., Demystifying Neural Style Transfer](https://arxiv.org/abs/1701.01036).
        """
        return self._gathered(self._style)

    def _gathered(self, done: list[np.ndarray]) -> np.ndarray:
        if self._waiting:
            self._flush()
        return np.concatenate(done)

    def _flush(self) -> None:
        pictures = with_channels(to_float(np.stack(self._waiting)), 3) * 2.0 - 1.0
        for done, made in zip((self._pooled, self._style), _network()(tf.constant(pictures)), strict=True):
            done.append(made.numpy())
        self._waiting = []


@functools.cache
def _network():
    features = build(NETWORK)

    @tf.function(autograph=False, reduce_retracing=True)
    def described(pictures):
        resized = tf.image.resize(pictures, (SIDE, SIDE), "bilinear", antialias=True)
        moments = [tf.nn.moments(maps, axes=(1, 2)) for maps in features(resized)]
        style = [part for mean, variance in moments for part in (mean, tf.sqrt(variance + 1e-8))]
        return features.pooled(pictures), tf.concat(style, axis=-1)

    return described


def style_reached(style: np.ndarray, content: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """How far each picture [N, S] went from the content's mean style (0) to the reference's (1) -> [N].

    The projection on the line between both means, every column divided by its deviation over both sets first. The
    content itself has 0 in the mean and the reference 1; more than 1 is more than the style, and what is neither does
    not count. Zeros where both means are the same.
    """
    scale = np.concatenate([content, reference]).std(axis=0) + 1e-6
    start = content.mean(axis=0) / scale
    way = reference.mean(axis=0) / scale - start
    length = way @ way
    return (style / scale - start) @ way / length if length > 0 else np.zeros(len(style))

"""Features of pictures from the packaged feature network, for the content (FID, KID) and for the style."""

import functools

import numpy as np
import tensorflow as tf

from kgan.images.pictures import to_float, with_channels
from kgan.kinds import METRICS
from kgan.networks.features import build

NETWORK = "mobilenet"
"""The feature network of FID and KID. Their names contain it, because other networks give other numbers."""

SIDE = 224
"""Side in pixels of the square to which each picture is resized first (bilinear, antialiased)."""


class PictureFeatures:
    """Computes features of pictures that are added one by one, in batches of pictures of equal size."""

    batch = 16

    def __init__(self):
        self._waiting, self._pooled, self._style = [], [], []

    def add(self, picture: np.ndarray) -> None:
        """Add a picture [H, W, C], uint8 or float in [0, 1]."""
        if self._waiting and (len(self._waiting) == self.batch or picture.shape != self._waiting[0].shape):
            self._flush()
        self._waiting.append(picture)

    def pooled(self) -> np.ndarray:
        """The means of the last layer, float32 [N, 1024], in the order of the pictures. FID and KID compare them."""
        return self._gathered(self._pooled)

    def style(self) -> np.ndarray:
        """Mean and standard deviation of each channel of the perceptual layers, float32 [N, S].

        They describe colours, strokes and texture.

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


@METRICS.add(label="Style reached", inputs=("styles", "content_styles", "reference_styles"), place=100)
def style_reached(style: np.ndarray, content: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The position of each picture between the mean style of the content (0) and of the reference (1).

    The features are divided by their standard deviation over both sets, and projected on the line between the two
    means. Differences in other directions do not count.

    Args:
        style: style features of the pictures, [N, S].
        content: style features of content pictures, [M, S].
        reference: style features of style pictures, [K, S].

    Returns:
        [N]. The mean over the content is 0 and over the reference 1. Values can be above 1. All are 0 if the two means
        are equal.
    """
    scale = np.concatenate([content, reference]).std(axis=0) + 1e-6
    start = content.mean(axis=0) / scale
    way = reference.mean(axis=0) / scale - start
    length = way @ way
    return (style / scale - start) @ way / length if length > 0 else np.zeros(len(style))

"""Features of pictures from a feature network: for FID and KID, for style, and for the distance to the content."""

import functools

import numpy as np
import tensorflow as tf

from kgan.images.pictures import to_float, with_channels
from kgan.kinds import METRICS
from kgan.losses.perceptual import gram_matrix
from kgan.metrics.grams import gram_vector, windows
from kgan.networks.features import FeatureExtractor, build

NETWORK = "mobilenet"
"""The network of "style reached"."""

SIDE = 224
"""Side in pixels of the square to which each picture is resized first (bilinear, antialiased)."""

BATCH = 4
"""Windows that pass a network at the same time. VGG16 needs 50 MB for each."""

EPSILON = 1e-10
"""Added to squared lengths before a division."""


class PictureFeatures:
    """Computes features of pictures that are added one by one.

    Args:
        network: name of the feature network.
        most: the largest number of windows of a picture whose Gram matrices are averaged; 0 for no Gram matrices.
    """

    def __init__(self, network: str = NETWORK, most: int = 0):
        self.network, self.most = network, most
        self._pooled: list[np.ndarray] = []
        self._style: list[np.ndarray] = []
        self._distances: list[float] = []
        self._grams: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._pooled)

    def add(self, picture: np.ndarray, content: list[np.ndarray] | None = None, grams: bool = True) -> list[np.ndarray]:
        """Add a picture.

        Args:
            picture: [H, W, C], uint8 or float in [0, 1].
            content: the result of `add` for the content of the picture. Then their distance is measured.
            grams: whether its Gram matrices are computed too.

        Returns:
            The maps of the perceptual layers, scaled to length 1 at each place, for the distance to other pictures.
        """
        rgb = with_channels(to_float(picture), 3) * 2.0 - 1.0
        small = tf.image.resize(rgb[np.newaxis], (SIDE, SIDE), "bilinear", antialias=True)
        pooled, style, *maps = (each.numpy() for each in _described(self.network)(small))
        self._pooled.append(pooled[0])
        self._style.append(style[0])
        if content is not None:
            self._distances.append(content_distance(maps, content))
        if grams and self.most:
            self._grams.append(_mean_gram(self.network, rgb, self.most))
        return maps

    def pooled(self) -> np.ndarray:
        """The means of the last layer, float32 [N, D], in the order of the pictures. FID and KID compare them."""
        return np.stack(self._pooled)

    def style(self) -> np.ndarray:
        """Mean and standard deviation of each channel of the perceptual layers, float32 [N, S].

        They describe colours, strokes and texture.

        Reference: [Li et al., Demystifying Neural Style Transfer](https://arxiv.org/abs/1701.01036).
        """
        return np.stack(self._style)

    def distances(self) -> np.ndarray:
        """The distances to the contents, float64 [N]: 0 for pictures that were added without content."""
        return np.array(self._distances or [0.0] * len(self))

    def grams(self) -> np.ndarray:
        """The mean Gram matrices of the pictures for which they were computed, float32 [M, G]; see `gram_vector`."""
        return np.stack(self._grams)


def content_distance(maps: list[np.ndarray], others: list[np.ndarray]) -> float:
    """The distance of two pictures in a feature network, as in LPIPS without its learned weights.

    Args:
        maps: maps of the first picture, each [1, h, w, c], scaled to length 1 at each place.
        others: maps of the second picture.

    Returns:
        The squared distance of the maps, averaged over places and summed over layers. 0 for equal pictures.

    Reference: [Zhang et al.](https://arxiv.org/abs/1801.03924), equation 1 with all weights 1.
    """
    return float(sum(np.mean(np.sum((x - y) ** 2, axis=-1)) for x, y in zip(maps, others, strict=True)))


def layers_of(network: str) -> tuple[str, ...]:
    """The names of the layers of a feature network whose Gram matrices are compared, such as "conv1_2"."""
    return tuple(network_of(network).perceptual)


@functools.cache
def network_of(name: str) -> FeatureExtractor:
    """The packaged feature network of that name, which is loaded once."""
    return build(name)


@functools.cache
def _described(network: str):
    features = network_of(network)

    @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32)], autograph=False)
    def described(picture):
        pooled, maps = features.described(picture)
        moments = [tf.nn.moments(each, axes=(1, 2)) for each in maps]
        style = [part for mean, variance in moments for part in (mean, tf.sqrt(variance + 1e-8))]
        unit = [each * tf.math.rsqrt(tf.reduce_sum(each**2, axis=-1, keepdims=True) + EPSILON) for each in maps]
        return pooled, tf.concat(style, axis=-1), *unit

    return described


def _mean_gram(network: str, rgb: np.ndarray, most: int) -> np.ndarray:
    """The vector of the mean Gram matrices of the windows of a picture [H, W, 3] in [-1, 1]."""
    cut = np.stack([rgb[place] for place in windows(rgb.shape[0], rgb.shape[1], most)])
    batches = [network_of(network)(cut[start : start + BATCH]) for start in range(0, len(cut), BATCH)]
    layers = zip(*batches, strict=True)
    return gram_vector([np.concatenate([gram_matrix(maps) for maps in layer]).mean(axis=0) for layer in layers])


@METRICS.add(label="Style reached", inputs=("styles", "content_styles", "reference_styles"), place=100, admitted=False)
def style_reached(style: np.ndarray, content: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The position of each picture between the mean style of the content (0) and of the reference (1).

    The features are divided by their standard deviation over both sets, and projected on the line between the two
    means. Differences in other directions do not count. JPEG blocks raise it, so that it is reported for films alone,
    beside the flicker: there it shows that a steady film is not one without style.

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

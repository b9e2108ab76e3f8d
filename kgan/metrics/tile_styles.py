"""Features of the tiles of a picture, which describe its colours and textures place by place."""

import functools

import numpy as np
import tensorflow as tf

from kgan.images.pictures import to_float, with_channels
from kgan.networks.features import build

TILE = 64
"""Side in pixels of the tiles. A smaller picture is enlarged by a whole factor."""

NETWORK = "mobilenet"
"""The feature network, which is the fastest."""

LAYERS = 3
"""The layers whose maps are described: at 1/2, 1/4 and 1/8 of the resolution. Deeper ones see farther than a tile."""


def tile_styles(picture: np.ndarray) -> np.ndarray:
    """Describe each tile of a picture by the means and standard deviations of feature maps.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].

    Returns:
        float32 [rows, columns, S]: tiles from the upper left corner. What is left of a tile at the borders is left out.
    """
    rgb = enlarged(with_channels(to_float(picture), 3))
    rows, columns = (side // TILE for side in rgb.shape[:2])
    return _moments()(rgb[np.newaxis, : rows * TILE, : columns * TILE] * 2.0 - 1.0).numpy()


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture [H, W, C] whose sides are at least TILE: pixels of smaller ones are repeated."""
    factor = -(-TILE // min(picture.shape[:2]))
    return picture if factor == 1 else picture.repeat(factor, axis=0).repeat(factor, axis=1)


@functools.cache
def _moments():
    features = build(NETWORK)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.float32)], autograph=False)
    def moments(picture):
        found = []
        for level, maps in enumerate(features(picture)[:LAYERS], start=1):
            side = TILE >> level
            mean, square = (tf.nn.avg_pool2d(each, side, side, "VALID") for each in (maps, maps**2))
            found += [mean, tf.sqrt(tf.maximum(square - mean**2, 0.0) + 1e-6)]
        return tf.concat(found, axis=-1)[0]

    return moments

"""Colours as the eye sees them (CIELAB), and means over square blocks of a picture. They use NumPy only."""

import numpy as np

from kgan.images.pictures import LUMA, to_float, with_channels

BLOCK = 8
"""Side in pixels of the blocks whose mean colours are compared, so that a stroke's grain and noise cancel."""

TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""Linear sRGB to CIE XYZ."""

WHITE = np.array([0.9505, 1.0, 1.089])
"""XYZ of sRGB's white, D65."""


def lab(picture: np.ndarray) -> np.ndarray:
    """Convert a picture to CIELAB, in which a distance of about 2 can just be seen.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].

    Returns:
        float64 [H, W, 3]: lightness in [0, 100], and the chroma's a (green to red) and b (blue to yellow).

    Example:

    >>> lab(np.ones((1, 1, 3))).round().tolist()
    [[[100.0, 0.0, 0.0]]]
    """
    rgb = with_channels(to_float(picture), 3).astype(np.float64)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ TO_XYZ.T / WHITE
    x, y, z = np.moveaxis(np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16.0 / 116.0), -1, 0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def luma(picture: np.ndarray) -> np.ndarray:
    """The luma of a picture [H, W, 1|3|4], uint8 or float in [0, 1]: float64 [H, W] in [0, 1]."""
    return with_channels(to_float(picture), 3).astype(np.float64) @ LUMA.astype(np.float64)


def block_means(maps: np.ndarray, side: int) -> np.ndarray:
    """Means over blocks of side x side values. Blocks that reach over the lower or right border are left out.

    Args:
        maps: [H, W] or [H, W, C], with sides of at least `side`.
        side: side of a block.

    Returns:
        [H // side, W // side] or with C.

    Example:

    >>> block_means(np.arange(8.0).reshape(2, 4), 2).tolist()
    [[2.5, 4.5]]
    """
    rows, columns = (length // side for length in maps.shape[:2])
    cut = maps[: rows * side, : columns * side]
    return cut.reshape(rows, side, columns, side, *maps.shape[2:]).mean(axis=(1, 3))

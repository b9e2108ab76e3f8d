"""Measures where a restyled picture has no effect, tile by tile: the weakest places count, not the mean.

A tile has an effect if it left its content and came nearer to the style. Neither is enough alone: grain leaves the
content, and a sky of the content can look painted from the start.
"""

import numpy as np

from kgan.images.pictures import to_float
from kgan.kinds import METRICS
from kgan.metrics.blocks import BLOCK, block_means, lab, luma
from kgan.metrics.tile_styles import TILE, enlarged

COLOUR, STRUCTURE = 15.0, 0.15
"""Changes that are an effect by themselves: the mean distance in CIELAB of the means of blocks, and 1 less SSIM's
contrast and structure term."""

NEARER = 0.1
"""The share of the distance to the style by which a tile must come nearer."""

NEIGHBOURS = 5
"""The number of tiles of the style whose mean distance is the distance to the style."""

WINDOW, C2 = 9, 0.03**2
"""Side of the windows of the structure term at half resolution, and its constant, as in SSIM."""

TENTH = 0.1
"""The share of the pictures whose mean is reported beside the mean of all: the worst ones."""


@METRICS.add(label="No effect (%)", inputs=("picture", "content", "tiles", "content_tiles", "reference_tiles"),
             better="less", scale=100.0, digits=1, place=106)  # fmt: skip
def no_effect(picture, content, tiles, content_tiles, reference_tiles) -> float:
    """The share of tiles without effect: those whose `effects` are below 1.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size.
        tiles: features of the picture's tiles, from `kgan.metrics.tile_styles`.
        content_tiles: features of the content's tiles.
        reference_tiles: features of tiles of style pictures, [M, S].

    Returns:
        A number in [0, 1]; in tables, it is a percentage. The content itself has 1.
    """
    return float(np.mean(effects(picture, content, tiles, content_tiles, reference_tiles) < 1.0))


def effects(picture, content, tiles, content_tiles, reference_tiles) -> np.ndarray:
    """The effect in each tile: the smaller one of `changes` and `approaches`.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size.
        tiles: features of the picture's tiles, [rows, columns, S].
        content_tiles: features of the content's tiles.
        reference_tiles: features of tiles of style pictures, [M, S].

    Returns:
        float64 [rows, columns].
    """
    return np.minimum(changes(picture, content), approaches(tiles, content_tiles, reference_tiles))


def changes(picture: np.ndarray, content: np.ndarray) -> np.ndarray:
    """How far each tile left its content: change of colour / COLOUR + change of structure / STRUCTURE.

    Colours are compared by the means of blocks, and structure at half resolution. No network is used.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size.

    Returns:
        float64 [rows, columns], at least 0.
    """
    after, before = (enlarged(to_float(each)) for each in (picture, content))
    colour = np.linalg.norm(block_means(lab(after), BLOCK) - block_means(lab(before), BLOCK), axis=-1)
    kept = _structure(block_means(luma(after), 2), block_means(luma(before), 2))
    return block_means(colour, TILE // BLOCK) / COLOUR + (1.0 - block_means(kept, TILE // 2)) / STRUCTURE


def approaches(tiles: np.ndarray, content_tiles: np.ndarray, reference_tiles: np.ndarray) -> np.ndarray:
    """How much nearer each tile is to the style than its content: 1 - (distance / distance of the content) over NEARER.

    The distance to the style is the mean distance to the NEIGHBOURS nearest tiles of style pictures, of features that
    are divided by their standard deviation over these. Grain, blur and blocks lead away from all of them.

    Args:
        tiles: features of the picture's tiles, [rows, columns, S].
        content_tiles: features of the content's tiles.
        reference_tiles: features of tiles of style pictures, [M, S].

    Returns:
        float64 [rows, columns]. Negative if a tile went away from the style.
    """
    scale = reference_tiles.std(axis=0) + 1e-3
    style = reference_tiles / scale
    after, before = (_distances(each / scale, style) for each in (tiles, content_tiles))
    return (1.0 - after / np.maximum(before, 1e-6)) / NEARER


def _distances(tiles: np.ndarray, style: np.ndarray) -> np.ndarray:
    flat = tiles.reshape(-1, tiles.shape[-1]).astype(np.float64)
    squares = np.sum(flat**2, axis=1)[:, None] + np.sum(style**2, axis=1) - 2.0 * flat @ style.T
    nearest = np.sort(np.maximum(squares, 0.0), axis=1)[:, :NEIGHBOURS]
    return np.sqrt(nearest).mean(axis=1).reshape(tiles.shape[:2])


def _structure(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """SSIM's contrast and structure term at each place of two maps [H, W], whose borders are repeated."""
    x_mean, y_mean, xx, yy, xy = (_windowed(each) for each in (x, y, x * x, y * y, x * y))
    variances = np.maximum(xx - x_mean**2, 0.0) + np.maximum(yy - y_mean**2, 0.0)
    return (2.0 * (xy - x_mean * y_mean) + C2) / (variances + C2)


def _windowed(maps: np.ndarray) -> np.ndarray:
    """Means over windows around each place."""
    padded = np.pad(maps, WINDOW // 2, mode="edge")
    sums = np.pad(padded, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    across = sums[WINDOW:] - sums[:-WINDOW]
    return (across[:, WINDOW:] - across[:, :-WINDOW]) / WINDOW**2

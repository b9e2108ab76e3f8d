"""A measure of grids: detail along rows, columns and diagonals of pixels, which networks invent on smooth grounds."""

import numpy as np

from kgan.kinds import METRICS
from kgan.metrics.blocks import block_means, luma

TILE = 24
"""Side in pixels of the tiles in which the content is smooth or not."""

SMOOTH = 2.0
"""Root mean square of the content's gradient below which a tile is smooth, in levels of 255 per pixel."""

NEAR = 10.0
"""Degrees around a direction that count to it."""

SPREAD = 1.0
"""Standard deviation in pixels of the Gaussian whose derivative gives gradients."""

REACH = 4
"""Pixels at each border without a gradient."""

FEWEST = 5
"""The fewest smooth tiles that are measured."""


@METRICS.add(label="Grid (levels)", inputs=("picture", "content"), better="less", digits=2, place=245)
def grid(picture: np.ndarray, content: np.ndarray) -> float:
    """Dashes at 0, 45, 90 and 135 degrees on grounds that are smooth in the content, such as a sky. Clean pictures: 0.

    Invented strokes have any direction. The energy of gradients within 10 degrees of rows and columns is compared with
    the energy at directions that are far from all four, and that of the diagonals too. What is above it is the grid.
    Only energy counts that a tile has more than the content has there.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size.

    Returns:
        The root of the energy of the grid per pixel of smooth ground, in levels of 255 per pixel. Pictures with fewer
        than 5 smooth tiles of 24 pixels give 0.
    """
    if min(picture.shape[:2]) < TILE + 2 * REACH:
        return 0.0
    before = _energies(content)
    smooth = before.sum(axis=-1) < SMOOTH**2
    if smooth.sum() < FEWEST:
        return 0.0
    axes, diagonals, others = np.maximum(_energies(picture) - before, 0.0)[smooth].mean(axis=0)
    expected = others * 4.0 * NEAR / (180.0 - 8.0 * NEAR)
    return float(np.sqrt(max(0.0, axes - expected) + max(0.0, diagonals - expected)))


def _energies(picture: np.ndarray) -> np.ndarray:
    """The mean energy of gradients along the axes, the diagonals and other directions in each tile."""
    across, down = _gradients(255.0 * luma(picture))
    turned = np.degrees(np.arctan2(down, across)) % 90.0
    axis = np.minimum(turned, 90.0 - turned) <= NEAR
    diagonal = np.abs(turned - 45.0) <= NEAR
    energy = (across**2 + down**2)[..., np.newaxis]
    return block_means(energy * np.stack([axis, diagonal, ~(axis | diagonal)], axis=-1), TILE)


def _gradients(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives along rows and columns of a map [H, W], without REACH pixels at each border."""
    steps = np.arange(-REACH, REACH + 1)
    smooth = np.exp(-0.5 * (steps / SPREAD) ** 2)
    smooth /= smooth.sum()
    slope = steps * smooth / SPREAD**2
    return _filtered(_filtered(values, slope).T, smooth).T, _filtered(_filtered(values, smooth).T, slope).T


def _filtered(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The correlation of each row with the weights."""
    width = values.shape[1] - len(weights) + 1
    return sum(weight * values[:, place : place + width] for place, weight in enumerate(weights))

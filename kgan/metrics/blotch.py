"""A measure of blotches: patches of a colour that neither the content nor the rest of the picture has there."""

import numpy as np

from kgan.kinds import METRICS
from kgan.metrics.blocks import BLOCK, block_means, lab

FAR = 15.0
"""Distance of two chromas (a and b of CIELAB) that are no neighbours."""

ALIKE = np.array([12.0, 8.0, 8.0])
"""Sides of the cells of CIELAB in which two colours of the content are alike."""

PATCH = 3
"""Side in blocks of the smallest patch."""


@METRICS.add(label="Blotches (%)", inputs=("picture", "content"), better="less", scale=100.0, digits=1, place=255)
def blotch(picture: np.ndarray, content: np.ndarray) -> float:
    """The share of the picture in patches whose chroma belongs neither to the content nor to the picture's palette.

    The palette is the picture's own: the median chroma that it gives to blocks of the content of the same colour. So a
    meadow that becomes sand is no blotch, but yellow islands in a green meadow are, and an orange nose. A patch is an
    area of at least 3x3 blocks of 8x8 pixels, all of which are far from both chromas.

    Args:
        picture: uint8 or float in [0, 1], [H, W, 1|3|4].
        content: the content picture of the same size.

    Returns:
        A number in [0, 1]; in tables, it is a percentage. The content itself has 0, and a picture with a side below 24
        pixels too.
    """
    if min(picture.shape[:2]) < PATCH * BLOCK:
        return 0.0
    after, before = (block_means(lab(each), BLOCK) for each in (picture, content))
    chroma = after[..., 1:]
    far = np.linalg.norm(chroma - before[..., 1:], axis=-1) > FAR
    odd = np.linalg.norm(chroma - _answers(chroma, before), axis=-1) > FAR
    return float(_opened(far & odd).mean())


def _answers(chroma: np.ndarray, content: np.ndarray) -> np.ndarray:
    """For each block, the median chroma of the blocks whose content has a colour of the same cell."""
    _, cells = np.unique(np.floor(content.reshape(-1, 3) / ALIKE), axis=0, return_inverse=True)
    cells = cells.reshape(-1)
    order = np.argsort(cells, kind="stable")
    flat = chroma.reshape(-1, 2)
    answers = np.empty_like(flat)
    for same in np.split(order, np.flatnonzero(np.diff(cells[order])) + 1):
        answers[same] = np.median(flat[same], axis=0)
    return answers.reshape(chroma.shape)


def _opened(mask: np.ndarray) -> np.ndarray:
    """The mask without what is smaller than a patch."""
    whole = np.all(np.lib.stride_tricks.sliding_window_view(mask, (PATCH, PATCH)), axis=(2, 3))
    padded = np.pad(whole, PATCH - 1)
    return np.any(np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH)), axis=(2, 3))

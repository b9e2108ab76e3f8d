"""How much a restyled picture changes when its content moves by whole pixels: a cause of flicker in films."""

from collections.abc import Sequence

import numpy as np

from kgan.images.pictures import to_float
from kgan.kinds import METRICS

SHIFTS = (1, 2, 3)
"""Pixels, to the right and downwards, by which the contents differ."""

MULTIPLE = 8
"""The sides of the crops are multiples of this, the largest stride of a generator, so that none is padded."""

MARGIN = 16
"""Pixels at each border that are not compared, at most an eighth of the side. The padding of a network changes them."""


def shifted_crops(content: np.ndarray) -> list[np.ndarray]:
    """The crops of a content picture whose results `shift_error` compares.

    All have the same size, so that a model draws the same noise for all.

    Args:
        content: [H, W, C] with sides of at least MULTIPLE + 3 pixels.

    Returns:
        The crop at the top left corner, and one at each of SHIFTS from there.
    """
    height, width = ((side - max(SHIFTS)) // MULTIPLE * MULTIPLE for side in content.shape[:2])
    return [content[shift : shift + height, shift : shift + width] for shift in (0, *SHIFTS)]


@METRICS.add(label="Shift error x 1000", inputs=("shifted",), better="less", scale=1000.0, least=0.0, place=105)
def shift_error(shifted: Sequence[np.ndarray]) -> float:
    """The warping error of shifts by 1, 2 and 3 pixels in both directions, averaged over the shifts.

    The warping error is the mean squared difference, over pixels and channels, of the parts of two results that show
    the same content. A copy of the content has 0, so read it beside the style that is reached.

    Shifts in one direction alone are not measured. They cost further passes, and change a result about half as much
    (x 1000, `vangogh` on eight photos: 0.10 to the right, 0.11 downwards, 0.18 in both directions). Do not choose the
    offsets of copies (`kgan.inference.steady`) by this number: copies along the diagonal cancel its shifts and no
    others.

    Args:
        shifted: the results for `shifted_crops`, uint8 or float in [0, 1], each [H, W, C].

    Returns:
        A number of at least 0.

    Reference: warping error as in [Lai et al.](https://arxiv.org/abs/1808.00449), with an exact flow.
    """
    first, *others = (to_float(picture) for picture in shifted)
    pairs = zip(SHIFTS, others, strict=True)
    errors = [np.mean((_inner(first[s:, s:]) - _inner(other[:-s, :-s])) ** 2, dtype=np.float64) for s, other in pairs]
    return float(np.mean(errors))


def _inner(picture: np.ndarray) -> np.ndarray:
    """A picture without its margin."""
    top, left = (min(MARGIN, side // 8) for side in picture.shape[:2])
    return picture[top : len(picture) - top, left : picture.shape[1] - left]

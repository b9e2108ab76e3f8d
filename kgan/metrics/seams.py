"""Finds seams: lines of a picture at which it changes more than beside them."""

import numpy as np

BESIDE = 8
"""Number of places on each side of a line with which it is compared."""


def seam_ratio(pictures: list[np.ndarray], rows: list[list[int]], columns: list[list[int]], stride: int = 1) -> float:
    """How much more pictures change across given lines than beside them.

    Args:
        pictures: uint8 or float, [H, W, C].
        rows: for each picture, the rows at which a tile begins.
        columns: for each picture, the columns at which a tile begins.
        stride: the stride of the network. The change across a line is compared with that at distances of 1, 2, ...,
            `BESIDE` strides, because a network has a faint grid of its own, on whose lines tiles begin.

    Returns:
        The mean absolute difference of neighbouring pixels across the lines, divided by that beside them. 1 without
        seams.

    Raises:
        ValueError: if there is no line that is far enough from the border.

    Example:

    >>> seam_ratio([np.arange(32.0)[:, None, None] + np.zeros((1, 32, 1))], [[16]], [[]])
    1.0
    """
    across, beside = [], []
    for picture, own_rows, own_columns in zip(pictures, rows, columns, strict=True):
        for axis, lines in ((0, own_rows), (1, own_columns)):
            change = np.abs(np.diff(picture.astype(np.float64), axis=axis)).mean(axis=(1 - axis, 2))
            for line in lines:
                around = stride * np.arange(1, BESIDE + 1)
                if around[-1] < line < len(change) - around[-1]:
                    across.append(change[line - 1])
                    beside += [*change[line - 1 - around], *change[line - 1 + around]]
    if not across:
        raise ValueError("`rows` and `columns` should have a line that is far enough from the border. Received none.")
    return float(np.mean(across) / np.mean(beside))

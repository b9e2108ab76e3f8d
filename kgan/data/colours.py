"""The colours of a set of pictures."""

import numpy as np

from kgan.data.stores import Store

MOST = 256
"""Number of pictures that are enough for the colours of a set."""

CELLS = 32
"""Cells along the short side of a picture. Their mean colours count, so that grain and fine strokes do not."""


def mean_colours(store: Store, channels: int = 3) -> list[np.ndarray]:
    """The mean colours of the cells of each picture of a set.

    At most `MOST` pictures are read, spread over the set.

    Args:
        store: the prepared pictures.
        channels: 1 for gray pictures, otherwise 3.

    Returns:
        Colours of each picture, float64 [N, C] in [-1, 1].
    """
    places = np.unique(np.linspace(0, len(store) - 1, MOST).round().astype(int))
    return [_cells(store.picture(place, channels)) for place in places]


def _cells(picture: np.ndarray) -> np.ndarray:
    """The mean colours of square cells, float64 [N, C] in [-1, 1]. An incomplete row or column is left out."""
    side = max(1, min(picture.shape[:2]) // CELLS)
    rows, columns = (length // side for length in picture.shape[:2])
    cells = picture[: rows * side, : columns * side].reshape(rows, side, columns, side, -1)
    return cells.mean(axis=(1, 3)).reshape(rows * columns, -1) / 127.5 - 1.0

"""Steadier results: the average over shifted copies of a picture.

The layers with strides sample a picture on a grid, so that a result changes when its content moves by less than the
stride. The copies lie differently on this grid, and in their average most of these changes cancel.
"""

from collections.abc import Callable, Sequence

import numpy as np

from kgan.errors import UserError
from kgan.images.blending import strips

Offset = tuple[int, int]
"""Pixels by which a copy is moved downwards and to the right."""


def offsets(count: int, stride: int) -> list[Offset]:
    """The offsets of the copies: a Hammersley set, which covers the positions on the grid evenly.

    Args:
        count: number of copies.
        stride: the distance of the grid's points in pixels. A multiple of it would be another copy of (0, 0).

    Returns:
        Offsets from (0, 0) to below `stride`. They differ if `stride` is a power of two.

    Raises:
        UserError: if `count` is less than 1, or more than there are offsets.

    Example:

    >>> offsets(4, stride=4)
    [(0, 0), (1, 2), (2, 1), (3, 3)]
    """
    if count not in range(1, stride**2 + 1):
        raise UserError(f"--steady should be from 1 to {stride**2} with this model. Received: {count}")
    return [(number * stride // count, int(_mirrored(number) * stride)) for number in range(count)]


def averaged(restyle: Callable[[np.ndarray], np.ndarray], pictures: np.ndarray, shifts: Sequence[Offset]) -> np.ndarray:
    """The average of the results for shifted copies, each shifted back.

    A copy has the size of the picture: rows and columns that leave it at one side are reflected at the other. Each
    pixel is averaged over the copies that contain it.

    Args:
        restyle: a function from pictures to results of the same size and dtype.
        pictures: [N, H, W, C], uint8 or float.
        shifts: the offsets of the copies, with (0, 0) among them.

    Returns:
        The results, with the dtype of `restyle`'s.
    """
    if len(shifts) == 1:
        return restyle(pictures)
    height, width = pictures.shape[1:3]
    copies = np.zeros((height, width, 1), np.uint16)
    total = np.zeros(0)
    for down, right in shifts:
        made = restyle(_moved(pictures, down, right))
        if not total.size:
            total = np.zeros(made.shape, np.uint16 if made.dtype == np.uint8 else np.result_type(made, np.float32))
        rows, columns = slice(max(0, height - down)), slice(max(0, width - right))
        total[:, rows, columns] += made[:, down:, right:]
        copies[rows, columns] += 1
    return _divided(total, copies, made.dtype)


def _divided(total: np.ndarray, copies: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Sums divided by the number of copies. In strips, as the floats of a large picture take gigabytes."""
    means = np.empty(total.shape, dtype)
    for rows in strips(*copies.shape[:2]):
        mean = total[:, rows] / copies[rows]
        means[:, rows] = np.rint(mean) if dtype == np.uint8 else mean
    return means


def _moved(pictures: np.ndarray, down: int, right: int) -> np.ndarray:
    padded = np.pad(pictures, ((0, 0), (down, 0), (right, 0), (0, 0)), "reflect")
    return padded[:, : pictures.shape[1], : pictures.shape[2]]


def _mirrored(number: int) -> float:
    """The binary digits of a number, mirrored at the point: the fractions 0, 1/2, 1/4, 3/4, 1/8, ..."""
    digits = f"{number:b}"[::-1]
    return int(digits, 2) / 2 ** len(digits)

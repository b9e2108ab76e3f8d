"""Distances of Gram matrices, which describe the texture of pictures, from a set to a set and to the nearest picture.

A picture has a vector for each layer of a feature network: the mean Gram matrix of some of its windows. The distances
are relative: squared Frobenius norms of differences, divided by that of the style's matrix. They use NumPy only.
"""

import numpy as np

from kgan.kinds import METRICS

WINDOW = 256
"""Side in pixels of the windows, or less in smaller pictures. Pictures are not resized, so that strokes keep theirs."""

OF_A_PICTURE, OF_A_PAINTING = 4, 12
"""The largest numbers of windows of a picture of the model, and of a style picture."""

Layers = list[np.ndarray]
"""For each layer of the network, the vectors of N pictures, [N, D]."""


def windows(height: int, width: int, most: int) -> list[tuple[slice, slice]]:
    """The windows of a picture: evenly spread, as few as cover it, but at most a given number.

    Random windows of a picture of one megapixel change a distance by a third.

    Args:
        height: height of the picture in pixels.
        width: its width.
        most: the largest number of windows.

    Returns:
        Rows and columns of each window.

    Example:

    >>> windows(256, 500, 4)
    [(slice(0, 256, None), slice(0, 256, None)), (slice(0, 256, None), slice(244, 500, None))]
    """
    side = min(WINDOW, height, width)
    rows, columns = -(-height // side), -(-width // side)
    while rows * columns > most:
        rows, columns = (rows - 1, columns) if rows > columns else (rows, columns - 1)
    places = ((top, left) for top in _spread(height - side, rows) for left in _spread(width - side, columns))
    return [(slice(top, top + side), slice(left, left + side)) for top, left in places]


def _spread(room: int, count: int) -> list[int]:
    """Evenly spread places from 0 to `room`; a single one is in the middle."""
    return [round(place) for place in np.linspace(0, room, count)] if count > 1 else [room // 2]


def gram_vector(matrices: list[np.ndarray]) -> np.ndarray:
    """Write symmetric matrices as one vector whose squared length is the sum of their squared Frobenius norms.

    Args:
        matrices: [C, C] for each layer.

    Returns:
        float32, the upper triangles one after the other; elements beside a diagonal are multiplied by the root of 2.
    """
    return np.concatenate([_triangle(matrix) for matrix in matrices]).astype(np.float32)


def _triangle(matrix: np.ndarray) -> np.ndarray:
    rows, columns = np.triu_indices(len(matrix))
    return matrix[rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2.0))


def coordinates(vectors: np.ndarray, widths: tuple[int, ...]) -> Layers:
    """Vectors of as many numbers as there are pictures, with the same distances and lengths as those of the matrices.

    Resamples of long vectors would be slow.

    Args:
        vectors: results of `gram_vector` for all pictures that are compared, [N, G].
        widths: the number of channels of each layer.

    Returns:
        float64 [N, N] for each layer.
    """
    ends = np.cumsum([width * (width + 1) // 2 for width in widths])[:-1]
    return [_compact(layer) for layer in np.split(vectors, ends, axis=1)]


def _compact(vectors: np.ndarray) -> np.ndarray:
    products = np.asarray(vectors @ vectors.T, np.float64)
    values, directions = np.linalg.eigh(products)
    return directions * np.sqrt(np.maximum(values, 0.0))


@METRICS.add("gram_mobilenet", label="Gram (MobileNet)", inputs=("grams", "reference_grams"), network="mobilenet",
             better="less", least=0.0, place=130)  # fmt: skip
@METRICS.add("gram_vgg16", label="Gram (VGG16)", inputs=("grams", "reference_grams"), network="vgg16",
             better="less", least=0.0, place=131)  # fmt: skip
def gram_distance(
    x: Layers, y: Layers, x_counts: np.ndarray | None = None, y_counts: np.ndarray | None = None
) -> np.ndarray:
    """The distance of the mean Gram matrices of two sets: |mean_x - mean_y|^2 / |mean_y|^2 for each layer.

    Args:
        x: the pictures by layer, each [N, D].
        y: the style pictures by layer, each [M, D].
        x_counts: how often each picture is in the set, [N]. None means once.
        y_counts: how often each style picture is in the set, [M].

    Returns:
        The distance of each layer, float64 [L], at least 0.

    Reference: [Gatys et al.](https://arxiv.org/abs/1508.06576).

    Example:

    >>> gram_distance([np.array([[1.0, 0.0], [3.0, 0.0]])], [np.array([[0.0, 2.0]])])  # (2^2 + 2^2) / 2^2
    array([2.])
    """
    pairs = zip(x, y, strict=True)
    means = [(_mean(a, x_counts), _mean(b, y_counts)) for a, b in pairs]
    return np.array([np.sum((a - b) ** 2) / np.sum(b**2) for a, b in means])


def _mean(rows: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    return rows.mean(axis=0) if counts is None else counts @ rows / counts.sum()


@METRICS.add("nearest_gram_mobilenet", label="Nearest Gram (MobileNet)", inputs=("grams", "reference_grams"),
             network="mobilenet", better="less", least=0.0, place=132)  # fmt: skip
@METRICS.add("nearest_gram_vgg16", label="Nearest Gram (VGG16)", inputs=("grams", "reference_grams"),
             network="vgg16", better="less", least=0.0, place=133)  # fmt: skip
def nearest_gram(
    x: Layers, y: Layers, x_counts: np.ndarray | None = None, y_counts: np.ndarray | None = None
) -> np.ndarray:
    """The mean over pictures of the distance of their Gram matrices to those of the nearest style picture, by layer.

    A mean hides that half of the pictures are too pale and half too strong. This number does not.

    Args:
        x: the pictures by layer, each [N, D].
        y: the style pictures by layer, each [M, D].
        x_counts: how often each picture is in the set, [N]. None means once.
        y_counts: how often each style picture is in the set, [M]. One that counts 0 is not there.

    Returns:
        The mean distance of each layer, float64 [L], at least 0.

    Example:

    >>> nearest_gram([np.array([[1.0], [5.0]])], [np.array([[1.0], [4.0]])])  # (0 + (5 - 4)^2 / 4^2) / 2
    array([0.03125])
    """
    there = np.ones(len(y[0]), bool) if y_counts is None else y_counts > 0
    pairs = zip(x, y, strict=True)
    return np.array([_mean(_relative(a, b[there]).min(axis=1), x_counts) for a, b in pairs])


def _relative(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|x_i - y_k|^2 / |y_k|^2 for all pairs, [N, M]."""
    lengths = np.sum(y**2, axis=1)
    return np.maximum(np.sum(x**2, axis=1)[:, None] + lengths - 2.0 * x @ y.T, 0.0) / np.maximum(lengths, 1e-12)

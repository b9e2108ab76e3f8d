"""Distances between two sets of pictures, computed from their features: the statistics of FID and KID.

They use NumPy only. Features are float [N, D]. `counts` gives how often each row is in the set, as in a resample of a
bootstrap. None means once.
"""

import numpy as np

from kgan.kinds import METRICS


@METRICS.add(
    "fid_mobilenet",
    label="FID (MobileNet)",
    inputs=("features", "reference_features"),
    network="mobilenet",
    digits=2,
    better="less",
    least=0.0,
    place=110,
)
@METRICS.add(
    "fid_vgg16",
    label="FID (VGG16)",
    inputs=("features", "reference_features"),
    network="vgg16",
    digits=2,
    better="less",
    least=0.0,
    place=111,
)
def frechet_distance(
    x: np.ndarray, y: np.ndarray, x_counts: np.ndarray | None = None, y_counts: np.ndarray | None = None
) -> float:
    """|mean_x - mean_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)) of two Gaussians fitted to the features.

    S are unbiased covariances. If X are the centred rows divided by sqrt(N - 1), then S_x = X'X, and the eigenvalues of
    S_x S_y are the squared singular values of X Y'. So no matrix root is needed, and covariances may be singular
    (N <= D). The distance is biased upwards, more for fewer pictures: compare only sets of the same size.

    Args:
        x: features, float [N, D].
        y: features, float [M, D].
        x_counts: how often each row of x is in the set, [N].
        y_counts: how often each row of y is in the set, [M].

    Returns:
        The distance, at least 0.

    Raises:
        ValueError: if a set has fewer than two rows.

    Reference: [Heusel et al.](https://arxiv.org/abs/1706.08500).

    Example:

    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]]))  # equal spread, means 1 and 4
    9.0
    """
    (x_mean, x_root), (y_mean, y_root) = _fitted(x, x_counts), _fitted(y, y_counts)
    shared = np.linalg.svd(x_root @ y_root.T, compute_uv=False).sum()
    distance = np.sum((x_mean - y_mean) ** 2) + np.sum(x_root**2) + np.sum(y_root**2) - 2.0 * shared
    return max(float(distance), 0.0)  # rounding can give a negative number


def _fitted(features: np.ndarray, counts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The mean [D] and a root R of the covariance, R'R = S, with at most D rows."""
    rows, counts = _checked(features, counts)
    total = counts.sum()
    mean = counts @ rows / total
    root = (rows - mean) * np.sqrt(counts / (total - 1))[:, None]
    return mean, np.asarray(np.linalg.qr(root, "r")) if len(root) > root.shape[1] else root


def _checked(features: np.ndarray, counts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The rows with a count above 0, in float64, and their counts."""
    features = np.asarray(features, np.float64)
    counts = np.ones(len(features)) if counts is None else np.asarray(counts, np.float64)
    if counts.sum() < 2:
        raise ValueError(f"a set should have at least 2 pictures. Received: {len(features)}")
    there = counts > 0
    return features[there], counts[there]


@METRICS.add(
    "kid_mobilenet",
    label="KID (MobileNet) x 1000",
    inputs=("features", "reference_features"),
    network="mobilenet",
    digits=1,
    better="less",
    scale=1000.0,
    place=120,
)
@METRICS.add(
    "kid_vgg16",
    label="KID (VGG16) x 1000",
    inputs=("features", "reference_features"),
    network="vgg16",
    digits=2,
    better="less",
    scale=1000.0,
    place=121,
)
def polynomial_mmd(
    x: np.ndarray, y: np.ndarray, x_counts: np.ndarray | None = None, y_counts: np.ndarray | None = None
) -> float:
    """Unbiased squared MMD of two sets of features with the kernel (x.y / D + 1)^3. It can be negative.

    A row that counts twice is not compared with itself, because such pairs would bias a bootstrap.

    Args:
        x: features, float [N, D].
        y: features, float [M, D].
        x_counts: how often each row of x is in the set, [N].
        y_counts: how often each row of y is in the set, [M].

    Returns:
        The squared MMD.

    Raises:
        ValueError: if a set has fewer than two rows.

    Example:

    >>> polynomial_mmd(np.array([[1.0], [1.0]]), np.array([[0.0], [0.0]]))  # 8 + 1 - 2 * 1
    7.0
    """
    (x, x_counts), (y, y_counts) = _checked(x, x_counts), _checked(y, y_counts)
    between = x_counts @ _kernel(x, y) @ y_counts / (x_counts.sum() * y_counts.sum())
    return _mean_of_pairs(_kernel(x, x), x_counts) + _mean_of_pairs(_kernel(y, y), y_counts) - 2.0 * float(between)


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def _mean_of_pairs(square: np.ndarray, counts: np.ndarray) -> float:
    """The mean over pairs of different rows."""
    pairs = counts.sum() ** 2 - np.sum(counts**2)
    if pairs == 0:  # a resample that contains a single row many times
        return float(square[0, 0])
    return float((counts @ square @ counts - np.sum(counts**2 * np.diagonal(square))) / pairs)

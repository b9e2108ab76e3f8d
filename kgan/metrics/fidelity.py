"""Distances between two sets of pictures from their features: FID's and KID's statistics. NumPy alone.

Features are float [N, D]. `counts` says how often each row is in the set, as a bootstrap draws them; None: once.
"""

import numpy as np


def frechet_distance(
    x: np.ndarray, y: np.ndarray, x_counts: np.ndarray | None = None, y_counts: np.ndarray | None = None
) -> float:
    """|mean_x - mean_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)) of two Gaussians fitted to the features; >= 0.

    S are unbiased covariances. With X the centred rows over sqrt(N - 1), S_x = X'X, and the eigenvalues of S_x S_y are
    the squared singular values of X Y', so that no matrix root is taken and singular covariances (N <= D) do no harm.
    It is biased upwards, the more the fewer the pictures: compare only sets of the same size.

    Raises ValueError for fewer than two rows.

    Reference: [Heusel et al.](https://arxiv.org/abs/1706.08500).

    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]]))  # equal spread, means 1 and 4
    9.0
    """
    (x_mean, x_root), (y_mean, y_root) = _fitted(x, x_counts), _fitted(y, y_counts)
    shared = np.linalg.svd(x_root @ y_root.T, compute_uv=False).sum()
    distance = np.sum((x_mean - y_mean) ** 2) + np.sum(x_root**2) + np.sum(y_root**2) - 2.0 * shared
    return max(float(distance), 0.0)  # rounding can leave a trace below zero


def _fitted(features: np.ndarray, counts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and a root R of the covariance, R'R = S, with at most D rows."""
    rows, counts = _checked(features, counts)
    total = counts.sum()
    mean = counts @ rows / total
    root = (rows - mean) * np.sqrt(counts / (total - 1))[:, None]
    return mean, np.linalg.qr(root, "r") if len(root) > root.shape[1] else root


def _checked(features: np.ndarray, counts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are in the set at all, in float64, and how often."""
    features = np.asarray(features, np.float64)
    counts = np.ones(len(features)) if counts is None else np.asarray(counts, np.float64)
    if counts.sum() < 2:
        raise ValueError(f"a set should have at least 2 pictures. Received: {len(features)}")
    there = counts > 0
    return features[there], counts[there]


def polynomial_mmd(
    x: np.ndarray, y: np.ndarray, x_counts: np.ndarray | None = None, y_counts: np.ndarray | None = None
) -> float:
    """Unbiased squared MMD of two sets of features under the kernel (x.y / D + 1)^3; may be below zero.

    A row that counts twice is not compared with itself: such pairs would bias a bootstrap as they bias the plain mean.

    >>> polynomial_mmd(np.array([[1.0], [1.0]]), np.array([[0.0], [0.0]]))  # 8 + 1 - 2 * 1
    7.0
    """
    (x, x_counts), (y, y_counts) = _checked(x, x_counts), _checked(y, y_counts)
    between = x_counts @ _kernel(x, y) @ y_counts / (x_counts.sum() * y_counts.sum())
    return _mean_of_pairs(_kernel(x, x), x_counts) + _mean_of_pairs(_kernel(y, y), y_counts) - 2.0 * float(between)


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def _mean_of_pairs(square: np.ndarray, counts: np.ndarray) -> float:
    """Mean over pairs of different rows."""
    pairs = counts.sum() ** 2 - np.sum(counts**2)
    if pairs == 0:  # a resample that is one row again and again
        return float(square[0, 0])
    return float((counts @ square @ counts - np.sum(counts**2 * np.diagonal(square))) / pairs)


def kernel_inception_distance(
    real: np.ndarray, fake: np.ndarray, subset_size: int = 100, subsets: int = 20, seed: int = 2020
) -> tuple[float, float]:
    """Mean and standard deviation of `polynomial_mmd` over random subsets, drawn without replacement.

    The draws are torch-fidelity's, so that the same features, sizes and seed give its very numbers. With fewer
    pictures than `subset_size` the subsets are as large as the smaller set. When a subset is both sets whole there is
    nothing to vary, and the deviation is NaN. Raises ValueError for fewer than two pictures on a side.

    Reference: [Demystifying MMD GANs](https://arxiv.org/abs/1801.01401).
    """
    real, fake = np.asarray(real), np.asarray(fake)
    size = min(len(real), len(fake), subset_size)
    if size == len(real) == len(fake):
        return polynomial_mmd(real, fake), float("nan")
    random = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        drawn = [side[random.choice(len(side), size, replace=False)] for side in (real, fake)]
        values.append(polynomial_mmd(*drawn))
    return float(np.mean(values)), float(np.std(values))

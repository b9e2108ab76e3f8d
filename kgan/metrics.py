"""Distances between pictures and between sets of pictures: pure functions, one value a picture or a set.

Pictures are float32 [N, H, W, C] in [0, 1]; features are float [N, D].
"""

import numpy as np
import tensorflow as tf

SSIM_WINDOW = 11
"""Side of SSIM's Gaussian window (sigma 1.5): the smallest picture it can judge."""


def mse(pictures: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Mean squared error of each picture, range [0, 1] -> [N].

    >>> mse(tf.zeros((1, 2, 2, 3)), tf.fill((1, 2, 2, 3), 0.5)).numpy().tolist()
    [0.25]
    """
    return tf.reduce_mean(tf.square(pictures - reference), axis=[1, 2, 3])


def psnr(pictures: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Peak signal to noise ratio of each picture in dB, peak 1 -> [N]; infinite for equal pictures."""
    return tf.image.psnr(pictures, reference, max_val=1.0)


def ssim(pictures: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Structural similarity of each picture, mean over channels and windows, data range 1 -> [N] in [-1, 1].

    Raises ValueError for pictures smaller than the 11x11 window.

    Reference: [Wang et al.](https://doi.org/10.1109/TIP.2003.819861).
    """
    height, width = pictures.shape[1], pictures.shape[2]
    if min(height or SSIM_WINDOW, width or SSIM_WINDOW) < SSIM_WINDOW:
        raise ValueError(f"pictures should be at least {SSIM_WINDOW}x{SSIM_WINDOW}. Received: {height}x{width}")
    return tf.image.ssim(pictures, reference, max_val=1.0, filter_size=SSIM_WINDOW, filter_sigma=1.5)


def polynomial_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared MMD of two sets of features [N, D] under the kernel (x.y / D + 1)^3; may be below zero.

    >>> polynomial_mmd(np.array([[1.0], [1.0]]), np.array([[0.0], [0.0]]))  # 8 + 1 - 2 * 1
    7.0
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return _mean_off_diagonal(_kernel(x, x)) + _mean_off_diagonal(_kernel(y, y)) - 2.0 * float(_kernel(x, y).mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def _mean_off_diagonal(square: np.ndarray) -> float:
    # A picture compared with itself is what makes the plain mean biased.
    n = len(square)
    return float((square.sum() - np.trace(square)) / (n * (n - 1)))


def kernel_inception_distance(
    features_real: np.ndarray, features_fake: np.ndarray, subset_size: int = 100, subsets: int = 20, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation of `polynomial_mmd` over random subsets, drawn without replacement.

    With fewer pictures than `subset_size` the subsets are as large as the smaller set; `kid_subset` tells. When a
    subset is both sets whole there is nothing to vary, and the deviation is NaN.

    Reference: [Demystifying MMD GANs](https://arxiv.org/abs/1801.01401).
    """
    size = kid_subset(len(features_real), len(features_fake), subset_size)
    if size == len(features_real) == len(features_fake):
        return polynomial_mmd(features_real, features_fake), float("nan")
    random = np.random.default_rng(seed)
    values = [
        polynomial_mmd(_draw(random, features_real, size), _draw(random, features_fake, size)) for _ in range(subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def _draw(random: np.random.Generator, features: np.ndarray, size: int) -> np.ndarray:
    return features[random.choice(len(features), size, replace=False)]


def kid_subset(real: int, fake: int, subset_size: int) -> int:
    """The subset size that two sets of these lengths allow; ValueError when one has fewer than two pictures."""
    if min(real, fake) < 2:
        raise ValueError(f"KID should have at least 2 pictures on each side. Received: {real} and {fake}")
    return min(real, fake, subset_size)

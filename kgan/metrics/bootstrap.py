"""Bootstrap intervals: the uncertainty of a number due to the number of pictures. They use NumPy only.

Reference: [Efron and Tibshirani, An Introduction to the Bootstrap](https://doi.org/10.1201/9780429246593).
"""

import numpy as np

LEVEL = 0.95
"""Fraction of the intervals that contain the true value, if the sample is not too small."""

Interval = dict[str, float]
"""A dict with the keys "value", "low" and "high"."""


def draws(pictures: int, resamples: int, seed: int) -> np.ndarray:
    """Draw resamples with replacement. The result depends only on the arguments, so that differences are paired.

    Args:
        pictures: number of pictures, which is also the size of each resample.
        resamples: number of resamples.
        seed: seed of the random numbers.

    Returns:
        How often each picture is in each resample, int [resamples, pictures].
    """
    random = np.random.default_rng([seed, pictures])
    return random.multinomial(pictures, np.full(pictures, 1.0 / pictures), resamples)


def interval(value: float, replicates: np.ndarray, least: float = -np.inf) -> Interval:
    """The interval of the middle LEVEL of the replicates, shifted so that their mean is `value`.

    The shift is needed because a resample contains only two thirds of the different pictures. A number that is biased
    in small samples, such as FID, is more biased in resamples, and their percentiles can miss the value itself.

    Args:
        value: the number for the whole sample.
        replicates: the number for each resample.
        least: the smallest possible number. The interval is clipped there, which loses no true value.

    Returns:
        The interval, which contains the value.
    """
    replicates = np.asarray(replicates, np.float64)
    low, high = value + _middle(replicates - replicates.mean())
    return {"value": float(value), "low": float(min(max(low, least), value)), "high": float(max(high, value))}


def _middle(replicates: np.ndarray) -> np.ndarray:
    tail = 100.0 * (1.0 - LEVEL) / 2.0
    return np.percentile(replicates, [tail, 100.0 - tail])


def mean_interval(values: np.ndarray, seed: int, resamples: int = 2000) -> Interval:
    """The interval of the mean of a number per picture. For a paired difference, give the differences.

    A mean has no bias, so the means of the resamples are not shifted. The interval lies between the smallest and the
    largest number: an SSIM is never above 1.

    Args:
        values: one number per picture, [N].
        seed: seed of the resamples.
        resamples: number of resamples.

    Returns:
        The interval.
    """
    values = np.asarray(values, np.float64)
    return _of_means(values, draws(len(values), resamples, seed) @ values / len(values))


def block_interval(values: np.ndarray, blocks: np.ndarray, seed: int, resamples: int = 2000) -> Interval:
    """The interval of the mean of numbers of which some are alike, such as those of neighbouring frames.

    Resamples draw whole blocks. Numbers drawn one by one would have too narrow an interval.

    Args:
        values: [N].
        blocks: the block of each number, int [N].
        seed: seed of the resamples.
        resamples: number of resamples.

    Returns:
        The interval.
    """
    values = np.asarray(values, np.float64)
    _, places = np.unique(blocks, return_inverse=True)
    lengths, sums = np.bincount(places), np.bincount(places, weights=values)
    drawn = draws(len(lengths), resamples, seed)
    return _of_means(values, (drawn @ sums) / (drawn @ lengths))


def _of_means(values: np.ndarray, means: np.ndarray) -> Interval:
    """The interval of a mean from the means of resamples. It is clipped because of rounding errors."""
    value, low, high = np.clip([values.mean(), *_middle(means)], values.min(), values.max())
    return {"value": float(value), "low": float(min(low, value)), "high": float(max(high, value))}

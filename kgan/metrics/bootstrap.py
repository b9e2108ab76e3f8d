"""Bootstrap intervals: how far a number might lie from what more pictures of the same kind would give. NumPy alone.

Reference: [Efron and Tibshirani, An Introduction to the Bootstrap](https://doi.org/10.1201/9780429246593).
"""

import numpy as np

LEVEL = 0.95
"""Share of such intervals that hold the true value, where the sample is not too small."""

Interval = dict[str, float]
"""{"value", "low", "high"}"""


def draws(pictures: int, resamples: int, seed: int) -> np.ndarray:
    """int [resamples, pictures]: how often each picture is in each resample of as many, drawn with replacement.

    A function of its arguments alone: numbers of the same pictures are resampled alike, which makes their differences
    paired.
    """
    random = np.random.default_rng([seed, pictures])
    return random.multinomial(pictures, np.full(pictures, 1.0 / pictures), resamples)


def interval(value: float, replicates: np.ndarray, least: float = -np.inf) -> Interval:
    """The middle LEVEL of the replicates, moved so that their mean is `value`; it holds the value.

    Moved, because a resample holds only two thirds of the different pictures: what is biased in small samples, as FID
    is, is more so in resamples, and their plain percentiles can miss the value itself. What is moved below `least`, the
    smallest number that there can be, is cut off: no true value is lost by that.
    """
    replicates = np.asarray(replicates, np.float64)
    low, high = value + _middle(replicates - replicates.mean())
    return {"value": float(value), "low": float(min(max(low, least), value)), "high": float(max(high, value))}


def _middle(replicates: np.ndarray) -> np.ndarray:
    tail = 100.0 * (1.0 - LEVEL) / 2.0
    return np.percentile(replicates, [tail, 100.0 - tail])


def mean_interval(values: np.ndarray, seed: int, resamples: int = 2000) -> Interval:
    """Of the mean of one number a picture [N]. For a paired difference give the differences.

    The middle LEVEL of the resamples' means as they are, for a mean has no bias: so it stays between the smallest and
    the largest number, and no SSIM is above 1.
    """
    values = np.asarray(values, np.float64)
    means = draws(len(values), resamples, seed) @ values / len(values)
    value, low, high = np.clip([values.mean(), *_middle(means)], values.min(), values.max())  # rounding left aside
    return {"value": float(value), "low": float(min(low, value)), "high": float(max(high, value))}

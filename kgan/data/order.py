"""The order of the pictures, a pure function of (seed, domain, number of the sample).

A resumed run can therefore start at any sample without reading those before it. Sample n of a set of L pictures belongs
to epoch n // L, and each epoch is a permutation of the set.
"""

import functools

import numpy as np


@functools.lru_cache(maxsize=8)
def permutation(length: int, seed: int, domain: int, epoch: int) -> np.ndarray:
    """The order of one epoch.

    It is made from the raw bits of Philox, which NumPy guarantees for all versions. NumPy's `permutation` may change.

    Args:
        length: number of pictures.
        seed: seed of the run.
        domain: `CONTENT` or `STYLE` of `kgan.data.training`.
        epoch: number of the epoch, from 0.

    Returns:
        int64 [length], indices of pictures.
    """
    bits = np.random.Philox(np.random.SeedSequence((seed % 2**64, domain, epoch))).random_raw(length)
    return np.argsort(bits, kind="stable")


def picture_indices(samples: np.ndarray, length: int, seed: int, domain: int) -> np.ndarray:
    """The index of the picture of each sample.

    Args:
        samples: numbers of samples, an int64 array.
        length: number of pictures.
        seed: seed of the run.
        domain: `CONTENT` or `STYLE` of `kgan.data.training`.

    Returns:
        An int64 array of the same shape.
    """
    epochs, positions = np.divmod(samples, length)
    indices = np.empty_like(samples)
    for epoch in np.unique(epochs):
        chosen = epochs == epoch
        indices[chosen] = permutation(length, seed, domain, int(epoch))[positions[chosen]]
    return indices

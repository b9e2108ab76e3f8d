"""Which picture comes when: a pure function of (seed, domain, number of the sample), so that resuming seeks.

Sample n of a set of L pictures is in epoch n // L, and each epoch is one permutation of the set.
"""

import functools

import numpy as np


@functools.lru_cache(maxsize=8)
def permutation(length: int, seed: int, domain: int, epoch: int) -> np.ndarray:
    """The order of one epoch, int64 [length].

    Made from the raw bits of Philox, which NumPy keeps the same for good; its `permutation` may change.
    """
    bits = np.random.Philox(np.random.SeedSequence((seed % 2**64, domain, epoch))).random_raw(length)
    return np.argsort(bits, kind="stable")


def picture_indices(samples: np.ndarray, length: int, seed: int, domain: int) -> np.ndarray:
    """Index of the picture for every sample number, int64 of the same shape."""
    epochs, positions = np.divmod(samples, length)
    indices = np.empty_like(samples)
    for epoch in np.unique(epochs):
        chosen = epochs == epoch
        indices[chosen] = permutation(length, seed, domain, int(epoch))[positions[chosen]]
    return indices

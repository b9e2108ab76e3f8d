"""Counters that steps move and the host reads now and then."""

import keras
import numpy as np
import tensorflow as tf

from kgan.gan import replicas


class Tally:
    """Counts, one for each of `size` things; each replica has its own, reading gives their mean.

    Neither Keras nor a checkpoint sees it: reading it takes all workers, and one alone must be able to save and
    restore.
    """

    def __init__(self, size: int):
        self._counts = keras.Variable(
            tf.zeros(size), trainable=False, synchronization="on_read", aggregation="sum", name="tally"
        )

    def add(self, flags: list[tf.Tensor]) -> None:
        """One more of those whose flag, a bool scalar, is set; in a step."""
        self._counts.assign_add(tf.cast(tf.stack(flags), tf.float32))

    def clear(self) -> None:
        """All to zero, outside of steps."""
        self._counts.assign(tf.zeros_like(self._counts.value))

    def mean(self) -> np.ndarray:
        """float32 [size], outside of steps."""
        return np.asarray(self._counts.value) / replicas.count()

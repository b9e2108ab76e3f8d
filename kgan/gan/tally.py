"""Counters that steps increase and the host reads from time to time."""

import keras
import numpy as np
import tensorflow as tf

from kgan.gan import replicas


class Tally:
    """A vector of counters. Each replica has its own, and `mean` returns their mean.

    Keras and checkpoints do not track it, because reading it needs all workers, and a single worker must be able to
    save and restore.

    Args:
        size: number of counters.
    """

    def __init__(self, size: int):
        self._counts = keras.Variable(
            tf.zeros(size), trainable=False, synchronization="on_read", aggregation="sum", name="tally"
        )

    def add(self, flags: list[tf.Tensor]) -> None:
        """Increase the counters whose flag, a bool scalar, is true. Call it in a step."""
        self._counts.assign_add(tf.cast(tf.stack(flags), tf.float32))

    def clear(self) -> None:
        """Set all counters to zero. Call it outside of steps."""
        self._counts.assign(tf.zeros_like(self._counts.value))

    def mean(self) -> np.ndarray:
        """The mean over the replicas, float32 [size]. Call it outside of steps."""
        return np.asarray(self._counts.value) / replicas.count()

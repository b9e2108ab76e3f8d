"""The number format of losses, norms and sums: what must not lose digits, whatever the networks compute in."""

import tensorflow as tf


def precise(x) -> tf.Tensor:
    """`x` in float32, or as it is where it is a tensor in float64, as under --precision float64.

    >>> precise([1, 2]).dtype.name, precise(tf.zeros(2, tf.float64)).dtype.name
    ('float32', 'float64')
    """
    return x if tf.is_tensor(x) and x.dtype == tf.float64 else tf.cast(x, tf.float32)

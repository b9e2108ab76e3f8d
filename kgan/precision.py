"""Number formats: those of networks, and that of losses, norms and sums, which must not lose digits."""

import tensorflow as tf

POLICIES = {"float64": "float64", "float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Keras' names of dtype policies by the value of --precision. Weights of mixed policies are float32."""


def precise(x) -> tf.Tensor:
    """Cast to float32. A float64 tensor, as with --precision float64, stays as it is.

    Args:
        x: a tensor or anything that TensorFlow converts to one.

    Returns:
        A float32 or float64 tensor of the same shape.

    Example:

    >>> precise([1, 2]).dtype.name, precise(tf.zeros(2, tf.float64)).dtype.name
    ('float32', 'float64')
    """
    return x if tf.is_tensor(x) and x.dtype == tf.float64 else tf.cast(x, tf.float32)

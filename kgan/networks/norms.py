"""Norms of feature maps [N, H, W, C] and of weights, computed at least in float32 for any compute dtype."""

import keras
import tensorflow as tf
from keras import ops

from kgan.networks import statistics
from kgan.precision import precise

HALF_UNIT = 0.125
"""Factor of maps before they are squared in float16."""


def normalize_instances(x, scale, offset, epsilon: float = 1e-5, negative_slope: float = 1.0):
    """Normalize each channel of each picture to mean 0 and variance 1 over H and W, then scale, shift and activate it.

    Memory is read once for the moments, as E[(x - s)^2] - E[x - s]^2, where s is a pixel. With s = 0, all digits are
    lost if the mean is large compared with the deviation, while a pixel is never far from the mean. The moments of rows
    are computed first and then those of the picture: XLA spreads sums over rows over a whole GPU, but a sum over H and
    W over few of its cores. The gradient is defined for the same reasons, and recomputes the sign of the activation.

    Args:
        x: [N, H, W, C].
        scale: [C].
        offset: [C].
        epsilon: number that is added to the variance.
        negative_slope: factor of negative results: 1 (none), 0 (ReLU) or between (leaky ReLU).

    Returns:
        [N, H, W, C] in the type of x.
    """

    @tf.custom_gradient
    def normalize(x, scale, offset):
        mean, variance = moments(precise(x))
        inverse = tf.math.rsqrt(variance + epsilon)
        outputs = (precise(x) - mean) * (inverse * scale) + offset
        outputs = tf.cast(_activated(outputs, negative_slope), x.dtype)

        def gradient(upstream):
            normal = (precise(x) - mean) * inverse
            upstream = precise(upstream)
            if negative_slope != 1.0:
                upstream = tf.where(normal * scale + offset > 0.0, upstream, negative_slope * upstream)
            along_scale, along_offset = _mean_over_rows(upstream * normal), _mean_over_rows(upstream)
            to_x = inverse * scale * (upstream - along_offset - normal * along_scale)
            pixels = tf.cast(tf.shape(x)[1] * tf.shape(x)[2], mean.dtype)
            to_scale, to_offset = (pixels * tf.reduce_sum(part, axis=(0, 1, 2)) for part in (along_scale, along_offset))
            return tf.cast(to_x, x.dtype), to_scale, to_offset

        return outputs, gradient

    return normalize(x, scale, offset)


def normalize_within_half(x, scale, offset, epsilon: float = 1e-5, negative_slope: float = 1.0):
    """The same as `normalize_instances`, for GPUs that compute in float16, whose largest number is 65504.

    Maps are divided by 8 first, because trained networks have deviations of 400, whose squares exceed it.
    """
    x = x * HALF_UNIT
    x = x - _mean_over_rows(x)
    inverse = tf.math.rsqrt(_mean_over_rows(tf.square(x)) + epsilon * HALF_UNIT**2)
    return _activated(x * (inverse * scale) + offset, negative_slope)


def normalize_by(x, mean, variance, scale, offset, epsilon: float = 1e-5, negative_slope: float = 1.0):
    """The same as `normalize_instances`, with a given mean and variance, each [N, 1, 1, C]."""
    outputs = (precise(x) - mean) * (tf.math.rsqrt(variance + epsilon) * scale) + offset
    return tf.cast(_activated(outputs, negative_slope), x.dtype)


def moments(x):
    """Mean and variance over H and W, each [N, 1, 1, C]."""
    row_mean, row_variance = _moments_of_rows(x)
    mean = tf.reduce_mean(row_mean, axis=1, keepdims=True)
    return mean, tf.reduce_mean(row_variance + tf.square(row_mean - mean), axis=1, keepdims=True)


def _moments_of_rows(x):
    """Mean and variance over W, each [N, H, 1, C]."""
    first = x[:, :, :1]
    x = x - first
    mean = tf.reduce_mean(x, axis=2, keepdims=True)
    square = tf.reduce_mean(tf.square(x), axis=2, keepdims=True)
    return mean + first, tf.maximum(square - tf.square(mean), 0.0)


def _mean_over_rows(x):
    """Mean over W and then over H, [N, 1, 1, C]."""
    return tf.reduce_mean(tf.reduce_mean(x, axis=2, keepdims=True), axis=1, keepdims=True)


def _activated(x, negative_slope: float):
    if negative_slope in (0.0, 1.0):
        return x if negative_slope else tf.nn.relu(x)
    return tf.nn.leaky_relu(x, negative_slope)


@keras.saving.register_keras_serializable(package="kgan")
class InstanceNormalization(keras.layers.Layer):
    """Instance normalization with learned scale and offset, and an activation.

    It computes at least in float32. Keras' GroupNormalization(-1) is not used, because it adds a RESHAPE to exported
    files for each norm and reads memory more often.

    Args:
        epsilon: number that is added to the variance.
        negative_slope: factor of negative results: 1 (none), 0 (ReLU) or between (leaky ReLU). The activation is part
            of the norm, because a separate one writes and reads one more map.

    Reference: [Instance Normalization](https://arxiv.org/abs/1607.08022).
    """

    def __init__(self, epsilon: float = 1e-5, negative_slope: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.epsilon, self.negative_slope = epsilon, negative_slope
        self.folded = False

    def fold(self):
        """Stay in the range of float16, for files of fixed sizes. The layer must not be trained afterwards."""
        self.folded = True

    def build(self, input_shape):
        self.measured_channels = input_shape[-1]
        channels = (input_shape[-1],)
        self.scale = self.add_weight(shape=channels, initializer="ones", name="scale", autocast=False)
        self.offset = self.add_weight(shape=channels, initializer="zeros", name="offset", autocast=False)

    def call(self, inputs):
        # Tensors, not variables. With the policy float16, the weights are float16 too.
        scale, offset = precise(tf.identity(self.scale.value)), precise(tf.identity(self.offset.value))
        settings = (scale, offset, self.epsilon, self.negative_slope)
        inputs, source = tf.convert_to_tensor(inputs), statistics.active()
        if source:
            outputs = normalize_by(inputs, *source.moments(precise(inputs), moments), *settings)
        else:
            outputs = (normalize_within_half if self.folded else normalize_instances)(inputs, *settings)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon, "negative_slope": self.negative_slope}


def normalization(kind: str, dtype=None, scale: bool = True) -> keras.layers.Layer:
    """Make the norm of a name.

    Args:
        kind: "instance", "batch" (with statistics over all replicas) or "none".
        dtype: dtype policy of the layer.
        scale: whether batch norm has a learned scale.

    Returns:
        The layer.

    Raises:
        ValueError: if the name is unknown.
    """
    if kind == "instance":
        return InstanceNormalization(dtype=dtype, name="instance_normalization")
    if kind == "batch":
        # Momentum 0.9 instead of Keras' 0.99, with which 5% of the initial values remain after 300 steps.
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, scale=scale, synchronized=True, dtype=dtype, name="batch_normalization"
        )
    if kind == "none":
        return keras.layers.Identity(dtype=dtype)
    raise ValueError(f"`norm` should be instance, batch or none. Received: {kind}")


@keras.saving.register_keras_serializable(package="kgan")
class SpectralNormalization(keras.layers.Wrapper):
    """A linear layer divided by its largest singular value, plus a bias.

    In each training call, `keras.layers.SpectralNormalization` replaces the weight that the optimizer updates by the
    normalised kernel, and has no gradient through sigma. This layer keeps the raw kernel and divides the output by
    sigma, as in the paper. For a linear layer, this is the same as dividing the kernel.

    Each training call updates `u` by a power iteration. It depends only on `u` and the kernel, so that all replicas
    compute the same value. The weight has no aggregation, so that each replica assigns its own copy without a merge
    call, which also works in code that XLA compiles.

    Args:
        layer: a linear layer without bias and activation.

    Raises:
        ValueError: if the layer has a bias.

    Reference: [Spectral Normalization for GANs](https://arxiv.org/abs/1802.05957).
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs):
        super().__init__(layer, **{"dtype": layer.dtype_policy, "name": layer.name, **kwargs})
        if layer.use_bias:
            raise ValueError("`layer` should have use_bias=False: the bias must stay outside the division.")

    def build(self, input_shape):
        super().build(input_shape)
        features = (self.layer.kernel.shape[-1],)
        # An initializer, because assignments are lost in a model that Keras builds by tracing.
        self.u = self.add_weight(shape=features, initializer=self._first_u, trainable=False, autocast=False, name="u")
        self.bias = self.add_weight(shape=features, initializer="zeros", name="bias")

    def call(self, inputs, training=False):
        u, v = self._power_iterations(1 if training else 0)
        if training:
            self.u.assign(u)
        sigma = ops.sum(v * ops.matmul(self._matrix(), u[:, None])[:, 0])
        return self.layer(inputs) / ops.cast(sigma, self.compute_dtype) + self.bias

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def _first_u(self, shape, dtype=None):
        """The value [features] after 32 power iterations. With a random u, sigma would be too small at first."""
        matrix = self._matrix()
        power = ops.matmul(ops.transpose(matrix), matrix)
        for _ in range(5):
            power = ops.matmul(power, power)
            power = power / (ops.max(ops.abs(power)) + 1e-30)
        return ops.cast(_unit(ops.sum(power, axis=1)), dtype or "float32")

    def _matrix(self):
        """The kernel as a matrix [inputs, features], in the precision of norms."""
        kernel = precise(tf.convert_to_tensor(self.layer.kernel))
        return ops.reshape(kernel, (-1, kernel.shape[-1]))

    def _power_iterations(self, count: int):
        """Approximations of the first singular vectors, u [features] and v [inputs], without gradients."""
        matrix, u = ops.stop_gradient(self._matrix()), precise(ops.convert_to_tensor(self.u))
        v = _unit(ops.matmul(matrix, u[:, None])[:, 0])
        for _ in range(count):
            u = _unit(ops.matmul(v[None], matrix)[0])
            v = _unit(ops.matmul(matrix, u[:, None])[:, 0])
        return u, v


def _unit(vector):
    return vector * ops.rsqrt(ops.sum(ops.square(vector)) + 1e-12)

"""Norms of feature maps [N, H, W, C] and of weights; computed in float32 at least, whatever the compute dtype."""

import keras
import tensorflow as tf
from keras import ops

from kgan.precision import precise

HALF_UNIT = 0.125
"""What maps are multiplied by before their squares are taken in float16."""


def normalize_instances(x, scale, offset, epsilon: float = 1e-5, negative_slope: float = 1.0):
    """[N,H,W,C] -> each picture's channel to mean 0, variance 1 over H and W, then scale and offset [C], then what is
    negative times `negative_slope`.

    Memory is read once for the moments: E[(x - s)^2] - E[x - s]^2, where s is a pixel. With s = 0 this loses every
    digit where the mean is large beside the deviation; a pixel is never far from its own mean. First the rows' moments,
    then the picture's: XLA spreads sums of rows over a whole GPU, but gives a sum over H and W together to a few of its
    cores. The gradient is written out to the same ends, and finds the activation's sign anew instead of keeping it.
    """

    @tf.custom_gradient
    def normalize(x, scale, offset):
        row_mean, row_variance = _moments_of_rows(precise(x))
        mean = tf.reduce_mean(row_mean, axis=1, keepdims=True)  # [N11C]
        variance = tf.reduce_mean(row_variance + tf.square(row_mean - mean), axis=1, keepdims=True)
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
    """The same for GPUs that compute in float16, whose largest number is 65504: in eighths, for trained networks have
    deviations of 400, whose squares go beyond it.
    """
    x = x * HALF_UNIT
    x = x - _mean_over_rows(x)
    inverse = tf.math.rsqrt(_mean_over_rows(tf.square(x)) + epsilon * HALF_UNIT**2)
    return _activated(x * (inverse * scale) + offset, negative_slope)


def _moments_of_rows(x):
    """Mean and variance over W: [N,H,1,C] each."""
    first = x[:, :, :1]
    x = x - first
    mean = tf.reduce_mean(x, axis=2, keepdims=True)
    square = tf.reduce_mean(tf.square(x), axis=2, keepdims=True)
    return mean + first, tf.maximum(square - tf.square(mean), 0.0)


def _mean_over_rows(x):
    """Mean over W, then over H: [N,1,1,C]."""
    return tf.reduce_mean(tf.reduce_mean(x, axis=2, keepdims=True), axis=1, keepdims=True)


def _activated(x, negative_slope: float):
    if negative_slope in (0.0, 1.0):
        return x if negative_slope else tf.nn.relu(x)
    return tf.nn.leaky_relu(x, negative_slope)


@keras.saving.register_keras_serializable(package="kgan")
class InstanceNormalization(keras.layers.Layer):
    """Each picture's channel to mean 0 and variance 1 over H and W, then learned scale and offset, then an activation.

    Computed in float32 at least, whatever the compute dtype. The moments are written by hand: Keras'
    GroupNormalization(-1) adds a RESHAPE to the exported file for each of them, and reads memory more often.

    Args:
        epsilon: added to the variance.
        negative_slope: what negative results are multiplied by: 1 (none), 0 (ReLU) or between (leaky ReLU). Inside the
            norm, because apart from it the activation costs one more map that is written and read.

    Reference: [Instance Normalization](https://arxiv.org/abs/1607.08022).
    """

    def __init__(self, epsilon: float = 1e-5, negative_slope: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.epsilon, self.negative_slope = epsilon, negative_slope
        self.folded = False

    def fold(self):
        """From now on stay within float16's range, as files of a fixed size want it; not to be trained any more."""
        self.folded = True

    def build(self, input_shape):
        channels = (input_shape[-1],)
        self.scale = self.add_weight(shape=channels, initializer="ones", name="scale", autocast=False)
        self.offset = self.add_weight(shape=channels, initializer="zeros", name="offset", autocast=False)

    def call(self, inputs):
        scale, offset = tf.identity(self.scale.value), tf.identity(self.offset.value)  # tensors, not variables
        inputs = tf.convert_to_tensor(inputs)
        normalize = normalize_within_half if self.folded else normalize_instances
        outputs = normalize(inputs, scale, offset, self.epsilon, self.negative_slope)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon, "negative_slope": self.negative_slope}


def normalization(kind: str, dtype=None, scale: bool = True) -> keras.layers.Layer:
    """The norm of that name: instance, batch (statistics over all replicas) or none."""
    if kind == "instance":
        return InstanceNormalization(dtype=dtype, name="instance_normalization")
    if kind == "batch":
        # Momentum 0.9, not Keras' 0.99: after a run of 300 steps the latter still holds 5% of its initial values.
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, scale=scale, synchronized=True, dtype=dtype, name="batch_normalization"
        )
    if kind == "none":
        return keras.layers.Identity(dtype=dtype)
    raise ValueError(f"`norm` should be instance, batch or none. Received: {kind}")


@keras.saving.register_keras_serializable(package="kgan")
class SpectralNormalization(keras.layers.Wrapper):
    """A linear layer (no bias, no activation) divided by its largest singular value, plus a bias.

    Unlike `keras.layers.SpectralNormalization`, which in every training call writes the normalised kernel over the
    weight that the optimizer moves and lets no gradient through sigma, this keeps the raw kernel and divides the
    output (a linear layer's output / sigma is the output of kernel / sigma), as in the paper.

    One power iteration per training call moves `u`. It is a function of `u` and the kernel alone, so that every replica
    computes the same; the weight has no aggregation, hence each replica assigns its own copy without a merge call,
    which also works inside XLA-compiled code.

    Reference: [Spectral Normalization for GANs](https://arxiv.org/abs/1802.05957).
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs):
        super().__init__(layer, **{"dtype": layer.dtype_policy, "name": layer.name, **kwargs})
        if layer.use_bias:
            raise ValueError("`layer` should have use_bias=False: the bias must stay outside the division.")

    def build(self, input_shape):
        super().build(input_shape)
        features = (self.layer.kernel.shape[-1],)
        # As initializer, not assigned afterwards: a model that Keras builds by tracing forgets assignments.
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
        """[features], as after 32 power iterations: from a random u, the first sigmas would come out too small."""
        matrix = self._matrix()
        power = ops.matmul(ops.transpose(matrix), matrix)
        for _ in range(5):
            power = ops.matmul(power, power)
            power = power / (ops.max(ops.abs(power)) + 1e-30)
        return _unit(ops.sum(power, axis=1))

    def _matrix(self):
        """The kernel as [inputs, features], in the precision of norms."""
        kernel = precise(tf.convert_to_tensor(self.layer.kernel))
        return ops.reshape(kernel, (-1, kernel.shape[-1]))

    def _power_iterations(self, count: int):
        """Unit vectors u [features] and v [inputs] near the first singular pair; no gradient flows through them."""
        matrix, u = ops.stop_gradient(self._matrix()), ops.convert_to_tensor(self.u)
        v = _unit(ops.matmul(matrix, u[:, None])[:, 0])
        for _ in range(count):
            u = _unit(ops.matmul(v[None], matrix)[0])
            v = _unit(ops.matmul(matrix, u[:, None])[:, 0])
        return u, v


def _unit(vector):
    return vector * ops.rsqrt(ops.sum(ops.square(vector)) + 1e-12)

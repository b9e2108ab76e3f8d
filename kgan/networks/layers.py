"""Layers that the networks share. Pictures and feature maps are NHWC; weights and norms stay in float32."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops


def weights_init(norm: str) -> keras.Initializer:
    """N(0, 0.02) as in DCGAN and CycleGAN; He's where no norm restores the scale (0.02 would fade the signal)."""
    return keras.initializers.HeNormal() if norm == "none" else keras.initializers.RandomNormal(stddev=0.02)


@tf.custom_gradient
def normalize_instances(x, scale, offset, epsilon):
    """[N,H,W,C] -> each picture's channel to mean 0, variance 1 over H and W, then scale and offset [C].

    Moments in one pass over memory: E[(x - s)^2] - E[x - s]^2, where s is the channel's first pixel. With s = 0 this
    loses every digit where the mean is large beside the deviation; a pixel is never far from its own mean. The gradient
    is written out for the same reason: two sums in one pass, then one pass that writes.
    """
    centred = tf.cast(x, tf.float32)
    first = centred[:, :1, :1, :]
    centred = centred - first
    mean = tf.reduce_mean(centred, axis=(1, 2), keepdims=True)  # [N11C], of x - s
    square = tf.reduce_mean(tf.square(centred), axis=(1, 2), keepdims=True)
    inverse = tf.math.rsqrt(tf.maximum(square - tf.square(mean), 0.0) + epsilon)
    outputs = tf.cast((centred - mean) * (inverse * scale) + offset, x.dtype)

    def gradient(upstream):
        upstream = tf.cast(upstream, tf.float32)
        normal = (tf.cast(x, tf.float32) - first - mean) * inverse
        along_offset = tf.reduce_mean(upstream, axis=(1, 2), keepdims=True)
        along_scale = tf.reduce_mean(upstream * normal, axis=(1, 2), keepdims=True)
        to_x = inverse * scale * (upstream - along_offset - normal * along_scale)
        pixels = tf.cast(tf.shape(x)[1] * tf.shape(x)[2], tf.float32)
        to_scale, to_offset = (pixels * tf.reduce_sum(part, axis=(0, 1, 2)) for part in (along_scale, along_offset))
        return tf.cast(to_x, x.dtype), to_scale, to_offset, None

    return outputs, gradient


@keras.saving.register_keras_serializable(package="kgan")
class InstanceNormalization(keras.layers.Layer):
    """Each picture's channel to mean 0 and variance 1 over H and W, then a learned scale and offset.

    Computed in float32 whatever the compute dtype. The moments are written by hand: Keras' GroupNormalization(-1)
    adds a RESHAPE to the exported file for each of them, and reads memory more often.

    Reference: [Instance Normalization](https://arxiv.org/abs/1607.08022).
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        channels = (input_shape[-1],)
        self.scale = self.add_weight(shape=channels, initializer="ones", name="scale", autocast=False)
        self.offset = self.add_weight(shape=channels, initializer="zeros", name="offset", autocast=False)

    def call(self, inputs):
        scale, offset = tf.identity(self.scale.value), tf.identity(self.offset.value)  # tensors, not variables
        outputs = normalize_instances(tf.convert_to_tensor(inputs), scale, offset, tf.constant(self.epsilon))
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


def reflect(x, padding: int):
    """[N,H,W,C] with H and W padded by mirroring, without repeating the border.

    Where H and W are known, as in training, pixels are gathered by index: XLA copies the whole map once, where it
    concatenates twice for MirrorPad, and the gradient (below) is slices and sums instead of a scatter.
    """
    if None in x.shape[1:3]:
        return tf.pad(x, [[0, 0], [padding] * 2, [padding] * 2, [0, 0]], mode="REFLECT")
    return _gather_reflected(padding)(x)


def _gather_reflected(padding: int):
    @tf.custom_gradient
    def gather(x):
        padded = x
        for axis in (1, 2):
            padded = tf.gather(padded, np.pad(np.arange(x.shape[axis]), padding, mode="reflect"), axis=axis)

        def gradient(upstream):
            for axis in (2, 1):
                upstream = _fold(upstream, axis, padding)
            return upstream

        return padded, gradient

    return gather


def _fold(x, axis: int, padding: int):
    """The gradient of mirroring along one axis: what lies outside is added where it was mirrored from."""
    size = x.shape[axis] - 2 * padding
    inner, before, after = (
        tf.gather(x, np.arange(*limits), axis=axis)
        for limits in (
            (padding, padding + size),
            (padding - 1, -1, -1),
            (size + 2 * padding - 1, size + padding - 1, -1),
        )
    )

    def placed(part, start):
        edges = [[0, 0] for _ in range(4)]
        edges[axis] = [start, size - padding - start]
        return tf.pad(part, edges)

    return inner + placed(before, 1) + placed(after, size - padding - 1)


@keras.saving.register_keras_serializable(package="kgan")
class ReflectionPadding2D(keras.layers.Layer):
    """Pads H and W by mirroring, without repeating the border. H and W must exceed `padding`."""

    def __init__(self, padding: int, **kwargs):
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs):
        return reflect(inputs, self.padding)

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        return (batch, *(side and side + 2 * self.padding for side in sides), channels)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


@tf.custom_gradient
def double_nearest(x):
    """[N,H,W,C] -> [N,2H,2W,C], each pixel repeated.

    `UpSampling2D` does not convert to TFLite with a dynamic H and W, `tf.image.resize` does; but XLA has no kernel for
    its gradient, which is therefore written out: the sum over each block of 2x2.
    """

    def gradient(upstream):
        return 4.0 * tf.nn.avg_pool2d(upstream, 2, 2, "VALID")

    return tf.image.resize(x, 2 * tf.shape(x)[1:3], "nearest"), gradient


@keras.saving.register_keras_serializable(package="kgan")
class Upsample(keras.layers.Layer):
    """Doubles H and W by repeating pixels (no parameters; a convolution follows)."""

    def call(self, inputs):
        return double_nearest(inputs)

    def compute_output_shape(self, input_shape):
        count, *sides, channels = input_shape
        return (count, *(side and 2 * side for side in sides), channels)


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
        self.u = self.add_weight(
            shape=features, initializer=self._first_u, trainable=False, autocast=False, dtype="float32", name="u"
        )
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
        """The kernel in float32 as [inputs, features]."""
        return ops.reshape(ops.cast(self.layer.kernel, "float32"), (-1, self.layer.kernel.shape[-1]))

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


def _convolution(filters, kernel, stride, padding, norm, spectral, dtype):
    """A convolution with a bias only where no norm would cancel it."""
    layer = keras.layers.Conv2D(
        filters, kernel, stride, padding, use_bias=norm == "none" and not spectral,
        kernel_initializer=weights_init(norm), dtype=dtype, name="convolution",
    )  # fmt: skip
    return SpectralNormalization(layer) if spectral else layer


@keras.saving.register_keras_serializable(package="kgan")
class ConvBlock(keras.layers.Layer):
    """Convolution, norm, activation; `pool` averages 2x2 after them, `up` doubles H and W before.

    `up` is "" (same size), "resize" (repeat pixels, then convolve) or "transpose" (transposed convolution of 4x4:
    the stride divides it, so that every output pixel has the same number of inputs).
    """

    def __init__(
        self,
        filters: int,
        kernel: int = 3,
        stride: int = 1,
        norm: str = "instance",
        activation: str = "relu",
        reflect: bool = False,
        pool: bool = False,
        up: str = "",
        spectral: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.settings = {
            "filters": filters, "kernel": kernel, "stride": stride, "norm": norm, "activation": activation,
            "reflect": reflect, "pool": pool, "up": up, "spectral": spectral,
        }  # fmt: skip
        dtype = self.dtype_policy
        before = [Upsample(dtype=dtype)] if up == "resize" else []
        if reflect:
            before.append(ReflectionPadding2D(kernel // 2, dtype=dtype))
        if up == "transpose":
            linear = keras.layers.Conv2DTranspose(
                filters, 4, 2, "same", use_bias=norm == "none", kernel_initializer=weights_init(norm), dtype=dtype
            )
        else:
            linear = _convolution(filters, kernel, stride, "valid" if reflect else "same", norm, spectral, dtype)
        after = [normalization(norm, dtype, scale=not spectral), _activation(activation, dtype)]
        if pool:
            after.append(keras.layers.AveragePooling2D(2, dtype=dtype))
        self.sequence = [*before, linear, *after]

    def build(self, input_shape):
        build_in_order(self.sequence, input_shape)

    def call(self, inputs, training=False):
        return run(self.sequence, inputs, training)

    def compute_output_shape(self, input_shape):
        return shape_after(self.sequence, input_shape)

    def get_config(self):
        return {**super().get_config(), **self.settings}


def _activation(name: str, dtype) -> keras.layers.Layer:
    if name == "leaky_relu":
        return keras.layers.LeakyReLU(0.2, dtype=dtype)
    return keras.layers.Activation(name, dtype=dtype)


@keras.saving.register_keras_serializable(package="kgan")
class ResidualBlock(keras.layers.Layer):
    """x + norm(conv(relu(norm(conv(x))))), with reflection padding."""

    def __init__(self, filters: int, kernel: int = 3, norm: str = "instance", **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel, self.norm = filters, kernel, norm
        shared = {"kernel": kernel, "norm": norm, "reflect": True, "dtype": self.dtype_policy}
        self.first = ConvBlock(filters, name="first", **shared)
        self.second = ConvBlock(filters, activation="linear", name="second", **shared)

    def build(self, input_shape):
        build_in_order([self.first, self.second], input_shape)

    def call(self, inputs, training=False):
        return inputs + self.second(self.first(inputs, training=training), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "kernel": self.kernel, "norm": self.norm}


def run(layers, inputs, training):
    """`inputs` through `layers` in order; `training` goes to those that know it."""
    for layer in layers:
        inputs = layer(inputs, training=training) if layer._call_has_training_arg else layer(inputs)
    return inputs


def build_in_order(layers, input_shape):
    """Create the weights of layers that run one after another; returns the last one's output shape.

    Every network here has an explicit `build`, so that `network.build(shape)` makes all weights. Without it Keras
    marks a subclassed model as built with none, and otherwise builds by tracing `call`, which takes 10 times as long.
    """
    for layer in layers:
        layer.build(input_shape)
        input_shape = layer.compute_output_shape(input_shape)
    return input_shape


def shape_after(layers, input_shape):
    """The output shape of layers that run one after another."""
    for layer in layers:
        input_shape = layer.compute_output_shape(input_shape)
    return input_shape


def levels(stride: int) -> int:
    """How often 2 divides `stride`, a power of two."""
    if stride < 2 or stride & (stride - 1):
        raise ValueError(f"`stride` should be 2, 4 or 8. Received: {stride}")
    return int(math.log2(stride))


def pool_to_grid(maps, grid: int):
    """Averages [N,H,W,C] over a grid x grid of equal (overlapping where need be) cells -> [N,grid,grid,C].

    Two small matrix products, so that any static H and W work, compile with XLA and have a second derivative.
    """
    rows, columns = (tf.constant(_cells(side, grid), maps.dtype) for side in maps.shape[1:3])
    return tf.einsum("nhwc,gh,kw->ngkc", maps, rows, columns)


def _cells(side: int, grid: int) -> list[list[float]]:
    """[grid, side]: row g averages the pixels that cell g of `grid` covers, borders shared by their overlap."""
    cell = side / grid
    overlap = [[max(0.0, min(p + 1, (g + 1) * cell) - max(p, g * cell)) for p in range(side)] for g in range(grid)]
    return [[value / cell for value in row] for row in overlap]

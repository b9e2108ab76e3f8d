"""Layers that the networks share. Pictures and feature maps are NHWC; weights and norms are in float32 at least."""

import math

import keras
import tensorflow as tf

from kgan.networks.convolutions import ThinConv2D, UpsampledConv2D
from kgan.networks.norms import InstanceNormalization, SpectralNormalization, normalization
from kgan.networks.padding import ReflectionPadding2D

NEGATIVE_SLOPES = {"linear": 1.0, "relu": 0.0, "leaky_relu": 0.2}
"""Activations, by what they do to negative values."""


def weights_init(norm: str) -> keras.Initializer:
    """N(0, 0.02) as in DCGAN and CycleGAN; He's where no norm restores the scale (0.02 would fade the signal)."""
    return keras.initializers.HeNormal() if norm == "none" else keras.initializers.RandomNormal(stddev=0.02)


def _convolution(filters, kernel, stride, norm, reflect, up, spectral, dtype):
    """The linear part of a block, with a bias only where no norm would cancel it."""
    settings = {"use_bias": norm == "none" and not spectral, "kernel_initializer": weights_init(norm), "dtype": dtype}
    if up == "transpose":
        return keras.layers.Conv2DTranspose(filters, 4, 2, "same", name="convolution", **settings)
    if up == "resize":
        return UpsampledConv2D(filters, kernel, padding="same", name="convolution", **settings)
    if reflect and stride == 1:
        layer = ThinConv2D(filters, kernel, padding="valid", name="convolution", **settings)
    else:
        layer = keras.layers.Conv2D(
            filters, kernel, stride, "valid" if reflect else "same", name="convolution", **settings
        )
    return SpectralNormalization(layer) if spectral else layer


def _margins(kernel: int, stride: int) -> tuple[int, int]:
    """What "same" pads before and after a side that the stride divides.

    >>> _margins(7, 1), _margins(3, 2)
    ((3, 3), (0, 1))
    """
    return (kernel - stride) // 2, (kernel - stride + 1) // 2


def _norm_and_activation(norm, activation, spectral, dtype) -> list:
    slope = NEGATIVE_SLOPES[activation]
    if norm == "instance":
        return [InstanceNormalization(negative_slope=slope, dtype=dtype, name="instance_normalization")]
    activate = [keras.layers.ReLU(negative_slope=slope, dtype=dtype)] if slope != 1.0 else []
    return [normalization(norm, dtype, scale=not spectral), *activate]


@keras.saving.register_keras_serializable(package="kgan")
class ConvBlock(keras.layers.Layer):
    """Convolution, norm, activation; `pool` averages 2x2 after them, `up` doubles H and W before.

    `up` is "" (same size), "resize" (repeat pixels, then convolve) or "transpose" (transposed convolution of 4x4:
    the stride divides it, so that every output pixel has the same number of inputs). `reflect` pads by mirroring what
    would be zeros: with a stride these stand at the bottom and right alone, where a generator learns to draw stripes.
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
        self.filters, self.kernel, self.stride = filters, kernel, stride
        self.norm, self.activation, self.spectral = norm, activation, spectral
        self.reflect, self.pool, self.up = reflect, pool, up
        dtype = self.dtype_policy
        padding = [ReflectionPadding2D(*_margins(kernel, stride), dtype=dtype)] if reflect else []
        convolution = _convolution(filters, kernel, stride, norm, reflect, up, spectral, dtype)
        after = _norm_and_activation(norm, activation, spectral, dtype)
        if pool:
            after.append(keras.layers.AveragePooling2D(2, dtype=dtype))
        self.sequence = [*padding, convolution, *after]

    def build(self, input_shape):
        build_in_order(self.sequence, input_shape)

    def call(self, inputs, training=False):
        return run(self.sequence, inputs, training)

    def compute_output_shape(self, input_shape):
        return shape_after(self.sequence, input_shape)

    def get_config(self):
        names = ("filters", "kernel", "stride", "norm", "activation", "reflect", "pool", "up", "spectral")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


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

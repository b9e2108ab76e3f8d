"""Common layers of the networks. Pictures and feature maps are NHWC; weights and norms are at least float32."""

import math

import keras
import tensorflow as tf

from kgan.keras_internals import takes_training
from kgan.networks.convolutions import CHANNELS_LAST, Blur2D, ThinConv2D, TransposedConv2D, UpsampledConv2D
from kgan.networks.norms import InstanceNormalization, SpectralNormalization, normalization
from kgan.networks.padding import ReflectionPadding2D, same_margins

NEGATIVE_SLOPES = {"linear": 1.0, "relu": 0.0, "leaky_relu": 0.2}
"""Activations by their slope for negative values."""


def weights_init(norm: str) -> keras.Initializer:
    """N(0, 0.02) as in DCGAN and CycleGAN, or He's initializer without a norm, because 0.02 would weaken the signal."""
    return keras.initializers.HeNormal() if norm == "none" else keras.initializers.RandomNormal(stddev=0.02)


def _convolution(filters, kernel, stride, norm, reflect, up, blur, spectral, dtype):
    """The convolution of a block. It has a bias only if no norm would cancel it."""
    settings = {
        "use_bias": norm == "none" and not spectral, "kernel_initializer": weights_init(norm), "dtype": dtype,
        "data_format": CHANNELS_LAST,
    }  # fmt: skip
    if up == "transpose":
        transposed = TransposedConv2D if reflect else keras.layers.Conv2DTranspose
        return transposed(filters, 4, 2, "same", name="convolution", **settings)
    if up == "resize":
        options = {"padding": "same", "reflects": reflect, "blur": blur, "name": "convolution"}
        return UpsampledConv2D(filters, kernel, **options, **settings)
    if reflect and stride == 1:
        layer = ThinConv2D(filters, kernel, padding="valid", name="convolution", **settings)
    else:
        layer = keras.layers.Conv2D(
            filters, kernel, stride, "valid" if reflect else "same", name="convolution", **settings
        )
    return SpectralNormalization(layer) if spectral else layer


def _norm_and_activation(norm, activation, spectral, dtype) -> list:
    slope = NEGATIVE_SLOPES[activation]
    if norm == "instance":
        return [InstanceNormalization(negative_slope=slope, dtype=dtype, name="instance_normalization")]
    activate = [keras.layers.ReLU(negative_slope=slope, dtype=dtype)] if slope != 1.0 else []
    return [normalization(norm, dtype, scale=not spectral), *activate]


@keras.saving.register_keras_serializable(package="kgan")
class ConvBlock(keras.layers.Layer):
    """Convolution, norm and activation.

    Args:
        filters: number of filters.
        kernel: side of the kernel.
        stride: stride of the convolution.
        norm: "instance", "batch" or "none".
        activation: "linear", "relu" or "leaky_relu".
        reflect: whether to pad by reflection instead of zeros. With a stride, zeros are only at the bottom and right,
            where a generator learns to draw stripes.
        pool: whether 2x2 average pooling follows.
        up: "" for the same size, "resize" to repeat pixels and convolve, or "transpose" for a transposed convolution
            of 4x4, whose kernel is a multiple of the stride, so that all output pixels have the same number of inputs.
        spectral: whether to use spectral norm.
        blur: whether to blur where the resolution changes: after the activation, to half the resolution, if the stride
            is 1 (as CUT's authors do); before a convolution with a stride; in `up` "resize".
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
        blur: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel, self.stride = filters, kernel, stride
        self.norm, self.activation, self.spectral = norm, activation, spectral
        self.reflect, self.pool, self.up, self.blur = reflect, pool, up, blur
        dtype = self.dtype_policy
        padding = [] if up or not reflect else [ReflectionPadding2D(*same_margins(kernel, stride), dtype=dtype)]
        if blur and stride > 1:
            padding = [Blur2D(dtype=dtype), *padding]
        convolution = _convolution(filters, kernel, stride, norm, reflect, up, blur, spectral, dtype)
        after = _norm_and_activation(norm, activation, spectral, dtype)
        if pool:
            after.append(keras.layers.AveragePooling2D(2, data_format=CHANNELS_LAST, dtype=dtype))
        if blur and stride == 1 and not up:
            after.append(Blur2D(2, dtype=dtype))
        self.sequence = [*padding, convolution, *after]

    def build(self, input_shape):
        build_in_order(self.sequence, input_shape)

    def call(self, inputs, training=False):
        return run(self.sequence, inputs, training)

    def compute_output_shape(self, input_shape):
        return shape_after(self.sequence, input_shape)

    def get_config(self):
        names = ("filters", "kernel", "stride", "norm", "activation", "reflect", "pool", "up", "spectral", "blur")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="kgan")
class ResidualBlock(keras.layers.Layer):
    """x + norm(conv(relu(norm(conv(x))))) with reflection padding.

    Args:
        filters: number of filters.
        kernel: side of the kernels.
        norm: "instance", "batch" or "none".
    """

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


def run(layers, inputs, training=False):
    """Apply layers in order. `training` is passed to layers that have this argument."""
    for layer in layers:
        inputs = layer(inputs, training=training) if takes_training(layer) else layer(inputs)
    return inputs


def build_in_order(layers, input_shape):
    """Build layers that run one after another. Returns the output shape of the last.

    All networks have an explicit `build`, so that `network.build(shape)` makes all weights. Otherwise Keras marks a
    subclassed model as built without weights, or builds it by tracing `call`, which takes 10 times as long.
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
    """The exponent of a stride that is a power of two. Raises ValueError for other numbers."""
    if stride < 2 or stride & (stride - 1):
        raise ValueError(f"`stride` should be 2, 4 or 8. Received: {stride}")
    return int(math.log2(stride))


def pool_to_grid(maps, grid: int):
    """Average maps over a grid of equal cells, which overlap if necessary.

    It uses two small matrix products, which work with any static H and W, can be compiled with XLA and have a second
    derivative.

    Args:
        maps: [N, H, W, C].
        grid: number of cells per side.

    Returns:
        [N, grid, grid, C].
    """
    rows, columns = (tf.constant(_cells(side, grid), maps.dtype) for side in maps.shape[1:3])
    return tf.einsum("nhwc,gh,kw->ngkc", maps, rows, columns)


def _cells(side: int, grid: int) -> list[list[float]]:
    """A matrix [grid, side] whose row g averages the pixels of cell g, weighted by their overlap with the cell."""
    cell = side / grid
    overlap = [[max(0.0, min(p + 1, (g + 1) * cell) - max(p, g * cell)) for p in range(side)] for g in range(grid)]
    return [[value / cell for value in row] for row in overlap]
